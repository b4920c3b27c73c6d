//! What a worker carries from query to query, so that answering allocates nothing.

use std::sync::Arc;

use crate::ids::NameId;
use crate::net::Family;
use crate::steer::Draw;
use crate::telemetry::DnsCounters;

/// A worker's own state: chance, turns, counters.
#[derive(Debug)]
pub struct Scratch {
    rng: u64,
    /// By name, one for each family: a client that asks for both would else take every other turn
    /// of either.
    turns: Vec<[u32; 2]>,
    /// This worker's counters.
    pub counters: Arc<DnsCounters>,
}

impl Scratch {
    /// Starts with a seed (any value) and room for `names` steered names.
    pub fn new(seed: u64, counters: Arc<DnsCounters>) -> Scratch {
        Scratch {
            rng: seed | 1,
            turns: Vec::new(),
            counters,
        }
    }

    /// The chance for the next query to `name` for `family`, of `names` names in all.
    ///
    /// Random bits come from xorshift64* (Vigna 2016): fast, and good enough to split traffic.
    pub fn draw(&mut self, name: NameId, family: Family, names: usize) -> Draw {
        self.rng = step(self.rng);
        if self.turns.len() < names {
            self.turns.resize(names, [0; 2]); // once per reload that adds names
        }
        let turn = &mut self.turns[name.index()][at(family)];
        *turn = turn.wrapping_add(1);
        Draw {
            random: bits(self.rng),
            turn: *turn,
        }
    }

    /// What [`Scratch::draw`] would say next, without taking it: explaining a name must not move
    /// its clients.
    pub fn peek(&self, name: NameId, family: Family) -> Draw {
        let turn = self.turns.get(name.index()).map_or(0, |t| t[at(family)]);
        Draw {
            random: bits(step(self.rng)),
            turn: turn.wrapping_add(1),
        }
    }
}

fn at(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

fn step(mut rng: u64) -> u64 {
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^ (rng >> 27)
}

fn bits(rng: u64) -> u64 {
    rng.wrapping_mul(0x2545_F491_4F6C_DD1D)
}
