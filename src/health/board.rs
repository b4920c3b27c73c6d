//! The board: every endpoint's verdict at one moment, immutable.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::council::Worth;
use super::vote::Vote;
use crate::chunked::Chunked;
use crate::ids::EndpointId;
use crate::time::Moment;

/// What is believed of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Passes its checks, or has none.
    Up,
    /// Fails them.
    Down,
    /// Not yet known; counts as up once `counts_as_up`, when the bounded wait of requirement H1 is over.
    Unknown {
        /// Whether the wait is over.
        counts_as_up: bool,
    },
}

impl State {
    /// Whether clients may be sent here as far as health goes.
    pub fn serves(self) -> bool {
        matches!(self, State::Up | State::Unknown { counts_as_up: true })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Up => "up",
            State::Down => "down",
            State::Unknown { counts_as_up: true } => "unknown (counts as up)",
            State::Unknown {
                counts_as_up: false,
            } => "unknown (first probe awaited)",
        })
    }
}

/// What a verdict rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The endpoint's pool has no monitor.
    Unmonitored,
    /// No probe has ended yet.
    NotProbed,
    /// Probes passed.
    Passing,
    /// Probes failed; the last error.
    Failing(Arc<str>),
}

/// Why an endpoint is published otherwise than votes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Votes say it is down, but too much of a name would go at once (requirement F4).
    Brake,
    /// Votes say it is down, but its monitor fails on all endpoints of a name: the check is suspect
    /// (requirement H5).
    Suspect,
    /// It passes again; its pool holds it back until then (requirement F9).
    Hold {
        /// The end, while it keeps passing.
        until: Moment,
    },
    /// It passes again; it came and went several times lately and waits until then.
    Flapping {
        /// The end, while it keeps passing.
        until: Moment,
    },
    /// It passes again; its pool wants an operator's word.
    Manual,
    /// It is a VIP, and none of its proxies has said that it listens there (requirement P7).
    NotServed,
}

impl Guard {
    /// Whether it keeps an endpoint in that fails its checks.
    pub fn keeps_in(self) -> bool {
        matches!(self, Guard::Brake | Guard::Suspect)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guard::Brake => "held by brake: too much would go at once",
            Guard::Suspect => "its monitor fails on every member: the check is suspect",
            Guard::Hold { .. } => "passes again; held back by `failback`",
            Guard::Flapping { .. } => "passes again; held back because it flaps",
            Guard::Manual => "passes again; waits for an operator's `failback`",
            Guard::NotServed => {
                "not served yet: none of the VIP's proxies has said that it listens there"
            }
        })
    }
}

/// An endpoint's health with its cause and validity: they travel together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What is believed.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// Since when `state` holds.
    pub since: Moment,
    /// No probe result can change `state` earlier than this from any moment on; `None`: none can at
    /// all. Bounds the TTL (requirement T1).
    pub steady_for: Option<Duration>,
    /// Accumulated failures while up.
    pub failures: u32,
    /// Consecutive passes while down.
    pub passes: u32,
    /// When the last probe ended.
    pub last_probe: Option<Moment>,
    /// The last failure, also when the endpoint is up.
    pub last_error: Option<Arc<str>>,
    /// Nobody who could say otherwise has a vote: this is what was believed last (requirement H4).
    pub stale: bool,
    /// Why `state` is not what votes say.
    pub held: Option<Guard>,
    /// Percent of its clients that it gets: less than 100 while it is let in by steps.
    pub share: u8,
    /// Votes by [`crate::ids::VantageId`], `None` where a vantage never said anything; absent where
    /// this node's own word is the verdict.
    pub votes: Option<Arc<[Option<Vote>]>>,
}

impl Verdict {
    /// The verdict on an endpoint without monitor: up for good.
    pub fn unmonitored() -> Verdict {
        Verdict {
            state: State::Up,
            cause: Cause::Unmonitored,
            since: Moment::ZERO,
            steady_for: None,
            failures: 0,
            passes: 0,
            last_probe: None,
            last_error: None,
            stale: false,
            held: None,
            share: 100,
            votes: None,
        }
    }
}

/// A vantage as the board saw it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VantageNow {
    /// What its word is worth.
    pub worth: Worth,
    /// When it last gave a sign of life; `None`: never, or it is this node.
    pub alive: Option<Moment>,
}

/// All verdicts, by endpoint. Boards that follow each other share what did not change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Board {
    verdicts: Chunked<Verdict>,
    /// By [`crate::ids::VantageId`]; empty where this node's own word is the verdict.
    vantages: Arc<[VantageNow]>,
}

impl Board {
    /// The board of these verdicts, in endpoint order.
    pub fn new(verdicts: Vec<Verdict>) -> Board {
        verdicts.into_iter().collect()
    }

    /// Puts another verdict in the place of the one on `endpoint`.
    pub(super) fn set(&mut self, endpoint: EndpointId, verdict: Verdict) {
        self.verdicts.set(endpoint.index(), verdict);
    }

    /// Says who the vantages are now.
    pub fn set_vantages(&mut self, vantages: Arc<[VantageNow]>) {
        self.vantages = vantages;
    }

    /// The vantages, by [`crate::ids::VantageId`]; empty where this node's own word is the verdict.
    pub fn vantages(&self) -> &[VantageNow] {
        &self.vantages
    }

    /// The endpoints whose verdicts on two boards of one snapshot differ by `eq`, ascending; quick
    /// where the boards share what did not change.
    pub fn differing<'b>(
        &'b self,
        other: &'b Board,
        eq: impl Fn(&Verdict, &Verdict) -> bool + 'b,
    ) -> impl Iterator<Item = EndpointId> + 'b {
        self.verdicts
            .differing(&other.verdicts, eq)
            .map(EndpointId::from_index)
    }

    /// The verdict on `endpoint`.
    ///
    /// # Panics
    /// When the board was made for another snapshot; a [`crate::snapshot::View`] never mixes them.
    pub fn verdict(&self, endpoint: EndpointId) -> &Verdict {
        self.verdicts
            .get(endpoint.index())
            .expect("a board for this snapshot")
    }

    /// All verdicts with their endpoints.
    pub fn iter(&self) -> impl Iterator<Item = (EndpointId, &Verdict)> {
        self.verdicts
            .iter()
            .enumerate()
            .map(|(i, v)| (EndpointId::from_index(i), v))
    }

    /// Number of endpoints.
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// Whether there are no endpoints.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }
}

impl FromIterator<Verdict> for Board {
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Board {
        Board {
            verdicts: verdicts.into_iter().collect(),
            vantages: Arc::default(),
        }
    }
}
