//! The proxy's metrics: what is counted, by listener, route and backend.

mod upstreams;

use std::sync::atomic::Ordering;

use crate::telemetry::page::escape;
use crate::telemetry::{Metrics, Page};
use crate::traffic::Protocol;

use super::run::Proxy;
use super::stats::WorkerStats;
use super::tally::{BUCKETS_MS, Sums};
use super::xdp;

/// Classes of statuses, in the order of their numbers.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// With more things of a kind than this their durations are told as sums only.
const HISTOGRAMS: usize = 1000;

/// What things are counted by: the metric's word, and label sets with their sums.
struct Group {
    word: &'static str,
    things: Vec<(String, Sums)>,
}

impl Metrics for Proxy {
    fn render(&self, page: &mut Page) {
        workers(self, page);
        if let Some(status) = self.xdp() {
            xdp::metrics::render(&status, page);
        }
        let tier = self.tier();
        let plan = &tier.plan;
        let listeners = plan.listeners.iter().zip(&tier.listener_tallies);
        // Those of layer 4 know no requests; their flows are told elsewhere.
        let listeners = listeners.filter(|(l, _)| l.protocol == Protocol::Http);
        let listeners =
            listeners.map(|(l, t)| (format!("listener=\"{}\"", escape(&l.name)), t.sums()));
        let routes = plan.routes.list.iter().zip(&tier.route_tallies);
        let routes = routes.map(|(r, t)| (format!("route=\"{}\"", escape(&r.name)), t.sums()));
        let backends = plan.upstreams.iter().zip(&tier.upstreams);
        let backends = backends.flat_map(|(upstream, group)| {
            group.servers.iter().map(|server| {
                let labels = format!(
                    "upstream=\"{}\",backend=\"{}\"",
                    escape(&upstream.name),
                    escape(&server.name)
                );
                (labels, server.tally.sums())
            })
        });
        for group in [
            Group {
                word: "listener",
                things: listeners.collect(),
            },
            Group {
                word: "route",
                things: routes.collect(),
            },
            Group {
                word: "backend",
                things: backends.collect(),
            },
        ] {
            group.render(page);
        }
        upstreams::render(&tier, self.now(), page);
        super::udp::metrics::render(&tier, page);
        let name = "tradewind_proxy_rate_limit_exceeded_total";
        let help = "Requests beyond a rate limit, refused or only counted.";
        page.family(name, "counter", help);
        for rate in tier.guards.rates() {
            let label = format!("limit=\"{}\"", escape(&rate.name));
            page.sample(name, &label, rate.over.load(Ordering::Relaxed));
        }
        super::layer4::metrics::render(&tier, page);
        if let Some(table) = &tier.clients {
            super::layer4::clients::render(table, page);
        }
        super::cache::metrics::render(&tier.caches, page);
        super::tls::metrics::render(&tier, page);
        let name = "tradewind_proxy_access_log_lost_lines_total";
        page.family(name, "counter", "Lines of access logs that were lost.");
        page.sample(name, "", self.lost_lines());
    }
}

impl Group {
    fn render(&self, page: &mut Page) {
        let word = self.word;
        let name = format!("tradewind_proxy_{word}_requests_total");
        page.family(&name, "counter", "Requests answered, by class of status.");
        for (labels, sums) in &self.things {
            for (class, n) in CLASSES.iter().zip(sums.classes) {
                page.sample(&name, &format!("{labels},class=\"{class}\""), n);
            }
        }
        let of = |suffix: &str| format!("tradewind_proxy_{word}_{suffix}");
        type Get = fn(&Sums) -> u64;
        let counters: [(&str, &str, Get); 3] = [
            (
                "failures_total",
                "Requests that could not be passed on, or whose answer broke off.",
                |s| s.failures,
            ),
            ("received_bytes_total", "Octets of requests' bodies.", |s| {
                s.octets_in
            }),
            ("sent_bytes_total", "Octets of answers' bodies.", |s| {
                s.octets_out
            }),
        ];
        for (suffix, help, get) in counters {
            page.family(&of(suffix), "counter", help);
            for (labels, sums) in &self.things {
                page.sample(&of(suffix), labels, get(sums));
            }
        }
        let name = of("duration_seconds");
        let help = "From a request's head to the end of its answer.";
        page.family(&name, "histogram", help);
        for (labels, sums) in &self.things {
            let mut all = 0;
            for (i, n) in sums.buckets.iter().enumerate() {
                all += n;
                if self.things.len() > HISTOGRAMS && i < BUCKETS_MS.len() {
                    continue;
                }
                let bound = match BUCKETS_MS.get(i) {
                    Some(ms) => (*ms as f64 / 1000.0).to_string(),
                    None => "+Inf".to_owned(),
                };
                page.sample(
                    &format!("{name}_bucket"),
                    &format!("{labels},le=\"{bound}\""),
                    all,
                );
            }
            let sum = sums.time_us as f64 / 1e6;
            page.sample(&format!("{name}_sum"), labels, sum);
            page.sample(&format!("{name}_count"), labels, all);
        }
    }
}

fn workers(proxy: &Proxy, page: &mut Page) {
    let get = |counter: fn(&WorkerStats) -> u64| proxy.stats().map(|s| counter(s)).sum::<u64>();
    for (name, kind, help, get) in WorkerStats::METRICS
        .iter()
        .map(|m| (m.0, m.1, m.2, get(m.3)))
    {
        page.family(name, kind, help);
        page.sample(name, "", get);
    }
    let name = "tradewind_proxy_listener_connections";
    page.family(name, "gauge", "Open connections of clients.");
    for (listener, address, open) in proxy.open() {
        let address = address.map_or_else(|| "handed-over".to_owned(), |a| a.to_string());
        let labels = format!("listener=\"{}\",address=\"{address}\"", escape(&listener));
        page.sample(name, &labels, open);
    }
}
