//! An RRset ready to be copied into an answer.

use crate::units::Ttl;

/// Records of one owner and type, in wire form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RrSet {
    /// Type code.
    pub rtype: u16,
    /// One TTL for the whole set (RFC 2181 section 5.2).
    pub ttl: Ttl,
    /// The RDATA of each record, names uncompressed.
    pub records: Vec<Rdata>,
}

/// One record's data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rdata {
    /// Uncompressed bytes.
    pub bytes: Box<[u8]>,
    /// Domain names inside that may be compressed (RFC 3597 section 4): offset and length of each.
    pub names: Box<[(u16, u16)]>,
}
