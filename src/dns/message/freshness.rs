//! For how long an answer may be kept, read off its octets: DNS over HTTPS says so in HTTP's terms.

use crate::dns::{Rcode, rtype};

use super::HEADER;
use super::parse::{record, skip_name};

/// Seconds for which the answer may be kept; `None` where nothing says so.
///
/// RFC 8484 section 5.1: with records in the answer section, their smallest TTL; else for a negative
/// answer what RFC 2308 section 5 says: the smaller of the SOA record's TTL and its MINIMUM.
pub fn freshness(answer: &[u8]) -> Option<u32> {
    let fixed = answer.first_chunk::<HEADER>()?;
    let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let rcode = word(2) & 0xF;
    if rcode != Rcode::NO_ERROR.low() && rcode != Rcode::NX_DOMAIN.low() {
        return None;
    }
    let mut at = HEADER;
    for _ in 0..word(4) {
        at = skip_name(answer, at)? + 4;
    }
    let mut least: Option<u32> = None;
    for _ in 0..word(6) {
        let r = record(answer, at).ok()?;
        least = Some(least.map_or(r.ttl, |l| l.min(r.ttl)));
        at = r.end;
    }
    if least.is_some() {
        return least;
    }
    for _ in 0..word(8) {
        let r = record(answer, at).ok()?;
        if r.rtype == rtype::SOA {
            let minimum = r.rdata.last_chunk::<4>().map(|m| u32::from_be_bytes(*m))?;
            return Some(r.ttl.min(minimum));
        }
        at = r.end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::{Header, MessageWriter, Owner, Section};
    use crate::units::Ttl;

    /// An answer with records of these types and TTLs per section.
    fn answer(rcode: u16, answers: &[(u16, u32)], authorities: &[(u16, u32)]) -> Vec<u8> {
        let mut buf = [0; 512];
        let mut w = MessageWriter::new(&mut buf, 512);
        w.question(b"\x03www\x04test\x00\x00\x01\x00\x01").unwrap();
        let soa = b"\x00\x00\x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80\x00\x00\x00\x3c";
        for (section, records) in [
            (Section::Answer, answers),
            (Section::Authority, authorities),
        ] {
            for (rtype, ttl) in records {
                let ttl = Ttl::from_secs(*ttl);
                w.record(section, Owner::Question, *rtype, ttl, soa, &[])
                    .unwrap();
            }
        }
        let len = w.finish(Header {
            id: 0,
            flags: rcode,
        });
        buf[..len].to_vec()
    }

    #[test]
    fn rfc8484_5_1_the_smallest_ttl_of_the_answer_section() {
        let a = answer(0, &[(1, 300), (1, 20), (5, 60)], &[(2, 5)]);
        assert_eq!(freshness(&a), Some(20));
        assert_eq!(freshness(&answer(0, &[(1, 0)], &[])), Some(0));
    }

    #[test]
    fn rfc2308_5_a_negative_answer_by_its_soa() {
        // MINIMUM is 60.
        assert_eq!(freshness(&answer(3, &[], &[(6, 3600)])), Some(60));
        assert_eq!(freshness(&answer(0, &[], &[(6, 30)])), Some(30));
        assert_eq!(freshness(&answer(0, &[], &[(2, 30)])), None, "a referral");
    }

    #[test]
    fn failures_and_rubbish_are_not_kept() {
        assert_eq!(freshness(&answer(2, &[(1, 300)], &[])), None);
        assert_eq!(freshness(&answer(5, &[], &[(6, 300)])), None);
        let whole = answer(0, &[(1, 300), (1, 20)], &[]);
        for n in 0..whole.len() {
            assert_eq!(freshness(&whole[..n]), None, "{n} octets");
        }
    }
}
