//! What a worker carries from query to query, so that answering allocates nothing.

use std::sync::Arc;

use crate::ids::NameId;
use crate::net::Family;
use crate::steer::{Chooser, Draw, Steering};
use crate::telemetry::DnsCounters;

use super::transfer::Transfer;

/// A worker's own state: chance, turns, counters.
#[derive(Debug)]
pub struct Scratch {
    rng: u64,
    /// By name, one for each family: a client that asks for both would else take every other turn
    /// of either.
    turns: Vec<[u32; 2]>,
    /// The transfer that the last query began.
    transfer: Option<Box<Transfer>>,
    /// This worker's counters.
    pub counters: Arc<DnsCounters>,
}

impl Scratch {
    /// Starts with a seed (any value) and room for `names` steered names.
    pub fn new(seed: u64, counters: Arc<DnsCounters>) -> Scratch {
        Scratch {
            rng: seed | 1,
            turns: Vec::new(),
            transfer: None,
            counters,
        }
    }

    /// The chance for the next query to `name` for `family`.
    ///
    /// Turns are counted only for the names that are answered in turn, so that the others' queries
    /// do not read a counter each.
    ///
    /// Random bits come from xorshift64* (Vigna 2016): fast, and good enough to split traffic.
    pub fn draw(&mut self, steering: &Steering, name: NameId, family: Family) -> Draw {
        self.rng = step(self.rng);
        if self.turns.len() < steering.names.len() {
            // Once per reload that adds names, and before any name needs it.
            self.turns.resize(steering.names.len(), [0; 2]);
        }
        Draw {
            random: bits(self.rng),
            turn: match steering.chooser_of(name) {
                Chooser::RoundRobin => {
                    let turn = &mut self.turns[name.index()][family.index()];
                    *turn = turn.wrapping_add(1);
                    *turn
                }
                Chooser::Weighted | Chooser::Random | Chooser::Sticky { .. } => 1,
            },
        }
    }

    pub(super) fn set_transfer(&mut self, transfer: Box<Transfer>) {
        self.transfer = Some(transfer);
    }

    /// The transfer of a query that was answered with [`super::Reply::Transfer`]; it is gone with the
    /// next one.
    pub fn take_transfer(&mut self) -> Option<Box<Transfer>> {
        self.transfer.take()
    }

    /// What [`Scratch::draw`] would say next, without taking it: explaining a name must not move
    /// its clients.
    pub fn peek(&self, name: NameId, family: Family) -> Draw {
        let turn = self
            .turns
            .get(name.index())
            .map_or(0, |t| t[family.index()]);
        Draw {
            random: bits(step(self.rng)),
            turn: turn.wrapping_add(1),
        }
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
