//! Zone transfers: who may have a zone, who is told of its changes, and what changed lately.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::dns::name::WireName;
use crate::dns::tsig::TsigKey;
use crate::net::Prefix;
use crate::units::Ttl;

/// All about transfers.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Transfers {
    /// The keys of TSIG.
    pub keys: Vec<TsigKey>,
    /// By apex; a zone that is not in here is neither transferred nor announced.
    pub zones: HashMap<WireName, ZoneTransfer>,
    /// What changed lately, by apex: the oldest change first, each going on where the one before it
    /// ends, the last ending at the serial in force.
    pub history: HashMap<WireName, Vec<Arc<Delta>>>,
}

/// The rules of one zone.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ZoneTransfer {
    /// Sources that may have it; empty: any, with a key.
    pub to: Vec<Prefix>,
    /// Positions in [`Transfers::keys`], of which the request must be signed with one; empty: none is
    /// needed.
    pub keys: Vec<usize>,
    /// Whether transfers are allowed at all: the configuration has a table for them.
    pub allowed: bool,
    /// Whether it is sent without signatures although it is signed when it answers.
    pub unsigned: bool,
    /// Octets of changes kept for IXFR.
    pub history_limit: usize,
    /// Secondaries that are told of changes.
    pub notify: Vec<SocketAddr>,
    /// The key that NOTIFY is signed with, a position in [`Transfers::keys`].
    pub notify_key: Option<usize>,
}

impl ZoneTransfer {
    /// Whether `source`, whose request was signed with `key`, may have the zone.
    pub fn permits(&self, source: IpAddr, key: Option<usize>) -> bool {
        let by_source = self.to.iter().any(|p| p.contains(source));
        let by_key = key.is_some_and(|k| self.keys.contains(&k));
        self.allowed
            && match (self.to.is_empty(), self.keys.is_empty()) {
                (true, true) => false,
                (true, false) => by_key,
                (false, true) => by_source,
                (false, false) => by_key && by_source,
            }
    }
}

/// The difference between two versions of a zone (RFC 1995 section 4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// Serial of the older version.
    pub from: u32,
    /// Serial of the newer version.
    pub to: u32,
    /// What went, the older SOA first.
    pub removed: Packed,
    /// What came, the newer SOA first.
    pub added: Packed,
}

impl Delta {
    /// Octets it takes in memory, about.
    pub fn octets(&self) -> usize {
        self.removed.0.len() + self.added.0.len()
    }
}

/// Records one behind the other: owner, type:2, TTL:4, octets of the data:2, data. Names are not
/// compressed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Packed(Box<[u8]>);

/// One record in a [`Packed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackedRecord<'a> {
    /// Owner, uncompressed.
    pub owner: &'a [u8],
    /// Type.
    pub rtype: u16,
    /// TTL.
    pub ttl: Ttl,
    /// Data.
    pub rdata: &'a [u8],
}

impl PackedRecord<'_> {
    /// Appends the record in the form that [`Packed::get`] reads.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.owner);
        out.extend_from_slice(&self.rtype.to_be_bytes());
        out.extend_from_slice(&self.ttl.secs().to_be_bytes());
        // What was parsed has a length of 16 bits.
        out.extend_from_slice(&(self.rdata.len() as u16).to_be_bytes());
        out.extend_from_slice(self.rdata);
    }
}

impl Packed {
    /// Takes what [`PackedRecord::write`] wrote.
    pub fn new(octets: Vec<u8>) -> Packed {
        Packed(octets.into())
    }

    /// The record at an offset and the offset of the next one; `None` at the end.
    pub fn get(&self, at: usize) -> Option<(PackedRecord<'_>, usize)> {
        let mut owner = at;
        loop {
            let len = usize::from(*self.0.get(owner)?);
            owner += 1 + len;
            if len == 0 {
                break;
            }
        }
        let f: &[u8; 8] = self.0.get(owner..)?.first_chunk()?;
        let start = owner + 8;
        let end = start + usize::from(u16::from_be_bytes([f[6], f[7]]));
        let record = PackedRecord {
            owner: &self.0[at..owner],
            rtype: u16::from_be_bytes([f[0], f[1]]),
            ttl: Ttl::from_secs(u32::from_be_bytes([f[2], f[3], f[4], f[5]])),
            rdata: self.0.get(start..end)?,
        };
        Some((record, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_records_are_read_as_they_were_written() {
        let records = [
            PackedRecord {
                owner: b"\x01a\0",
                rtype: 1,
                ttl: Ttl::from_secs(70_000),
                rdata: &[192, 0, 2, 1],
            },
            PackedRecord {
                owner: b"\0",
                rtype: 65_280,
                ttl: Ttl::ZERO,
                rdata: &[],
            },
        ];
        let mut octets = Vec::new();
        for r in &records {
            r.write(&mut octets);
        }
        let packed = Packed::new(octets);
        let (first, at) = packed.get(0).unwrap();
        let (second, end) = packed.get(at).unwrap();
        assert_eq!([first, second], records);
        assert_eq!(packed.get(end), None);
    }

    #[test]
    fn a_source_and_a_key_where_both_are_asked_for() {
        let net: Prefix = "192.0.2.0/24".parse().unwrap();
        let (inside, outside) = ([192, 0, 2, 9].into(), [198, 51, 100, 9].into());
        let rule = |to: &[Prefix], keys: &[usize]| ZoneTransfer {
            to: to.to_vec(),
            keys: keys.to_vec(),
            allowed: true,
            ..ZoneTransfer::default()
        };
        for (to, keys, source, key, want) in [
            (&[net][..], &[][..], inside, None, true),
            (&[net], &[], inside, Some(1), true),
            (&[net], &[], outside, Some(1), false),
            (&[net], &[1, 2], inside, Some(2), true),
            (&[net], &[1, 2], inside, Some(0), false),
            (&[net], &[1], inside, None, false),
            (&[net], &[1], outside, Some(1), false),
            (&[], &[1], outside, Some(1), true),
            (&[], &[1], outside, None, false),
            (&[], &[], inside, Some(1), false),
        ] {
            assert_eq!(
                rule(to, keys).permits(source, key),
                want,
                "{to:?} {keys:?} {key:?}"
            );
        }
        let never = ZoneTransfer {
            allowed: false,
            ..rule(&[net], &[])
        };
        assert!(!never.permits(inside, None));
    }
}
