//! Own networks: what the operator knows of places, from a CSV file.

use std::net::{IpAddr, Ipv4Addr};

use crate::net::{Prefix, RangeMap};

use super::Location;
use super::facts::{Facts, NOTHING, embedding};
use super::table::embedded_v4;

/// One row.
#[derive(Clone, PartialEq, Debug)]
pub struct OwnNetwork {
    /// The network.
    pub prefix: Prefix,
    /// What is known of it; `source` is not set.
    pub location: Location,
    /// A name for people; plays no part in steering.
    pub place: Option<Box<str>>,
}

/// The own networks. They win over every database, field by field.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OwnNetworks {
    rows: Vec<OwnNetwork>,
}

impl OwnNetworks {
    /// Networks made in code; of equal prefixes the last wins.
    pub fn from_prefixes(prefixes: impl IntoIterator<Item = (Prefix, Location)>) -> OwnNetworks {
        let rows = prefixes.into_iter().map(|(prefix, location)| OwnNetwork {
            prefix,
            location,
            place: None,
        });
        OwnNetworks {
            rows: rows.collect(),
        }
    }

    pub(super) fn from_rows(rows: Vec<OwnNetwork>) -> OwnNetworks {
        OwnNetworks { rows }
    }

    /// The rows in the order of the file.
    pub fn rows(&self) -> &[OwnNetwork] {
        &self.rows
    }

    /// The row for `addr`: the one with the longest prefix. For an IPv6 address that carries an IPv4
    /// address, rows that are wider than the form count for nothing, and where no IPv6 row is left
    /// the IPv4 address decides, as in [`super::GeoTable`].
    pub fn lookup(&self, addr: IpAddr) -> Option<&OwnNetwork> {
        let longest = |addr: IpAddr, least: u8| {
            let around = self.rows.iter().filter(|row| row.prefix.contains(addr));
            around
                .filter(|row| row.prefix.len() >= least)
                .max_by_key(|row| row.prefix.len())
        };
        if let IpAddr::V6(a) = addr
            && let Some((form, offset)) = embedding(a.into())
        {
            let inside = Ipv4Addr::from(embedded_v4(a.into(), offset));
            return longest(addr, form).or_else(|| longest(inside.into(), 0));
        }
        longest(addr, 0)
    }

    pub(super) fn prefixes(&self) -> impl Iterator<Item = Prefix> + '_ {
        self.rows.iter().map(|row| row.prefix)
    }

    pub(super) fn into_facts(self) -> Facts {
        let mut facts = Facts::none();
        let mut known = hashbrown::HashMap::new();
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for row in self.rows {
            let location = Location {
                source: super::Source::default(),
                ..row.location
            };
            let record = *known.entry(location).or_insert_with(|| {
                facts.records.push(location);
                (facts.records.len() - 1) as u32
            });
            match row.prefix.addr() {
                IpAddr::V4(a) => v4.push((u32::from(a), row.prefix.len(), record)),
                IpAddr::V6(a) => v6.push((u128::from(a), row.prefix.len(), record)),
            }
        }
        facts.v4 = RangeMap::from_prefixes(NOTHING, v4);
        facts.v6 = RangeMap::from_prefixes(NOTHING, v6);
        facts
    }
}
