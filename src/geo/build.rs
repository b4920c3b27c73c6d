//! Databases and own networks → [`GeoTable`].
//!
//! Each input is a partition of the address space; joining them one by one, each distinct
//! combination of records is merged once, field by field, and each distinct result is stored once.
//! The work per range is then a hash lookup of two numbers.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::ids::LocationId;
use crate::net::{Key, Prefix, RangeMap, bogon};

use super::facts::NOTHING;
use super::mmdb::Database;
use super::networks::OwnNetworks;
use super::table::EMBEDDED;
use super::{GeoTable, Location, Slot6, Source};

/// Name of the own-networks input in [`GeoTable::inputs`].
const OWN_NAME: &str = "own networks";

/// What lies over a stretch of the IPv6 space, whatever the databases say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Overlay6 {
    /// Nothing: the merged location stands.
    None,
    /// Special-purpose space.
    Bogon,
    /// Carries an IPv4 address after so many bits.
    Embedded(u8),
}

impl GeoTable {
    /// The most databases that one table can take, a limit of [`Source`]'s bits.
    pub const MAX_DATABASES: usize = 15;

    /// Nothing is known of any address; special-purpose space is marked.
    pub fn empty() -> GeoTable {
        GeoTable::build(None, Vec::new())
    }

    /// These prefixes as own networks; where prefixes nest the longest wins, of equal ones the last.
    pub fn from_prefixes(prefixes: impl IntoIterator<Item = (Prefix, Location)>) -> GeoTable {
        GeoTable::build(Some(OwnNetworks::from_prefixes(prefixes)), Vec::new())
    }

    /// Merges the inputs. Per field, own networks win, then the first database listed that knows it.
    /// Special-purpose space ([`bogon`]) that no own network covers and no database knows becomes
    /// [`GeoTable::BOGON`]; IPv6 forms that carry an IPv4 address ([`EMBEDDED`]) point to the IPv4
    /// half, except where an own network of at least that length says otherwise.
    ///
    /// # Panics
    /// With more than [`GeoTable::MAX_DATABASES`] databases; the configuration refuses that many.
    pub fn build(own: Option<OwnNetworks>, databases: Vec<(Box<str>, Database)>) -> GeoTable {
        assert!(
            databases.len() <= Self::MAX_DATABASES,
            "{} databases, but at most {} are possible",
            databases.len(),
            Self::MAX_DATABASES
        );
        let mut merger = Merger::new();
        let mut inputs: Vec<Box<str>> = vec![OWN_NAME.into()];
        let own = own.unwrap_or_default();
        let overlay6 = overlay6(&own);
        let facts = own.into_facts();
        let ids = merger.own(&facts.records);
        let mut v4 = facts.v4.map(|r| ids[r as usize]);
        let mut v6 = facts.v6.map(|r| ids[r as usize]);
        drop(facts);
        for (n, (name, database)) in databases.into_iter().enumerate() {
            inputs.push(name);
            let facts = database.into_facts();
            merger.start_database();
            let source = Source::database(n);
            let merged = |m: &mut Merger, id, r| m.merge(id, r, &facts.records, source);
            v4 = v4.join(&facts.v4, |id, r| merged(&mut merger, id, r));
            v6 = v6.join(&facts.v6, |id, r| merged(&mut merger, id, r));
        }
        let v4 = v4.join(&bogons4(), mark_bogon);
        let v6 = v6.join(&overlay6, |id, over| match over {
            Overlay6::None => Slot6::Value(id),
            Overlay6::Bogon => Slot6::Value(mark_bogon(id, true)),
            Overlay6::Embedded(offset) => Slot6::Embedded { offset },
        });
        GeoTable {
            v4,
            v6,
            locations: merger.locations,
            inputs,
        }
    }
}

fn mark_bogon(id: LocationId, bogon: bool) -> LocationId {
    if bogon && id == GeoTable::UNKNOWN {
        GeoTable::BOGON
    } else {
        id
    }
}

fn bogons4() -> RangeMap<u32, bool> {
    let bogons = bogon::V4.iter();
    RangeMap::from_prefixes(false, bogons.map(|(a, len)| (u32::from(*a), *len, true)))
}

fn overlay6(own: &OwnNetworks) -> RangeMap<u128, Overlay6> {
    let bogons = bogon::V6
        .iter()
        .map(|(a, len)| (u128::from(*a), *len, Overlay6::Bogon));
    let embedded = EMBEDDED
        .iter()
        .map(|(a, len, offset)| (u128::from(*a), *len, Overlay6::Embedded(*offset)));
    // Of equal prefixes the last wins, so an own network of the same length is not hidden.
    let own = own
        .prefixes()
        .filter_map(|prefix| match prefix.addr() {
            IpAddr::V6(a) => Some((u128::from(a), prefix.len(), Overlay6::None)),
            IpAddr::V4(_) => None,
        })
        .filter(|(addr, len, _)| in_embedded(*addr, *len));
    RangeMap::from_prefixes(Overlay6::None, bogons.chain(embedded).chain(own))
}

/// Whether the prefix lies inside one of [`EMBEDDED`]'s (or is one).
pub(super) fn in_embedded(addr: u128, len: u8) -> bool {
    EMBEDDED
        .iter()
        .any(|(p, l, _)| len >= *l && addr.first_of(*l) == u128::from(*p))
}

/// Interns merged locations.
struct Merger {
    locations: Vec<Location>,
    known: HashMap<Location, LocationId>,
    /// Of the current database: (location so far, record) → merged location.
    pairs: HashMap<(LocationId, u32), LocationId>,
}

impl Merger {
    fn new() -> Merger {
        // UNKNOWN and BOGON, which hold the same (no) facts.
        let locations = vec![Location::default(); 2];
        Merger {
            locations,
            known: HashMap::from([(Location::default(), GeoTable::UNKNOWN)]),
            pairs: HashMap::new(),
        }
    }

    fn intern(&mut self, location: Location) -> LocationId {
        *self.known.entry(location).or_insert_with(|| {
            let id = LocationId::from_index(self.locations.len());
            self.locations.push(location);
            id
        })
    }

    /// The own networks' locations, by record. A row without facts still is from somewhere, which
    /// is what keeps it from being taken for special-purpose space.
    fn own(&mut self, records: &[Location]) -> Vec<LocationId> {
        let all = records.iter().enumerate().map(|(r, record)| {
            if r == NOTHING as usize {
                return GeoTable::UNKNOWN;
            }
            self.intern(Location {
                source: Source::OWN,
                ..*record
            })
        });
        all.collect()
    }

    fn start_database(&mut self) {
        self.pairs.clear();
    }

    /// `id` with the fields it lacks filled from a database's record.
    #[inline]
    fn merge(
        &mut self,
        id: LocationId,
        record: u32,
        records: &[Location],
        source: Source,
    ) -> LocationId {
        if record == NOTHING {
            return id;
        }
        if let Some(merged) = self.pairs.get(&(id, record)) {
            return *merged;
        }
        let merged = fill(
            self.locations[id.index()],
            &records[record as usize],
            source,
        );
        let merged = self.intern(merged);
        self.pairs.insert((id, record), merged);
        merged
    }
}

/// `to` with the fields it lacks taken from `from`; `source` is added if any was taken. A subdivision
/// means something only within its country, so that of another country is not taken.
fn fill(to: Location, from: &Location, source: Source) -> Location {
    let country = to.country.or(from.country);
    let filled = Location {
        continent: to.continent.or(from.continent),
        country,
        subdivision: to
            .subdivision
            .or(from.subdivision.filter(|_| from.country == country)),
        coordinates: to.coordinates.or(from.coordinates),
        asn: to.asn.or(from.asn),
        source: to.source,
    };
    if filled == to {
        return to;
    }
    Location {
        source: to.source.and(source),
        ..filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::location::Code;
    use crate::net::Key;
    use proptest::prelude::*;

    fn country(code: &str) -> Location {
        Location {
            country: Code::new(code),
            ..Location::default()
        }
    }

    fn table(rows: &[(&str, &str)]) -> GeoTable {
        GeoTable::from_prefixes(
            rows.iter()
                .map(|(prefix, code)| (prefix.parse().unwrap(), country(code))),
        )
    }

    fn at(table: &GeoTable, addr: &str) -> (Option<Code>, u8) {
        let place = table.locate(addr.parse().unwrap());
        (table.location(place.id).country, place.len)
    }

    #[test]
    fn e7_empty_marks_special_purpose_space_only() {
        let t = GeoTable::empty();
        for bogon in [
            "10.1.2.3",
            "192.168.0.1",
            "::1",
            "fd00::1",
            "ff02::1",
            "255.255.255.255",
            "2002:a00:1::",
            "::ffff:127.0.0.1",
        ] {
            let id = t.locate(bogon.parse().unwrap()).id;
            assert_eq!(id, GeoTable::BOGON, "{bogon}");
        }
        for other in ["192.0.2.1", "8.8.8.8", "2001:db8::1", "2002:808:808::"] {
            let id = t.locate(other.parse().unwrap()).id;
            assert_eq!(id, GeoTable::UNKNOWN, "{other}");
        }
        assert_eq!(*t.location(GeoTable::BOGON), Location::default());
    }

    #[test]
    fn e7_an_own_network_places_private_space() {
        let t = table(&[("10.0.0.0/8", "DE"), ("10.1.0.0/16", "")]);
        assert_eq!(at(&t, "10.2.0.1"), (Code::new("DE"), 15));
        // A row without facts says "nothing is known here", not "bogon".
        let id = t.locate("10.1.0.1".parse().unwrap()).id;
        assert!(id != GeoTable::BOGON && id != GeoTable::UNKNOWN);
        assert_eq!(t.location(id).source, Source::OWN);
    }

    #[test]
    fn e2_scope_of_embedded_forms_is_the_ipv4_scope_moved() {
        let t = table(&[("192.0.2.0/24", "DE"), ("2002::/15", "US")]);
        for (form, scope) in [
            ("::ffff:192.0.2.9", 120),
            ("64:ff9b::192.0.2.9", 120),
            ("2002:c000:209::5", 40),
            ("2001:0:c000:209::", 56),
        ] {
            assert_eq!(at(&t, form), (Code::new("DE"), scope), "{form}");
        }
        assert_eq!(at(&t, "2003::1"), (Code::new("US"), 16));
        // An own network at least as long as the form's prefix wins over the IPv4 address inside.
        let t = table(&[("192.0.2.0/24", "DE"), ("2002:c000:200::/40", "FR")]);
        assert_eq!(at(&t, "2002:c000:209::5"), (Code::new("FR"), 40));
        assert_eq!(at(&t, "::ffff:192.0.2.9"), (Code::new("DE"), 120));
    }

    #[test]
    fn fields_fill_up_in_the_order_of_the_inputs() {
        let own = Location {
            asn: Some(1),
            source: Source::OWN,
            ..Location::default()
        };
        let first = Location {
            asn: Some(2),
            country: Code::new("DE"),
            ..Location::default()
        };
        let merged = fill(own, &first, Source::database(0));
        assert_eq!((merged.asn, merged.country), (Some(1), Code::new("DE")));
        assert_eq!(merged.source, Source(0b11));
        // What adds nothing is no source.
        assert_eq!(fill(merged, &first, Source::database(1)), merged);
    }

    #[test]
    fn a_subdivision_stays_with_its_country() {
        let cagliari = Location {
            subdivision: Code::new("CA"),
            asn: Some(2),
            ..country("IT")
        };
        // Under another country the same code would be California.
        let merged = fill(country("US"), &cagliari, Source::database(0));
        assert_eq!((merged.subdivision, merged.asn), (None, Some(2)));
        let merged = fill(country("IT"), &cagliari, Source::database(0));
        assert_eq!(merged.subdivision, Code::new("CA"));
        let merged = fill(Location::default(), &cagliari, Source::database(0));
        assert_eq!(merged.subdivision, Code::new("CA"));
    }

    /// Networks where nesting and neighbours are likely, in both families.
    fn network() -> impl Strategy<Value = (Prefix, Location)> {
        let v4 = (0u32..64, 0u8..=32).prop_map(|(a, len)| {
            Prefix::containing(std::net::Ipv4Addr::from(a << 26 | a << 12 | a).into(), len)
        });
        let v6 = (0u128..32, 3u8..=128).prop_map(|(a, len)| {
            Prefix::containing(std::net::Ipv6Addr::from(a << 123 | a << 70 | a).into(), len)
        });
        let fields = (0u8..4, 0u8..4, 0u32..4);
        (prop_oneof![v4, v6], fields).prop_map(|(prefix, (country, continent, asn))| {
            let location = Location {
                country: [None, Code::new("DE"), Code::new("US"), Code::new("SG")]
                    [country as usize],
                continent: [None, Code::new("EU"), Code::new("NA"), Code::new("AS")]
                    [continent as usize],
                asn: Some(asn).filter(|asn| *asn != 0),
                ..Location::default()
            };
            (prefix, location)
        })
    }

    fn distinct(networks: Vec<(Prefix, Location)>) -> Vec<(Prefix, Location)> {
        let mut seen = std::collections::BTreeSet::new();
        let mut networks = networks;
        networks.retain(|(prefix, _)| seen.insert(*prefix));
        networks
    }

    /// The plain meaning: of each input the longest prefix around the address.
    fn naive(inputs: &[&Vec<(Prefix, Location)>], addr: IpAddr) -> Location {
        let mut merged = Location::default();
        for (n, networks) in inputs.iter().enumerate() {
            let around = networks.iter().filter(|(prefix, _)| prefix.contains(addr));
            let Some((_, location)) = around.max_by_key(|(prefix, _)| prefix.len()) else {
                continue;
            };
            if n == 0 {
                merged = Location {
                    source: Source::OWN,
                    ..*location
                };
            } else {
                merged = fill(merged, location, Source::database(n - 1));
            }
        }
        merged
    }

    proptest! {
        #[test]
        fn agrees_with_longest_prefix_match_in_every_input(
            own in proptest::collection::vec(network(), 0..12).prop_map(distinct),
            first in proptest::collection::vec(network(), 0..12).prop_map(distinct),
            second in proptest::collection::vec(network(), 0..12).prop_map(distinct),
            addrs in proptest::collection::vec(any::<u32>(), 0..20),
        ) {
            let outside = |networks: Vec<(Prefix, Location)>| -> Vec<_> {
                let stays = |p: &Prefix| match p.addr() {
                    IpAddr::V6(a) => !in_embedded(a.into(), p.len()) && u128::from(a) >> 32 != 0,
                    IpAddr::V4(_) => true,
                };
                networks.into_iter().filter(|(p, l)| stays(p) && (l.asn.is_some() || l.country.is_some())).collect()
            };
            let (first, second) = (outside(first), outside(second));
            let database = |networks: &Vec<(Prefix, Location)>| {
                let own = OwnNetworks::from_prefixes(networks.iter().copied());
                Database::read(crate::geo::write_mmdb(&own, 0).unwrap()).unwrap()
            };
            let databases = vec![("1".into(), database(&first)), ("2".into(), database(&second))];
            let t = GeoTable::build(Some(OwnNetworks::from_prefixes(own.iter().copied())), databases);
            let inputs = [&own, &first, &second];
            let borders = inputs.iter().flat_map(|n| n.iter()).flat_map(|(p, _)| {
                let beyond = |a: IpAddr| -> IpAddr { match a {
                    IpAddr::V4(a) => std::net::Ipv4Addr::from(u32::from(a).succ()).into(),
                    IpAddr::V6(a) => std::net::Ipv6Addr::from(u128::from(a).succ()).into(),
                }};
                [p.addr(), p.last(), beyond(p.last())]
            });
            let v4 = addrs.iter().map(|a| std::net::Ipv4Addr::from(*a).into());
            for addr in v4.chain(borders) {
                let place = t.locate(addr);
                let embedding = match addr {
                    IpAddr::V6(a) => super::super::facts::embedding(a.into()),
                    IpAddr::V4(_) => None,
                };
                if embedding.is_none() {
                    // A bogon is a place of which no input knows anything, and no own network covers.
                    prop_assert_eq!(*t.location(place.id), naive(&inputs, addr), "{}", addr);
                }
                // The IPv6 forms of an IPv4 address are where it is, with the scope moved.
                if let IpAddr::V4(a) = addr {
                    for (prefix, _, offset) in EMBEDDED {
                        let a = u128::from(u32::from(a)) << (96 - u32::from(offset));
                        let form = t.locate(std::net::Ipv6Addr::from(u128::from(prefix) | a).into());
                        prop_assert_eq!(form.id, place.id);
                        prop_assert!(form.len >= place.len + offset);
                    }
                }
                // Sound: both ends of the scope are in the same place.
                let scope = Prefix::containing(addr, place.len);
                prop_assert_eq!(t.locate(scope.addr()).id, place.id);
                prop_assert_eq!(t.locate(scope.last()).id, place.id);
            }
        }
    }
}
