//! Quantities with their units and ranges, so that no bare integer crosses a module boundary.

use std::fmt;
use std::time::Duration;

/// Time to live of a DNS RRset in seconds, 0 to 2^31-1 (RFC 2181 section 8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ttl(u32);

impl Ttl {
    /// The largest TTL that RFC 2181 section 8 allows.
    pub const MAX: Ttl = Ttl(0x7FFF_FFFF);
    /// Zero: do not cache.
    pub const ZERO: Ttl = Ttl(0);

    /// A TTL of `secs` seconds; larger values than the RFC allows are cut to [`Ttl::MAX`].
    pub const fn from_secs(secs: u32) -> Ttl {
        if secs > Self::MAX.0 {
            Self::MAX
        } else {
            Ttl(secs)
        }
    }

    /// The whole seconds of `d`, rounded down: an answer must not be kept longer than `d`.
    pub fn floor(d: Duration) -> Ttl {
        Ttl(u32::try_from(d.as_secs())
            .unwrap_or(Self::MAX.0)
            .min(Self::MAX.0))
    }

    /// Seconds.
    pub const fn secs(self) -> u32 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}

/// Relative share of an endpoint or pool, 0 to 1,000,000. Zero serves only when every positive
/// weight is gone (requirement F2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Weight(pub u32);

impl Weight {
    /// The largest weight a configuration may state.
    pub const MAX: Weight = Weight(1_000_000);
    /// The default.
    pub const ONE: Weight = Weight(1);
}

impl Default for Weight {
    fn default() -> Self {
        Weight::ONE
    }
}

/// Length of an ECS scope prefix in bits of the option's own family (RFC 7871 section 6), 0 to 128.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ScopeLen(pub u8);

impl fmt::Display for ScopeLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

/// The number of a published view. Only grows within one process (requirement F6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// The next one.
    pub const fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
