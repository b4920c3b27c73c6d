//! What one input knows: its distinct records, and which address has which.

use std::net::IpAddr;

use crate::net::{Key, Prefix, RangeMap};

use super::Location;
use super::table::{EMBEDDED, embedded_v4};

/// Number of the record that says nothing, in every [`Facts`].
pub(super) const NOTHING: u32 = 0;

/// One input, flattened.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The distinct records; number [`NOTHING`] is empty. Their `source` is not set.
    pub(super) records: Vec<Location>,
    /// IPv4 half.
    pub(super) v4: RangeMap<u32, u32>,
    /// IPv6 half, without the forms of [`EMBEDDED`] that only repeat the IPv4 half.
    pub(super) v6: RangeMap<u128, u32>,
}

impl Facts {
    /// Knows nothing.
    pub(super) fn none() -> Facts {
        Facts {
            records: vec![Location::default()],
            v4: RangeMap::uniform(NOTHING),
            v6: RangeMap::uniform(NOTHING),
        }
    }

    /// The record for `addr`, if there is one, and the widest prefix around `addr` that has it.
    pub(super) fn lookup(&self, addr: IpAddr) -> (Option<&Location>, Prefix) {
        let (record, len) = match addr {
            IpAddr::V4(a) => self.v4.lookup(a.into()),
            IpAddr::V6(a) => match embedding(a.into()) {
                Some((_, offset)) => {
                    let (record, len) = self.v4.lookup(embedded_v4(a.into(), offset));
                    (record, len + offset)
                }
                None => self.v6.lookup(a.into()),
            },
        };
        let known = (record != NOTHING).then(|| &self.records[record as usize]);
        (known, Prefix::containing(addr, len))
    }
}

/// For an IPv6 address that carries an IPv4 address: the length of the form's prefix, and the bits
/// before the IPv4 address.
pub(super) fn embedding(addr: u128) -> Option<(u8, u8)> {
    let form = EMBEDDED
        .iter()
        .find(|(prefix, len, _)| addr.first_of(*len) == u128::from(*prefix));
    form.map(|(_, len, offset)| (*len, *offset))
}
