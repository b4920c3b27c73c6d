//! The answer in the making: sections, truncation, the OPT record.

use crate::dns::edns::nsid::Nsid;
use crate::dns::edns::{CO, DO, Keepalive, OPT_FIXED, UDP_PAYLOAD, UDP_PLAIN, keepalive, padding};
use crate::dns::edns::{FullCookie, cookie};
use crate::dns::message::build::Mark;
use crate::dns::message::{Full, Header, flags};
use crate::dns::{Ede, MessageWriter, Owner, Query, Rcode, Section, rtype};
use crate::dnssec::Refused;
use crate::telemetry::DnsEvent;
use crate::units::{ScopeLen, Ttl};
use crate::zone::RrSetRef;

use super::Transport;
use super::signed::Signing;

/// An answer in the making.
#[derive(Debug)]
pub(super) struct Response<'b, 'q> {
    pub(super) w: MessageWriter<'b>,
    /// Where the client wants signatures.
    pub(super) signing: Option<Signing<'q>>,
    /// The CO bit is echoed.
    pub(super) compact_answers: bool,
    /// The name does not exist, whatever the response code says (RFC 9824 section 3.1).
    pub(super) nxname: bool,
    query: &'q Query<'q>,
    transport: Transport,
    nsid: Option<Nsid>,
    /// Octets kept for the OPT record.
    reserved: usize,
    /// The message with the question only.
    empty: Mark,
    truncated: bool,
    referral: bool,
    /// Over a limit: what stands here is not to be sent.
    pub(super) held: bool,
    /// A signature that is needed did not fit.
    pub(super) lacks: bool,
    /// For the cookie option, where the query had one.
    pub(super) cookie: Option<FullCookie>,
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    /// For the ECS option, where the query had one.
    pub(super) scope: ScopeLen,
    /// For the edns-tcp-keepalive option, where the query had one.
    pub(super) idle_timeout: Option<u16>,
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

fn wants_timeout(keepalive: Keepalive, transport: Transport) -> bool {
    keepalive == Keepalive::Asked && transport.keeps_alive()
}

impl<'b, 'q> Response<'b, 'q> {
    /// Starts the answer to `query` with its question. `nsid` makes the server's identifier.
    #[inline]
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
        let w = MessageWriter::new(out, usize::from(limit));
        // Written in place from here on: moving the writer about takes longer than the rest.
        let mut r = Response {
            empty: w.mark(),
            w,
            signing: None,
            compact_answers: false,
            nxname: false,
            query,
            transport,
            nsid: None,
            reserved: 0,
            truncated: false,
            referral: false,
            held: false,
            lacks: false,
            cookie: None,
            rcode: Rcode::NO_ERROR,
            authoritative: false,
            scope: ScopeLen(0),
            idle_timeout: None,
            ede: None,
        };
        if let Some(edns) = &query.edns {
            if edns.nsid {
                r.nsid = Some(nsid());
            }
            r.reserved = OPT_FIXED
                + edns.ecs.map_or(0, |ecs| ecs.len())
                + r.nsid.as_ref().map_or(0, Nsid::option_len)
                + if wants_timeout(edns.keepalive, transport) {
                    keepalive::LEN
                } else {
                    0
                }
                + edns.cookie.map_or(0, |_| cookie::OPTION_LEN);
            r.w.reserve(r.reserved);
        }
        if let Some(question) = &query.question {
            // At most 271 octets; only a buffer smaller than documented is too small for it.
            let _ = r.w.question(question.raw);
        }
        r.empty = r.w.mark();
        r
    }

    /// Keeps octets free for what is appended to the finished answer.
    pub(super) fn reserve(&mut self, octets: usize) {
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
        self.put(section, owner, rtype, (ttl, None), rdata, &[])
    }

    /// Writes one record; `ttl` is the answer's and the one that a signature covers.
    fn put(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        ttl: (Ttl, Option<Ttl>),
        rdata: &[u8],
        names: &[(u16, u16)],
    ) -> Result<(), Full> {
        self.before_record(section, owner, rtype)?;
        if !self.is_bare() {
            let written = self.w.record(section, owner, rtype, ttl.0, rdata, names);
            if written.is_err() {
                // Part of a set must not be signed, should the caller do without it.
                self.drop_set();
                return written;
            }
        }
        self.after_record(section, owner, rtype, ttl, rdata);
        Ok(())
    }

    /// Writes one record of another class than IN.
    pub(super) fn record_of_class(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        class: u16,
        ttl: Ttl,
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.w
            .record_of_class(section, owner, rtype, class, ttl, rdata, &[])
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
        self.put(Section::Answer, owner, rtype, (ttl, None), name, &all)
    }

    /// Writes a CNAME that a DNAME means: "the CNAME will never be signed" (RFC 6672 section 5.3.1).
    pub(super) fn synthesized(
        &mut self,
        owner: Owner<'_>,
        ttl: Ttl,
        target: &[u8],
    ) -> Result<(), Full> {
        self.close_set()?;
        let all = [(0, target.len() as u16)]; // a name has at most 255 octets
        self.w
            .record(Section::Answer, owner, rtype::CNAME, ttl, target, &all)
    }

    /// Writes a whole RRset of a zone, whose own TTL is the one that its signature covers; with [`Full`] part of it may stand there, and the caller gives up.
    pub(super) fn rrset(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rrset: RrSetRef<'_>,
        ttl: Ttl,
    ) -> Result<(), Full> {
        for record in rrset.records() {
            let ttls = (ttl, Some(rrset.ttl));
            self.put(
                section,
                owner,
                rrset.rtype,
                ttls,
                record.bytes,
                record.names(),
            )?;
        }
        Ok(())
    }

    /// Writes a whole RRset from the data of its records; with [`Full`] as [`Response::rrset`].
    pub(super) fn set<D: AsRef<[u8]>>(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        ttl: Ttl,
        data: impl Iterator<Item = D>,
    ) -> Result<(), Full> {
        for rdata in data {
            self.record(section, owner, rtype, ttl, rdata.as_ref())?;
        }
        Ok(())
    }

    /// Writes what is welcome but not needed: all that `write` writes, or nothing where it does not
    /// fit (RFC 2181 section 9: that is no truncation). Says whether it stands there.
    pub(super) fn optional(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Full>) -> bool {
        // The signatures of what stands before are needed: the answer without them is truncated.
        if self.close_set().is_err() {
            self.lacks = true;
        }
        if self.lacks {
            return false;
        }
        let mark = self.w.mark();
        let fits = write(self).and_then(|()| self.close_set()).is_ok();
        if !fits {
            self.drop_set();
            self.w.rollback(mark);
        }
        fits
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
        match self.drop_set() {
            Some(Refused::Keys) => self.fail("the zone's keys cannot sign"),
            // Over UDP the client comes again over TCP, where there is more time to sign.
            Some(Refused::Budget) if !self.transport.is_datagram() => {
                self.fail("too many new signatures at once");
            }
            _ if self.transport.is_datagram() => self.truncated = true,
            _ => self.fail("the answer is over 65535 octets"),
        }
    }

    /// Takes everything back but question and OPT record, and sends this code instead; with `truncated`
    /// the client shall come over TCP.
    pub(super) fn instead(&mut self, rcode: Rcode, truncated: bool) {
        self.w.rollback(self.empty);
        self.drop_set();
        self.authoritative = false;
        self.referral = false;
        self.scope = ScopeLen(0);
        self.ede = None;
        self.rcode = rcode;
        self.truncated = truncated;
    }

    /// SERVFAIL, with words.
    pub(super) fn fail(&mut self, text: &'static str) {
        self.w.rollback(self.empty);
        self.drop_set();
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
            let mut ttl = u32::from(self.rcode.high()) << 24;
            if edns.dnssec_ok {
                ttl |= DO;
            }
            if self.compact_answers {
                ttl |= CO;
            }
            let mark = self.w.mark();
            let written = self.w.opt(UDP_PAYLOAD, ttl, |w| {
                if let Some(ecs) = &edns.ecs {
                    ecs.write(w, self.scope)?;
                }
                if let Some(nsid) = &self.nsid {
                    nsid.write(w)?;
                }
                if let Some(timeout) = self.idle_timeout
                    && wants_timeout(edns.keepalive, self.transport)
                {
                    keepalive::write(w, timeout)?;
                }
                if let Some(cookie) = &self.cookie {
                    cookie.write(w)?;
                }
                if let Some(ede) = &self.ede {
                    ede.write(w)?;
                }
                // RFC 7830 section 4: "Responders MUST pad DNS responses when the respective DNS
                // query included the 'Padding' option"; section 6: not "if the DNS transport is not
                // encrypted". What does not fit even empty is left out.
                if edns.padding && self.transport.is_encrypted() {
                    let _ = padding::write(w);
                }
                Ok(())
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
            Rcode::NO_ERROR if self.nxname && !self.truncated => DnsEvent::NxDomain,
            Rcode::NO_ERROR if self.answers() > 0 || self.referral || self.truncated => {
                DnsEvent::NoError
            }
            Rcode::NO_ERROR => DnsEvent::NoData,
            // A name that is too long to exist.
            Rcode::NX_DOMAIN | Rcode::YX_DOMAIN => DnsEvent::NxDomain,
            Rcode::FORM_ERR => DnsEvent::FormErr,
            Rcode::NOT_IMP => DnsEvent::NotImp,
            Rcode::REFUSED => DnsEvent::Refused,
            Rcode::NOT_AUTH => DnsEvent::NotAuth,
            Rcode::BAD_VERS => DnsEvent::BadVers,
            Rcode::BAD_COOKIE => DnsEvent::BadCookie,
            _ => DnsEvent::ServFail,
        }
    }
}
