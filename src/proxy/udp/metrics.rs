//! Metrics of datagrams: by listener, and by backend.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::proxy::tier::Tier;
use crate::telemetry::Page;
use crate::telemetry::page::escape;

use super::counters::{Counters, DROPS, ENDS, Event, Lane, Sums};
use super::state::UdpState;

/// Labels of something, and its counters on each worker.
type Listed<'t> = (String, &'t UdpState);

fn sum(state: &UdpState, of: impl Fn(&Counters) -> u64) -> u64 {
    state.all().iter().map(of).sum()
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Appends them.
pub fn render(tier: &Tier, page: &mut Page) {
    let listeners = tier.plan.listeners.iter().zip(&tier.udp);
    let listeners: Vec<Listed<'_>> = listeners
        .filter_map(|(l, state)| {
            let labels = format!("listener=\"{}\"", escape(&l.name));
            Some((labels, &**state.as_ref()?))
        })
        .collect();
    if listeners.is_empty() {
        return;
    }
    let name = "tradewind_proxy_udp_sessions_open";
    page.family(name, "gauge", "Sessions of datagrams that live.");
    for (labels, state) in &listeners {
        page.sample(name, labels, sum(state, |c| get(&c.open)));
    }
    let name = "tradewind_proxy_udp_sessions_total";
    page.family(name, "counter", "Sessions of datagrams that were begun.");
    for (labels, state) in &listeners {
        page.sample(name, labels, sum(state, |c| get(&c.begun)));
    }
    events(
        "tradewind_proxy_udp_sessions_ended_total",
        "Sessions of datagrams that ended, by reason.",
        ENDS,
        &listeners,
        page,
    );
    let name = "tradewind_proxy_udp_sessions_moved_total";
    page.family(
        name,
        "counter",
        "Sessions of datagrams that went on with another backend.",
    );
    for (labels, state) in &listeners {
        page.sample(name, labels, sum(state, |c| c.get(Event::Moved)));
    }
    type Get = fn(&UdpState) -> u64;
    let takeovers: [(&str, &str, Get); 2] = [
        (
            "taken_over",
            "Sessions of datagrams that came from the process before, at a takeover.",
            |state| sum(state, |c| c.get(Event::TakenOver)),
        ),
        (
            "not_passed",
            "Sessions of datagrams that a takeover could not pass on: their clients begin others.",
            UdpState::lost,
        ),
    ];
    for (what, help, get) in takeovers {
        let name = format!("tradewind_proxy_udp_sessions_{what}_total");
        page.family(&name, "counter", help);
        for (labels, state) in &listeners {
            page.sample(&name, labels, get(state));
        }
    }
    events(
        "tradewind_proxy_udp_datagrams_dropped_total",
        "Datagrams that were dropped, by reason.",
        DROPS,
        &listeners,
        page,
    );
    let lanes = |state: &UdpState| {
        let of = |lane: fn(&Lane) -> &AtomicU64| sum(state, |c| get(lane(&c.traffic)));
        Sums {
            datagrams_in: of(|l| &l.datagrams_in),
            octets_in: of(|l| &l.octets_in),
            datagrams_out: of(|l| &l.datagrams_out),
            octets_out: of(|l| &l.octets_out),
        }
    };
    let of_listeners: Vec<_> = listeners
        .iter()
        .map(|(labels, state)| (labels.clone(), lanes(state)))
        .collect();
    traffic("listener", &of_listeners, page);
    let backends = tier.plan.upstreams.iter().zip(&tier.upstreams);
    let of_backends: Vec<_> = backends
        .flat_map(|(upstream, group)| {
            group.servers.iter().filter_map(|server| {
                let sums = server.datagrams.sums()?;
                let (upstream, backend) = (escape(&upstream.name), escape(&server.name));
                Some((
                    format!("upstream=\"{upstream}\",backend=\"{backend}\""),
                    sums,
                ))
            })
        })
        .collect();
    traffic("backend", &of_backends, page);
    let name = "tradewind_proxy_udp_connection_ids";
    page.family(name, "gauge", "QUIC connection ids that are remembered.");
    for (labels, state) in &listeners {
        if let Some(ids) = state.ids() {
            page.sample(name, labels, ids.len());
        }
    }
}

fn events(name: &str, help: &str, which: &[Event], listeners: &[Listed<'_>], page: &mut Page) {
    page.family(name, "counter", help);
    for (labels, state) in listeners {
        for event in which {
            let labels = format!("{labels},reason=\"{}\"", event.word());
            page.sample(name, &labels, sum(state, |c| c.get(*event)));
        }
    }
}

fn traffic(word: &str, things: &[(String, Sums)], page: &mut Page) {
    type Get = fn(&Sums) -> [u64; 2];
    let both: [(&str, &str, Get); 2] = [
        (
            "datagrams",
            "Datagrams of clients (in) and of backends (out).",
            |s| [s.datagrams_in, s.datagrams_out],
        ),
        (
            "bytes",
            "Octets of datagrams of clients (in) and of backends (out).",
            |s| [s.octets_in, s.octets_out],
        ),
    ];
    for (what, help, of) in both {
        let name = format!("tradewind_proxy_udp_{word}_{what}_total");
        page.family(&name, "counter", help);
        for (labels, sums) in things {
            for (direction, n) in ["in", "out"].into_iter().zip(of(sums)) {
                page.sample(&name, &format!("{labels},direction=\"{direction}\""), n);
            }
        }
    }
}
