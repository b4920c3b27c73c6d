//! What a drill was, did and showed: the same facts for people, for programs and while it runs.

use std::sync::Arc;
use std::time::Duration;

use super::answers::Answers;
use super::charter::Charter;
use super::course::{Phase, State, Step};
use super::shift::Moved;

/// A rule that was looked at before a drill began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// Its name: `one-region`.
    pub rule: String,
    /// Whether it held.
    pub holds: bool,
    /// What it asks and what there was, with both numbers.
    pub text: String,
}

/// Something that happened on the way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Note {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// The node that says so.
    pub node: Arc<str>,
    /// What.
    pub text: String,
}

/// The view of a node that first had a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// Its number.
    pub generation: u64,
    /// When it was published, in milliseconds since 1970-01-01T00:00:00Z by that node's calendar.
    pub at_ms: u64,
}

/// What a node says of the drill's beginning and end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Propagation {
    /// The node.
    pub node: Arc<str>,
    /// Its first view with the drill.
    pub begun: Option<Applied>,
    /// Its first view without it.
    pub over: Option<Applied>,
}

/// The worst-case failover time of the name where it is longest (requirement O11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Promise {
    /// The name.
    pub name: String,
    /// Probing.
    pub detection: Duration,
    /// Until answers obey.
    pub publish: Duration,
    /// Caches.
    pub ttl: Duration,
}

/// What proxies saw of the traffic.
#[derive(Clone, PartialEq, Debug)]
pub struct Traffic {
    /// The nodes whose proxies carried it.
    pub nodes: Vec<String>,
    /// Arrivals in a second before the drill: connections, sessions and requests.
    pub before: f64,
    /// When it had moved away; `None`: too little of it to tell.
    pub away: Option<Moved>,
    /// When it had come back; `None`: too little of it to tell, or the drill is not over.
    pub back: Option<Moved>,
}

/// A drill as it is now.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What was wanted.
    pub charter: Charter,
    /// Where it stands.
    pub state: State,
    /// By whom, where and when each phase was entered.
    pub steps: Vec<(Phase, Step)>,
    /// The node that drives it, or drove it last.
    pub driver: Option<Arc<str>>,
    /// What happened on the way, earliest first.
    pub notes: Vec<Note>,
    /// The rules looked at before it began.
    pub checks: Vec<Check>,
    /// The steered names that it is about, the first few, and how many there are.
    pub names: (Vec<String>, usize),
    /// When nodes obeyed.
    pub nodes: Vec<Propagation>,
    /// What is promised.
    pub promise: Option<Promise>,
    /// What the traffic of proxies did.
    pub traffic: Option<Traffic>,
    /// What DNS answers did.
    pub answers: Answers,
    /// The time of this report, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: u64,
}

impl Report {
    /// When a phase was entered.
    pub fn entered(&self, phase: Phase) -> Option<u64> {
        let mut steps = self.steps.iter();
        steps.find(|(p, _)| *p == phase).map(|(_, s)| s.at_ms)
    }

    /// When it ended, said or by its time.
    pub fn ended_ms(&self) -> Option<u64> {
        let said = self.entered(Phase::Ended);
        said.or_else(|| self.state.end().map(|_| self.charter.ends_ms))
    }

    /// The time from the order to the last node's view, in milliseconds, and how many nodes tell; first
    /// of the beginning, then of the end.
    pub fn spread_ms(&self) -> [Option<(u64, usize)>; 2] {
        let of = |from: Option<u64>, at: &dyn Fn(&Propagation) -> Option<Applied>| {
            let from = from?;
            let all = self.nodes.iter().filter_map(at);
            let late: Vec<u64> = all.map(|a| a.at_ms.saturating_sub(from)).collect();
            Some((*late.iter().max()?, late.len()))
        };
        [
            of(self.entered(Phase::Running), &|p| p.begun),
            of(self.ended_ms(), &|p| p.over),
        ]
    }
}
