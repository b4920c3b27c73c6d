//! A hash ring (Karger et al. 1997, with many points per server as in ketama): the server of the first
//! point at or after the hash, then of the points after it.
//!
//! Points grow from the servers' names, in number by weight: neither the order of the list nor addresses
//! matter. A change of one server moves no request between two others.

use super::consistent::Server;
use super::mix::{hash_bytes, nth};

/// Points of the heaviest server; shares then differ by about a twelfth.
const POINTS: u64 = 160;

/// The points in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ring {
    /// Where, and the place in the list of servers.
    points: Box<[(u64, u16)]>,
}

impl Ring {
    /// The ring of `servers`, of which there are at most 65,535; those with weight 0 are not on it. `None`
    /// when there is nobody.
    pub fn new(servers: &[Server<'_>]) -> Option<Ring> {
        let heaviest = u64::from(servers.iter().map(|s| s.weight).max()?);
        let mut points = Vec::new();
        for (place, server) in servers.iter().enumerate().filter(|(_, s)| s.weight > 0) {
            let seed = hash_bytes(server.name.as_bytes());
            let count = (u64::from(server.weight) * POINTS).div_ceil(heaviest);
            let place = u16::try_from(place).ok()?;
            points.extend((1..=count).map(|k| (nth(seed, k), place)));
        }
        // Two at one point, once in 2^64, stand in the order of their names.
        points.sort_unstable_by_key(|(at, place)| (*at, servers[usize::from(*place)].name));
        (!points.is_empty()).then(|| Ring {
            points: points.into(),
        })
    }

    /// The server of a hash, then others in the order of the ring in case the ones before cannot take it.
    /// A place may come more than once.
    pub fn places(&self, hash: u64) -> impl Iterator<Item = usize> {
        let start = self.points.partition_point(|(at, _)| *at < hash);
        let (before, from) = self.points.split_at(start);
        from.iter()
            .chain(before)
            .map(|(_, place)| usize::from(*place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::consistent::testing::{moved, named, shares};
    use crate::balance::mix::mix;
    use proptest::prelude::*;

    fn assign(servers: &[Server<'_>]) -> Vec<String> {
        let ring = Ring::new(servers).unwrap();
        (1..=20_000u64)
            .map(|k| ring.places(mix(k)).next().unwrap())
            .map(|i| servers[i].name.to_owned())
            .collect()
    }

    #[test]
    fn p5_ring_shares_follow_weights_roughly() {
        let names = named(4);
        let weights = [4, 2, 2, 0];
        let servers: Vec<Server<'_>> = names
            .iter()
            .zip(weights)
            .map(|(n, w)| Server::new(n, w))
            .collect();
        for (share, weight) in shares(&assign(&servers), &servers).iter().zip(weights) {
            assert!((share - f64::from(weight) / 8.0).abs() < 0.08, "{share}");
        }
    }

    #[test]
    fn p5_ring_moves_one_in_n_and_only_to_or_from_the_changed_server() {
        for n in [2, 5, 20] {
            let names = named(n);
            let servers: Vec<Server<'_>> = names.iter().map(|n| Server::new(n, 1)).collect();
            let (all, without) = (assign(&servers), assign(&servers[1..]));
            let share = moved(&all, &without);
            assert!(share < 1.0 / n as f64 + 0.08, "{n}: {share}");
            let gone = servers[0].name;
            assert!(all.iter().zip(&without).all(|(a, b)| a == b || a == gone));
        }
    }

    #[test]
    fn nobody_on_it() {
        assert_eq!(Ring::new(&[]), None);
        assert_eq!(Ring::new(&[Server::new("a", 0)]), None);
    }

    proptest! {
        #[test]
        fn p5_o6_ring_does_not_heed_the_order_of_the_list(
            weights in proptest::collection::vec(0u32..5, 1..12),
            turn in 0usize..12,
            hash: u64,
        ) {
            prop_assume!(weights.iter().any(|w| *w > 0));
            let names = named(weights.len());
            let servers: Vec<Server<'_>> =
                names.iter().zip(&weights).map(|(n, w)| Server::new(n, *w)).collect();
            let mut turned = servers.clone();
            turned.rotate_left(turn % servers.len());
            turned.reverse();
            let run = |servers: &[Server<'_>]| -> Vec<String> {
                let ring = Ring::new(servers).unwrap();
                ring.places(hash).map(|i| servers[i].name.to_owned()).collect()
            };
            prop_assert_eq!(run(&servers), run(&turned));
        }
    }
}
