//! Rates per key in fixed memory: the limiter of requests and connections of a proxy.
//!
//! As in [`super::rate`], a key lives in the cache line that its hash names, four to a line, and when
//! all four places belong to others, the one that has been asked the least gives way; nothing runs in the
//! background and nobody takes a lock. Here a rate has a burst of its own, is counted exactly however
//! many threads ask (compare and exchange), and says how long to wait.
//!
//! Two algorithms, both in one 64-bit word per key:
//!
//! - *Token bucket*, as the generic cell rate algorithm (ITU-T I.371): the word is the theoretical
//!   arrival time in nanoseconds, when the bucket would be full again.
//! - *Sliding window*: requests of this window and of the one before it, which counts for the share that
//!   still lies within one window's length. The word is the window's number (16 bits) and both counts
//!   (24 bits each).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Moment;

/// Places of a line.
const WAYS: usize = 4;

/// Octets of a line: one cache line.
const LINE: usize = 64;

/// The largest count of a window.
const COUNT_MAX: u64 = (1 << 24) - 1;

/// So many in so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How they are counted.
    pub algorithm: Algorithm,
    /// So many, at least 1; more than 2²⁴ − 1 count as that.
    pub amount: u32,
    /// In so long, at least 1 µs per token.
    pub window: Duration,
    /// So many at once (token bucket), at least 1.
    pub burst: u32,
}

/// How requests are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// A bucket of `burst` tokens that fills steadily.
    #[default]
    TokenBucket,
    /// At most `amount` in any window, estimated from two fixed ones.
    SlidingWindow,
}

/// What became of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Whether it may pass.
    pub granted: bool,
    /// So many more may pass at once.
    pub remaining: u32,
    /// When refused: time until one may pass. When granted: time until all may.
    pub wait: Duration,
}

#[repr(align(64))]
#[derive(Debug, Default)]
struct Line {
    /// The keys' hashes; 0 is free.
    keys: [AtomicU64; WAYS],
    states: [AtomicU64; WAYS],
}

/// The state of all keys of one rate.
#[derive(Debug)]
pub struct KeyedRates {
    rate: Rate,
    lines: Box<[Line]>,
}

impl KeyedRates {
    /// A table of at most `bytes` octets, a power of two of cache lines, at least one.
    pub fn new(rate: Rate, bytes: usize) -> KeyedRates {
        let lines = 1usize << (bytes / LINE).max(1).ilog2();
        KeyedRates {
            rate,
            lines: (0..lines).map(|_| Line::default()).collect(),
        }
    }

    /// The rate.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Octets of the table.
    pub fn bytes(&self) -> usize {
        self.lines.len() * LINE
    }

    /// Counts one request of the key whose hash is `hash`, at `now`. The hash must be one that
    /// strangers cannot choose. What is refused is not counted, and writes nothing.
    pub fn take(&self, hash: u64, now: Moment) -> Taken {
        let line = &self.lines[(hash >> 1) as usize & (self.lines.len() - 1)];
        // 0 marks a free place.
        let key = hash | 1;
        let own = |i: &usize| line.keys[*i].load(Ordering::Relaxed) == key;
        let way = (0..WAYS).find(own).unwrap_or_else(|| {
            let use_of = |i: &usize| self.used(line.states[*i].load(Ordering::Relaxed), now);
            let way = (0..WAYS).min_by_key(use_of).unwrap_or(0);
            // Two keys that take one place at the same moment mix their counts, this once.
            line.states[way].store(0, Ordering::Relaxed);
            line.keys[way].store(key, Ordering::Relaxed);
            way
        });
        let state = &line.states[way];
        let mut before = state.load(Ordering::Relaxed);
        loop {
            let (after, taken) = match self.rate.algorithm {
                Algorithm::TokenBucket => self.rate.token(before, now),
                Algorithm::SlidingWindow => self.rate.slide(before, now),
            };
            if !taken.granted {
                return taken;
            }
            let swapped =
                state.compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed);
            match swapped {
                Ok(_) => return taken,
                Err(found) => before = found,
            }
        }
    }

    /// How much a place is in use: the least gives way.
    fn used(&self, state: u64, now: Moment) -> u64 {
        match self.rate.algorithm {
            Algorithm::TokenBucket => state.saturating_sub(now.0),
            Algorithm::SlidingWindow => {
                let counts = Counts::of(state, self.rate.number(now));
                counts.current * 2 + counts.previous
            }
        }
    }
}

impl Rate {
    /// Nanoseconds per token.
    fn interval(&self) -> u64 {
        let window = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        (window / u64::from(self.amount.max(1))).max(1)
    }

    fn token(&self, full_at: u64, now: Moment) -> (u64, Taken) {
        let interval = self.interval();
        let depth = interval.saturating_mul(u64::from(self.burst.max(1)));
        let after = full_at.max(now.0).saturating_add(interval);
        let debt = after - now.0;
        let granted = debt <= depth;
        let taken = Taken {
            granted,
            remaining: if granted {
                u32::try_from((depth - debt) / interval).unwrap_or(u32::MAX)
            } else {
                0
            },
            wait: Duration::from_nanos(if granted { debt } else { debt - depth }),
        };
        (after, taken)
    }

    fn window_ns(&self) -> u64 {
        u64::try_from(self.window.as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// The window's number. It is never 0 twice in a row with a fresh place: a fresh place holds no
    /// counts, whatever its number is taken for.
    fn number(&self, now: Moment) -> u64 {
        (now.0 / self.window_ns()) & 0xffff
    }

    fn slide(&self, state: u64, now: Moment) -> (u64, Taken) {
        let window = self.window_ns();
        let number = self.number(now);
        let counts = Counts::of(state, number);
        let into = now.0 % window;
        let amount = u64::from(self.amount).clamp(1, COUNT_MAX);
        // What of the window before still lies within one length of now, rounded up.
        let weighed = u128::from(counts.previous) * u128::from(window - into);
        let held = weighed.div_ceil(u128::from(window)) as u64 + counts.current;
        if held < amount {
            let after = Counts {
                current: counts.current + 1,
                ..counts
            };
            let taken = Taken {
                granted: true,
                remaining: u32::try_from(amount - held - 1).unwrap_or(u32::MAX),
                wait: Duration::from_nanos(window - into),
            };
            return (after.pack(number), taken);
        }
        // Until enough of the window before has slid out; if that is not enough, until this window has
        // become the one before, and enough of it has slid out.
        let wait = match counts.current.checked_sub(amount) {
            None => slid_out(counts.previous, amount - counts.current, window) - into,
            Some(_) => window - into + slid_out(counts.current, amount, window),
        };
        let taken = Taken {
            granted: false,
            remaining: 0,
            wait: Duration::from_nanos(wait.max(1)),
        };
        (state, taken)
    }
}

/// How far into a window fewer than `room` of the `previous` one's requests count.
fn slid_out(previous: u64, room: u64, window: u64) -> u64 {
    if previous < room {
        return 0;
    }
    // ceil(previous × (window − into) / window) ≤ room − 1
    let left = u128::from(window) * u128::from(room - 1) / u128::from(previous.max(1));
    window - u64::try_from(left).unwrap_or(window)
}

/// What a sliding window holds.
#[derive(Clone, Copy)]
struct Counts {
    previous: u64,
    current: u64,
}

impl Counts {
    /// The counts as they are in the window `number`.
    fn of(state: u64, number: u64) -> Counts {
        let current = state & COUNT_MAX;
        match number.wrapping_sub(state >> 48) & 0xffff {
            0 => Counts {
                previous: state >> 24 & COUNT_MAX,
                current,
            },
            1 => Counts {
                previous: current,
                current: 0,
            },
            _ => Counts {
                previous: 0,
                current: 0,
            },
        }
    }

    fn pack(self, number: u64) -> u64 {
        number << 48 | self.previous.min(COUNT_MAX) << 24 | self.current.min(COUNT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Moment = Moment(5_000_000_000);

    fn table(algorithm: Algorithm, amount: u32, window_ms: u64, burst: u32) -> KeyedRates {
        let rate = Rate {
            algorithm,
            amount,
            window: Duration::from_millis(window_ms),
            burst,
        };
        KeyedRates::new(rate, 1 << 16)
    }

    fn had(t: &KeyedRates, key: u64, tries: u32, now: Moment) -> u32 {
        (0..tries).filter(|_| t.take(key, now).granted).count() as u32
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_the_rate() {
        let t = table(Algorithm::TokenBucket, 10, 1000, 25);
        assert_eq!(had(&t, 8, 100, START), 25);
        assert_eq!(had(&t, 8, 100, START + Duration::from_millis(500)), 5);
        assert_eq!(had(&t, 8, 100, START + Duration::from_secs(100)), 25);
        let hour = table(Algorithm::TokenBucket, 60, 3_600_000, 1);
        assert_eq!(had(&hour, 8, 9, START), 1);
        assert_eq!(had(&hour, 8, 9, START + Duration::from_secs(59)), 0);
        assert_eq!(had(&hour, 8, 9, START + Duration::from_secs(60)), 1);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        for t in [
            table(Algorithm::TokenBucket, 10, 1000, 3),
            table(Algorithm::SlidingWindow, 3, 1000, 0),
        ] {
            let now = START + Duration::from_millis(300);
            assert_eq!(had(&t, 8, 3, now), 3);
            let refused = t.take(8, now);
            assert!(!refused.granted && refused.remaining == 0);
            let early = now + refused.wait - Duration::from_micros(1);
            assert!(!t.take(8, early).granted, "{:?}", t.rate());
            assert!(t.take(8, now + refused.wait).granted, "{:?}", t.rate());
        }
    }

    #[test]
    fn a_window_slides() {
        let t = table(Algorithm::SlidingWindow, 10, 1000, 0);
        let at = |ms| START + Duration::from_millis(ms);
        assert_eq!(had(&t, 8, 100, at(900)), 10);
        assert_eq!(had(&t, 8, 100, at(1000)), 0, "a new window is no new start");
        assert_eq!(had(&t, 8, 100, at(1500)), 5);
        assert_eq!(had(&t, 8, 100, at(5000)), 10);
    }

    #[test]
    fn what_remains_is_told() {
        let t = table(Algorithm::TokenBucket, 10, 1000, 3);
        let remaining: Vec<_> = (0..3).map(|_| t.take(8, START).remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let t = table(Algorithm::SlidingWindow, 3, 1000, 0);
        let remaining: Vec<_> = (0..3).map(|_| t.take(8, START).remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
    }

    #[test]
    fn a_key_over_its_rate_stays_there_among_a_million_others() {
        for algorithm in [Algorithm::TokenBucket, Algorithm::SlidingWindow] {
            let t = table(algorithm, 100, 60_000, 100);
            let own = 0xdead_beef_0000_0000;
            assert_eq!(had(&t, own, 200, START), 100);
            let mut freed = 0;
            for i in 1..1_000_000u64 {
                t.take(i.wrapping_mul(0x9E37_79B9_7F4A_7C15), START);
                if i % 1000 == 0 {
                    freed += had(&t, own, 1, START);
                }
            }
            assert_eq!(freed, 0, "{algorithm:?}");
        }
    }

    #[test]
    fn threads_share_one_count_exactly() {
        for algorithm in [Algorithm::TokenBucket, Algorithm::SlidingWindow] {
            let t = table(algorithm, 5000, 60_000, 5000);
            assert!(t.take(8, START).granted, "the key has its place");
            let all: u32 = std::thread::scope(|scope| {
                let ask = || had(&t, 8, 4000, START);
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|t| t.join().unwrap()).sum()
            });
            assert_eq!(all, 4999, "{algorithm:?}");
        }
    }

    #[test]
    fn memory_is_what_was_asked_for_at_most() {
        let rate = table(Algorithm::TokenBucket, 1, 1, 1).rate();
        for (asked, got) in [(0, 64), (100, 64), (3 << 20, 2 << 20)] {
            assert_eq!(KeyedRates::new(rate, asked).bytes(), got);
        }
        assert_eq!(size_of::<Line>(), LINE);
    }

    proptest! {
        /// In no window are there more than twice the amount (the estimate's bound), and who comes as
        /// often as allowed is never refused by a bucket.
        #[test]
        fn a_window_never_passes_more_than_it_says(gaps in prop::collection::vec(0u64..400, 1..200)) {
            let t = table(Algorithm::SlidingWindow, 10, 1000, 0);
            let mut now = START;
            let mut granted = Vec::new();
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                if t.take(8, now).granted {
                    granted.push(now.0);
                }
            }
            for (i, from) in granted.iter().enumerate() {
                let within = granted[i..].iter().filter(|at| *at - from < 1_000_000_000).count();
                prop_assert!(within <= 20, "{within}");
                let number = from / 1_000_000_000;
                let fixed = granted.iter().filter(|at| *at / 1_000_000_000 == number).count();
                prop_assert!(fixed <= 10, "{fixed}");
            }
        }

        #[test]
        fn a_bucket_passes_exactly_what_its_tokens_allow(gaps in prop::collection::vec(0u64..400, 1..200)) {
            let t = table(Algorithm::TokenBucket, 10, 1000, 5);
            let (mut tokens, mut now) = (500u64, START);
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                // A token is 100 ms; the bucket holds five of them.
                tokens = (tokens + gap).min(500);
                let granted = t.take(8, now).granted;
                prop_assert_eq!(granted, tokens >= 100);
                if granted {
                    tokens -= 100;
                }
            }
        }
    }
}
