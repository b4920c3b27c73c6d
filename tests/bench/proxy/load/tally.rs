//! What a run came to.

use std::time::{Duration, Instant};

#[derive(Default)]
pub(crate) struct Tally {
    micros: Vec<u32>,
    pub(crate) failed: usize,
}

impl Tally {
    pub(crate) fn answered(&mut self, due: Instant) {
        let took = due.elapsed().as_micros();
        self.micros.push(u32::try_from(took).unwrap_or(u32::MAX));
    }

    pub(crate) fn clear(&mut self) {
        self.micros.clear();
        self.failed = 0;
    }

    pub(crate) fn answers(&self) -> usize {
        self.micros.len()
    }

    /// Answers per second of this time.
    pub(crate) fn rate(&self, wall: Duration) -> f64 {
        self.answers() as f64 / wall.as_secs_f64()
    }

    /// Within how many microseconds half of the answers came, 99 of 100, and all.
    pub(crate) fn quantiles(&mut self) -> (u32, u32, u32) {
        self.micros.sort_unstable();
        let at = |percent: usize| {
            let at = self.micros.len() * percent / 100;
            let last = self.micros.len().checked_sub(1);
            last.map_or(0, |last| self.micros[at.min(last)])
        };
        (at(50), at(99), at(100))
    }
}
