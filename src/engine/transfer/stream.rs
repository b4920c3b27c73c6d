//! A transfer as a sequence of messages, made one at a time, so that a zone of any size needs room for
//! one message only.

use std::fmt;
use std::sync::Arc;

use crate::dns::edns::{DO, UDP_PAYLOAD};
use crate::dns::message::{Full, Header};
use crate::dns::name::WireName;
use crate::dns::tsig::{Chain, Tail};
use crate::dns::{MessageWriter, Owner, Section, rtype};
use crate::snapshot::{Delta, Snapshot};
use crate::zone::{Place, ZoneInfo};

use super::content::{self, Record};
use super::serial_of;

/// Octets of a message over a stream, as far as whole records allow: names compress only into the
/// first 16,384 (RFC 5936 section 3.4 leaves the size to the server).
pub const MESSAGE: usize = 16_384;

/// What kind of answer it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The whole zone.
    Full,
    /// Changes.
    Incremental,
    /// One SOA: the client has the newest version, or must come again over TCP.
    Current,
}

/// Where the records come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Full,
    Changes(Box<[Arc<Delta>]>),
    Current,
}

/// What the messages repeat of the request.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) question: Box<[u8]>,
    /// Whether it had an OPT record, and DO in it.
    pub(super) edns: Option<bool>,
}

/// Where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    /// The SOA that begins it.
    First,
    /// At an owner, after so many of its records.
    Owner(Place, usize),
    /// In a change, among what was removed or added, at an offset.
    Change(usize, bool, usize),
    /// The SOA that ends it.
    Last,
    End,
}

/// What [`Transfer::next`] made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// A message of so many octets.
    Message(usize),
    /// Nothing: the last message was made before.
    Done,
    /// Nothing: a record does not fit the buffer. The transfer cannot go on.
    Broken,
}

/// A transfer under way. It holds on to the version of the zone with which it began.
#[derive(Debug)]
pub struct Transfer {
    snapshot: Arc<Snapshot>,
    position: usize,
    source: Source,
    head: Head,
    /// The key's position and what was signed so far.
    chain: Option<(usize, Chain)>,
    /// `chain` before the first message.
    fresh: Option<(usize, Chain)>,
    at: At,
    messages: u64,
    records: u64,
    octets: u64,
}

impl Transfer {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        position: usize,
        source: Source,
        head: Head,
        chain: Option<(usize, Chain)>,
    ) -> Transfer {
        Transfer {
            snapshot,
            position,
            source,
            head,
            chain,
            fresh: chain,
            at: At::First,
            messages: 0,
            records: 0,
            octets: 0,
        }
    }

    /// What kind of answer it is.
    pub fn kind(&self) -> Kind {
        match self.source {
            Source::Full => Kind::Full,
            Source::Changes(_) => Kind::Incremental,
            Source::Current => Kind::Current,
        }
    }

    /// The zone.
    pub fn apex(&self) -> &WireName {
        &self.zone().apex
    }

    fn zone(&self) -> &ZoneInfo {
        &self.snapshot.zones.zones()[self.position]
    }

    /// Whether all is made.
    pub fn is_done(&self) -> bool {
        self.at == At::End
    }

    /// The same answer from the start, but with the SOA alone: what UDP gets where the whole does not
    /// fit (RFC 1995 section 2).
    pub fn current_only(mut self) -> Transfer {
        self.source = Source::Current;
        self.chain = self.fresh;
        self.at = At::First;
        (self.messages, self.records, self.octets) = (0, 0, 0);
        self
    }

    /// Makes the next message in `out`, of at most `limit` octets where its first record allows it,
    /// and of at most 65,535; `unix` is the time in seconds.
    pub fn next(&mut self, unix: u64, limit: usize, out: &mut [u8]) -> Next {
        if self.is_done() {
            return Next::Done;
        }
        let snapshot = self.snapshot.clone();
        let tail = Tail::at(unix);
        let key = self
            .chain
            .map(|(key, _)| &snapshot.settings.transfers.keys[key]);
        let kept = key.map_or(0, |key| Chain::octets(key, &tail));
        let edns = self.head.edns.filter(|_| self.messages == 0);
        let opt = edns.map_or(0, |_| crate::dns::edns::OPT_FIXED);
        let mut w = MessageWriter::new(out, limit);
        w.reserve(kept + opt);
        // RFC 5936 section 2.2.2: the question in the first message, none needed in the later ones.
        if self.messages == 0 && w.question(&self.head.question).is_err() {
            return Next::Broken;
        }
        if self.fill(&snapshot, &mut w).is_err() && w.count(Section::Answer) == 0 {
            return Next::Broken;
        }
        self.messages += 1;
        self.records += u64::from(w.count(Section::Answer));
        w.release(opt);
        if let Some(dnssec_ok) = edns {
            let ttl = if dnssec_ok { DO } else { 0 };
            if w.opt(UDP_PAYLOAD, ttl, |_| Ok(())).is_err() {
                return Next::Broken;
            }
        }
        let mut len = w.finish(Header {
            id: self.head.id,
            flags: self.head.flags,
        });
        if let (Some((_, chain)), Some(key)) = (&mut self.chain, key) {
            match chain.sign(key, &tail, out, len) {
                Some(signed) => len = signed,
                None => return Next::Broken,
            }
        }
        self.octets += len as u64;
        Next::Message(len)
    }

    /// Writes records until the message is full or all are written.
    fn fill(&mut self, snapshot: &Snapshot, w: &mut MessageWriter<'_>) -> Result<(), Full> {
        loop {
            match self.at {
                At::First => {
                    self.soa(w)?;
                    self.at = match &self.source {
                        Source::Full => At::Owner(Place::default(), 0),
                        Source::Changes(_) => At::Change(0, false, 0),
                        Source::Current => At::End,
                    };
                }
                At::Owner(place, done) => {
                    match snapshot.zones.owner_from(self.position, place) {
                        None => self.at = At::Last,
                        Some((owned, next)) => {
                            let (mut seen, mut done) = (0, done);
                            let at = &mut self.at;
                            content::records(snapshot, &owned, |r| {
                                if seen >= done {
                                    put(w, &r)?;
                                    done += 1;
                                    *at = At::Owner(place, done);
                                }
                                seen += 1;
                                Ok(())
                            })?;
                            self.at = At::Owner(next, 0);
                        }
                    };
                }
                At::Change(index, added, offset) => {
                    let Source::Changes(deltas) = &self.source else {
                        self.at = At::Last;
                        continue;
                    };
                    let Some(delta) = deltas.get(index) else {
                        self.at = At::Last;
                        continue;
                    };
                    let side = if added { &delta.added } else { &delta.removed };
                    self.at = match side.get(offset) {
                        Some((r, next)) => {
                            put(
                                w,
                                &Record {
                                    owner: r.owner,
                                    rtype: r.rtype,
                                    ttl: r.ttl,
                                    rdata: r.rdata,
                                    names: &[],
                                },
                            )?;
                            At::Change(index, added, next)
                        }
                        None if added => At::Change(index + 1, false, 0),
                        None => At::Change(index, true, 0),
                    };
                }
                At::Last => {
                    self.soa(w)?;
                    self.at = At::End;
                }
                At::End => return Ok(()),
            }
        }
    }

    fn soa(&self, w: &mut MessageWriter<'_>) -> Result<(), Full> {
        let zone = self.zone();
        let soa = zone.soa();
        soa.records().try_for_each(|r| {
            put(
                w,
                &Record {
                    owner: zone.apex.as_bytes(),
                    rtype: rtype::SOA,
                    ttl: soa.ttl,
                    rdata: r.bytes,
                    names: r.names(),
                },
            )
        })
    }
}

/// Writes one record whole or not at all. The first of a message may take more than messages are
/// meant to have.
fn put(w: &mut MessageWriter<'_>, r: &Record<'_>) -> Result<(), Full> {
    let mark = w.mark();
    let write = |w: &mut MessageWriter<'_>| {
        w.record(
            Section::Answer,
            Owner::Name(r.owner),
            r.rtype,
            r.ttl,
            r.rdata,
            r.names,
        )
        .inspect_err(|_| w.rollback(mark))
    };
    match write(w) {
        Err(Full) if w.count(Section::Answer) == 0 && w.room() >= LEAST => {
            w.release(usize::from(u16::MAX) - MESSAGE);
            write(w)
        }
        done => done,
    }
}

/// With less room than this at its start a message is a datagram, which must not grow.
const LEAST: usize = 8_192;

/// What the log says of it.
impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone();
        let what = match &self.source {
            Source::Full => "full zone transfer",
            Source::Changes(_) => "incremental zone transfer",
            Source::Current => "SOA in answer to IXFR",
        };
        write!(f, "{what} of `{}` at serial {}", zone.apex, serial_of(zone))?;
        if let Source::Changes(deltas) = &self.source
            && let Some(first) = deltas.first()
        {
            write!(f, " from serial {}", first.from)?;
        }
        if let Some((key, _)) = self.chain {
            let key = &self.snapshot.settings.transfers.keys[key];
            write!(f, " under key `{}`", key.name)?;
        }
        write!(
            f,
            ": {} records, {} messages, {} octets",
            self.records, self.messages, self.octets
        )
    }
}
