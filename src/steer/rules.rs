//! Geo rules: which of them a client matches.

use std::fmt;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::geo::table::embedded_v4;
use crate::geo::{GeoTable, Location, Slot6};
use crate::net::{Prefix, RangeMap};

use super::{Criterion, GeoRule, Stage};

impl Criterion {
    /// How specific it is; among the matching criteria of a stage the largest decides.
    fn specificity(&self) -> u16 {
        match self {
            Criterion::Default => 0,
            Criterion::Continent(_) => 1,
            Criterion::Country(_) => 2,
            Criterion::Subdivision(..) => 3,
            Criterion::Asn(_) => 4,
            Criterion::Network(p) => 5 + u16::from(p.len()),
        }
    }

    /// Whether a client at `location`, with `network` the longest network criterion of the stage
    /// that covers it, has this property.
    fn matches(&self, location: &Location, network: Option<Prefix>) -> bool {
        match self {
            Criterion::Default => true,
            Criterion::Continent(c) => location.continent == Some(*c),
            Criterion::Country(c) => location.country == Some(*c),
            Criterion::Subdivision(country, s) => {
                location.country == Some(*country) && location.subdivision == Some(*s)
            }
            Criterion::Asn(asn) => location.asn == Some(*asn),
            Criterion::Network(p) => network == Some(*p),
        }
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Criterion::Default => f.write_str("default"),
            Criterion::Continent(c) => write!(f, "continent {c}"),
            Criterion::Country(c) => write!(f, "country {c}"),
            Criterion::Subdivision(c, s) => write!(f, "subdivision {c}-{s}"),
            Criterion::Asn(asn) => write!(f, "asn {asn}"),
            Criterion::Network(p) => write!(f, "network {p}"),
        }
    }
}

/// The most specific criterion that matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Matched {
    /// The criterion.
    pub(super) criterion: Criterion,
}

impl Matched {
    /// The rules that act: all that have the criterion.
    pub(super) fn rules<'r>(&self, rules: &'r [GeoRule]) -> impl Iterator<Item = &'r GeoRule> {
        let criterion = self.criterion;
        rules.iter().filter(move |r| r.matches.contains(&criterion))
    }
}

/// The most specific of all criteria of `rules` that the client matches. A client has one value of
/// each property, so criteria of equal rank that match are equal.
pub(super) fn best_match(
    rules: &[GeoRule],
    location: &Location,
    network: Option<Prefix>,
) -> Option<Matched> {
    rules
        .iter()
        .flat_map(|r| &r.matches)
        .filter(|c| c.matches(location, network))
        .max_by_key(|c| c.specificity())
        .map(|c| Matched { criterion: *c })
}

/// The address space by which `network` criteria cover an address: for each `geo` stage the longest.
pub(super) struct Networks {
    /// Class of each IPv4 address.
    pub(super) v4: RangeMap<u32, u32>,
    /// Class of each IPv6 address; where an IPv4 address is embedded, that one's class counts.
    pub(super) v6: RangeMap<u128, u32>,
    /// For each class and `geo` stage the network.
    pub(super) classes: Vec<Vec<Option<Prefix>>>,
}

impl Networks {
    /// Those of a policy's stages. Class 0 is that of addresses that no criterion covers.
    pub(super) fn of(stages: &[Stage]) -> Networks {
        let mut all = Networks {
            v4: RangeMap::uniform(0),
            v6: RangeMap::uniform(0),
            classes: vec![Vec::new()],
        };
        for stage in stages {
            if let Stage::Geo { rules, .. } = stage {
                all.add(rules);
            }
        }
        all
    }

    fn add(&mut self, rules: &[GeoRule]) {
        let networks: Vec<Prefix> = rules
            .iter()
            .flat_map(|r| &r.matches)
            .filter_map(|c| match c {
                Criterion::Network(p) => Some(*p),
                _ => None,
            })
            .collect();
        // Equal prefixes must have equal values, whichever rule they stand in.
        let mut first: HashMap<Prefix, u32> = HashMap::new();
        let mut keyed = Vec::with_capacity(networks.len());
        for (i, p) in networks.iter().enumerate() {
            keyed.push((*p, *first.entry(*p).or_insert(i as u32 + 1)));
        }
        let v4 = RangeMap::from_prefixes(
            0,
            keyed.iter().filter_map(|(p, v)| match p.addr() {
                IpAddr::V4(a) => Some((u32::from(a), p.len(), *v)),
                IpAddr::V6(_) => None,
            }),
        );
        let v6 = RangeMap::from_prefixes(
            0,
            keyed.iter().filter_map(|(p, v)| match p.addr() {
                IpAddr::V6(a) => Some((u128::from(a), p.len(), *v)),
                IpAddr::V4(_) => None,
            }),
        );
        let old = std::mem::take(&mut self.classes);
        let mut classes: Vec<Vec<Option<Prefix>>> = Vec::new();
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        let mut class = |before: u32, here: u32| {
            *known.entry((before, here)).or_insert_with(|| {
                let mut c = old[before as usize].clone();
                c.push((here > 0).then(|| networks[here as usize - 1]));
                classes.push(c);
                classes.len() as u32 - 1
            })
        };
        class(0, 0);
        self.v4 = self.v4.join(&v4, &mut class);
        self.v6 = self.v6.join(&v6, &mut class);
        self.classes = classes;
    }

    /// The networks that cover `addr`, for each `geo` stage.
    pub(super) fn of_address(&self, addr: IpAddr, geo: &GeoTable) -> &[Option<Prefix>] {
        let class = match addr {
            IpAddr::V4(a) => self.v4.get(a.into()),
            IpAddr::V6(a) => match geo.v6.get(a.into()) {
                Slot6::Value(_) => self.v6.get(a.into()),
                Slot6::Embedded { offset } => self.v4.get(embedded_v4(a.into(), offset)),
            },
        };
        &self.classes[class as usize]
    }
}
