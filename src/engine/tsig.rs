//! TSIG of a query and of its answer (RFC 8945 section 5), as the engine needs them.

use crate::dns::message::Fault;
use crate::dns::tsig::sign::{unsigned, unsigned_octets};
use crate::dns::tsig::{Chain, Checked, Error, Tail, Tsig, verify};
use crate::snapshot::View;

use super::request::Refusal;

/// The TSIG of a query, checked.
#[derive(Debug)]
pub(super) struct Signed<'v, 'p> {
    view: &'v View,
    request: Tsig<'p>,
    checked: Checked,
    /// Unix time in seconds.
    now: u64,
    /// [`Signed::now`] in six octets.
    clock: [u8; 6],
}

impl<'v, 'p> Signed<'v, 'p> {
    /// Checks the record that starts at `start`.
    ///
    /// # Errors
    /// Where it cannot be read: FORMERR, and the answer has no TSIG.
    #[cold]
    pub(super) fn check(
        view: &'v View,
        packet: &'p [u8],
        start: usize,
        now: u64,
    ) -> Result<Signed<'v, 'p>, Refusal> {
        let malformed = Refusal::Malformed(Fault::Tsig);
        let request = Tsig::read(packet, start).ok_or(malformed)?;
        let checked = verify(
            packet,
            &request,
            &view.snapshot.settings.transfers.keys,
            now,
        );
        if checked == Checked::Malformed {
            return Err(malformed);
        }
        let mut clock = [0; 6];
        clock.copy_from_slice(&now.to_be_bytes()[2..]);
        Ok(Signed {
            view,
            request,
            checked,
            now,
            clock,
        })
    }

    /// Whether it is good.
    ///
    /// # Errors
    /// NOTAUTH, with the reason.
    pub(super) fn good(&self) -> Result<(), Refusal> {
        match self.checked {
            Checked::Bad(error, _) => Err(Refusal::Tsig(error)),
            Checked::Good(_) | Checked::Malformed => Ok(()),
        }
    }

    /// The key whose signature is good.
    pub(super) fn key(&self) -> Option<usize> {
        match self.checked {
            Checked::Good(key) => Some(key),
            Checked::Bad(..) | Checked::Malformed => None,
        }
    }

    /// Signs the messages of an answer that is more than one.
    pub(super) fn chain(&self) -> Option<(usize, Chain)> {
        Some((self.key()?, Chain::answering(&self.request)))
    }

    /// The key to sign with and what to say; `None` where the answer goes unsigned.
    fn tail(&self) -> Option<(usize, Tail<'_>)> {
        match self.checked {
            Checked::Good(key) => Some((key, Tail::at(self.now))),
            // RFC 8945 section 5.2.3: the client's own time, and the server's in Other Data, so that
            // it can be told from an attack that the clocks differ.
            Checked::Bad(error @ Error::BadTime, Some(key)) => Some((
                key,
                Tail {
                    time: self.request.time,
                    error: error.code(),
                    other: &self.clock,
                },
            )),
            Checked::Bad(error, Some(key)) if error.is_signed() => Some((
                key,
                Tail {
                    time: self.now,
                    error: error.code(),
                    other: &[],
                },
            )),
            Checked::Bad(..) | Checked::Malformed => None,
        }
    }

    /// Octets to keep free for the answer's TSIG.
    pub(super) fn octets(&self) -> usize {
        match self.tail() {
            Some((key, tail)) => {
                Chain::octets(&self.view.snapshot.settings.transfers.keys[key], &tail)
            }
            None => unsigned_octets(&self.request),
        }
    }

    /// Appends the TSIG to the answer of `len` octets and returns the new length.
    pub(super) fn finish(&self, out: &mut [u8], len: usize) -> usize {
        let appended = match (self.tail(), self.checked) {
            (Some((key, tail)), _) => {
                let key = &self.view.snapshot.settings.transfers.keys[key];
                Chain::answering(&self.request).sign(key, &tail, out, len)
            }
            (None, Checked::Bad(error, _)) => unsigned(&self.request, error.code(), out, len),
            (None, _) => None,
        };
        // Room was kept; only a buffer smaller than documented has none.
        appended.unwrap_or(len)
    }
}
