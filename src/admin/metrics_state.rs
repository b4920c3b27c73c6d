//! Metrics of what is served and how it stands: the build, the generation, endpoints, orders.

use crate::health::board::Guard;
use crate::health::overrides::OverrideKind;
use crate::health::{State, Verdict};
use crate::snapshot::View;
use crate::telemetry::page::escape;
use crate::telemetry::{Page, Stats};
use crate::time::Wall;

/// What an endpoint can be, in the order that it is told.
const STATES: [&str; 4] = ["up", "down", "unknown", "disabled"];

/// Why an endpoint can be published otherwise than votes say.
const GUARDS: [&str; 6] = [
    "brake",
    "suspect",
    "hold",
    "flapping",
    "manual",
    "not-served",
];

const ORDERS: [&str; 5] = ["drain", "disable", "force-up", "force-down", "weight"];

fn guard(guard: Guard) -> usize {
    match guard {
        Guard::Brake => 0,
        Guard::Suspect => 1,
        Guard::Hold { .. } => 2,
        Guard::Flapping { .. } => 3,
        Guard::Manual => 4,
        Guard::NotServed => 5,
    }
}

fn order(kind: OverrideKind) -> usize {
    match kind {
        OverrideKind::Drain => 0,
        OverrideKind::Disable => 1,
        OverrideKind::ForceUp => 2,
        OverrideKind::ForceDown => 3,
        OverrideKind::Weight(_) => 4,
    }
}

fn state(enabled: bool, verdict: &Verdict) -> usize {
    match verdict.state {
        _ if !enabled => 3,
        State::Up => 0,
        State::Down => 1,
        State::Unknown { .. } => 2,
    }
}

/// Writes them.
pub(super) fn render(out: &mut Page, view: &View, stats: &Stats) {
    let settings = &view.snapshot.settings;
    let name = "tradewind_build_info";
    out.family(
        name,
        "gauge",
        "Always 1; its labels say which node runs which version.",
    );
    let labels = format!(
        "node=\"{}\",version=\"{}\"",
        escape(&settings.node),
        env!("CARGO_PKG_VERSION")
    );
    out.sample(name, &labels, 1);
    let name = "tradewind_generation_published_timestamp_seconds";
    out.family(
        name,
        "gauge",
        "When the view in force was published, in Unix time.",
    );
    out.sample(name, "", published(view.wall, view));

    let steering = &view.snapshot.steering;
    let mut states = vec![[0_u64; STATES.len()]; steering.regions.len()];
    let mut guards = [0_u64; GUARDS.len()];
    let mut stale = 0_u64;
    for (id, verdict) in view.board.iter() {
        let e = &steering.endpoints[id.index()];
        let region = steering.pools[e.pool.index()].region;
        states[region.index()][state(e.enabled, verdict)] += 1;
        stale += u64::from(verdict.stale);
        if let Some(held) = verdict.held {
            guards[guard(held)] += 1;
        }
    }
    let name = "tradewind_endpoints";
    out.family(
        name,
        "gauge",
        "Endpoints, by region and by what is believed of them.",
    );
    for (region, counts) in steering.regions.iter().zip(&states) {
        for (word, n) in STATES.iter().zip(counts) {
            let labels = format!("region=\"{}\",state=\"{word}\"", escape(&region.name));
            out.sample(name, &labels, n);
        }
    }
    let name = "tradewind_endpoints_held";
    out.family(
        name,
        "gauge",
        "Endpoints that are published otherwise than their probes say, by what holds them.",
    );
    for (word, n) in GUARDS.iter().zip(guards) {
        out.sample(name, &format!("by=\"{word}\""), n);
    }
    let name = "tradewind_endpoints_stale";
    out.family(
        name,
        "gauge",
        "Endpoints about which nobody has a vote now: they stay as they were believed last.",
    );
    out.sample(name, "", stale);
    let mut orders = [0_u64; ORDERS.len()];
    for one in &view.overrides.0 {
        orders[order(one.kind)] += 1;
    }
    let name = "tradewind_overrides_applied";
    out.family(
        name,
        "gauge",
        "Operators' orders about state and weight that have something to apply to here, by kind.",
    );
    for (word, n) in ORDERS.iter().zip(orders) {
        out.sample(name, &format!("kind=\"{word}\""), n);
    }
    let name = "tradewind_steered_answers_by_region_total";
    out.family(
        name,
        "counter",
        "Steered answers with endpoints, by the region of the first of them.",
    );
    for (place, region) in settings.regions.all() {
        let labels = format!("region=\"{}\"", escape(region));
        out.sample(name, &labels, stats.region(place));
    }
}

/// In Unix time, with milliseconds.
fn published(wall: Wall, view: &View) -> f64 {
    wall.unix_ms(view.published) as f64 / 1000.0
}
