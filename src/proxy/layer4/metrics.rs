//! Flows as metrics: by listener, and by backend of the upstreams that have any.
//!
//! What never had a flow has no samples, and reasons that never occurred have none, so that a thousand
//! upstreams of HTTP add nothing.

use crate::proxy::tally::BUCKETS_MS;
use crate::proxy::tier::Tier;
use crate::telemetry::Page;
use crate::telemetry::page::escape;
use crate::traffic::Protocol;

use super::tally::{FlowSums, LASTED_MS};

/// With more things of a kind than this their histograms have no buckets: sum and count only.
const HISTOGRAMS: usize = 100;

/// A number of flows: suffix, kind, help, and where it is found.
type Number = (
    &'static str,
    &'static str,
    &'static str,
    fn(&FlowSums) -> u64,
);

const NUMBERS: [Number; 4] = [
    (
        "flows_total",
        "counter",
        "Connections (TCP) that began and sessions (UDP) that ended.",
        |s| s.opened,
    ),
    ("flows_open", "gauge", "Connections under way.", |s| s.open),
    (
        "flow_received_bytes_total",
        "counter",
        "Octets from clients to backends.",
        |s| s.octets_in,
    ),
    (
        "flow_sent_bytes_total",
        "counter",
        "Octets from backends to clients.",
        |s| s.octets_out,
    ),
];

/// What flows are counted by: the metric's word, and label sets with their sums.
struct Group {
    word: &'static str,
    things: Vec<(String, FlowSums)>,
}

/// Renders all flows of a tier.
pub fn render(tier: &Tier, page: &mut Page) {
    let listeners = tier.plan.listeners.iter().zip(&tier.flow_tallies);
    let listeners = listeners
        .filter(|(listener, _)| listener.protocol != Protocol::Http)
        .map(|(listener, tally)| {
            let name = escape(&listener.name);
            let labels = format!(
                "listener=\"{name}\",protocol=\"{}\"",
                listener.protocol.as_str()
            );
            (labels, tally.sums().unwrap_or_default())
        });
    let listeners = Group {
        word: "listener",
        things: listeners.collect(),
    };
    let backends = tier.plan.upstreams.iter().zip(&tier.upstreams);
    let backends = backends.flat_map(|(upstream, group)| {
        group.servers.iter().filter_map(|server| {
            let sums = server.flows.sums()?;
            let (upstream, backend) = (escape(&upstream.name), escape(&server.name));
            let labels = format!("upstream=\"{upstream}\",backend=\"{backend}\"");
            Some((labels, sums))
        })
    });
    let backends = Group {
        word: "backend",
        things: backends.collect(),
    };
    for group in [&listeners, &backends] {
        group.numbers(page);
        group.reasons(page);
        group.histogram(
            page,
            "flow_duration_seconds",
            "How long connections and sessions lasted.",
            &LASTED_MS,
            |s| (&s.lasted, s.lasted_us),
        );
    }
    listeners.refusals(page);
    backends.histogram(
        page,
        "flow_connect_seconds",
        "How long it took to connect to a backend, TLS included.",
        &BUCKETS_MS,
        |s| (&s.connects, s.connect_us),
    );
}

/// The samples of a reason.
fn reason(labels: &str, word: &str) -> String {
    format!("{labels},reason=\"{word}\"")
}

impl Group {
    fn name(&self, suffix: &str) -> String {
        format!("tradewind_proxy_{}_{suffix}", self.word)
    }

    fn numbers(&self, page: &mut Page) {
        for (suffix, kind, help, get) in NUMBERS {
            let name = self.name(suffix);
            page.family(&name, kind, help);
            for (labels, sums) in &self.things {
                // Sessions are counted at their end; those under way are counted where they live.
                if kind != "gauge" || !labels.ends_with("protocol=\"udp\"") {
                    page.sample(&name, labels, get(sums));
                }
            }
        }
    }

    fn reasons(&self, page: &mut Page) {
        let name = self.name("flows_ended_total");
        let help = "Connections and sessions that ended, by the reason.";
        page.family(&name, "counter", help);
        for (labels, sums) in &self.things {
            for (ended, n) in sums.ends() {
                page.sample(&name, &reason(labels, ended.word()), n);
            }
        }
    }

    fn refusals(&self, page: &mut Page) {
        let name = self.name("flows_refused_total");
        let help = "Connections that were closed at once, by the option that says so.";
        page.family(&name, "counter", help);
        // What is not begun of datagrams is counted where sessions are.
        let connections = |labels: &String| !labels.ends_with("protocol=\"udp\"");
        for (labels, sums) in self.things.iter().filter(|(labels, _)| connections(labels)) {
            for (refused, n) in sums.refusals() {
                page.sample(&name, &reason(labels, refused.word()), n);
            }
        }
    }

    fn histogram(
        &self,
        page: &mut Page,
        suffix: &str,
        help: &str,
        bounds_ms: &[u64],
        get: fn(&FlowSums) -> (&[u64], u64),
    ) {
        let name = self.name(suffix);
        page.family(&name, "histogram", help);
        for (labels, sums) in &self.things {
            let (buckets, sum_us) = get(sums);
            let mut all = 0;
            for (i, n) in buckets.iter().enumerate() {
                all += n;
                let bound = match bounds_ms.get(i) {
                    Some(_) if self.things.len() > HISTOGRAMS => continue,
                    Some(ms) => (*ms as f64 / 1000.0).to_string(),
                    None => "+Inf".to_owned(),
                };
                let labels = format!("{labels},le=\"{bound}\"");
                page.sample(&format!("{name}_bucket"), &labels, all);
            }
            page.sample(&format!("{name}_sum"), labels, sum_us as f64 / 1e6);
            page.sample(&format!("{name}_count"), labels, all);
        }
    }
}
