//! Votes and round-trip times in chunks, keys `v/N` and `r/N`.
//!
//! A value is `VERSION OF BASE64`: `OF` is how many chunks the vantage has, and the rest records of
//! one size, so that what is told is as long when everything fails as when nothing does (requirement
//! F7):
//!
//! - a vote: 48 bits of [`CheckKey`], 3 bits of opinion, 5 bits of failures (31: 31 or more);
//! - a time: 48 bits of [`CheckKey`], 16 bits of tenths of a millisecond (65,535: that or more).

use std::time::Duration;

use data_encoding::BASE64_NOPAD;

use super::Malformed;
use crate::health::{CheckKey, Opinion, Vote, Weakness};

/// The form written and read here.
pub const VERSION: &str = "1";

/// Checks in a chunk on average; more than this many twice over do not occur in honest ones.
pub const CHECKS: usize = 48;

/// Records that a value may have: what fits [`crate::fleet::bus::MAX_VALUE`].
const MOST: usize = 700;

const KEY: usize = 6;
const VOTE: usize = KEY + 1;
const RTT: usize = KEY + 2;

/// One chunk's records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk<T> {
    /// How many chunks the vantage has; those with this number or a higher one are no more.
    pub of: u16,
    /// The records.
    pub records: Vec<(CheckKey, T)>,
}

/// In how many chunks a vantage tells of so many checks: a power of two, so that a few checks more or
/// less leave the others where they are.
pub fn chunks_for(checks: usize) -> u16 {
    let chunks = checks.div_ceil(CHECKS).next_power_of_two();
    u16::try_from(chunks).unwrap_or(1 << 15)
}

/// Which of `of` chunks tells of a check.
pub fn chunk_of(key: CheckKey, of: u16) -> u16 {
    (key.0 % u64::from(of.max(1))) as u16
}

pub(super) fn check_version(word: Option<&str>) -> Result<(), Malformed> {
    match word {
        Some(VERSION) => Ok(()),
        other => Err(Malformed::Version(
            other.unwrap_or_default().chars().take(20).collect(),
        )),
    }
}

fn encode<T>(chunk: &Chunk<T>, record: impl Fn(&T, &mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    for (key, value) in &chunk.records {
        bytes.extend_from_slice(&key.0.to_be_bytes()[8 - KEY..]);
        record(value, &mut bytes);
    }
    format!("{VERSION} {} {}", chunk.of, BASE64_NOPAD.encode(&bytes))
}

fn decode<T>(
    text: &str,
    size: usize,
    record: impl Fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Chunk<T>, Malformed> {
    let mut words = text.split(' ');
    check_version(words.next())?;
    let of = words.next().and_then(|w| w.parse().ok());
    let of: u16 = of
        .filter(|of| *of > 0)
        .ok_or(Malformed::Form("a chunk says of how many"))?;
    let (Some(body), None) = (words.next(), words.next()) else {
        return Err(Malformed::Form("a chunk is three words"));
    };
    let bytes = BASE64_NOPAD
        .decode(body.as_bytes())
        .map_err(|_| Malformed::Form("the records are not Base64"))?;
    if bytes.len() % size != 0 || bytes.len() / size > MOST {
        return Err(Malformed::Form("the records are not whole"));
    }
    let one = |bytes: &[u8]| {
        let mut key = [0; 8];
        key[8 - KEY..].copy_from_slice(&bytes[..KEY]);
        Ok((CheckKey(u64::from_be_bytes(key)), record(&bytes[KEY..])?))
    };
    let records = bytes
        .chunks_exact(size)
        .map(one)
        .collect::<Result<_, _>>()?;
    Ok(Chunk { of, records })
}

impl Chunk<Vote> {
    /// As it stands on the bus.
    pub fn encode(&self) -> String {
        encode(self, |vote, out| {
            let opinion = match vote.opinion {
                Opinion::None => 0,
                Opinion::Up => 1,
                Opinion::Down(Weakness::Connect) => 2,
                Opinion::Down(Weakness::Timeout) => 3,
                Opinion::Down(Weakness::Tls) => 4,
                Opinion::Down(Weakness::Protocol) => 5,
                Opinion::Down(Weakness::Unexpected) => 6,
            };
            out.push(opinion << 5 | vote.failures.min(31));
        })
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn decode(text: &str) -> Result<Chunk<Vote>, Malformed> {
        decode(text, VOTE, |bytes| {
            let opinion = match bytes[0] >> 5 {
                0 => Opinion::None,
                1 => Opinion::Up,
                2 => Opinion::Down(Weakness::Connect),
                3 => Opinion::Down(Weakness::Timeout),
                4 => Opinion::Down(Weakness::Tls),
                5 => Opinion::Down(Weakness::Protocol),
                6 => Opinion::Down(Weakness::Unexpected),
                _ => return Err(Malformed::Form("a vote that is none")),
            };
            Ok(Vote {
                opinion,
                failures: bytes[0] & 31,
            })
        })
    }
}

/// Tenths of a millisecond, at most what 16 bits hold.
fn tenths(rtt: Duration) -> u16 {
    u16::try_from((rtt.as_micros() + 50) / 100).unwrap_or(u16::MAX)
}

impl Chunk<Duration> {
    /// As it stands on the bus: rounded to tenths of a millisecond.
    pub fn encode(&self) -> String {
        encode(self, |rtt, out| out.extend(tenths(*rtt).to_be_bytes()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn decode(text: &str) -> Result<Chunk<Duration>, Malformed> {
        decode(text, RTT, |bytes| {
            let tenths = u16::from_be_bytes([bytes[0], bytes[1]]);
            Ok(Duration::from_micros(u64::from(tenths) * 100))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opinion() -> impl Strategy<Value = Opinion> {
        use Weakness::*;
        prop::sample::select(vec![
            Opinion::None,
            Opinion::Up,
            Opinion::Down(Connect),
            Opinion::Down(Timeout),
            Opinion::Down(Tls),
            Opinion::Down(Protocol),
            Opinion::Down(Unexpected),
        ])
    }

    fn key() -> impl Strategy<Value = CheckKey> {
        (0..1_u64 << 48).prop_map(CheckKey)
    }

    proptest! {
        #[test]
        fn votes_are_read_as_written(
            of in 1..100_u16,
            votes in prop::collection::vec((key(), opinion(), 0..32_u8), 0..100),
        ) {
            let records = votes
                .into_iter()
                .map(|(k, opinion, failures)| (k, Vote { opinion, failures }))
                .collect();
            let chunk = Chunk { of, records };
            prop_assert_eq!(Chunk::<Vote>::decode(&chunk.encode()), Ok(chunk));
        }

        #[test]
        fn times_are_read_as_written_to_a_tenth_of_a_millisecond(
            rtts in prop::collection::vec((key(), 0..65_535_u64), 0..100),
        ) {
            let records: Vec<_> = rtts
                .into_iter()
                .map(|(k, tenths)| (k, Duration::from_micros(tenths * 100)))
                .collect();
            let chunk = Chunk { of: 3, records };
            prop_assert_eq!(Chunk::<Duration>::decode(&chunk.encode()), Ok(chunk));
        }

        #[test]
        fn s4_any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = Chunk::<Vote>::decode(&text);
            let _ = Chunk::<Duration>::decode(&text);
            let _ = super::super::Heartbeat::decode(&text);
        }

        #[test]
        fn f7_a_chunk_is_as_long_whatever_fails(keys in prop::collection::vec(key(), 1..100), o in opinion()) {
            let of_opinion = |opinion| Chunk {
                of: 1,
                records: keys.iter().map(|k| (*k, Vote { opinion, failures: 9 })).collect(),
            };
            prop_assert_eq!(
                of_opinion(o).encode().len(),
                of_opinion(Opinion::Up).encode().len()
            );
        }
    }

    #[test]
    fn an_unknown_version_a_broken_record_and_too_many_are_refused() {
        let fine = Chunk {
            of: 1,
            records: vec![(
                CheckKey(7),
                Vote {
                    opinion: Opinion::Up,
                    failures: 0,
                },
            )],
        };
        let text = fine.encode();
        let newer = format!("2{}", &text[1..]);
        assert_eq!(
            Chunk::<Vote>::decode(&newer),
            Err(Malformed::Version("2".to_owned()))
        );
        assert!(Chunk::<Vote>::decode(&text[..text.len() - 2]).is_err());
        assert!(Chunk::<Vote>::decode("1 0 ").is_err(), "of no chunks");
        let many = BASE64_NOPAD.encode(&vec![0; VOTE * (MOST + 1)]);
        assert!(Chunk::<Vote>::decode(&format!("1 1 {many}")).is_err());
        let none = BASE64_NOPAD.encode(&[0, 0, 0, 0, 0, 1, 0xff]);
        assert!(Chunk::<Vote>::decode(&format!("1 1 {none}")).is_err());
    }

    #[test]
    fn chunks_are_a_power_of_two_and_every_check_has_one() {
        assert_eq!(chunks_for(0), 1);
        assert_eq!(chunks_for(CHECKS), 1);
        assert_eq!(chunks_for(CHECKS + 1), 2);
        assert_eq!(chunks_for(30_000), 1024);
        assert_eq!(chunks_for(10_000_000), 1 << 15);
        for key in 0..1000 {
            assert!(chunk_of(CheckKey(key), 8) < 8);
        }
    }

    #[test]
    fn a_time_beyond_what_fits_is_the_longest() {
        assert_eq!(tenths(Duration::from_secs(100)), u16::MAX);
        assert_eq!(tenths(Duration::from_micros(1249)), 12);
    }
}
