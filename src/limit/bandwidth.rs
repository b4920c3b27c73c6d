//! Octets per second of one stream.

use std::time::Duration;

use crate::time::Moment;

/// A stream that sends so many octets per second, and a tenth of a second's worth at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    per_second: u64,
    /// When all that was sent is paid for.
    paid_at: Moment,
}

/// What may be sent at once, as time.
const BURST: Duration = Duration::from_millis(100);

/// Octets sent in one piece, at least: smaller ones cost more than they smooth.
const LEAST: u64 = 1024;

impl Pace {
    /// Nothing has been sent. `per_second` is at least 1.
    pub fn new(per_second: u64) -> Pace {
        Pace {
            per_second: per_second.max(1),
            paid_at: Moment::ZERO,
        }
    }

    /// Octets to send in one piece, at most.
    pub fn piece(&self) -> usize {
        let tenth = self.per_second / 10;
        usize::try_from(tenth.clamp(LEAST, 1 << 20)).unwrap_or(usize::MAX)
    }

    /// How long to wait before the next piece; zero: it may be sent now.
    pub fn wait(&self, now: Moment) -> Duration {
        now.until(self.paid_at).saturating_sub(BURST)
    }

    /// Counts what is sent.
    pub fn sent(&mut self, octets: usize, now: Moment) {
        let ns = u128::from(octets as u64) * 1_000_000_000 / u128::from(self.per_second);
        let time = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now) + time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets sent in so many milliseconds by a stream that always has more.
    fn sent_in(rate: u64, ms: u64) -> u64 {
        let mut pace = Pace::new(rate);
        let start = Moment(7_000_000_000);
        let end = start + Duration::from_millis(ms);
        let (mut now, mut sent) = (start, 0);
        while now < end {
            let wait = pace.wait(now);
            if !wait.is_zero() {
                now = now + wait;
                continue;
            }
            pace.sent(pace.piece(), now);
            sent += pace.piece() as u64;
        }
        sent
    }

    #[test]
    fn a_stream_keeps_its_rate_after_a_tenth_of_a_second_at_once() {
        for rate in [20_000, 1 << 20, 100 << 20] {
            let ten = sent_in(rate, 10_000);
            let most = rate * 10 + rate / 5 + 2 * LEAST;
            assert!((rate * 10..=most).contains(&ten), "{rate}: {ten}");
        }
    }

    #[test]
    fn a_silent_stream_saves_nothing_up() {
        let mut pace = Pace::new(1000);
        let late = Moment(3_600_000_000_000);
        pace.sent(1000, late);
        assert_eq!(pace.wait(late), Duration::from_millis(900));
    }
}
