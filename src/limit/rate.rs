//! Rates per account in fixed memory: a table of token buckets that all workers share.
//!
//! A bucket is one number, the *theoretical arrival time* of the generic cell rate algorithm (ITU-T
//! I.371): when the bucket would be full again. A unit of `interval` is added for each token taken;
//! a token is to be had while that time lies less than a second ahead. So a bucket holds a second's
//! worth and fills steadily, and nothing has to run in the background.
//!
//! Four buckets share a cache line, and an account lives in the line that its hash names. When all
//! four are in use by others, the one that is nearest to full gives way: it has been asked the least.
//! A flood of made-up prefixes displaces other made-up prefixes, and not the account of the prefix that
//! is being flooded. Readers and writers race without locks; what a lost race costs is a token.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::time::Moment;

/// Nanoseconds of a bucket: a second's worth of tokens.
const DEPTH: u64 = 1_000_000_000;

/// Buckets of a line.
const WAYS: usize = 4;

/// Octets of a line: one cache line.
const LINE: usize = 64;

/// So many per second, and as many at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Nanoseconds per token.
    interval: u64,
}

impl Limit {
    /// `tokens` per second; `None` for 0, which means no limit. More than 10^9 count as 10^9.
    pub fn per_second(tokens: u32) -> Option<Limit> {
        let interval = DEPTH.checked_div(u64::from(tokens))?;
        Some(Limit {
            interval: interval.max(1),
        })
    }
}

/// What is limited: a client prefix and what it is counted for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Account {
    /// The leading bits of the client's address.
    pub prefix: u64,
    /// What for. Any number that tells the purposes apart.
    pub purpose: u64,
}

#[repr(align(64))]
#[derive(Debug, Default)]
struct Line {
    /// The accounts' hashes; 0 is free.
    keys: [AtomicU64; WAYS],
    /// Their theoretical arrival times, nanoseconds.
    full_at: [AtomicU64; WAYS],
}

/// The buckets of all accounts.
pub struct RateTable {
    lines: Box<[Line]>,
    seed: [u64; 2],
}

impl std::fmt::Debug for RateTable {
    // Without the seed: who knows it can choose prefixes that share a line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateTable")
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl Default for RateTable {
    /// The smallest table.
    fn default() -> Self {
        RateTable::new(0, [0; 2])
    }
}

impl RateTable {
    /// A table of at most `bytes` octets, a power of two of cache lines, at least one. `seed` is
    /// random, so that nobody can tell which prefixes share a line.
    pub fn new(bytes: usize, seed: [u64; 2]) -> RateTable {
        let lines = 1usize << (bytes / LINE).max(1).ilog2();
        RateTable {
            lines: (0..lines).map(|_| Line::default()).collect(),
            seed,
        }
    }

    /// Octets of the table.
    pub fn bytes(&self) -> usize {
        self.lines.len() * LINE
    }

    /// Takes a token of `account` at `now`; `false` when there is none. Taking none writes nothing,
    /// so a flood that is being limited does not pull cache lines from worker to worker.
    #[inline]
    pub fn take(&self, account: Account, limit: Limit, now: Moment) -> bool {
        let hash = self.hash(account);
        let line = &self.lines[hash as usize & (self.lines.len() - 1)];
        // 0 marks a free place.
        let key = hash | 1 << 63;
        let (mut way, mut least, mut known) = (0, u64::MAX, false);
        for i in 0..WAYS {
            let full_at = line.full_at[i].load(Ordering::Relaxed);
            if line.keys[i].load(Ordering::Relaxed) == key {
                (way, least, known) = (i, full_at, true);
                break;
            }
            if full_at < least {
                (way, least) = (i, full_at);
            }
        }
        let full_at = if known { least.max(now.0) } else { now.0 };
        let after = full_at + limit.interval;
        if after > now.0 + DEPTH {
            return false;
        }
        if !known {
            line.keys[way].store(key, Ordering::Relaxed);
        }
        line.full_at[way].store(after, Ordering::Relaxed);
        true
    }

    /// Two multiplications, each folding its 128-bit product: enough mixing for who does not know the
    /// seed and does not see the result.
    #[inline]
    fn hash(&self, account: Account) -> u64 {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product >> 64) as u64 ^ product as u64
        };
        let [a, b] = self.seed;
        let mixed = fold(
            account.prefix ^ a ^ 0x9E37_79B9_7F4A_7C15,
            account.purpose ^ b ^ 0xD6E8_FEB8_6659_FD93,
        );
        fold(
            mixed ^ b,
            0xA076_1D64_78BD_642F ^ account.prefix.rotate_left(32),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Moment = Moment(5_000_000_000);

    fn account(prefix: u64) -> Account {
        Account { prefix, purpose: 1 }
    }

    fn per_second(n: u32) -> Limit {
        Limit::per_second(n).unwrap()
    }

    /// Tokens had of `tries` at `now`.
    fn had(table: &RateTable, prefix: u64, rate: u32, tries: usize, now: Moment) -> usize {
        (0..tries)
            .filter(|_| table.take(account(prefix), per_second(rate), now))
            .count()
    }

    #[test]
    fn a_seconds_worth_at_once_then_the_rate() {
        for rate in [1, 7, 1_000, 100_000] {
            let t = RateTable::new(4096, [1, 2]);
            let most = rate as usize;
            assert_eq!(had(&t, 9, rate, 3 * most, START), most, "{rate}");
            let half = START + Duration::from_millis(500);
            assert_eq!(had(&t, 9, rate, 3 * most, half), most / 2, "{rate}");
            let later = half + Duration::from_secs(100);
            assert_eq!(
                had(&t, 9, rate, 3 * most, later),
                most,
                "no more is saved up"
            );
        }
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(Limit::per_second(0), None);
        assert!(Limit::per_second(u32::MAX).is_some());
    }

    #[test]
    fn accounts_do_not_share_tokens() {
        let t = RateTable::new(1 << 20, [3, 4]);
        assert_eq!(had(&t, 1, 10, 50, START), 10);
        assert_eq!(had(&t, 2, 10, 50, START), 10);
        let other = Account {
            prefix: 1,
            purpose: 2,
        };
        assert!(t.take(other, per_second(10), START));
    }

    #[test]
    fn memory_is_what_was_asked_for_at_most() {
        for (asked, got) in [
            (0, 64),
            (63, 64),
            (64, 64),
            (100, 64),
            (1 << 20, 1 << 20),
            (3 << 20, 2 << 20),
        ] {
            assert_eq!(RateTable::new(asked, [0; 2]).bytes(), got, "{asked}");
        }
        assert_eq!(size_of::<Line>(), LINE);
    }

    /// A flood of made-up prefixes must not free the one that is already over its limit.
    #[test]
    fn a_flooded_prefix_stays_limited_among_a_million_others() {
        let t = RateTable::new(1 << 16, [5, 6]);
        assert_eq!(had(&t, 1 << 40, 100, 200, START), 100);
        let mut freed = 0;
        for i in 0..1_000_000u64 {
            t.take(account(i), per_second(100), START);
            if i % 1_000 == 0 {
                freed += had(&t, 1 << 40, 100, 1, START);
            }
        }
        assert_eq!(freed, 0);
    }

    /// Workers that race lose tokens to each other, but not many, and the bucket runs dry.
    #[test]
    fn workers_share_one_bucket() {
        let t = RateTable::new(1 << 16, [7, 8]);
        let all: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| had(&t, 77, 10_000, 200_000, START)))
                .collect();
            workers.into_iter().map(|w| w.join().unwrap()).sum()
        });
        assert!((10_000..400_000).contains(&all), "{all} of 800,000");
        assert_eq!(had(&t, 77, 10_000, 10, START), 0);
    }

    #[test]
    fn hashes_spread_over_the_lines() {
        let t = RateTable::new(64 * 1024, [9, 10]);
        let mut used = vec![0u32; t.lines.len()];
        for i in 0..16_384u64 {
            // Prefixes as they are: /24s side by side.
            used[t.hash(account(i << 8)) as usize & (t.lines.len() - 1)] += 1;
        }
        assert!(
            used.iter().all(|n| (1..60).contains(n)),
            "16 are expected in each: {used:?}"
        );
    }
}
