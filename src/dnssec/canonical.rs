//! The canonical form of an RRset (RFC 4034 section 6), and the bytes that a signature covers.
//!
//! Names are in lower case from the start here: owners because lookups use the lowered question,
//! names inside RDATA because zones store them so.

use crate::dns::name::MAX_NAME;
use crate::units::Ttl;

use super::labels::count_for_rrsig;

/// Class IN.
const IN: u16 = 1;

/// Octets before the owner in a key.
const FIXED: usize = 8;

/// Records of one owner and type while they are collected.
#[derive(Clone, Debug)]
pub struct Collected {
    owner: [u8; MAX_NAME],
    owner_len: u8,
    /// Octets of the zone's apex, which is the end of the owner.
    apex_len: u8,
    rtype: u16,
    original_ttl: Ttl,
    data: Vec<u8>,
    /// Start and end of each record's RDATA.
    records: Vec<(u32, u32)>,
}

impl Default for Collected {
    fn default() -> Self {
        Collected {
            owner: [0; MAX_NAME],
            owner_len: 0,
            apex_len: 0,
            rtype: 0,
            original_ttl: Ttl::ZERO,
            data: Vec::new(),
            records: Vec::new(),
        }
    }
}

impl Collected {
    /// Begins a set; `owner` is a lower-cased wire name at or below `apex`.
    pub fn begin(&mut self, apex: &[u8], owner: &[u8], rtype: u16, original_ttl: Ttl) {
        self.owner[..owner.len()].copy_from_slice(owner);
        // A name has at most 255 octets.
        self.owner_len = owner.len() as u8;
        self.apex_len = apex.len() as u8;
        self.rtype = rtype;
        self.original_ttl = original_ttl;
        self.data.clear();
        self.records.clear();
    }

    /// Adds one record's RDATA, names uncompressed.
    pub fn push(&mut self, rdata: &[u8]) {
        let start = self.data.len() as u32; // a message has at most 64 KiB
        self.data.extend_from_slice(rdata);
        self.records.push((start, self.data.len() as u32));
    }

    /// The owner.
    pub fn owner(&self) -> &[u8] {
        &self.owner[..usize::from(self.owner_len)]
    }

    /// Octets of all RDATA so far.
    pub fn octets(&self) -> usize {
        self.data.len()
    }

    /// Writes the set's key: the canonical RRset, the same for every order of the records.
    ///
    /// ```text
    /// apex's octets:1 owner's octets:1 type:2 original TTL:4 owner, octets:2 RDATA of each record
    /// ```
    pub fn write_key(&mut self, out: &mut Vec<u8>) {
        let Collected { data, records, .. } = self;
        let rdata = |(start, end): (u32, u32)| &data[start as usize..end as usize];
        if records.len() > 1 {
            // RFC 4034 section 6.3: "sorted … treating the RDATA portion of the canonical form of
            // each RR as a left-justified unsigned octet sequence"; duplicates are removed.
            records.sort_unstable_by(|a, b| rdata(*a).cmp(rdata(*b)));
            records.dedup_by(|a, b| rdata(*a) == rdata(*b));
        }
        out.clear();
        out.extend([self.apex_len, self.owner_len]);
        out.extend(self.rtype.to_be_bytes());
        out.extend(self.original_ttl.secs().to_be_bytes());
        out.extend(&self.owner[..usize::from(self.owner_len)]);
        for record in &*records {
            let rdata = rdata(*record);
            out.extend((rdata.len() as u16).to_be_bytes());
            out.extend(rdata);
        }
    }
}

/// A canonical RRset as [`Collected::write_key`] wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetKey<'k>(pub &'k [u8]);

impl<'k> SetKey<'k> {
    /// The owner.
    pub fn owner(self) -> &'k [u8] {
        &self.0[FIXED..FIXED + usize::from(self.0[1])]
    }

    /// The apex of the zone that the set belongs to.
    pub fn apex(self) -> &'k [u8] {
        let owner = self.owner();
        &owner[owner.len() - usize::from(self.0[0])..]
    }

    /// Type.
    pub fn rtype(self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// The TTL that the signature covers; answers may state a smaller one.
    pub fn original_ttl(self) -> Ttl {
        Ttl::from_secs(u32::from_be_bytes([
            self.0[4], self.0[5], self.0[6], self.0[7],
        ]))
    }

    /// RDATA of each record, ascending.
    fn records(self) -> impl Iterator<Item = &'k [u8]> {
        let mut rest = &self.0[FIXED + usize::from(self.0[1])..];
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<2>()?;
            let (rdata, tail) = tail.split_at(usize::from(u16::from_be_bytes(*len)));
            rest = tail;
            Some(rdata)
        })
    }

    /// The Labels field of the RRSIG (RFC 4034 section 3.1.3).
    pub fn labels(self) -> u8 {
        count_for_rrsig(self.owner())
    }

    /// Appends what is signed after the RRSIG's own fields (RFC 4034 section 3.1.8.1):
    /// `owner | type | class | original TTL | RDATA length | RDATA` of each record.
    pub fn write_signed(self, out: &mut Vec<u8>) {
        for rdata in self.records() {
            out.extend(self.owner());
            out.extend(self.rtype().to_be_bytes());
            out.extend(IN.to_be_bytes());
            out.extend(self.original_ttl().secs().to_be_bytes());
            out.extend((rdata.len() as u16).to_be_bytes());
            out.extend(rdata);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(records: &[Vec<u8>]) -> Vec<u8> {
        let mut set = Collected::default();
        set.begin(b"\x01z\0", b"\x01a\x01z\0", 16, Ttl::from_secs(60));
        for r in records {
            set.push(r);
        }
        let mut key = Vec::new();
        set.write_key(&mut key);
        key
    }

    #[test]
    fn rfc4034_6_3_order_and_duplicates() {
        let sorted = key(&[b"\x01".to_vec(), b"\x01\0".to_vec(), b"\x02".to_vec()]);
        let k = SetKey(&sorted);
        assert_eq!(
            (k.owner(), k.apex()),
            (&b"\x01a\x01z\0"[..], &b"\x01z\0"[..])
        );
        assert_eq!(
            (k.rtype(), k.original_ttl().secs(), k.labels()),
            (16, 60, 2)
        );
        let mut signed = Vec::new();
        k.write_signed(&mut signed);
        let head = b"\x01a\x01z\0\x00\x10\x00\x01\x00\x00\x00\x3c";
        let mut expected = Vec::new();
        for rdata in [&b"\x01"[..], b"\x01\0", b"\x02"] {
            expected.extend(head);
            expected.extend((rdata.len() as u16).to_be_bytes());
            expected.extend(rdata);
        }
        assert_eq!(signed, expected);
    }

    proptest! {
        #[test]
        fn one_key_for_every_order(
            mut records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 1..6),
            turn in 0usize..6,
        ) {
            let before = key(&records);
            records.push(records[0].clone());
            let n = records.len();
            records.rotate_left(turn % n);
            prop_assert_eq!(key(&records), before);
        }
    }
}
