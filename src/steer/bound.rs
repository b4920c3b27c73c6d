//! What bounds the TTL of an answer (requirement T1), in words and by rule.

use std::fmt;

use crate::units::Ttl;

/// Why an answer has the TTL that it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TtlBound {
    /// Only a trace that was given the view's inputs knows.
    Untold,
    /// An override that ends by itself takes part: the smallest TTL (requirement T3).
    EndingOverride,
    /// An override ends before the TTL would be over.
    OverrideEnd,
    /// The order by round-trip time may be about to change: the smallest TTL.
    OrderMoves {
        /// The smallest.
        min: Ttl,
    },
    /// The order by round-trip time stands for so long.
    OrderStands {
        /// Seconds.
        secs: u32,
        /// The smallest.
        min: Ttl,
        /// The largest.
        max: Ttl,
    },
    /// No probe can change the answer: the largest TTL.
    Nothing {
        /// The largest.
        max: Ttl,
    },
    /// A probe may change the answer.
    Probe {
        /// Of this endpoint, where one is known.
        endpoint: Option<String>,
        /// In so many seconds at the earliest.
        secs: u32,
        /// The smallest.
        min: Ttl,
        /// The largest.
        max: Ttl,
    },
    /// An endpoint that fails its checks is kept in: the smallest TTL.
    KeptIn,
    /// An answer that is less than normal: the smallest TTL.
    Lesser(&'static str),
}

impl TtlBound {
    /// The rule in one word, for programs.
    pub fn rule(&self) -> &'static str {
        match self {
            TtlBound::Untold => "untold",
            TtlBound::EndingOverride => "ending-override",
            TtlBound::OverrideEnd => "override-end",
            TtlBound::OrderMoves { .. } => "rtt-moving",
            TtlBound::OrderStands { .. } => "rtt-order",
            TtlBound::Nothing { .. } => "nothing-changes",
            TtlBound::Probe { .. } => "probe",
            TtlBound::KeptIn => "kept-in",
            TtlBound::Lesser(_) => "less-than-normal",
        }
    }

    /// Seconds from any moment on during which nothing of the kind can change the answer, before the
    /// name's bounds are put on them; `None` where no such time is known or there is none.
    pub fn steady_secs(&self) -> Option<u32> {
        match self {
            TtlBound::OrderMoves { .. } => Some(0),
            TtlBound::OrderStands { secs, .. } | TtlBound::Probe { secs, .. } => Some(*secs),
            _ => None,
        }
    }

    /// The endpoint whose probe comes first.
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            TtlBound::Probe { endpoint, .. } => endpoint.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for TtlBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TtlBound::Untold => f.write_str("as resolved for the view"),
            TtlBound::EndingOverride => {
                f.write_str("an override with an end takes part: the smallest")
            }
            TtlBound::OverrideEnd => f.write_str("the end of an override"),
            TtlBound::OrderMoves { min } => write!(
                f,
                "the order by round-trip time may be about to change: the smallest, {min}"
            ),
            TtlBound::OrderStands { secs, min, max } => write!(
                f,
                "no change of the order by round-trip time within {secs} s, within {min} to {max}"
            ),
            TtlBound::Nothing { max } => {
                write!(f, "no probe can change the answer: the largest, {max}")
            }
            TtlBound::Probe {
                endpoint,
                secs,
                min,
                max,
            } => {
                let who = endpoint.as_deref().unwrap_or("a probe");
                write!(
                    f,
                    "a probe of {who} may change the answer in {secs} s, within {min} to {max}"
                )
            }
            TtlBound::KeptIn => f.write_str("an endpoint that fails is kept in: the smallest"),
            TtlBound::Lesser(what) => write!(f, "{what} gets the smallest"),
        }
    }
}
