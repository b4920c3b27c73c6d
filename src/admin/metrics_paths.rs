//! Metrics of what clients' own connections measured and of what comes of it: no label names a client, so
//! that there are as many samples however many prefixes there are.

use crate::snapshot::View;
use crate::telemetry::Page;

/// Adds them.
pub(super) fn client_paths(out: &mut Page, view: &View) {
    let times = &view.measurements.clients;
    let (orders, differing, turned_away) = view.live.narrow_plans();
    let counting = times.rows.iter();
    let counting = counting.filter(|row| row.times.iter().any(|t| t.rtt.is_some()));
    let mut one = |name, kind, help, value: u64| {
        out.family(name, kind, help);
        out.sample(name, "", value);
    };
    one(
        "tradewind_client_paths",
        "gauge",
        "Paths to client prefixes that proxies of the fleet told, by prefix and node.",
        times.held as u64,
    );
    one(
        "tradewind_client_prefixes_counting",
        "gauge",
        "Client prefixes with a round-trip time that counts.",
        counting.count() as u64,
    );
    one(
        "tradewind_client_paths_expired_total",
        "counter",
        "Paths dropped because no connection confirmed them.",
        times.expired,
    );
    one(
        "tradewind_client_paths_displaced_total",
        "counter",
        "Paths dropped because there was no room.",
        times.displaced,
    );
    one(
        "tradewind_client_orders",
        "gauge",
        "Orders of pools that clients' own times lead to, of all policies that go by them.",
        orders as u64,
    );
    one(
        "tradewind_client_orders_differing",
        "gauge",
        "Those that answer otherwise than without clients' times.",
        differing as u64,
    );
    one(
        "tradewind_client_prefixes_turned_away",
        "gauge",
        "Client prefixes, counted for each policy, whose order is one more than are kept apart.",
        turned_away as u64,
    );
}
