//! RRsets as they lie in the arena, read in place.
//!
//! ```text
//! RRset   type:2 records:2 TTL:4 octets of the records:4, records
//! record  octets of the data:2 names:1, offset:2 and octets:2 of each name, data
//! ```

use crate::dns::name::NameRef;
use crate::units::Ttl;

use super::rrset::{RrSet, rtype};

/// Names of one record that may be compressed: no type of RFC 1035 that is in use has more.
const NAMES: usize = 2;

/// Reads numbers and bytes off the front. What `pack` wrote is always there, so it panics when it is
/// not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor<'z>(pub(super) &'z [u8]);

impl<'z> Cursor<'z> {
    #[inline]
    pub(super) fn bytes(&mut self, n: usize) -> &'z [u8] {
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self
            .0
            .split_first_chunk()
            .expect("what was packed is there");
        self.0 = rest;
        *head
    }

    #[inline]
    pub(super) fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    #[inline]
    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    #[inline]
    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }
}

/// Records of one owner and type, in wire form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RrSetRef<'z> {
    /// Type code.
    pub rtype: u16,
    /// One TTL for the whole set (RFC 2181 section 5.2).
    pub ttl: Ttl,
    count: u16,
    records: &'z [u8],
}

impl<'z> RrSetRef<'z> {
    /// Where the records lie: tells the RRsets of one snapshot apart, and nothing else.
    #[inline]
    pub fn place(&self) -> usize {
        self.records.as_ptr().addr()
    }

    /// Number of records, at least 1.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Never: a type without records is no RRset.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The records in the order of the file.
    #[inline]
    pub fn records(&self) -> impl Iterator<Item = RdataRef<'z>> + use<'z> {
        let mut rest = Cursor(self.records);
        (0..self.count).map(move |_| RdataRef::read(&mut rest))
    }

    /// What the set takes in an answer at least, in octets: each record with a compressed owner.
    pub fn wire_len(&self) -> usize {
        self.records().map(|r| r.bytes.len() + 12).sum()
    }

    /// The target, where this is a CNAME or DNAME.
    pub(super) fn target(&self) -> Option<NameRef<'z>> {
        let record =
            matches!(self.rtype, rtype::CNAME | rtype::DNAME).then(|| self.records().next())??;
        Some(NameRef::trusted(record.bytes))
    }

    #[inline]
    fn read(from: &mut Cursor<'z>) -> RrSetRef<'z> {
        let (rtype, count, ttl) = (from.u16(), from.u16(), from.u32());
        let octets = from.u32() as usize;
        RrSetRef {
            rtype,
            ttl: Ttl::from_secs(ttl),
            count,
            records: from.bytes(octets),
        }
    }
}

/// One record's data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RdataRef<'z> {
    /// Uncompressed bytes.
    pub bytes: &'z [u8],
    names: [(u16, u16); NAMES],
    named: u8,
}

impl<'z> RdataRef<'z> {
    /// Domain names inside that may be compressed (RFC 3597 section 4): offset and length of each.
    pub fn names(&self) -> &[(u16, u16)] {
        &self.names[..usize::from(self.named)]
    }

    #[inline]
    fn read(from: &mut Cursor<'z>) -> RdataRef<'z> {
        let (octets, named) = (from.u16(), from.u8());
        let mut names = [(0, 0); NAMES];
        for name in &mut names[..usize::from(named)] {
            *name = (from.u16(), from.u16());
        }
        RdataRef {
            bytes: from.bytes(usize::from(octets)),
            names,
            named,
        }
    }
}

/// The RRsets of one owner, ordered by type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RrSets<'z> {
    pub(super) count: u16,
    pub(super) bytes: &'z [u8],
}

impl<'z> RrSets<'z> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sets, ordered by type.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = RrSetRef<'z>> + use<'z> {
        let mut rest = Cursor(self.bytes);
        (0..self.count).map(move |_| RrSetRef::read(&mut rest))
    }

    /// What lies behind the last set.
    pub(super) fn end(&self) -> &'z [u8] {
        let mut rest = Cursor(self.bytes);
        for _ in 0..self.count {
            RrSetRef::read(&mut rest);
        }
        rest.0
    }

    /// The set of a type.
    #[inline]
    pub(super) fn of(&self, rtype: u16) -> Option<RrSetRef<'z>> {
        self.iter().find(|set| set.rtype == rtype)
    }
}

/// One RRset that lies apart from the arena.
#[derive(Clone, Debug)]
pub(super) struct PackedSet(Box<[u8]>);

impl PackedSet {
    pub(super) fn new(set: &RrSet) -> PackedSet {
        let mut bytes = Vec::new();
        write(set, &mut bytes);
        PackedSet(bytes.into())
    }

    pub(super) fn view(&self) -> RrSetRef<'_> {
        RrSetRef::read(&mut Cursor(&self.0))
    }
}

/// Appends a set in the form that is read here.
pub(super) fn write(set: &RrSet, out: &mut Vec<u8>) {
    const FITS: &str = "an RRset that was parsed fits one message";
    let count = u16::try_from(set.records.len()).expect(FITS);
    out.extend(set.rtype.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(set.ttl.secs().to_le_bytes());
    let octets = out.len();
    out.extend([0; 4]);
    for record in &set.records {
        let len = u16::try_from(record.bytes.len()).expect(FITS);
        // Compressing is a favour: a name beyond the room for them is written in full.
        let named = record.names.len().min(NAMES);
        out.extend(len.to_le_bytes());
        out.push(named as u8);
        for (offset, len) in &record.names[..named] {
            out.extend(offset.to_le_bytes());
            out.extend(len.to_le_bytes());
        }
        let start = out.len();
        out.extend(&record.bytes);
        if matches!(set.rtype, rtype::CNAME | rtype::DNAME) {
            // The target is looked up as it lies here.
            out[start..].make_ascii_lowercase();
        }
    }
    let size = u32::try_from(out.len() - octets - 4).expect(FITS);
    out[octets..octets + 4].copy_from_slice(&size.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Rdata;

    #[test]
    fn what_is_written_is_read() {
        let set = RrSet {
            rtype: rtype::SOA,
            ttl: Ttl::from_secs(70_000),
            records: vec![
                Rdata {
                    bytes: b"\x01a\x00\x01b\x00rest".as_slice().into(),
                    names: [(0, 3), (3, 3)].into(),
                },
                Rdata {
                    bytes: Box::default(),
                    names: Box::default(),
                },
            ],
        };
        let packed = PackedSet::new(&set);
        let view = packed.view();
        assert_eq!((view.rtype, view.ttl, view.len()), (set.rtype, set.ttl, 2));
        for (read, written) in view.records().zip(&set.records) {
            assert_eq!(read.bytes, &*written.bytes);
            assert_eq!(read.names(), &*written.names);
        }
    }
}
