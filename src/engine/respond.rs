//! The answer in the making: sections, truncation, the OPT record.

use crate::dns::edns::nsid::Nsid;
use crate::dns::edns::{DO, OPT_FIXED, UDP_PAYLOAD, UDP_PLAIN};
use crate::dns::message::build::Mark;
use crate::dns::message::{Full, Header, flags};
use crate::dns::{Ede, MessageWriter, Owner, Query, Rcode, Section};
use crate::telemetry::DnsEvent;
use crate::units::{ScopeLen, Ttl};
use crate::zone::RrSetRef;

use super::Transport;

/// An answer in the making.
#[derive(Debug)]
pub(super) struct Response<'b, 'q> {
    w: MessageWriter<'b>,
    query: &'q Query<'q>,
    transport: Transport,
    nsid: Option<Nsid>,
    /// Octets kept for the OPT record.
    reserved: usize,
    /// The message with the question only.
    empty: Mark,
    truncated: bool,
    referral: bool,
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    /// For the ECS option, where the query had one.
    pub(super) scope: ScopeLen,
    /// What the response code cannot say.
    pub(super) ede: Option<Ede<'q>>,
}

/// What was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sent {
    pub(super) len: usize,
    pub(super) event: DnsEvent,
    pub(super) truncated: bool,
}

/// Octets that an answer over UDP may have (requirement A5).
pub(super) fn udp_limit(query: &Query<'_>) -> u16 {
    match &query.edns {
        None => UDP_PLAIN,
        Some(edns) => edns.payload.clamp(UDP_PLAIN, UDP_PAYLOAD),
    }
}

impl<'b, 'q> Response<'b, 'q> {
    /// Starts the answer to `query` with its question. `nsid` makes the server's identifier.
    pub(super) fn new(
        query: &'q Query<'q>,
        transport: Transport,
        nsid: impl FnOnce() -> Nsid,
        out: &'b mut [u8],
    ) -> Response<'b, 'q> {
        let limit = match transport {
            stream if !stream.is_datagram() => u16::MAX,
            _ => udp_limit(query),
        };
        let mut w = MessageWriter::new(out, usize::from(limit));
        let nsid = query.edns.filter(|e| e.nsid).map(|_| nsid());
        let reserved = query.edns.map_or(0, |edns| {
            OPT_FIXED
                + edns.ecs.map_or(0, |ecs| ecs.len())
                + nsid.as_ref().map_or(0, Nsid::option_len)
        });
        w.reserve(reserved);
        if let Some(question) = &query.question {
            // At most 271 octets; only a buffer smaller than documented is too small for it.
            let _ = w.question(question.raw);
        }
        Response {
            empty: w.mark(),
            w,
            query,
            transport,
            nsid,
            reserved,
            truncated: false,
            referral: false,
            rcode: Rcode::NO_ERROR,
            authoritative: false,
            scope: ScopeLen(0),
            ede: None,
        }
    }

    /// Keeps octets free for what is appended to the finished answer.
    pub(super) fn keep(&mut self, octets: usize) {
        self.w.reserve(octets);
    }

    /// Writes one record.
    pub(super) fn record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        ttl: Ttl,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.w.record(section, owner, rtype, ttl, rdata, &[])
    }

    /// Writes one record whose data is one name that may be compressed.
    pub(super) fn name_record(
        &mut self,
        owner: Owner<'_>,
        rtype: u16,
        ttl: Ttl,
        name: &[u8],
    ) -> Result<(), Full> {
        // A name has at most 255 octets.
        let all = [(0, name.len() as u16)];
        self.w
            .record(Section::Answer, owner, rtype, ttl, name, &all)
    }

    /// Writes a whole RRset; with [`Full`] part of it may stand there, and the caller gives up.
    pub(super) fn rrset(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rrset: RrSetRef<'_>,
        ttl: Ttl,
    ) -> Result<(), Full> {
        for record in rrset.records() {
            self.w.record(
                section,
                owner,
                rrset.rtype,
                ttl,
                record.bytes,
                record.names(),
            )?;
        }
        Ok(())
    }

    /// Records so far in the answer section.
    pub(super) fn answers(&self) -> u16 {
        self.w.count(Section::Answer)
    }

    /// What follows in the authority section refers the client elsewhere.
    pub(super) fn refer(&mut self) {
        self.referral = true;
    }

    /// Something needed did not fit. Over UDP the client shall come again over TCP (requirement A5:
    /// TC with nothing but question and OPT); over TCP there is no way to say it.
    pub(super) fn overflow(&mut self) {
        self.w.rollback(self.empty);
        if self.transport.is_datagram() {
            self.truncated = true;
        } else {
            self.fail("the answer is over 65535 octets");
        }
    }

    /// SERVFAIL, with words.
    pub(super) fn fail(&mut self, text: &'static str) {
        self.w.rollback(self.empty);
        self.authoritative = false;
        self.rcode = Rcode::SERV_FAIL;
        self.ede = Some(Ede {
            code: Ede::OTHER,
            text,
        });
    }

    /// Writes the OPT record and the header.
    pub(super) fn finish(mut self) -> Sent {
        let event = self.event();
        self.w.release(self.reserved);
        if let Some(edns) = &self.query.edns {
            let ttl = u32::from(self.rcode.high()) << 24 | if edns.dnssec_ok { DO } else { 0 };
            let mark = self.w.mark();
            let written = self.w.opt(UDP_PAYLOAD, ttl, |w| {
                if let Some(ecs) = &edns.ecs {
                    ecs.write(w, self.scope)?;
                }
                if let Some(nsid) = &self.nsid {
                    nsid.write(w)?;
                }
                self.ede.as_ref().map_or(Ok(()), |ede| ede.write(w))
            });
            if written.is_err() {
                // Room was kept; only a buffer smaller than documented comes here.
                self.w.rollback(mark);
            }
        }
        // RA and AD stay clear, and so does CD (RFC 4035 section 3.1.6).
        let mut bits = self.query.flags & (flags::OPCODE | flags::RD);
        if self.authoritative {
            bits |= flags::AA;
        }
        if self.truncated {
            bits |= flags::TC;
        }
        Sent {
            len: self.w.finish(Header {
                id: self.query.id,
                flags: bits | self.rcode.low(),
            }),
            event,
            truncated: self.truncated,
        }
    }

    /// What to count it as.
    fn event(&self) -> DnsEvent {
        match self.rcode {
            Rcode::NO_ERROR if self.answers() > 0 || self.referral || self.truncated => {
                DnsEvent::NoError
            }
            Rcode::NO_ERROR => DnsEvent::NoData,
            Rcode::NX_DOMAIN => DnsEvent::NxDomain,
            Rcode::FORM_ERR => DnsEvent::FormErr,
            Rcode::NOT_IMP => DnsEvent::NotImp,
            Rcode::REFUSED => DnsEvent::Refused,
            Rcode::NOT_AUTH => DnsEvent::NotAuth,
            Rcode::BAD_VERS => DnsEvent::BadVers,
            _ => DnsEvent::ServFail,
        }
    }
}
