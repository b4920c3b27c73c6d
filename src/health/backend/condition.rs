//! What is believed of a backend, why, and since when: one value, so that they cannot disagree.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use crate::time::Moment;

/// What is believed of a backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// Serves.
    Up,
    /// Has a monitor that has not said anything yet: serves only while nobody of its upstream is
    /// known to be up.
    Unknown,
    /// Fails its probes.
    Down,
    /// Passes its probes, or has none, but failed requests.
    Ejected,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Standing::Up => "up",
            Standing::Unknown => "unknown",
            Standing::Down => "down",
            Standing::Ejected => "ejected",
        })
    }
}

/// What it rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConditionCause {
    /// The upstream has no monitor.
    Unmonitored,
    /// No probe has ended yet; the configuration says what counts until then.
    NotProbed,
    /// Probes pass.
    Passing,
    /// Probes fail; the last error.
    Failing(Arc<str>),
    /// So many requests failed within the time, the last one in this way.
    Failures {
        /// How many.
        count: u32,
        /// Within how long.
        within: Duration,
        /// How the last one failed.
        last: Fault,
    },
    /// It had just come back from an ejection, and its first request failed.
    Probation(Fault),
    /// It took much longer than its peers.
    Outlier {
        /// Its mean time to the first octet.
        took: Duration,
        /// The median of the others' means.
        peers: Duration,
    },
}

impl fmt::Display for ConditionCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConditionCause::Unmonitored => f.write_str("no monitor"),
            ConditionCause::NotProbed => f.write_str("first probe awaited"),
            ConditionCause::Passing => f.write_str("probes pass"),
            ConditionCause::Failing(error) => write!(f, "probes fail: {error}"),
            ConditionCause::Failures {
                count,
                within,
                last,
            } => write!(
                f,
                "{count} failed requests within {within:?}, the last one with {last}"
            ),
            ConditionCause::Probation(fault) => {
                write!(f, "its first request after an ejection failed with {fault}")
            }
            ConditionCause::Outlier { took, peers } => {
                write!(f, "took {took:?} on average where its peers took {peers:?}")
            }
        }
    }
}

/// A backend's state with its cause, since when it holds, and until when at the latest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// What is believed.
    pub standing: Standing,
    /// Why.
    pub cause: ConditionCause,
    /// Since when.
    pub since: Moment,
    /// When it ends by itself: of an ejection.
    pub until: Option<Moment>,
}
