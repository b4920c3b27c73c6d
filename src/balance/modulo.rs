//! Plain hashing: the remainder of the sum of weights names the server. Even, small, and a change of the
//! servers moves nearly everybody.

use super::consistent::{PROBES, Server};
use super::mix::nth;

/// Where each server's part ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Modulo {
    /// Running sums of weights.
    ends: Box<[u64]>,
    /// Places in the list of servers, by name.
    places: Box<[u16]>,
}

impl Modulo {
    /// The parts of `servers`, of which there are at most 65,535; those with weight 0 have none. `None`
    /// when there is nobody.
    pub fn new(servers: &[Server<'_>]) -> Option<Modulo> {
        let mut by_name: Vec<(&Server<'_>, u16)> = Vec::new();
        for (place, server) in servers.iter().enumerate().filter(|(_, s)| s.weight > 0) {
            by_name.push((server, u16::try_from(place).ok()?));
        }
        by_name.sort_by_key(|(s, _)| s.name);
        let ends = by_name.iter().scan(0, |sum, (s, _)| {
            *sum += u64::from(s.weight);
            Some(*sum)
        });
        let modulo = Modulo {
            ends: ends.collect(),
            places: by_name.iter().map(|(_, place)| *place).collect(),
        };
        (!modulo.ends.is_empty()).then_some(modulo)
    }

    /// The server of a hash, then others that the hash names in case the ones before cannot take it. A
    /// place may come twice.
    pub fn places(&self, hash: u64) -> impl Iterator<Item = usize> {
        let total = self.ends.last().copied().unwrap_or(1);
        (0..PROBES).map(move |k| {
            let target = nth(hash, k) % total;
            usize::from(self.places[self.ends.partition_point(|end| *end <= target)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::consistent::testing::{named, shares};
    use crate::balance::mix::mix;

    #[test]
    fn p5_modulo_shares_follow_weights_and_the_order_of_the_list_does_not_matter() {
        let names = named(4);
        let weights = [5, 3, 2, 0];
        let servers: Vec<Server<'_>> = names
            .iter()
            .zip(weights)
            .map(|(n, w)| Server::new(n, w))
            .collect();
        let run = |servers: &[Server<'_>]| -> Vec<String> {
            let modulo = Modulo::new(servers).unwrap();
            let first = |k: u64| servers[modulo.places(mix(k)).next().unwrap()].name;
            (1..=20_000).map(|k| first(k).to_owned()).collect()
        };
        let got = run(&servers);
        for (share, weight) in shares(&got, &servers).iter().zip(weights) {
            assert!((share - f64::from(weight) / 10.0).abs() < 0.015, "{share}");
        }
        let turned: Vec<Server<'_>> = servers.iter().rev().copied().collect();
        assert_eq!(run(&turned), got);
        assert_eq!(Modulo::new(&[Server::new("a", 0)]), None);
    }
}
