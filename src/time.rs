//! Time as an argument.
//!
//! Pure code never reads a clock: it is handed a [`Moment`]. Only `app` makes the real [`Clock`];
//! tests use [`SimClock`].

pub mod utc;
pub mod when;

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point on the monotonic clock of this process: nanoseconds since an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The start of the clock.
    pub const ZERO: Moment = Moment(0);

    /// Time passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time left until `later`; zero when it has passed.
    pub fn until(self, later: Moment) -> Duration {
        later.since(self)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;
    fn add(self, d: Duration) -> Moment {
        Moment(
            self.0
                .saturating_add(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;
    fn sub(self, d: Duration) -> Moment {
        Moment(
            self.0
                .saturating_sub(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Where the monotonic clock stands on the calendar: turns a [`Moment`] into Unix time.
///
/// Taken anew with each view that is published, so a step of the machine's clock is followed within
/// seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wall {
    /// Nanoseconds since 1970-01-01T00:00:00Z at [`Moment::ZERO`].
    unix_at_zero: i128,
}

impl Wall {
    /// The wall on which `now` is so long after 1970-01-01T00:00:00Z.
    pub fn new(now: Moment, unix: Duration) -> Wall {
        Wall {
            unix_at_zero: unix.as_nanos().cast_signed() - i128::from(now.0),
        }
    }

    /// Seconds since 1970-01-01T00:00:00Z at a moment; 0 before that.
    pub fn unix(self, at: Moment) -> u64 {
        // 64 bits hold the nanoseconds until the year 2554, and divide much faster than 128.
        u64::try_from(self.unix_at_zero + i128::from(at.0)).map_or(0, |ns| ns / 1_000_000_000)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z at a moment; 0 before that.
    pub fn unix_ms(self, at: Moment) -> u64 {
        u64::try_from(self.unix_at_zero + i128::from(at.0)).map_or(0, |ns| ns / 1_000_000)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z at a moment; 0 before that.
    pub fn unix_ns(self, at: Moment) -> u64 {
        u64::try_from(self.unix_at_zero + i128::from(at.0)).unwrap_or(0)
    }

    /// The moment so many milliseconds after 1970-01-01T00:00:00Z; what was before this process
    /// began is [`Moment::ZERO`].
    pub fn moment(self, unix_ms: u64) -> Moment {
        let ns = i128::from(unix_ms) * 1_000_000 - self.unix_at_zero;
        Moment(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
    }
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Moment;

    /// The calendar.
    fn wall(&self) -> Wall;
}

/// A clock that a test moves by hand.
#[derive(Debug, Default)]
pub struct SimClock(AtomicU64);

impl SimClock {
    /// Moves the clock forward.
    pub fn advance(&self, d: Duration) {
        self.0.fetch_add(
            u64::try_from(d.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    /// Starts at 2026-01-01T00:00:00Z.
    fn wall(&self) -> Wall {
        Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600))
    }
}
