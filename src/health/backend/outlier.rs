//! Latency outliers: a backend that answers, but takes much longer than its peers.

use std::time::Duration;

/// A difference smaller than this is nobody's fault.
const SLACK: Duration = Duration::from_millis(10);

/// When a backend is too slow beside the others of its upstream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OutlierRules {
    /// Its mean time to the first octet is more than so many percent of the median of the others'
    /// means, and 10 ms more; above 100.
    pub percent: u32,
    /// Looked at so often; what lies before the last look does not count.
    pub interval: Duration,
    /// Who had fewer requests within the interval is neither judged nor a peer, at least 1.
    pub min_requests: u32,
}

/// What one backend took within an interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// Requests that were answered.
    pub count: u32,
    /// The sum of their times to the first octet.
    pub total: Duration,
}

impl Timing {
    /// The mean; zero without requests.
    pub fn mean(self) -> Duration {
        self.total.checked_div(self.count).unwrap_or_default()
    }
}

/// One that is too slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outlier {
    /// Its place among the timings.
    pub index: usize,
    /// Its mean.
    pub took: Duration,
    /// The median of the others' means.
    pub peers: Duration,
}

/// Those that are too slow, slowest first.
pub fn outliers(timings: &[Timing], rules: &OutlierRules) -> Vec<Outlier> {
    let enough = |t: &&Timing| t.count >= rules.min_requests.max(1);
    let mut means: Vec<Duration> = timings.iter().filter(enough).map(|t| t.mean()).collect();
    means.sort_unstable();
    if means.len() < 2 {
        return Vec::new();
    }
    let judge = |(index, timing): (usize, &Timing)| {
        let took = timing.mean();
        let own = means.partition_point(|m| *m < took);
        let peers = median_without(&means, own);
        let bound = peers * rules.percent / 100 + SLACK;
        (took > bound).then_some(Outlier { index, took, peers })
    };
    let mut slow: Vec<Outlier> = timings
        .iter()
        .enumerate()
        .filter(|(_, t)| enough(t))
        .filter_map(judge)
        .collect();
    slow.sort_unstable_by_key(|o| std::cmp::Reverse(o.took));
    slow
}

/// The median of `sorted` without the one at `own`; of an even number the lower one.
fn median_without(sorted: &[Duration], own: usize) -> Duration {
    let middle = (sorted.len() - 2) / 2;
    sorted[middle + usize::from(middle >= own)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: OutlierRules = OutlierRules {
        percent: 300,
        interval: Duration::from_secs(10),
        min_requests: 20,
    };

    fn timing(count: u32, mean_ms: u64) -> Timing {
        Timing {
            count,
            total: Duration::from_millis(mean_ms) * count,
        }
    }

    fn found(timings: &[Timing]) -> Vec<usize> {
        outliers(timings, &RULES).iter().map(|o| o.index).collect()
    }

    #[test]
    fn p4_only_who_is_far_above_his_peers_is_an_outlier() {
        let t = |ms| timing(100, ms);
        assert_eq!(found(&[t(10), t(12), t(11), t(200)]), [3]);
        assert_eq!(found(&[t(10), t(300), t(200), t(11), t(9)]), [1, 2]);
        assert_eq!(found(&[t(10), t(200)]), [1], "of two, beside the other");
        assert_eq!(found(&[t(200), t(200)]), [0; 0], "all are slow alike");
        assert_eq!(found(&[t(1), t(9)]), [0; 0], "no difference worth a word");
        assert_eq!(found(&[t(500)]), [0; 0]);
        assert_eq!(found(&[]), [0; 0]);
        assert_eq!(
            found(&[t(10), timing(19, 500)]),
            [0; 0],
            "too few requests to judge by"
        );
    }

    proptest! {
        #[test]
        fn p4_never_are_all_outliers_and_the_fastest_never_is_one(
            timings in proptest::collection::vec((0..50_u32, 0..10_000_u64), 0..20),
        ) {
            let timings: Vec<Timing> = timings.into_iter().map(|(n, ms)| timing(n, ms)).collect();
            let slow = outliers(&timings, &RULES);
            let judged = timings.iter().filter(|t| t.count >= RULES.min_requests);
            let fastest = judged.clone().map(|t| t.mean()).min();
            prop_assert!(slow.is_empty() || slow.len() < judged.count());
            prop_assert!(slow.iter().all(|o| Some(o.took) > fastest && o.took > o.peers * 3));
            prop_assert!(slow.is_sorted_by(|a, b| a.took >= b.took));
        }
    }
}
