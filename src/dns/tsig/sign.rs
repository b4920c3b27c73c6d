//! Signing: a request, and the messages that answer one (RFC 8945 sections 4.3 and 5.3).

use ring::hmac;

use crate::dns::message::HEADER;
use crate::dns::rtype;

use super::{ANY, FUDGE, Tsig, TsigKey};

/// Octets of the longest MAC.
const LONGEST: usize = 64;

/// A message's MAC, which the next one's is made over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mac {
    octets: [u8; LONGEST],
    len: usize,
}

impl Mac {
    /// A copy of a MAC of at most 64 octets; longer ones are no MACs of ours, and are cut.
    pub(super) fn new(mac: &[u8]) -> Mac {
        let len = mac.len().min(LONGEST);
        let mut octets = [0; LONGEST];
        octets[..len].copy_from_slice(&mac[..len]);
        Mac { octets, len }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..self.len]
    }

    /// With its length before it, as a digest takes it (RFC 8945 section 4.3.1).
    pub(super) fn feed(&self, hmac: &mut hmac::Context) {
        hmac.update(&(self.len as u16).to_be_bytes());
        hmac.update(self.as_bytes());
    }
}

/// The variables of a TSIG that its digest covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variables<'a> {
    pub(super) key: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) time: u64,
    pub(super) fudge: u16,
    pub(super) error: u16,
    pub(super) other: &'a [u8],
}

impl Variables<'_> {
    /// All of them (RFC 8945 section 4.3.3); names in canonical form.
    pub(super) fn feed(&self, hmac: &mut hmac::Context) {
        hmac.update(&self.key.to_ascii_lowercase());
        hmac.update(&ANY.to_be_bytes());
        hmac.update(&[0; 4]); // TTL
        hmac.update(&self.algorithm.to_ascii_lowercase());
        self.feed_timers(hmac);
        hmac.update(&self.error.to_be_bytes());
        hmac.update(&(self.other.len() as u16).to_be_bytes());
        hmac.update(self.other);
    }

    /// Time and fudge only: what the second and later messages of an answer cover (section 5.3.1).
    fn feed_timers(&self, hmac: &mut hmac::Context) {
        hmac.update(&self.time.to_be_bytes()[2..]);
        hmac.update(&self.fudge.to_be_bytes());
    }
}

/// What the TSIG of an answer says beside its MAC.
#[derive(Clone, Copy, Debug)]
pub struct Tail<'a> {
    /// Unix time of the signing, in seconds.
    pub time: u64,
    /// What was wrong with the request's TSIG; 0: nothing.
    pub error: u16,
    /// The server's time in six octets, where that is BADTIME (RFC 8945 section 5.2.3).
    pub other: &'a [u8],
}

impl Tail<'static> {
    /// All is well at this time.
    pub fn at(time: u64) -> Tail<'static> {
        Tail {
            time,
            error: 0,
            other: &[],
        }
    }
}

/// Signs the messages that answer one request, each over the MAC of the one before (RFC 8945 section
/// 5.3.1: every message is signed here, where every hundredth would do).
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    prior: Option<Mac>,
    first: bool,
}

impl Chain {
    /// For the answer to `request`.
    pub fn answering(request: &Tsig<'_>) -> Chain {
        Chain {
            prior: Some(Mac::new(request.mac)),
            first: true,
        }
    }

    /// For a request of our own.
    pub fn request() -> Chain {
        Chain {
            prior: None,
            first: true,
        }
    }

    /// Octets that [`Chain::sign`] appends.
    pub fn octets(key: &TsigKey, tail: &Tail<'_>) -> usize {
        octets(
            key.name.as_bytes(),
            key.algorithm.wire(),
            key.algorithm.mac_len(),
            tail.other,
        )
    }

    /// Appends the TSIG to the message of `len` octets in `out` and returns the new length; `None`
    /// where it does not fit, and nothing has changed then. The message's own ID is the one signed.
    pub fn sign(
        &mut self,
        key: &TsigKey,
        tail: &Tail<'_>,
        out: &mut [u8],
        len: usize,
    ) -> Option<usize> {
        if out.len() < len + Chain::octets(key, tail) || len < HEADER {
            return None;
        }
        let mut hmac = key.hmac();
        if let Some(prior) = &self.prior {
            prior.feed(&mut hmac);
        }
        hmac.update(&out[..len]);
        let variables = Variables {
            key: key.name.as_bytes(),
            algorithm: key.algorithm.wire(),
            time: tail.time,
            fudge: FUDGE,
            error: tail.error,
            other: tail.other,
        };
        if self.first {
            variables.feed(&mut hmac);
        } else {
            variables.feed_timers(&mut hmac);
        }
        let mac = Mac::new(hmac.sign().as_ref());
        let end = append(&variables, mac.as_bytes(), out, len);
        self.prior = Some(mac);
        self.first = false;
        Some(end)
    }

    /// The MAC of the last message signed; of the request where none was yet.
    pub fn mac(&self) -> Option<Mac> {
        self.prior
    }
}

/// Appends a TSIG without MAC to an answer: that to a request whose key or MAC is not good (RFC 8945
/// section 5.3.2). `None` where it does not fit.
pub fn unsigned(request: &Tsig<'_>, error: u16, out: &mut [u8], len: usize) -> Option<usize> {
    if out.len() < len + unsigned_octets(request) || len < HEADER {
        return None;
    }
    let variables = Variables {
        key: request.key.as_bytes(),
        algorithm: request.algorithm,
        time: request.time,
        fudge: request.fudge,
        error,
        other: &[],
    };
    Some(append(&variables, &[], out, len))
}

/// Octets that [`unsigned`] appends.
pub fn unsigned_octets(request: &Tsig<'_>) -> usize {
    octets(request.key.as_bytes(), request.algorithm, 0, &[])
}

fn octets(key: &[u8], algorithm: &[u8], mac: usize, other: &[u8]) -> usize {
    key.len() + 10 + algorithm.len() + 16 + mac + other.len()
}

/// Writes the record and counts it; the caller has looked that it fits.
fn append(v: &Variables<'_>, mac: &[u8], out: &mut [u8], len: usize) -> usize {
    let id = [out[0], out[1]];
    let rdlen = v.algorithm.len() + 16 + mac.len() + v.other.len();
    let mut at = len;
    for part in [
        v.key,
        &rtype::TSIG.to_be_bytes(),
        &ANY.to_be_bytes(),
        &[0; 4],
        &(rdlen as u16).to_be_bytes(),
        v.algorithm,
        &v.time.to_be_bytes()[2..],
        &v.fudge.to_be_bytes(),
        &(mac.len() as u16).to_be_bytes(),
        mac,
        &id,
        &v.error.to_be_bytes(),
        &(v.other.len() as u16).to_be_bytes(),
        v.other,
    ] {
        out[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    let count = u16::from_be_bytes([out[10], out[11]]).saturating_add(1);
    out[10..12].copy_from_slice(&count.to_be_bytes());
    at
}
