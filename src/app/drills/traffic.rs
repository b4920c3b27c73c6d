//! What this node's proxy counts, second by second, so that a drill can tell how traffic moved.

use std::collections::VecDeque;

use crate::drill::Counts;
use crate::ids::EndpointId;
use crate::snapshot::View;

use super::super::proxy::Carrier;
use super::word::Recent;
use super::world::Ground;

/// Seconds that are remembered from before a drill.
const BEFORE: usize = 30;

/// Seconds over which errors are counted.
const ERRORS: usize = 10;

/// All that a proxy has counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Totals {
    /// Connections and sessions of layer 4 that began, and requests of HTTP.
    pub(super) arrivals: u64,
    /// Requests answered.
    pub(super) requests: u64,
    /// Of them with 5xx.
    pub(super) errors: u64,
}

impl Totals {
    /// Of a proxy.
    pub(super) fn of(carrier: &Carrier) -> Totals {
        use crate::admin::traffic::TrafficDesk as _;
        let mut out = Totals::default();
        for listener in carrier.listeners().listeners {
            let requests = listener.requests.unwrap_or(0);
            let flows = listener.flows.map_or(0, |f| f.total);
            out.arrivals += requests + flows;
            out.requests += requests;
        }
        let tier = carrier.proxy().tier();
        out.errors = tier
            .listener_tallies
            .iter()
            .map(|t| t.sums().classes[4])
            .sum();
        out
    }
}

/// The last seconds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    last: Option<Totals>,
    /// What each second brought, the latest last.
    seconds: VecDeque<Totals>,
}

impl Meter {
    /// Takes note of what was counted by the end of a second; gives what it brought. Counts that fell,
    /// because a listener is gone, bring nothing.
    pub(super) fn tick(&mut self, now: Totals) -> Totals {
        let last = self.last.replace(now).unwrap_or(now);
        let since = Totals {
            arrivals: now.arrivals.saturating_sub(last.arrivals),
            requests: now.requests.saturating_sub(last.requests),
            errors: now.errors.saturating_sub(last.errors),
        };
        self.seconds.push_back(since);
        if self.seconds.len() > BEFORE {
            self.seconds.pop_front();
        }
        since
    }

    /// What the seconds before now brought, for a drill that begins.
    pub(super) fn before(&self) -> Counts {
        Counts {
            before: self.seconds.iter().map(|s| s.arrivals).sum(),
            seconds: self.seconds.len() as u64,
            after: Vec::new(),
        }
    }

    /// The share of errors lately.
    pub(super) fn recent(&self, now_ms: u64) -> Recent {
        let lately = || self.seconds.iter().rev().take(ERRORS);
        Recent {
            requests: lately().map(|s| s.requests).sum(),
            errors: lately().map(|s| s.errors).sum(),
            at_ms: now_ms,
        }
    }
}

/// Whether the traffic of this node's proxy is that of what a drill is about: it stands in the region,
/// or serves one of the endpoints as a VIP.
pub(super) fn is_meant(ground: &Ground, view: &View) -> bool {
    let steering = &view.snapshot.steering;
    let vips = &view.snapshot.traffic.node.vips;
    let of = |e: &EndpointId| steering.endpoints[e.index()].address;
    if !vips.is_empty() {
        let mut covered = ground.covered.iter().filter_map(of);
        return covered.any(|a| vips.contains(&a));
    }
    let region = &view.snapshot.traffic.node.region;
    let mut covered = ground.covered.iter();
    covered.any(|e| {
        let pool = steering.endpoints[e.index()].pool;
        let of = steering.pools[pool.index()].region;
        steering.regions[of.index()].name == *region
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_tells_what_seconds_brought() {
        let mut meter = Meter::default();
        let totals = |arrivals, errors| Totals {
            arrivals,
            requests: arrivals,
            errors,
        };
        assert_eq!(meter.tick(totals(500, 3)), Totals::default());
        for second in 1..=60 {
            meter.tick(totals(500 + second * 10, 3 + second));
        }
        let before = meter.before();
        assert_eq!((before.before, before.seconds), (300, 30));
        let recent = meter.recent(7);
        assert_eq!((recent.requests, recent.errors), (100, 10));
        // A listener is gone: no second brings less than nothing.
        assert_eq!(meter.tick(totals(1, 0)), Totals::default());
    }
}
