//! The forwarder's metrics.

use crate::telemetry::Page;
use crate::telemetry::page::escape;

use super::status::{Events, Status};

/// A counter: name, help, and where it is found.
type Counter = (&'static str, &'static str, fn(&Events) -> u64);

const EVENTS: [Counter; 7] = [
    ("flows_made", "Flows that were written down.", |e| {
        e.flows_made
    }),
    (
        "flows_ended",
        "Flows that were erased, because their backend keeps none any more.",
        |e| e.flows_ended,
    ),
    (
        "flows_unwritten",
        "Flows that were not written down, because too many came in one second.",
        |e| e.flows_unwritten,
    ),
    (
        "no_backend",
        "Packets left to the stack, because no backend takes them.",
        |e| e.no_backend,
    ),
    ("fragments", "First fragments that were dropped.", |e| {
        e.fragments
    }),
    (
        "expired",
        "Packets that were dropped with their hop count used up.",
        |e| e.expired,
    ),
    (
        "icmp_errors",
        "ICMP errors that went after their flow.",
        |e| e.icmp_errors,
    ),
];

/// Writes them.
pub fn render(status: &Status, page: &mut Page) {
    for (name, help, get) in EVENTS {
        let name = format!("tradewind_proxy_xdp_{name}_total");
        page.family(&name, "counter", help);
        page.sample(&name, "", get(&status.events));
    }
    let name = "tradewind_proxy_xdp_flows_taken_over_total";
    let help = "Flows that came from the process before, at a takeover.";
    page.family(name, "counter", help);
    page.sample(name, "", status.flows_taken_over);
    let flows = "tradewind_proxy_xdp_flows";
    page.family(flows, "gauge", "Flows that are remembered.");
    page.sample(flows, "", status.flows());
    let most = "tradewind_proxy_xdp_flows_max";
    page.family(most, "gauge", "Flows that are remembered at most.");
    page.sample(most, "", status.flows_max);

    let vip = |v: &super::status::VipStatus| {
        format!(
            "listener=\"{}\",address=\"{}\",protocol=\"{}\"",
            escape(&v.listener),
            v.address,
            v.protocol
        )
    };
    let backends = || {
        status.upstreams.iter().flat_map(|u| {
            u.backends.iter().map(|b| {
                let labels = format!(
                    "upstream=\"{}\",backend=\"{}\"",
                    escape(&u.name),
                    escape(&b.name)
                );
                (labels, b)
            })
        })
    };
    for (unit, help) in [("packets", "Packets"), ("bytes", "Octets of frames")] {
        let of = |count: super::kernel::Count| match unit {
            "packets" => count.packets,
            _ => count.octets,
        };
        let name = format!("tradewind_proxy_xdp_vip_{unit}_total");
        page.family(&name, "counter", &format!("{help} for a virtual address."));
        for v in &status.vips {
            page.sample(&name, &vip(v), of(v.count));
        }
        let name = format!("tradewind_proxy_xdp_backend_{unit}_total");
        page.family(&name, "counter", &format!("{help} forwarded to a backend."));
        for (labels, b) in backends() {
            page.sample(&name, &labels, of(b.count));
        }
    }
    let name = "tradewind_proxy_xdp_backend_takes";
    page.family(name, "gauge", "Whether a backend gets new flows.");
    for (labels, b) in backends() {
        page.sample(name, &labels, u8::from(b.gets == "takes"));
    }
    for (name, help, get) in [
        (
            "tradewind_proxy_xdp_tables_total",
            "Tables of an upstream that were written.",
            (|u| u.generation) as fn(&super::status::TableStatus) -> u64,
        ),
        (
            "tradewind_proxy_xdp_slots_moved_total",
            "Slots of an upstream's tables that were given another backend.",
            |u| u.moved,
        ),
    ] {
        page.family(name, "counter", help);
        for u in &status.upstreams {
            page.sample(name, &format!("upstream=\"{}\"", escape(&u.name)), get(u));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::families::families;

    const TABLE: &str = include_str!("../../docs/metrics.md");

    #[test]
    fn the_table_of_metrics_tells_these() {
        let mut page = Page::default();
        render(&Status::default(), &mut page);
        let found = families(&page.into_text());
        for family in &found {
            let begin = format!("| `{}` | {} |", family.name, family.kind);
            let end = format!("| {} |", family.help.replace('_', "\\_"));
            let told = TABLE
                .lines()
                .any(|l| l.starts_with(&begin) && l.ends_with(&end));
            assert!(told, "{family:?}");
        }
        let rows = TABLE
            .lines()
            .filter(|l| l.starts_with("| `tradewind_proxy_xdp_"));
        assert_eq!(rows.count(), found.len());
    }
}
