//! What earlier processes of this node counted of its traffic: handed on as samples of the metrics page, and so
//! found by their names there.

use crate::admin::traffic::{FlowFacts, TrafficFacts};
use crate::proxy::metrics::CLASSES;
use crate::proxy::tcp::flow::Ended;
use crate::telemetry::Before;
use crate::telemetry::page::escape;

/// Adds it to what this process counted.
pub(super) fn add(facts: &mut TrafficFacts, before: &Before) {
    for listener in &mut facts.listeners {
        let own = format!("listener=\"{}\"", escape(&listener.name));
        if let Some(requests) = &mut listener.requests {
            let name = "tradewind_proxy_listener_requests_total";
            let of = |class: &&str| before.whole(&format!("{name}{{{own},class=\"{class}\"}}"));
            *requests += CLASSES.iter().map(of).sum::<u64>();
        }
        if let Some(flows) = &mut listener.flows {
            let labels = format!("{own},protocol=\"{}\"", listener.protocol);
            add_flows(flows, "listener", &labels, before);
        }
    }
    for backend in &mut facts.backends {
        let labels = backend_labels(&backend.upstream, &backend.backend);
        add_flows(&mut backend.flows, "backend", &labels, before);
        let connects = "tradewind_proxy_backend_flow_connect_seconds";
        backend.connects += before.whole(&format!("{connects}_count{{{labels}}}"));
        backend.connect_us += micros(before, &format!("{connects}_sum{{{labels}}}"));
    }
}

/// Whether anything is known of a backend.
pub(super) fn has_backend(before: &Before, upstream: &str, backend: &str) -> bool {
    let labels = backend_labels(upstream, backend);
    let sample = format!("tradewind_proxy_backend_flows_total{{{labels}}}");
    before.whole(&sample) > 0
}

fn backend_labels(upstream: &str, backend: &str) -> String {
    let (upstream, backend) = (escape(upstream), escape(backend));
    format!("upstream=\"{upstream}\",backend=\"{backend}\"")
}

fn micros(before: &Before, sample: &str) -> u64 {
    (before.of(sample).unwrap_or_default() * 1e6) as u64
}

fn add_flows(flows: &mut FlowFacts, word: &str, labels: &str, before: &Before) {
    let name = |suffix: &str| format!("tradewind_proxy_{word}_{suffix}");
    let whole = |suffix: &str| before.whole(&format!("{}{{{labels}}}", name(suffix)));
    flows.total += whole("flows_total");
    flows.octets_in += whole("flow_received_bytes_total");
    flows.octets_out += whole("flow_sent_bytes_total");
    let lasted = format!("{}{{{labels}}}", name("flow_duration_seconds_sum"));
    flows.lasted_us += micros(before, &lasted);
    let reason = |suffix: &str, word: &str| {
        before.whole(&format!("{}{{{labels},reason=\"{word}\"}}", name(suffix)))
    };
    flows.ended = merged(&flows.ended, Ended::ALL.iter().map(|e| e.word()), |word| {
        reason("flows_ended_total", word)
    });
    // Sessions of datagrams are not refused but dropped, and know no reasons here.
    for (word, n) in &mut flows.refused {
        *n += reason("flows_refused_total", word);
    }
}

fn of(own: &[(&'static str, u64)], word: &str) -> u64 {
    let found = own.iter().find(|(w, _)| *w == word);
    found.map_or(0, |(_, n)| *n)
}

/// Reasons that occurred here or before, in their order.
fn merged(
    own: &[(&'static str, u64)],
    words: impl Iterator<Item = &'static str>,
    before: impl Fn(&str) -> u64,
) -> Vec<(&'static str, u64)> {
    let sum = |word: &'static str| (word, of(own, word) + before(word));
    words.map(sum).filter(|(_, n)| *n > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::traffic::{BackendFacts, ListenerFacts};

    const PAGE: &str = "\
tradewind_proxy_listener_requests_total{listener=\"web\",class=\"2xx\"} 5
tradewind_proxy_listener_requests_total{listener=\"web\",class=\"5xx\"} 2
tradewind_proxy_listener_flows_total{listener=\"l4\",protocol=\"tcp\"} 10
tradewind_proxy_listener_flow_received_bytes_total{listener=\"l4\",protocol=\"tcp\"} 100
tradewind_proxy_listener_flow_sent_bytes_total{listener=\"l4\",protocol=\"tcp\"} 1000
tradewind_proxy_listener_flow_duration_seconds_sum{listener=\"l4\",protocol=\"tcp\"} 1.5
tradewind_proxy_listener_flows_ended_total{listener=\"l4\",protocol=\"tcp\",reason=\"idle-timeout\"} 3
tradewind_proxy_listener_flows_refused_total{listener=\"l4\",protocol=\"tcp\",reason=\"max-connections\"} 4
tradewind_proxy_backend_flows_total{upstream=\"u\",backend=\"b\"} 7
tradewind_proxy_backend_flow_connect_seconds_count{upstream=\"u\",backend=\"b\"} 7
tradewind_proxy_backend_flow_connect_seconds_sum{upstream=\"u\",backend=\"b\"} 0.25
";

    #[test]
    fn o5_what_earlier_processes_counted_is_added() {
        let before = Before::default();
        before.take(PAGE);
        let listener = |name: &str, protocol| ListenerFacts {
            name: name.to_owned(),
            protocol,
            ..ListenerFacts::default()
        };
        let flows = || FlowFacts {
            total: 1,
            refused: vec![("max-connections", 1), ("connection-rate", 0)],
            ended: vec![("client-closed", 1), ("idle-timeout", 1)],
            ..FlowFacts::default()
        };
        let mut facts = TrafficFacts {
            listeners: vec![
                ListenerFacts {
                    requests: Some(1),
                    ..listener("web", "http")
                },
                ListenerFacts {
                    flows: Some(flows()),
                    ..listener("l4", "tcp")
                },
            ],
            backends: vec![BackendFacts {
                upstream: "u".to_owned(),
                backend: "b".to_owned(),
                connect_us: 1,
                ..BackendFacts::default()
            }],
        };
        add(&mut facts, &before);
        assert_eq!(facts.listeners[0].requests, Some(8));
        let l4 = facts.listeners[1].flows.as_ref().unwrap();
        assert_eq!((l4.total, l4.octets_in, l4.octets_out), (11, 100, 1000));
        assert_eq!(l4.lasted_us, 1_500_000);
        assert_eq!(l4.ended, [("client-closed", 1), ("idle-timeout", 4)]);
        assert_eq!(l4.refused, [("max-connections", 5), ("connection-rate", 0)]);
        let b = &facts.backends[0];
        assert_eq!((b.flows.total, b.connects, b.connect_us), (7, 7, 250_001));
        assert!(has_backend(&before, "u", "b") && !has_backend(&before, "u", "c"));
    }
}
