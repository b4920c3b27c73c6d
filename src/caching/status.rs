//! The `Cache-Status` field (RFC 9211): what this cache did with a request.

use std::fmt;
use std::time::Duration;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A stored response answered.
    Hit {
        /// For how long it is still fresh; negative: since when it is stale.
        ttl: Ttl,
    },
    /// The request was forwarded.
    Forward {
        /// Why.
        why: Why,
        /// Whether the response was stored.
        stored: bool,
        /// Whether another request's response answered this one.
        collapsed: bool,
    },
}

/// Seconds for which something is still fresh; negative ones since when it is stale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ttl(pub i64);

impl Ttl {
    /// What remains of a lifetime at an age.
    pub fn remaining(lifetime: Duration, age: Duration) -> Ttl {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        Ttl(seconds(lifetime).saturating_sub(seconds(age)))
    }
}

/// Why a request was forwarded (RFC 9211 section 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The cache is not to be used for it.
    Bypass,
    /// Its method is not served from the cache.
    Method,
    /// Nothing is stored under its URL.
    UriMiss,
    /// What is stored under its URL does not fit its fields.
    VaryMiss,
    /// What is stored is fresh, but the request wants the origin's word.
    Request,
    /// What is stored is stale.
    Stale,
}

impl Why {
    /// As the field writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Bypass => "bypass",
            Why::Method => "method",
            Why::UriMiss => "uri-miss",
            Why::VaryMiss => "vary-miss",
            Why::Request => "request",
            Why::Stale => "stale",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Hit { ttl } => write!(f, "tradewind; hit; ttl={}", ttl.0),
            Outcome::Forward {
                why,
                stored,
                collapsed,
            } => {
                write!(f, "tradewind; fwd={}", why.as_str())?;
                f.write_str(if *stored { "; stored" } else { "" })?;
                f.write_str(if *collapsed { "; collapsed" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9211_2_as_the_field_writes_it() {
        let secs = Duration::from_secs;
        let hit = |lifetime, age| Outcome::Hit {
            ttl: Ttl::remaining(secs(lifetime), secs(age)),
        };
        assert_eq!(hit(60, 10).to_string(), "tradewind; hit; ttl=50");
        assert_eq!(hit(60, 70).to_string(), "tradewind; hit; ttl=-10");
        let forward = |stored, collapsed| Outcome::Forward {
            why: Why::UriMiss,
            stored,
            collapsed,
        };
        assert_eq!(forward(false, false).to_string(), "tradewind; fwd=uri-miss");
        assert_eq!(
            forward(true, true).to_string(),
            "tradewind; fwd=uri-miss; stored; collapsed"
        );
    }
}
