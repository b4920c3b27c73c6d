//! What vantages tell each other, in this system's own types. The fleet carries it; nothing here knows
//! how.

use std::sync::Arc;
use std::time::Duration;

use super::vote::{CheckKey, Vote};

/// What another node told of itself as a vantage.
#[derive(Clone, PartialEq, Debug)]
pub struct Testimony {
    /// The node, by its name in the configuration.
    pub vantage: Arc<str>,
    /// What it says.
    pub says: Says,
}

/// One thing a vantage says.
#[derive(Clone, PartialEq, Debug)]
pub enum Says {
    /// Its votes in one chunk; they replace what that chunk said before. A check that no chunk speaks
    /// of is not known, which is never "down".
    Votes {
        /// Which chunk.
        chunk: u16,
        /// The votes.
        votes: Arc<[(CheckKey, Vote)]>,
    },
    /// Its smoothed round-trip times in one chunk; they replace what that chunk said before.
    Rtts {
        /// Which chunk.
        chunk: u16,
        /// The times.
        rtts: Arc<[(CheckKey, Duration)]>,
    },
    /// It lives and its prober runs: sent every two seconds, and the only thing freshness rests on.
    Alive {
        /// It fails its own reference targets, or is late itself: it does not vote.
        blind: bool,
    },
    /// It stops on purpose.
    Leaving,
}

/// What this node tells as a vantage.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OwnWord {
    /// A vote for every check it makes, sorted by key.
    pub votes: Vec<(CheckKey, Vote)>,
    /// Smoothed round-trip times, sorted by key.
    pub rtts: Vec<(CheckKey, Duration)>,
    /// It does not vote now.
    pub blind: bool,
}
