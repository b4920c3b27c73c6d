//! What proxies measured of the way to their clients, in chunks, keys `d/N`.
//!
//! A value is `VERSION SECONDS BASE64`: the second of 1970 at which it was written, and records of one
//! size, so that ages stay true however long the value lies about:
//!
//! - 1 octet: 4 or 6, and 6 octets: the first ones of the prefix, /24 (the last three are 0) or /48;
//! - 4 octets each: seconds since the newest sample, seconds between oldest and newest, samples,
//!   connections, the lowest time in microseconds;
//! - 4 octets each, as IEEE numbers: weight, mean of the smoothed times, their standard deviation, mean of
//!   the lowest times, mean deviation (all four in microseconds), segments, segments sent again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use data_encoding::BASE64_NOPAD;

use super::Malformed;
use super::chunk::{VERSION, check_version};
use crate::health::clients::{ClientPath, PER_NODE, PathWord};
use crate::net::Prefix;
use crate::time::Moment;

/// What keys of paths begin with.
pub const PREFIX: &str = "d/";

/// Chunks of a node: on average a half of what a chunk may have.
pub const CHUNKS: usize = PER_NODE / RECORDS * 2;

/// Records of a chunk at most: what fits a value, pushed ones too.
pub const RECORDS: usize = 96;

const RECORD: usize = 7 + 12 * 4;

/// The key of a chunk.
pub fn key(number: usize) -> String {
    format!("{PREFIX}{number}")
}

/// Whether a key is that of a chunk.
pub fn is_key(key: &str) -> bool {
    let number = key.strip_prefix(PREFIX).and_then(|n| n.parse().ok());
    number.is_some_and(|n: usize| n < CHUNKS)
}

/// Which chunk tells of a prefix: always the same, so that few change when few prefixes do.
pub fn chunk_of(prefix: &Prefix) -> usize {
    let octets = octets(prefix);
    let seed = octets.iter().fold(0_u64, |n, o| n << 8 | u64::from(*o));
    (crate::balance::mix::mix(seed) % CHUNKS as u64) as usize
}

fn octets(prefix: &Prefix) -> [u8; 7] {
    let mut all = [0; 7];
    match prefix.addr() {
        IpAddr::V4(a) => {
            all[0] = 4;
            all[1..4].copy_from_slice(&a.octets()[..3]);
        }
        IpAddr::V6(a) => {
            all[0] = 6;
            all[1..].copy_from_slice(&a.octets()[..6]);
        }
    }
    all
}

fn prefix(octets: &[u8]) -> Option<Prefix> {
    match *octets {
        [4, a, b, c, 0, 0, 0] => Some(Prefix::containing(Ipv4Addr::new(a, b, c, 0).into(), 24)),
        [6, ..] => {
            let mut all = [0; 16];
            all[..6].copy_from_slice(&octets[1..7]);
            Some(Prefix::containing(Ipv6Addr::from(all).into(), 48))
        }
        _ => None,
    }
}

/// A chunk as it stands on the bus, written at this second of 1970: at most [`RECORDS`] are.
pub fn encode(records: &[(Prefix, PathWord)], unix: u64) -> String {
    let mut body = Vec::with_capacity(records.len() * RECORD);
    let seconds = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX);
    for (prefix, word) in &records[..records.len().min(RECORDS)] {
        body.extend(octets(prefix));
        let whole = [
            seconds(word.age),
            seconds(word.span),
            word.samples,
            word.connections,
            word.lowest,
        ];
        let broken = [
            word.weight,
            word.rtt,
            word.spread,
            word.min_rtt,
            word.rtt_var,
            word.segments,
            word.retransmits,
        ];
        body.extend(whole.iter().flat_map(|n| n.to_be_bytes()));
        body.extend(broken.iter().flat_map(|n| n.to_be_bytes()));
    }
    format!("{VERSION} {unix} {}", BASE64_NOPAD.encode(&body))
}

/// Reads a chunk; the paths are on the calendar, where it is `today`. What comes from a calendar that is
/// ahead was written just now.
///
/// # Errors
/// When it is none, or of another version.
pub fn decode(text: &str, today: Moment) -> Result<Vec<(Prefix, ClientPath)>, Malformed> {
    let mut words = text.split(' ');
    check_version(words.next())?;
    let (Some(second), Some(body), None) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed::Form("a chunk of paths is three words"));
    };
    let second: u64 = second
        .parse()
        .map_err(|_| Malformed::Form("a chunk of paths says when it was written"))?;
    let said = Moment(second.saturating_mul(1_000_000_000)).min(today);
    let body = BASE64_NOPAD
        .decode(body.as_bytes())
        .map_err(|_| Malformed::Form("the paths are not Base64"))?;
    let (records, rest) = body.as_chunks::<RECORD>();
    if !rest.is_empty() || records.len() > RECORDS {
        return Err(Malformed::Form(
            "the paths are no whole records, or too many",
        ));
    }
    let one = |octets: &[u8; RECORD]| {
        let (of, numbers) = octets.split_at(7);
        let (numbers, _) = numbers.as_chunks::<4>();
        let whole = |at: usize| u32::from_be_bytes(numbers[at]);
        let broken = |at: usize| f32::from_be_bytes(numbers[at]);
        let word = PathWord {
            age: Duration::from_secs(whole(0).into()),
            span: Duration::from_secs(whole(1).into()),
            samples: whole(2),
            connections: whole(3),
            lowest: whole(4),
            weight: broken(5),
            rtt: broken(6),
            spread: broken(7),
            min_rtt: broken(8),
            rtt_var: broken(9),
            segments: broken(10),
            retransmits: broken(11),
        };
        let prefix = prefix(of).ok_or(Malformed::Form("a path to no client prefix"))?;
        let path = ClientPath::heard(&word, said);
        let path = path.ok_or(Malformed::Form("a path whose numbers cannot be"))?;
        Ok((prefix, path))
    };
    records.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::push::MAX_PUSHED;
    use crate::health::clients::PathSample;

    fn path(ms: u64, at: u64) -> ClientPath {
        let sample = PathSample {
            rtt: Duration::from_millis(ms),
            rtt_var: Duration::from_millis(1),
            min_rtt: Duration::from_millis(ms),
            segments: 10,
            retransmits: 1,
            first: true,
        };
        let at = Moment::ZERO + Duration::from_secs(at);
        let mut path = ClientPath::new(&sample, at);
        for _ in 0..6 {
            path.add(&sample, at);
        }
        path
    }

    #[test]
    fn a_path_comes_back_as_old_as_it_was() {
        let today = Moment::ZERO + Duration::from_secs(1_800_000_000);
        let all: Vec<(Prefix, PathWord)> = ["192.0.2.0/24", "2001:db8:7::/48"]
            .iter()
            .map(|p| (p.parse().unwrap(), path(40, 100)))
            .map(|(p, path)| (p, path.tell(Moment::ZERO + Duration::from_secs(130))))
            .collect();
        let text = encode(&all, 1_800_000_000 - 600);
        let back = decode(&text, today).unwrap();
        assert_eq!(back.len(), 2);
        for ((was, _), (is, path)) in all.iter().zip(&back) {
            assert_eq!(was, is);
            assert_eq!(today.since(path.at()), Duration::from_secs(630));
            assert_eq!((path.samples(), path.connections()), (7, 7));
            let distance = path.distance(today).unwrap();
            assert!(distance.abs_diff(Duration::from_millis(40)) < Duration::from_micros(10));
            assert!((path.retransmit_share() - 0.1).abs() < 1e-6);
            assert_eq!(path.min_rtt(), Duration::from_millis(40));
        }
        // A calendar that is ahead makes nothing newer than now.
        let ahead = decode(&encode(&all, 1_900_000_000), today).unwrap();
        assert_eq!(today.since(ahead[0].1.at()), Duration::from_secs(30));
    }

    #[test]
    fn the_longest_chunk_can_be_pushed() {
        let word = path(40, 1).tell(Moment::ZERO);
        let all = vec![("192.0.2.0/24".parse().unwrap(), word); RECORDS + 7];
        let text = encode(&all, u64::MAX);
        assert!(text.len() <= MAX_PUSHED, "{}", text.len());
        assert!(is_key(&key(CHUNKS - 1)) && !is_key(&key(CHUNKS)) && !is_key("d/x"));
    }

    #[test]
    fn nonsense_is_not_believed() {
        let word = path(40, 1).tell(Moment::ZERO);
        let prefix: Prefix = "192.0.2.0/24".parse().unwrap();
        let today = Moment::ZERO + Duration::from_secs(1_800_000_000);
        let wrong = [
            PathWord {
                weight: 0.0,
                ..word
            },
            PathWord {
                weight: f32::NAN,
                ..word
            },
            PathWord {
                min_rtt: -1.0,
                ..word
            },
            PathWord {
                rtt: f32::INFINITY,
                ..word
            },
            PathWord {
                min_rtt: 4e9,
                ..word
            },
            PathWord { samples: 0, ..word },
            PathWord {
                connections: 8,
                ..word
            },
            PathWord {
                age: Duration::from_secs(2_000_000_000),
                ..word
            },
        ];
        for word in wrong {
            let text = encode(&[(prefix, word)], 1_800_000_000);
            assert!(decode(&text, today).is_err(), "{word:?}");
        }
        let fine = encode(&[(prefix, word)], 1_800_000_000);
        assert!(decode(&fine, today).is_ok());
        for text in [
            "",
            "2 1 AA",
            "1 x AA",
            "1 1",
            "1 1 AA",
            "1 1 !!",
            "1 1 AA AA",
        ] {
            assert!(decode(text, today).is_err(), "{text}");
        }
        let odd = fine.replace("1 1800000000 B", "1 1800000000 C");
        assert!(decode(&odd, today).is_err());
    }
}
