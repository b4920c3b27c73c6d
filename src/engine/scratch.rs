//! What a worker carries from query to query, so that answering allocates nothing.

use std::sync::Arc;

use crate::dns::message::NameBuf;
use crate::dnssec::Signer;
use crate::ids::NameId;
use crate::net::Family;
use crate::steer::{Chooser, Draw, Steering};
use crate::telemetry::{DnsCounters, DnsEvent};

use super::transfer::Transfer;

/// A worker's own state: chance, turns, counters.
#[derive(Debug)]
pub struct Scratch {
    rng: u64,
    /// How long connections may idle where this worker serves connections (edns-tcp-keepalive), in
    /// units of 100 milliseconds.
    pub idle_timeout: Option<u16>,
    /// Lent to the answer in the making; made with the first one that is signed.
    signer: Option<Box<Signer>>,
    /// By name, one for each family and one for answers with both: a client that asks for A, AAAA
    /// and HTTPS would else take every third turn of each.
    turns: Vec<[u32; 3]>,
    /// The transfer that the last query began.
    transfer: Option<Box<Transfer>>,
    /// Lent for the name of the question; its old content is never read.
    name: Option<Box<NameBuf>>,
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
            idle_timeout: None,
            signer: None,
            name: None,
            counters,
        }
    }

    /// For signing ahead: the one who paces it bounds it.
    pub(super) fn presigning(counters: Arc<DnsCounters>) -> Scratch {
        let signer = Signer::new(counters.clone()).unbounded();
        Scratch {
            signer: Some(Box::new(signer)),
            ..Scratch::new(1, counters)
        }
    }

    /// Signatures made with this so far.
    pub(super) fn signatures_made(&self) -> u64 {
        self.counters.get(DnsEvent::SignatureMade)
    }

    /// Lends the signer.
    pub(super) fn lend_signer(&mut self) -> Box<Signer> {
        self.signer
            .take()
            .unwrap_or_else(|| Box::new(Signer::new(self.counters.clone())))
    }

    /// Takes the signer back.
    pub(super) fn return_signer(&mut self, signer: Option<Box<Signer>>) {
        if signer.is_some() {
            self.signer = signer;
        }
    }

    /// Room for a name.
    pub(super) fn lend_name(&mut self) -> Box<NameBuf> {
        self.name.take().unwrap_or_default()
    }

    /// Takes the room back.
    pub(super) fn return_name(&mut self, name: Box<NameBuf>) {
        self.name = Some(name);
    }

    /// The chance for the next query to `name` for `family`.
    ///
    /// Turns are counted only for the names that are answered in turn, so that the others' queries
    /// do not read a counter each.
    ///
    /// Random bits come from xorshift64* (Vigna 2016): fast, and good enough to split traffic.
    pub fn draw(&mut self, steering: &Steering, name: NameId, family: Family) -> Draw {
        self.chance(steering, name, family.index())
    }

    /// The chance for the next answer that `name` gives for both families at once.
    pub fn draw_both(&mut self, steering: &Steering, name: NameId) -> Draw {
        self.chance(steering, name, BOTH)
    }

    #[inline]
    fn chance(&mut self, steering: &Steering, name: NameId, of: usize) -> Draw {
        self.rng = step(self.rng);
        if self.turns.len() < steering.names.len() {
            // Once per reload that adds names, and before any name needs it.
            self.turns.resize(steering.names.len(), [0; 3]);
        }
        Draw {
            random: bits(self.rng),
            turn: match steering.chooser_of(name) {
                Chooser::RoundRobin => {
                    let turn = &mut self.turns[name.index()][of];
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

    /// True one time of `n` on average; never for 0. Chance and not turns: nobody can time a flood so
    /// that it takes the turns, or leaves none to others.
    pub fn one_of(&mut self, n: u8) -> bool {
        if n < 2 {
            return n == 1;
        }
        self.rng = step(self.rng);
        (bits(self.rng) >> 32).is_multiple_of(u64::from(n))
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

/// The index of the turns of answers for both families.
const BOTH: usize = 2;

fn step(mut rng: u64) -> u64 {
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^ (rng >> 27)
}

fn bits(rng: u64) -> u64 {
    rng.wrapping_mul(0x2545_F491_4F6C_DD1D)
}
