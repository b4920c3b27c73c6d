//! The real clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::time::{Clock, Moment, Wall};

/// The machine's monotonic clock, counted from the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct RealClock(Instant);

impl RealClock {
    /// Starts counting.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn start() -> RealClock {
        RealClock(Instant::now())
    }
}

impl Clock for RealClock {
    fn now(&self) -> Moment {
        // Moments start at one second, so that "a second ago" exists from the first moment on.
        Moment::ZERO + self.0.elapsed() + std::time::Duration::from_secs(1)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the calendar"
    )]
    fn wall(&self) -> Wall {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        // Before 1970 there is no use in guessing.
        Wall::new(self.now(), unix.unwrap_or_default())
    }
}
