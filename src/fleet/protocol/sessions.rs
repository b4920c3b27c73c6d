//! Sessions of proxies in chunks, keys `t/UPSTREAM/N`.
//!
//! A value is `VERSION BASE64 BASE64`: first the tags of backends, 8 octets each, then records of one
//! size:
//!
//! - 8 octets of what the client is known by, a cryptographic hash: nothing that a client could use;
//! - 2 octets: how often the session was bound;
//! - 1 octet: which of the tags;
//! - 3 octets: seconds without use when the value was written (16,777,215: that or more).

use std::time::Duration;

use data_encoding::BASE64_NOPAD;

use super::Malformed;
use super::chunk::{VERSION, check_version};
use crate::traffic::session::shared::{CHUNKS, RECORDS, Record};
use crate::traffic::session::table::Tag;

/// What keys of sessions begin with.
pub const PREFIX: &str = "t/";

const TAG: usize = 8;
const RECORD: usize = 14;

/// Longest age that a record says.
const OLDEST: u32 = (1 << 24) - 1;

/// The key of a chunk of an upstream.
pub fn key(upstream: &str, number: usize) -> String {
    format!("{PREFIX}{upstream}/{number}")
}

/// The upstream that a key is about; `None`: it is no key of a chunk.
pub fn upstream_of(key: &str) -> Option<&str> {
    let (upstream, number) = key.strip_prefix(PREFIX)?.rsplit_once('/')?;
    let number: usize = number.parse().ok()?;
    (number < CHUNKS).then_some(upstream)
}

/// A chunk as it stands on the bus: at most [`RECORDS`] are written, which have at most as many
/// backends.
pub fn encode(records: &[Record]) -> String {
    let mut tags: Vec<Tag> = Vec::new();
    let mut body = Vec::with_capacity(records.len() * RECORD);
    for record in &records[..records.len().min(RECORDS)] {
        let known = tags.iter().position(|tag| *tag == record.tag);
        let index = known.unwrap_or_else(|| {
            tags.push(record.tag);
            tags.len() - 1
        });
        let age = u32::try_from(record.age.as_secs()).map_or(OLDEST, |s| s.min(OLDEST));
        body.extend(record.key.to_be_bytes());
        body.extend(record.version.to_be_bytes());
        // There are no more tags than records, and of these no more than an octet counts.
        body.push(index as u8);
        body.extend(&age.to_be_bytes()[1..]);
    }
    let tags: Vec<u8> = tags.iter().flat_map(|tag| tag.0.to_be_bytes()).collect();
    let (tags, body) = (BASE64_NOPAD.encode(&tags), BASE64_NOPAD.encode(&body));
    format!("{VERSION} {tags} {body}")
}

/// Reads a chunk.
///
/// # Errors
/// When it is none, or of another version.
pub fn decode(text: &str) -> Result<Vec<Record>, Malformed> {
    let mut words = text.split(' ');
    check_version(words.next())?;
    let (Some(tags), Some(body), None) = (words.next(), words.next(), words.next()) else {
        return Err(Malformed::Form("a chunk of sessions is three words"));
    };
    let octets = |word: &str| {
        let all = BASE64_NOPAD.decode(word.as_bytes());
        all.map_err(|_| Malformed::Form("the sessions are not Base64"))
    };
    let (tags, body) = (octets(tags)?, octets(body)?);
    let (tags, rest) = tags.as_chunks::<TAG>();
    if !rest.is_empty() || tags.len() > RECORDS {
        return Err(Malformed::Form("the backends of the sessions are no tags"));
    }
    let (records, rest) = body.as_chunks::<RECORD>();
    if !rest.is_empty() || records.len() > RECORDS {
        return Err(Malformed::Form(
            "the sessions are no whole records, or too many",
        ));
    }
    records.iter().map(|octets| record(octets, tags)).collect()
}

fn record(octets: &[u8; RECORD], tags: &[[u8; TAG]]) -> Result<Record, Malformed> {
    let [k0, k1, k2, k3, k4, k5, k6, k7, v0, v1, index, a0, a1, a2] = *octets;
    let tag = tags.get(usize::from(index)).map(|t| u64::from_be_bytes(*t));
    let version = u16::from_be_bytes([v0, v1]);
    let tag = tag.filter(|tag| *tag != 0 && version != 0);
    Ok(Record {
        key: u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
        tag: Tag(tag.ok_or(Malformed::Form("a session without a backend"))?),
        version,
        age: Duration::from_secs(u64::from(u32::from_be_bytes([0, a0, a1, a2]))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::push::MAX_PUSHED;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let age = 0..=u64::from(OLDEST);
        (any::<u64>(), 1..9_u64, 1..=u16::MAX, age).prop_map(|(key, tag, version, age)| Record {
            key,
            tag: Tag(tag),
            version,
            age: Duration::from_secs(age),
        })
    }

    proptest! {
        #[test]
        fn sessions_are_read_as_written(records in prop::collection::vec(record(), 0..=RECORDS)) {
            prop_assert_eq!(decode(&encode(&records)), Ok(records));
        }

        #[test]
        fn s4_any_text_is_read_or_refused(text in "(1 )?.{0,200}", raw in "1 [A-Za-z]{0,44} [A-Za-z]{0,80}") {
            let _ = decode(&text);
            if let Ok(records) = decode(&raw) {
                prop_assert!(records.len() <= RECORDS);
            }
        }
    }

    #[test]
    fn the_longest_chunk_can_be_pushed() {
        let each = |n: u64| Record {
            key: u64::MAX - n,
            tag: Tag(u64::MAX - n),
            version: u16::MAX,
            age: Duration::MAX,
        };
        let records: Vec<Record> = (0..RECORDS as u64).map(each).collect();
        let text = encode(&records);
        assert!(text.len() <= MAX_PUSHED, "{}", text.len());
        let back = decode(&text).expect("own words");
        assert_eq!(back[RECORDS - 1].tag, records[RECORDS - 1].tag);
        assert_eq!(back[0].age, Duration::from_secs(u64::from(OLDEST)));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let tag = BASE64_NOPAD.encode(&[1; TAG]);
        let record = BASE64_NOPAD.encode(&[0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9]);
        assert_eq!(decode(&format!("1 {tag} {record}")).map(|r| r.len()), Ok(1));
        let none = BASE64_NOPAD.encode(&[0; TAG]);
        let unbound = BASE64_NOPAD.encode(&[0; RECORD]);
        let many = BASE64_NOPAD.encode(&vec![1; RECORD * (RECORDS + 1)]);
        for text in [
            format!("2 {tag} {record}"),
            format!("1 {tag}"),
            format!("1 {tag} {record} more"),
            format!("1  {record}"),
            format!("1 {none} {record}"),
            format!("1 {tag} {unbound}"),
            format!("1 {tag} {many}"),
            format!("1 {}AA {record}", tag),
            format!("1 {tag} {}!", &record[1..]),
        ] {
            assert!(decode(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_name_the_upstream_and_a_chunk_that_there_can_be() {
        assert_eq!(upstream_of(&key("api", 31)), Some("api"));
        for other in ["t/api/32", "t/api/x", "t/api", "v/api/1", "t/api/-1"] {
            assert_eq!(upstream_of(other), None, "{other}");
        }
    }
}
