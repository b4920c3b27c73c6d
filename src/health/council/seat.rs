//! A vantage's seat: what it said last, and what its word is worth now.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::time::Moment;

use super::super::vote::{CheckKey, Opinion, Vote};
use super::rules::{EXPIRED, FRESH};

/// What the word of a vantage is worth at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worth {
    /// All of it.
    Valid,
    /// A sign of life is overdue: only what it says is up. That it could not tell of a change for
    /// the worse is no reason to take anything out.
    OnlyUp,
    /// Nothing: no sign of life for too long. Expiry is not "down" (requirement H3).
    Expired,
    /// Nothing: it fails its own reference targets, or runs late itself.
    Blind,
    /// Nothing: it never said anything, or stopped on purpose.
    Absent,
}

impl Worth {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Worth::Valid => "valid",
            Worth::OnlyUp => "overdue: only \"up\" counts",
            Worth::Expired => "expired",
            Worth::Blind => "blind",
            Worth::Absent => "absent",
        }
    }
}

/// One vote as it was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Heard {
    vote: Vote,
    /// The chunk that told it last: when a check moves to another chunk, the old one's silence about
    /// it does not take it away.
    chunk: u16,
}

/// The seat of another node's prober.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat {
    /// What it said, chunk by chunk, also of checks that this configuration does not have.
    chunks: HashMap<u16, Arc<[(CheckKey, Vote)]>>,
    /// By target.
    heard: Vec<Option<Heard>>,
    alive: Option<Moment>,
    blind: bool,
    worth: Option<Worth>,
}

impl Seat {
    /// Takes in a chunk of votes; `changed` is told of each target whose vote is another now.
    pub(super) fn votes(
        &mut self,
        chunk: u16,
        votes: &Arc<[(CheckKey, Vote)]>,
        targets: &HashMap<CheckKey, u32>,
        mut changed: impl FnMut(u32),
    ) {
        let old = self.chunks.insert(chunk, votes.clone());
        for (key, vote) in votes.iter() {
            let Some(target) = targets.get(key) else {
                continue;
            };
            let heard = &mut self.heard[*target as usize];
            if heard.map(|h| h.vote) != Some(*vote) {
                changed(*target);
            }
            *heard = Some(Heard { vote: *vote, chunk });
        }
        // Of what the chunk no longer speaks nothing is known.
        let told: HashSet<CheckKey> = votes.iter().map(|(key, _)| *key).collect();
        for (key, _) in old.iter().flat_map(|o| o.iter()) {
            let Some(target) = targets.get(key) else {
                continue;
            };
            let heard = &mut self.heard[*target as usize];
            if !told.contains(key) && heard.is_some_and(|h| h.chunk == chunk) {
                *heard = None;
                changed(*target);
            }
        }
    }

    /// A sign of life.
    pub(super) fn alive(&mut self, blind: bool, now: Moment) {
        self.alive = Some(now);
        self.blind = blind;
    }

    /// It stops on purpose: its votes are not waited for.
    pub(super) fn leaves(&mut self) {
        self.alive = None;
    }

    /// Goes over to other targets: what was said of them in chunks already counts.
    pub(super) fn adopt(&mut self, targets: &HashMap<CheckKey, u32>, count: usize) {
        self.heard.clear();
        self.heard.resize(count, None);
        for (chunk, votes) in &self.chunks {
            for (key, vote) in votes.iter() {
                if let Some(target) = targets.get(key) {
                    self.heard[*target as usize] = Some(Heard {
                        vote: *vote,
                        chunk: *chunk,
                    });
                }
            }
        }
    }

    /// Finds out what its word is worth at `now`; whether that changed.
    pub(super) fn weigh(&mut self, now: Moment) -> bool {
        let worth = match self.alive {
            None => Worth::Absent,
            Some(at) if now.since(at) > EXPIRED => Worth::Expired,
            Some(_) if self.blind => Worth::Blind,
            Some(at) if now.since(at) > FRESH => Worth::OnlyUp,
            Some(_) => Worth::Valid,
        };
        self.worth.replace(worth) != Some(worth)
    }

    /// When its worth changes by itself.
    pub(super) fn due(&self) -> Option<Moment> {
        let step = std::time::Duration::from_nanos(1);
        let at = self.alive?;
        match self.worth() {
            Worth::Valid => Some(at + FRESH + step),
            Worth::OnlyUp | Worth::Blind => Some(at + EXPIRED + step),
            Worth::Expired | Worth::Absent => None,
        }
    }

    /// What its word is worth, as of the last [`Seat::weigh`].
    pub(super) fn worth(&self) -> Worth {
        self.worth.unwrap_or(Worth::Absent)
    }

    /// What it said last of `target`.
    pub(super) fn vote(&self, target: usize) -> Option<Vote> {
        self.heard.get(target).copied().flatten().map(|h| h.vote)
    }

    /// When it last gave a sign of life.
    pub(super) fn last_alive(&self) -> Option<Moment> {
        self.alive
    }
}

/// What counts of a vote: an opinion that is worth something.
pub fn counts(vote: Option<Vote>, worth: Worth) -> Option<bool> {
    match (worth, vote?.opinion) {
        (Worth::Valid | Worth::OnlyUp, Opinion::Up) => Some(true),
        (Worth::Valid, Opinion::Down(_)) => Some(false),
        _ => None,
    }
}
