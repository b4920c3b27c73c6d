//! Reads a query without copying or allocating.
//!
//! Two things can be wrong with bytes that came in: they are no query at all, and get no answer; or
//! they are a malformed one, and get FORMERR with as much of the question as could be read.

use std::fmt;

use crate::dns::edns::{self, Edns, OptFault};
use crate::dns::name::MAX_NAME;
use crate::dns::rtype;

use super::{HEADER, flags};

/// Room for one lower-cased wire name, for the caller's stack.
#[derive(Clone, Debug)]
pub struct NameBuf {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Default for NameBuf {
    fn default() -> Self {
        NameBuf {
            bytes: [0; MAX_NAME],
            len: 0,
        }
    }
}

impl NameBuf {
    /// The name, with its root label.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn set(&mut self, name: &[u8]) {
        let room = &mut self.bytes[..name.len()];
        room.copy_from_slice(name);
        // Length octets are at most 63 and so never an upper-case letter.
        room.make_ascii_lowercase();
        self.len = name.len();
    }
}

/// The question of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question<'p> {
    /// Name, type and class as they stand in the packet: the answer repeats them bit by bit, so
    /// that the case of the name is kept.
    pub raw: &'p [u8],
    /// Type asked for.
    pub qtype: u16,
    /// Class asked for.
    pub qclass: u16,
}

/// What was read of a query.
#[derive(Clone, Copy, Debug)]
pub struct Query<'p> {
    /// To be repeated in the answer.
    pub id: u16,
    /// The header's flags.
    pub flags: u16,
    /// The question, where there is exactly one that could be read.
    pub question: Option<Question<'p>>,
    /// The OPT record, where there is one that could be read.
    pub edns: Option<Edns<'p>>,
    /// Where the TSIG record starts, where there is one (RFC 8945).
    pub tsig: Option<usize>,
    /// What is wrong with it, if something is.
    pub fault: Option<Fault>,
}

impl Query<'_> {
    /// The kind of query; 0 is an ordinary one.
    pub fn opcode(&self) -> u8 {
        ((self.flags & flags::OPCODE) >> 11) as u8
    }

    /// Whether it has no question but a cookie (RFC 7873 section 5.4).
    pub fn asks_for_cookie(&self) -> bool {
        self.opcode() == 0
            && self.fault == Some(Fault::QuestionCount(0))
            && self.edns.is_some_and(|e| e.cookie.is_some())
    }
}

/// Why a query is malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// QDCOUNT is not 1.
    QuestionCount(u16),
    /// The question's name is compressed, too long or cut off.
    Question,
    /// A record is cut off or its owner is no name.
    Record,
    /// Bytes follow the last record.
    Trailing,
    /// Two OPT records (RFC 6891 section 6.1.1), or one that is not owned by the root.
    Opt,
    /// The OPT record's options.
    Option(OptFault),
    /// A TSIG record that is not the last one, or cannot be read.
    Tsig,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::QuestionCount(n) => write!(f, "{n} questions; exactly 1 is allowed"),
            Fault::Question => f.write_str("the question is cut off or its name is not plain"),
            Fault::Record => f.write_str("a record is cut off"),
            Fault::Trailing => f.write_str("bytes follow the last record"),
            Fault::Opt => f.write_str("more than one OPT record, or one not owned by the root"),
            Fault::Option(fault) => fault.fmt(f),
            Fault::Tsig => f.write_str("the TSIG record is malformed, or not the last record"),
        }
    }
}

/// Reads a query. `None`: fewer than 12 octets, or itself a response; say nothing.
///
/// `name` receives the question's name in lower case.
pub fn parse<'p>(packet: &'p [u8], name: &mut NameBuf) -> Option<Query<'p>> {
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    if packet.len() < HEADER || word(2) & flags::QR != 0 {
        return None;
    }
    let mut query = Query {
        id: word(0),
        flags: word(2),
        question: None,
        edns: None,
        tsig: None,
        fault: None,
    };
    let counts = [word(4), word(6), word(8), word(10)];
    query.fault = rest(packet, counts, name, &mut query).err();
    Some(query)
}

/// Reads what follows the header.
fn rest<'p>(
    packet: &'p [u8],
    counts: [u16; 4],
    name: &mut NameBuf,
    query: &mut Query<'p>,
) -> Result<(), Fault> {
    let mut at = HEADER;
    match counts[0] {
        0 => {}
        1 => {
            let end = plain_name(packet, at).ok_or(Fault::Question)?;
            let raw = packet.get(at..end + 4).ok_or(Fault::Question)?;
            name.set(&packet[at..end]);
            query.question = Some(Question {
                raw,
                qtype: u16::from_be_bytes([packet[end], packet[end + 1]]),
                qclass: u16::from_be_bytes([packet[end + 2], packet[end + 3]]),
            });
            at = end + 4;
        }
        n => return Err(Fault::QuestionCount(n)),
    }
    // Answer and authority mean nothing in a query (IXFR has its SOA there), but the OPT record is
    // behind them.
    for _ in 0..u32::from(counts[1]) + u32::from(counts[2]) {
        at = record(packet, at)?.end;
    }
    let mut seen = false;
    for _ in 0..counts[3] {
        // RFC 8945 section 5.1: "If multiple TSIG records are detected or a TSIG record is present in
        // any other position, the DNS message is dropped and a response with RCODE 1 (FORMERR) MUST
        // be returned."
        if query.tsig.is_some() {
            return Err(Fault::Tsig);
        }
        let r = record(packet, at)?;
        if r.rtype == rtype::TSIG {
            query.tsig = Some(at);
        }
        if r.rtype == rtype::OPT {
            if seen || !r.root {
                return Err(Fault::Opt);
            }
            seen = true;
            let (edns, fault) = edns::read(r.class, r.ttl, r.rdata);
            query.edns = Some(edns);
            if let Some(fault) = fault {
                return Err(Fault::Option(fault));
            }
        }
        at = r.end;
    }
    if at != packet.len() {
        return Err(Fault::Trailing);
    }
    if counts[0] != 1 {
        return Err(Fault::QuestionCount(counts[0]));
    }
    Ok(())
}

/// The end of the uncompressed name at `at`. Nothing stands before the question that a pointer
/// could point to, so a compressed one is malformed.
pub(crate) fn plain_name(packet: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let len = usize::from(*packet.get(end)?);
        if len > 63 {
            return None;
        }
        end += 1 + len;
        if end - at > MAX_NAME {
            return None;
        }
        if len == 0 {
            return Some(end);
        }
    }
}

/// A record of no interest but for its extent and type.
pub(super) struct Record<'p> {
    root: bool,
    pub(super) rtype: u16,
    class: u16,
    pub(super) ttl: u32,
    pub(super) rdata: &'p [u8],
    pub(super) end: usize,
}

pub(super) fn record(packet: &[u8], at: usize) -> Result<Record<'_>, Fault> {
    let fixed = skip_name(packet, at).ok_or(Fault::Record)?;
    let f: &[u8; 10] = packet
        .get(fixed..)
        .and_then(|rest| rest.first_chunk())
        .ok_or(Fault::Record)?;
    let start = fixed + 10;
    let end = start + usize::from(u16::from_be_bytes([f[8], f[9]]));
    Ok(Record {
        root: packet[at] == 0,
        rtype: u16::from_be_bytes([f[0], f[1]]),
        class: u16::from_be_bytes([f[2], f[3]]),
        ttl: u32::from_be_bytes([f[4], f[5], f[6], f[7]]),
        rdata: packet.get(start..end).ok_or(Fault::Record)?,
        end,
    })
}

/// The end of the name at `at`, which may end in a pointer; where it points does not matter.
pub(super) fn skip_name(packet: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let len = usize::from(*packet.get(end)?);
        match len {
            0 => return Some(end + 1),
            1..=63 => end += 1 + len,
            0xC0..=0xFF => return Some(end + 2),
            _ => return None,
        }
        if end - at > MAX_NAME {
            return None;
        }
    }
}
