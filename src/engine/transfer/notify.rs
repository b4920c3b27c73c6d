//! The messages of NOTIFY (RFC 1996): made, and their answers read. Sending them is the edge's part.

use crate::dns::message::{Header, flags};
use crate::dns::tsig::{Chain, Mac, Tail, Tsig, TsigKey, verify_answer};
use crate::dns::{MessageWriter, NameBuf, Owner, Rcode, Section, rtype};
use crate::zone::ZoneInfo;

/// The opcode (RFC 1996 section 3).
const NOTIFY: u16 = 4 << 11;

/// A NOTIFY that is on its way.
#[derive(Clone, Debug)]
pub struct Notify {
    /// The message.
    pub message: Vec<u8>,
    id: u16,
    mac: Option<Mac>,
}

impl Notify {
    /// Says that `zone` has the SOA in force: the question is for it, AA is set, and the answer section
    /// hints at its content (RFC 1996 sections 3.6 and 3.7). Signed where there is a `key`, at the
    /// Unix time `unix`.
    pub fn new(zone: &ZoneInfo, id: u16, key: Option<&TsigKey>, unix: u64) -> Notify {
        const ROOM: usize = 2_048; // two names, an SOA and a TSIG have fewer than 1,800 octets
        let mut out = vec![0; ROOM];
        let mut question = zone.apex.as_bytes().to_vec();
        question.extend_from_slice(&rtype::SOA.to_be_bytes());
        question.extend_from_slice(&[0, 1]);
        let mut w = MessageWriter::new(&mut out, ROOM);
        let soa = zone.soa();
        let written = w.question(&question).and_then(|()| {
            soa.records().try_for_each(|r| {
                w.record(
                    Section::Answer,
                    Owner::Question,
                    rtype::SOA,
                    soa.ttl,
                    r.bytes,
                    r.names(),
                )
            })
        });
        debug_assert!(written.is_ok(), "an SOA and its owner fit the room");
        let mut len = w.finish(Header {
            id,
            flags: NOTIFY | flags::AA,
        });
        // The writer makes answers; this is a question.
        out[2] &= !((flags::QR >> 8) as u8);
        let mut mac = None;
        if let Some(key) = key {
            let mut chain = Chain::request();
            if let Some(signed) = chain.sign(key, &Tail::at(unix), &mut out, len) {
                len = signed;
                mac = chain.mac();
            }
        }
        out.truncate(len);
        Notify {
            message: out,
            id,
            mac,
        }
    }

    /// Reads what may be the answer. `None` where it belongs to something else.
    ///
    /// # Errors
    /// Why the other side does not take it, or why one cannot tell that it is the other side.
    pub fn answered(
        &self,
        packet: &[u8],
        key: Option<&TsigKey>,
        unix: u64,
    ) -> Option<Result<(), String>> {
        let word = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
        let bits = word(2)?;
        if word(0)? != self.id
            || bits & flags::QR == 0
            || bits & flags::OPCODE != NOTIFY
            || packet.len() < crate::dns::message::HEADER
        {
            return None;
        }
        let rcode = Rcode(bits & 0xF);
        if let (Some(key), Some(mac)) = (key, &self.mac) {
            // The reader of queries finds the TSIG; to it this must look like one.
            let mut query = packet.to_vec();
            query[2] &= !((flags::QR >> 8) as u8);
            let mut name = NameBuf::default();
            let at = crate::dns::message::parse(&query, &mut name).and_then(|q| q.tsig);
            let Some(tsig) = at.and_then(|at| Tsig::read(packet, at)) else {
                return Some(Err(format!("{rcode}, without the TSIG that was asked for")));
            };
            if let Err(why) = verify_answer(packet, &tsig, key, mac, unix) {
                return Some(Err(format!("{rcode}: {why}")));
            }
        }
        Some(match rcode {
            Rcode::NO_ERROR => Ok(()),
            rcode => Err(rcode.to_string()),
        })
    }
}
