//! Databases in the MaxMind DB format: GeoLite2, GeoIP2, DB-IP and whatever has their fields.
//!
//! A database is read once, from first to last network, and flattened; nothing of the file is kept.
//! Each distinct record is decoded once, told apart by its place in the file.

use std::fmt;
use std::net::IpAddr;

use hashbrown::HashMap;
use maxminddb::{LookupResult, MaxMindDbError, Reader, WithinOptions};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::net::{Key, Prefix, RangeMap, RangeMapBuilder};

use super::facts::{Facts, NOTHING};
use super::location::Code;
use super::{Coordinates, Location};

/// A database, read and checked.
#[derive(Clone, Debug)]
pub struct Database {
    kind: Box<str>,
    build_epoch: u64,
    facts: Facts,
}

/// Why bytes are not a database that can be used. The caller names the file.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Empty file.
    #[error("the file is empty; copy the database again")]
    Empty,
    /// A packed file.
    #[error(
        "this is {0}, not a MaxMind DB; unpack it and name the file inside that ends in `.mmdb`"
    )]
    Packed(&'static str),
    /// No metadata marker.
    #[error(
        "no MaxMind DB metadata in {size} bytes: the file is cut short or of another kind; \
         copy the database again"
    )]
    NoMetadata {
        /// Length of the file.
        size: usize,
    },
    /// Metadata, tree or data section are damaged.
    #[error("the database is damaged: {0}; copy it again")]
    Damaged(#[source] MaxMindDbError),
    /// A record of some network does not decode.
    #[error(
        "the record of {network} cannot be read: {error}; copy the database again, or use another kind"
    )]
    Record {
        /// The first network with this record.
        network: Prefix,
        /// What the reader says.
        error: MaxMindDbError,
    },
    /// Networks with data, but none of the data is of use.
    #[error(
        "a database of type `{kind}` places nothing: none of its {records} records has a continent, \
         country, subdivision, coordinates or AS number; use a city, country or ASN database"
    )]
    Useless {
        /// `database_type` of the metadata.
        kind: String,
        /// Distinct records.
        records: usize,
    },
}

impl Database {
    /// Reads a whole database.
    ///
    /// # Errors
    /// When the bytes are no database, damaged in any part, or say nothing about places. The whole
    /// file is checked now, because later there is nobody to tell.
    pub fn read(bytes: impl AsRef<[u8]>) -> Result<Database, DatabaseError> {
        let bytes = bytes.as_ref();
        refuse_other_files(bytes)?;
        let reader = Reader::from_source(bytes).map_err(DatabaseError::Damaged)?;
        reader.verify().map_err(DatabaseError::Damaged)?;
        let mut flat = Flattener::new(&reader);
        let v4 = flat.v4()?;
        let v6 = flat.v6()?;
        let records = flat.records;
        if records.len() > 1 && records.iter().all(|r| *r == Location::default()) {
            return Err(DatabaseError::Useless {
                kind: reader.metadata().database_type.clone(),
                records: records.len() - 1,
            });
        }
        Ok(Database {
            kind: reader.metadata().database_type.as_str().into(),
            build_epoch: reader.metadata().build_epoch,
            facts: Facts { records, v4, v6 },
        })
    }

    /// What the database calls itself, such as `GeoLite2-City`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// When it was built, in seconds since 1970.
    pub fn build_epoch(&self) -> u64 {
        self.build_epoch
    }

    /// Distinct records.
    pub fn records(&self) -> usize {
        self.facts.records.len() - 1
    }

    /// What it knows of `addr`, if it has a record, and the prefix that has this record (or none).
    /// IPv6 forms that carry an IPv4 address ([`super::table::EMBEDDED`]) are looked up by it.
    pub fn lookup(&self, addr: IpAddr) -> (Option<&Location>, Prefix) {
        self.facts.lookup(addr)
    }

    pub(super) fn into_facts(self) -> Facts {
        self.facts
    }
}

/// Says so when the file is one of those that people mistake for a database.
fn refuse_other_files(bytes: &[u8]) -> Result<(), DatabaseError> {
    const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
    if bytes.is_empty() {
        return Err(DatabaseError::Empty);
    }
    // The format keeps its metadata, marker included, in the last 128 KiB.
    let tail = &bytes[bytes.len().saturating_sub(128 * 1024)..];
    if tail.windows(MARKER.len()).any(|w| w == MARKER) {
        return Ok(());
    }
    if bytes.starts_with(b"\x1f\x8b") {
        return Err(DatabaseError::Packed("a gzip file"));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(DatabaseError::Packed("a zip file"));
    }
    Err(DatabaseError::NoMetadata { size: bytes.len() })
}

/// Walks a database's tree and collects its distinct records. `verify` has bounded the walk.
struct Flattener<'r> {
    reader: &'r Reader<&'r [u8]>,
    records: Vec<Location>,
    /// Place of a record in the file → number in `records`.
    seen: HashMap<usize, u32>,
}

impl<'r> Flattener<'r> {
    fn new(reader: &'r Reader<&'r [u8]>) -> Flattener<'r> {
        Flattener {
            reader,
            records: vec![Location::default()],
            seen: HashMap::new(),
        }
    }

    /// The IPv4 half: the whole tree of an IPv4 database, the part under `::/96` of another.
    fn v4(&mut self) -> Result<RangeMap<u32, u32>, DatabaseError> {
        self.half("0.0.0.0/0", |network| match network.addr() {
            IpAddr::V4(a) => Some((a.into(), network.len())),
            // One IPv6 record is so wide that it covers all of ::/96.
            IpAddr::V6(_) => Some((0, 0)),
        })
    }

    /// The IPv6 half, without `::/96` where that is the IPv4 tree.
    fn v6(&mut self) -> Result<RangeMap<u128, u32>, DatabaseError> {
        if self.reader.metadata().ip_version == 4 {
            return Ok(RangeMap::uniform(NOTHING));
        }
        self.half("::/0", |network| match network.addr() {
            IpAddr::V6(a) => Some((a.into(), network.len())),
            IpAddr::V4(_) => None,
        })
    }

    /// The networks under `top`, which come in ascending order and never overlap. Aliases of the
    /// IPv4 tree are left out.
    fn half<K: Key>(
        &mut self,
        top: &str,
        key: impl Fn(Prefix) -> Option<(K, u8)>,
    ) -> Result<RangeMap<K, u32>, DatabaseError> {
        let top = top
            .parse()
            .map_err(|e| DatabaseError::Damaged(MaxMindDbError::InvalidNetwork(e)))?;
        let networks = self
            .reader
            .within(top, WithinOptions::default())
            .map_err(DatabaseError::Damaged)?;
        let mut map = RangeMapBuilder::new();
        map.push(K::default(), NOTHING);
        for found in networks {
            let found = found.map_err(DatabaseError::Damaged)?;
            let network = found.network().map_err(DatabaseError::Damaged)?;
            let network = Prefix::containing(network.network(), network.prefix());
            let (Some((addr, len)), Some(offset)) = (key(network), found.offset()) else {
                continue;
            };
            let record = match self.seen.get(&offset) {
                Some(record) => *record,
                None => {
                    let location =
                        decode(&found).map_err(|error| DatabaseError::Record { network, error })?;
                    self.records.push(location);
                    let record = (self.records.len() - 1) as u32;
                    self.seen.insert(offset, record);
                    record
                }
            };
            map.push(addr, record);
            let last = addr.last_of(len);
            if last != K::MAX {
                map.push(last.succ(), NOTHING);
            }
        }
        Ok(map.build())
    }
}

fn decode(found: &LookupResult<'_, &[u8]>) -> Result<Location, MaxMindDbError> {
    let record: Record<'_> = found.decode()?.unwrap_or_default();
    Ok(record.location())
}

/// The fields that place a network, of all the kinds of database there are. All else is skipped.
#[derive(Deserialize, Default)]
struct Record<'a> {
    #[serde(borrow)]
    continent: Option<Continent<'a>>,
    #[serde(borrow)]
    country: Option<Iso<'a>>,
    #[serde(borrow)]
    registered_country: Option<Iso<'a>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Iso<'a>>,
    location: Option<Point>,
    autonomous_system_number: Option<Asn>,
    asn: Option<Asn>,
    traits: Option<Traits>,
}

#[derive(Deserialize)]
struct Continent<'a> {
    code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Iso<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Point {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

#[derive(Deserialize)]
struct Traits {
    autonomous_system_number: Option<Asn>,
}

impl Record<'_> {
    fn location(&self) -> Location {
        let iso = |iso: &Option<Iso<'_>>| Code::new(iso.as_ref()?.iso_code?);
        let point = self.location.as_ref();
        let in_traits = self
            .traits
            .as_ref()
            .and_then(|t| t.autonomous_system_number);
        let asn = self.autonomous_system_number.or(self.asn).or(in_traits);
        Location {
            continent: self.continent.as_ref().and_then(|c| Code::new(c.code?)),
            country: iso(&self.country).or_else(|| iso(&self.registered_country)),
            subdivision: self
                .subdivisions
                .first()
                .and_then(|s| Code::new(s.iso_code?)),
            coordinates: point.and_then(|p| Coordinates::new(p.latitude?, p.longitude?)),
            asn: asn.and_then(|asn| asn.0),
            ..Location::default()
        }
    }
}

/// An AS number, as a number or as text with or without `AS` before it. 0 is reserved (RFC 7607)
/// and means that nothing is known.
#[derive(Clone, Copy)]
struct Asn(Option<u32>);

impl<'de> Deserialize<'de> for Asn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Asn, D::Error> {
        struct AsnVisitor;
        impl Visitor<'_> for AsnVisitor {
            type Value = Asn;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an AS number")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Asn, E> {
                Ok(Asn(u32::try_from(number).ok().filter(|n| *n != 0)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Asn, E> {
                let digits = text.strip_prefix("AS").unwrap_or(text);
                Ok(Asn(digits.parse().ok().filter(|n| *n != 0)))
            }
        }
        deserializer.deserialize_any(AsnVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{OwnNetworks, write_mmdb};
    use proptest::prelude::*;

    fn good() -> Vec<u8> {
        let csv = "network,country,latitude,longitude,asn\n192.0.2.0/24,DE,50,8,1\n2001:db8::/32,US,39,-77,2\n";
        let own = OwnNetworks::parse(csv.as_bytes()).unwrap();
        write_mmdb(&own, 0).unwrap()
    }

    fn error(bytes: &[u8]) -> String {
        Database::read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        assert!(error(b"").starts_with("the file is empty"));
        assert!(error(b"\x1f\x8b\x08rest").starts_with("this is a gzip file"));
        assert!(error(b"PK\x03\x04").starts_with("this is a zip file"));
        assert!(error(b"network,asn").starts_with("no MaxMind DB metadata in 11 bytes"));
        let good = good();
        assert!(error(&good[..good.len() / 2]).contains("cut short"));
    }

    #[test]
    fn a_database_without_places_is_refused() {
        let own = OwnNetworks::parse(b"network,place\n192.0.2.0/24,here\n").unwrap();
        let bytes = write_mmdb(&own, 0).unwrap();
        assert!(
            error(&bytes).starts_with("a database of type `Tradewind-Networks` places nothing"),
            "{}",
            error(&bytes)
        );
    }

    #[test]
    fn a_damaged_tree_is_refused() {
        let mut bytes = good();
        // The root's first pointer now leads beyond the data.
        bytes[..3].copy_from_slice(&[0xff; 3]);
        assert!(
            error(&bytes).starts_with("the database is damaged"),
            "{}",
            error(&bytes)
        );
        // A tree that leads back to its root.
        let mut bytes = good();
        bytes[..3].copy_from_slice(&[0; 3]);
        assert!(
            error(&bytes).starts_with("the database is damaged"),
            "{}",
            error(&bytes)
        );
    }

    #[test]
    fn as_numbers_come_in_many_forms() {
        let read = |json: &str| {
            serde_json::from_str::<Record<'_>>(json)
                .unwrap()
                .location()
                .asn
        };
        assert_eq!(read(r#"{"autonomous_system_number": 64496}"#), Some(64496));
        assert_eq!(read(r#"{"asn": "AS64496"}"#), Some(64496));
        assert_eq!(
            read(r#"{"traits": {"autonomous_system_number": 64496}}"#),
            Some(64496)
        );
        assert_eq!(read(r#"{"asn": 0}"#), None);
        let l = serde_json::from_str::<Record<'_>>(
            r#"{"registered_country": {"iso_code": "FR"}, "country": {}, "subdivisions": [{}]}"#,
        );
        assert_eq!(l.unwrap().location().country, Code::new("FR"));
    }

    proptest! {
        #[test]
        fn s4_damaged_bytes_never_panic(
            flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut bytes = good();
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = Database::read(bytes.clone());
            let cut = cut.index(bytes.len());
            let _ = Database::read(&bytes[cut..]);
            let _ = Database::read(&bytes[..cut]);
        }
    }
}
