//! Choosing by a hash, whatever table names the server: who is out is passed over, who comes back slowly
//! gets a part of its clients, and nobody gets far more than its share.
//!
//! A server that is out loses its requests to the others and gets the same ones back: the table does not
//! change with health, so between two healthy servers nothing moves. The bound is that of "Consistent
//! hashing with bounded loads" (Mirrokni, Thorup and Zadimoghaddam 2016).

use super::candidate::Candidates;
use super::maglev::Maglev;
use super::mix::{mix, scale};
use super::modulo::Modulo;
use super::ring::Ring;

/// So many servers a hash names one after the other in a table without an order of its own.
pub(super) const PROBES: u64 = 32;

/// A server as tables see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Server<'a> {
    /// Its name, from which its places grow.
    pub name: &'a str,
    /// Its full share; 0: none.
    pub weight: u32,
}

impl<'a> Server<'a> {
    /// A server.
    pub fn new(name: &'a str, weight: u32) -> Server<'a> {
        Server { name, weight }
    }
}

/// What names the server of a hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Table {
    /// See [`Maglev`].
    Maglev(Maglev),
    /// See [`Ring`].
    Ring(Ring),
    /// See [`Modulo`].
    Modulo(Modulo),
}

/// Servers by hash.
#[derive(Clone, PartialEq, Debug)]
pub struct Consistent {
    table: Table,
    /// The full share of each server.
    full: Box<[u32]>,
    /// How much more than its share of the requests under way a server may have; above 1.
    bound: Option<f64>,
}

impl Consistent {
    /// Servers by hash: `table` made of `servers`.
    pub fn new(table: Table, servers: &[Server<'_>], bound: Option<f64>) -> Consistent {
        Consistent {
            table,
            full: servers.iter().map(|s| s.weight).collect(),
            bound,
        }
    }

    /// The server of a hash. The candidates are those of the table, in the same order.
    pub fn pick(&self, c: &(impl Candidates + ?Sized), hash: u64) -> Option<usize> {
        let room = self.bound.map(|bound| Room::new(c, bound));
        let takes =
            |i: &usize| self.takes(c, hash, *i) && room.as_ref().is_none_or(|r| r.has(c, *i));
        let found = match &self.table {
            Table::Maglev(t) => t.places(hash).find(takes),
            Table::Ring(t) => t.places(hash).find(takes),
            Table::Modulo(t) => t.places(hash).find(takes),
        };
        found.or_else(|| {
            // Nearly all are out or full: whoever is left, from a place that the hash names.
            let n = c.len();
            let start = scale(mix(hash), n as u64) as usize;
            let all = || (start..n).chain(0..start);
            all()
                .find(takes)
                .or_else(|| all().find(|i| c.weight(*i) > 0))
        })
    }

    /// Whether the server takes requests of this hash: all that name it, or, while it comes back slowly,
    /// the part of them that its weight now is of its full one.
    fn takes(&self, c: &(impl Candidates + ?Sized), hash: u64, i: usize) -> bool {
        let (now, full) = (c.weight(i), self.full[i]);
        now >= full && now > 0 || scale(mix(hash ^ 0x736c_6f77), u64::from(full)) < u64::from(now)
    }
}

/// How much each server may have.
struct Room {
    /// Requests under way that one unit of weight may have.
    per_weight: f64,
}

impl Room {
    fn new(c: &(impl Candidates + ?Sized), bound: f64) -> Room {
        let (mut weight, mut under_way) = (0, 1);
        for i in (0..c.len()).filter(|i| c.weight(*i) > 0) {
            weight += u64::from(c.weight(i));
            under_way += u64::from(c.in_flight(i));
        }
        Room {
            per_weight: bound * under_way as f64 / weight.max(1) as f64,
        }
    }

    /// Whether the server may have one more.
    fn has(&self, c: &(impl Candidates + ?Sized), i: usize) -> bool {
        let most = (self.per_weight * f64::from(c.weight(i))).ceil();
        f64::from(c.in_flight(i)) + 1.0 <= most
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Shares and moves of assignments.

    use super::*;

    pub(crate) fn named(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("server-{i}")).collect()
    }

    pub(crate) fn shares(got: &[String], servers: &[Server<'_>]) -> Vec<f64> {
        let of = |s: &Server<'_>| got.iter().filter(|g| *g == s.name).count() as f64;
        servers.iter().map(|s| of(s) / got.len() as f64).collect()
    }

    pub(crate) fn moved(a: &[String], b: &[String]) -> f64 {
        a.iter().zip(b).filter(|(x, y)| x != y).count() as f64 / a.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::testing::named;
    use super::*;
    use crate::balance::candidate::testing::{One, of_weights};
    use proptest::prelude::*;

    const KEYS: u64 = 5_000;

    /// One of each kind over `n` servers of weight 4.
    fn all_kinds(n: usize, bound: Option<f64>) -> Vec<Consistent> {
        let names = named(n);
        let servers: Vec<Server<'_>> = names.iter().map(|n| Server::new(n, 4)).collect();
        [
            Table::Maglev(Maglev::new(&servers).unwrap()),
            Table::Ring(Ring::new(&servers).unwrap()),
            Table::Modulo(Modulo::new(&servers).unwrap()),
        ]
        .map(|t| Consistent::new(t, &servers, bound))
        .into()
    }

    fn assign(t: &Consistent, weights: &[u32]) -> Vec<usize> {
        let all = of_weights(weights);
        (1..=KEYS)
            .map(|k| t.pick(&all[..], mix(k)).unwrap())
            .collect()
    }

    #[test]
    fn p5_what_a_dead_server_loses_goes_to_all_others_and_comes_back() {
        for t in all_kinds(5, None) {
            let before = assign(&t, &[4; 5]);
            let without = assign(&t, &[4, 4, 0, 4, 4]);
            assert!(without.iter().all(|i| *i != 2));
            let mut gained = [0; 5];
            for (a, b) in before.iter().zip(&without) {
                assert!(a == b || *a == 2);
                gained[*b] += usize::from(a != b);
            }
            assert!(
                gained.iter().enumerate().all(|(i, g)| i == 2 || *g > 100),
                "{gained:?}"
            );
            assert_eq!(assign(&t, &[4; 5]), before);
        }
    }

    #[test]
    fn p5_a_server_that_comes_back_slowly_gets_a_growing_part_of_its_own() {
        for t in all_kinds(4, None) {
            let full = assign(&t, &[4; 4]);
            let mine = |got: &[usize]| got.iter().filter(|i| **i == 1).count();
            let mut before: Vec<usize> = Vec::new();
            for weight in 1..=4 {
                let got = assign(&t, &[4, weight, 4, 4]);
                let part = mine(&got) as f64 / mine(&full) as f64;
                assert!(
                    (part - f64::from(weight) / 4.0).abs() < 0.1,
                    "{weight}: {part}"
                );
                // Who is back stays.
                assert!(before.iter().zip(&got).all(|(b, g)| *b != 1 || *g == 1));
                before = got;
            }
        }
    }

    #[test]
    fn p5_one_hot_key_is_spread_when_loads_are_bounded() {
        for t in all_kinds(10, Some(1.25)).into_iter().take(2) {
            let mut all = of_weights(&[4; 10]);
            for _ in 0..1_000 {
                let i = t.pick(&all[..], 7).unwrap();
                all[i].in_flight += 1;
            }
            let most = all.iter().map(|o| o.in_flight).max().unwrap();
            assert!(most <= 126, "{most}");
        }
    }

    #[test]
    fn nobody_left() {
        for t in all_kinds(3, Some(1.25)) {
            assert_eq!(t.pick(&of_weights(&[0; 3])[..], 7), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn p5_nobody_gets_more_than_the_bound_and_somebody_always_takes_it(
            loads in proptest::collection::vec((0u32..9, 0u32..30), 6),
            hash: u64,
        ) {
            let all: Vec<One> = loads
                .iter()
                .map(|(weight, in_flight)| One { weight: *weight, in_flight: *in_flight, ..One::default() })
                .collect();
            let open: Vec<&One> = all.iter().filter(|o| o.weight > 0).collect();
            let total: u32 = open.iter().map(|o| o.weight).sum();
            let under_way: u32 = 1 + open.iter().map(|o| o.in_flight).sum::<u32>();
            for t in all_kinds(6, Some(1.5)) {
                let got = t.pick(&all[..], hash);
                prop_assert_eq!(got.is_some(), !open.is_empty());
                // Slow start may leave no one with room; then anyone serves.
                let Some(i) = got.filter(|_| all.iter().all(|o| o.weight == 0 || o.weight >= 4)) else { continue };
                let most = 1.5 * f64::from(under_way) * f64::from(all[i].weight) / f64::from(total);
                prop_assert!(f64::from(all[i].in_flight) < most.ceil());
            }
        }
    }
}
