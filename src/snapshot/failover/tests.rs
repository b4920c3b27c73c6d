//! The bound holds, and is not much larger than it must be.

use proptest::prelude::*;

use super::*;
use crate::health::Monitor;
use crate::health::State;
use crate::health::monitor::tests::monitor;
use crate::health::rise_fall::RiseFall;

/// When the last answer that names the target expires, in ms after it died at `dies`: probes start
/// every 10 s, each so late and taking so long, and somebody asks every 50 ms.
fn expires(m: &Monitor, ttl: (u32, u32), dies: u64, probes: &[(u64, u64)]) -> u64 {
    let mut t = RiseFall::new();
    t.observe(true, m);
    let (mut at, mut last) = (0, 0);
    for (n, (late, took)) in probes.iter().enumerate() {
        let start = n as u64 * 10_000 + late;
        let published = start + took + PUBLISH.as_millis() as u64;
        while at < published {
            let steady = Ttl::floor(t.steady_for(m)).secs();
            last = last.max(at + 1000 * u64::from(steady.clamp(ttl.0, ttl.1)));
            at += 50;
        }
        t.observe(start < dies, m);
        if t.state() == State::Down {
            return last.max(at).saturating_sub(dies);
        }
    }
    panic!("never down");
}

#[test]
fn o11_the_smallest_ttl_counts_because_larger_ones_end_before_the_switch() {
    // Interval 10 s, fall 3, jitter 10 %, timeout 2 s: 33 s to detect.
    let time = of_monitor(&monitor(), Ttl::from_secs(5), true);
    assert_eq!(time.total(), Duration::from_millis(33_000 + 20 + 5_000));
    let fleet = of_monitor(&monitor(), Ttl::from_secs(5), false);
    assert_eq!(fleet.total(), time.total() + SPREAD);
    // It is nearly reached: dead just after a probe began, the last one late and slow.
    let mut probes = vec![(0, 0); 4];
    probes[3] = (1_000, 2_000);
    let got = expires(&monitor(), (5, 60), 1, &probes);
    assert!((37_900..=38_020).contains(&got), "{got}");
}

proptest! {
    #[test]
    fn o11_no_answer_outlives_the_bound(
        fall in 1..8_u32,
        min in 0..30_u32,
        more in 0..120_u32,
        dies in 0..=10_000_u64,
        probes in proptest::collection::vec((0..=1_000_u64, 0..=2_000_u64), 12),
    ) {
        let m = Monitor { fall, ..monitor() };
        let bound = of_monitor(&m, Ttl::from_secs(min), true).total().as_millis() as u64;
        // Half a percent of the time is that of the grid of questions.
        let got = expires(&m, (min, min + more), dies, &probes);
        prop_assert!(got <= bound + 50, "{} > {}", got, bound);
    }
}
