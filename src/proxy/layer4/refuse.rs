//! Connections of layer 4 that are closed at once: counted and written down with the reason (P1).

use std::net::SocketAddr;
use std::time::Duration;

use crate::proxy::access_log::FlowLine;
use crate::proxy::tier::Tier;
use crate::proxy::worker::Worker;
use crate::traffic::Protocol;

use super::tally::Refused;

/// Counts and writes down a connection that the listener at place `at` does not take. Of a listener of
/// HTTP it is nothing: there the worker's counters say so.
pub fn refuse(worker: &Worker, tier: &Tier, at: usize, source: SocketAddr, why: Refused) {
    let Some(listener) = tier.plan.listeners.get(at) else {
        return;
    };
    if listener.protocol == Protocol::Http {
        return;
    }
    if let Some(tally) = tier.flow_tallies.get(at) {
        tally.refused(worker.number, why);
    }
    let Some(Some(log)) = tier.logs.get(at) else {
        return;
    };
    let line = FlowLine {
        unix_ms: worker.unix_ms(worker.watches.coarse()),
        listener: &listener.name,
        protocol: listener.protocol.as_str(),
        client: source.ip().to_canonical(),
        port: source.port(),
        sni: None,
        upstream: None,
        backend: None,
        tries: 0,
        queue: None,
        connect: None,
        total: Duration::ZERO,
        octets_in: 0,
        octets_out: 0,
        end: why.word(),
        path: None,
    };
    log.writer.write(line.json());
}
