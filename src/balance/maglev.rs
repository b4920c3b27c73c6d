//! Maglev hashing (Eisenbud et al. 2016, section 3.4): a table in which each server fills its part of the
//! slots, found with one remainder.
//!
//! Each server walks over the slots in an order of its own, grown from its name, and takes the next free
//! one whenever it is its turn; a server of half the weight has half as many turns. Only names and
//! weights matter: neither the order of the list nor addresses do.

use super::consistent::{PROBES, Server};
use super::mix::{hash_bytes, mix, nth};

/// Slots, a prime; for so many servers that each has a hundred slots on average, as the paper asks.
const SLOTS: usize = 65_537;

/// Slots for more.
const MANY_SLOTS: usize = 655_373;

/// The servers that the smaller table is for.
const FEW: usize = 655;

/// Places in the list of servers, by slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Maglev {
    slots: Box<[u16]>,
}

impl Maglev {
    /// The table of `servers`, of which there are at most 65,535; those with weight 0 are not in it.
    /// `None` when there is nobody.
    pub fn new(servers: &[Server<'_>]) -> Option<Maglev> {
        Maglev::of_size(
            servers,
            if servers.len() > FEW {
                MANY_SLOTS
            } else {
                SLOTS
            },
        )
    }

    fn of_size(servers: &[Server<'_>], size: usize) -> Option<Maglev> {
        let mut filling: Vec<Filling<'_>> = servers
            .iter()
            .enumerate()
            .filter(|(_, s)| s.weight > 0)
            .filter_map(|(i, s)| Some(Filling::new(u16::try_from(i).ok()?, s, size)))
            .collect();
        filling.sort_by_key(|f| f.name);
        let heaviest = filling.iter().map(|f| f.weight).max()?;
        let mut slots = vec![None; size];
        let mut free = size;
        while free > 0 {
            for f in &mut filling {
                f.due += f.weight;
                if f.due < heaviest || free == 0 {
                    continue;
                }
                f.due -= heaviest;
                let slot = f.next_free(&slots);
                slots[slot] = Some(f.place);
                free -= 1;
            }
        }
        Some(Maglev {
            slots: slots.into_iter().flatten().collect(),
        })
    }

    /// The server of a hash, then others that the hash names in case the ones before cannot take it. A
    /// place may come twice.
    pub fn places(&self, hash: u64) -> impl Iterator<Item = usize> {
        let size = self.slots.len() as u64;
        (0..PROBES).map(move |k| usize::from(self.slots[(nth(hash, k) % size) as usize]))
    }
}

/// A server while the table is filled.
struct Filling<'a> {
    place: u16,
    name: &'a str,
    weight: u64,
    /// Weight that has added up since its last turn.
    due: u64,
    slot: usize,
    skip: usize,
}

impl Filling<'_> {
    fn new<'a>(place: u16, server: &Server<'a>, size: usize) -> Filling<'a> {
        let hash = hash_bytes(server.name.as_bytes());
        let size = size as u64;
        Filling {
            place,
            name: server.name,
            weight: u64::from(server.weight),
            due: 0,
            slot: (hash % size) as usize,
            skip: (mix(hash ^ 0x736b_6970) % (size - 1) + 1) as usize,
        }
    }

    /// The next slot of its order that nobody has.
    fn next_free(&mut self, slots: &[Option<u16>]) -> usize {
        loop {
            let slot = self.slot;
            self.slot = (slot + self.skip) % slots.len();
            if slots[slot].is_none() {
                return slot;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::consistent::testing::{moved, named, shares};
    use proptest::prelude::*;

    fn assign(servers: &[Server<'_>]) -> Vec<String> {
        let table = Maglev::new(servers).unwrap();
        (1..=20_000u64)
            .map(|k| table.places(mix(k)).next().unwrap())
            .map(|i| servers[i].name.to_owned())
            .collect()
    }

    #[test]
    fn p5_maglev_slots_are_even_and_follow_weights() {
        let names = named(10);
        let servers: Vec<Server<'_>> = names.iter().map(|n| Server::new(n, 7)).collect();
        let table = Maglev::new(&servers).unwrap();
        for i in 0..10u16 {
            let count = table.slots.iter().filter(|s| **s == i).count();
            // The paper: turns differ by at most one.
            assert!((6_553..=6_554).contains(&count), "{i}: {count}");
        }
        let weights = [5, 3, 2, 0];
        let servers: Vec<Server<'_>> = names
            .iter()
            .zip(weights)
            .map(|(n, w)| Server::new(n, w))
            .collect();
        for (share, weight) in shares(&assign(&servers), &servers).iter().zip(weights) {
            assert!((share - f64::from(weight) / 10.0).abs() < 0.015, "{share}");
        }
    }

    #[test]
    fn p5_maglev_moves_little_more_than_one_in_n() {
        for n in [2, 5, 20, 100] {
            let names = named(n);
            let servers: Vec<Server<'_>> = names.iter().map(|n| Server::new(n, 1)).collect();
            let share = moved(&assign(&servers), &assign(&servers[1..]));
            assert!(share < 1.0 / n as f64 + 0.05, "{n}: {share}");
        }
    }

    /// A hundred percent more weight of one of four moves what it gains, from 1/4 to 2/5, and little else.
    #[test]
    fn p5_maglev_weight_change_moves_what_is_gained() {
        let names = named(4);
        let mut servers: Vec<Server<'_>> = names.iter().map(|n| Server::new(n, 1)).collect();
        let before = assign(&servers);
        servers[2].weight = 2;
        let share = moved(&before, &assign(&servers));
        assert!((0.14..0.35).contains(&share), "{share}");
    }

    #[test]
    fn p5_maglev_table_of_thousands() {
        let names = named(2_000);
        let servers: Vec<Server<'_>> = names.iter().map(|n| Server::new(n, 1)).collect();
        let table = Maglev::new(&servers).unwrap();
        let mut count = vec![0u32; servers.len()];
        table.slots.iter().for_each(|s| count[usize::from(*s)] += 1);
        assert!(count.iter().all(|c| (327..=328).contains(c)));
    }

    #[test]
    fn nobody_to_fill_it() {
        assert_eq!(Maglev::new(&[]), None);
        assert_eq!(Maglev::new(&[Server::new("a", 0)]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn p5_o6_maglev_does_not_heed_the_order_of_the_list(
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
                let table = Maglev::of_size(servers, 5_003).unwrap();
                table.places(hash).map(|i| servers[i].name.to_owned()).collect()
            };
            prop_assert_eq!(run(&servers), run(&turned));
        }
    }
}
