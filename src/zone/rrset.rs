//! An RRset as it was read; in a [`super::ZoneSet`] it lies packed, see [`super::view`].

use crate::dns::name::WireName;
use crate::units::Ttl;

/// Type codes that the zones treat specially.
pub mod rtype {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Name server.
    pub const NS: u16 = 2;
    /// Alias.
    pub const CNAME: u16 = 5;
    /// Start of authority.
    pub const SOA: u16 = 6;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Redirection of the names below (RFC 6672).
    pub const DNAME: u16 = 39;
    /// Delegation signer (RFC 4034 section 5), the only type that lives on the parent's side of a cut.
    pub const DS: u16 = 43;
    /// Service binding of a web origin (RFC 9460), which steered names may answer.
    pub const HTTPS: u16 = 65;
    /// The question "anything" (RFC 8482).
    pub const ANY: u16 = 255;
}

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
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rdata {
    /// Uncompressed bytes.
    pub bytes: Box<[u8]>,
    /// Domain names inside that may be compressed (RFC 3597 section 4): offset and length of each.
    pub names: Box<[(u16, u16)]>,
}

impl Rdata {
    /// The compressible name at `index`, in canonical form.
    pub fn name(&self, index: usize) -> Option<WireName> {
        let (offset, len) = *self.names.get(index)?;
        let (offset, len) = (usize::from(offset), usize::from(len));
        WireName::from_wire(self.bytes.get(offset..offset + len)?).ok()
    }
}
