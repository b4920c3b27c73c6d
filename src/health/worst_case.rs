//! How long a dead target can go unnoticed (requirement O11).

use std::time::Duration;

use super::monitor::{Monitor, MonitorKind};

/// The longest time from the moment a healthy target dies to the moment it is believed down.
///
/// At worst it dies just after a probe has looked. Probes start on a grid of one interval, each up to
/// the largest jitter late, so the `fall`-th one from there starts at most `fall` intervals and one
/// jitter later, and fails after its timeout. Earlier failures that still count only shorten this.
///
/// The tries of one probe share its timeout, so retries change nothing. A composite follows its
/// slowest part at once: with it all of them fail.
pub fn worst_case_detection(m: &Monitor) -> Duration {
    if let MonitorKind::Composite(composite) = &m.kind {
        let parts = composite.parts.iter().map(|p| worst_case_detection(p));
        return parts.max().unwrap_or_default();
    }
    m.interval.saturating_mul(m.fall) + m.largest_jitter() + m.timeout
}

#[cfg(test)]
mod tests {
    use super::super::board::State;
    use super::super::monitor::tests::monitor;
    use super::super::rise_fall::RiseFall;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn o11_phase_thresholds_and_timeout_add_up() {
        // Interval 10 s, fall 3, jitter 10 % of 10 s, timeout 2 s.
        assert_eq!(
            worst_case_detection(&monitor()),
            Duration::from_secs(30 + 1 + 2)
        );
    }

    proptest! {
        #[test]
        fn o11_a_dead_target_is_down_within_the_bound(
            fall in 1..10_u32,
            dies_after in 0..=10_000_u64,
            jitter in proptest::collection::vec(0..=1_000_u64, 20),
            took in proptest::collection::vec(0..=2_000_u64, 20),
        ) {
            let m = Monitor { fall, ..monitor() };
            let mut t = RiseFall::new();
            t.observe(true, &m);
            let bound = worst_case_detection(&m);
            for n in 0..20 {
                let start = n as u64 * 10_000 + jitter[n];
                t.observe(start < dies_after, &m);
                if t.state() == State::Down {
                    let noticed = Duration::from_millis((start + took[n]).saturating_sub(dies_after));
                    prop_assert!(noticed <= bound, "{:?} > {:?}", noticed, bound);
                    return Ok(());
                }
            }
            prop_assert!(false, "never down");
        }
    }
}
