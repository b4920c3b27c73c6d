//! Prometheus text format of the counters and of the view's health.

use crate::admin::metrics_state;
use crate::admin::view::certificates;
use crate::health::State;
use crate::health::latency::Voice;
use crate::snapshot::View;
use crate::telemetry::page::escape;
use crate::telemetry::{DnsEvent, Metrics as _, Page, Stats};

/// Renders all metrics. Names, types and help texts are those of `docs/metrics.md`.
///
/// `fleet` is what the fleet counts: name, labels, value; those of one name together.
pub fn render(view: &View, stats: &Stats, fleet: &[(&'static str, String, u64)]) -> String {
    let mut out = Page::with_capacity(8192);
    let mut last = "";
    for event in DnsEvent::ALL {
        let (name, labels) = event.metric();
        if name != last {
            out.family(name, "counter", event.help());
            last = name;
        }
        out.sample(name, labels, stats.dns(*event));
    }
    out.family(
        "tradewind_dns_tcp_connections",
        "gauge",
        "Open DNS connections over TCP.",
    );
    out.sample("tradewind_dns_tcp_connections", "", stats.tcp_connections());
    out.family(
        "tradewind_dns_encrypted_connections",
        "gauge",
        "Open DNS connections over TLS, HTTPS and QUIC.",
    );
    for (transport, open) in stats.encrypted_connections() {
        let labels = format!("transport=\"{transport}\"");
        out.sample("tradewind_dns_encrypted_connections", &labels, open);
    }
    if let Some(not_after) = stats.certificate_not_after() {
        let name = "tradewind_dns_certificate_not_after_seconds";
        out.family(
            name,
            "gauge",
            "When the certificate of the encrypted listeners expires, in Unix time.",
        );
        out.sample(name, "", not_after);
    }
    out.family(
        "tradewind_dnssec_key_troubles",
        "gauge",
        "Zones whose DNSSEC keys cannot be stored or made: their roll-overs stand still.",
    );
    out.sample("tradewind_dnssec_key_troubles", "", stats.key_troubles());
    for (name, kind, help, value) in stats.orders().metrics() {
        out.family(name, kind, help);
        out.sample(name, "", value);
    }
    for (name, kind, help, value) in stats.probes().samples() {
        out.family(name, kind, help);
        out.sample(name, "", value);
    }
    out.family(
        "tradewind_generation",
        "gauge",
        "Number of the view in force.",
    );
    out.sample("tradewind_generation", "", view.generation.0);
    metrics_state::render(&mut out, view, stats);

    let steering = &view.snapshot.steering;
    let verdicts = || {
        view.board.iter().map(|(id, v)| {
            let e = &steering.endpoints[id.index()];
            let pool = &steering.pools[e.pool.index()].name;
            (
                format!("endpoint=\"{}\",pool=\"{}\"", escape(&e.name), escape(pool)),
                id,
                v,
            )
        })
    };
    out.family(
        "tradewind_endpoint_up",
        "gauge",
        "1: enabled, and serves as far as health goes; 0: does not.",
    );
    for (labels, id, v) in verdicts() {
        let enabled = steering.endpoints[id.index()].enabled;
        let up = enabled && v.state.serves();
        out.sample("tradewind_endpoint_up", &labels, u64::from(up));
    }
    out.family(
        "tradewind_endpoint_unknown",
        "gauge",
        "1: no probe result yet.",
    );
    for (labels, _, v) in verdicts() {
        let unknown = matches!(v.state, State::Unknown { .. });
        out.sample("tradewind_endpoint_unknown", &labels, u64::from(unknown));
    }
    out.family(
        "tradewind_endpoint_rtt_seconds",
        "gauge",
        "Smoothed connect time from this node; a failed connect counts as the timeout or more.",
    );
    for (labels, id, _) in verdicts() {
        if let Some(Some(rtt)) = view.measurements.rtt.get(id.index()) {
            out.sample("tradewind_endpoint_rtt_seconds", &labels, rtt.as_secs_f64());
        }
    }
    out.family(
        "tradewind_endpoint_certificate_expiry_seconds",
        "gauge",
        "When the certificate that the endpoint showed last expires, in Unix time.",
    );
    let not_after = certificates::not_after(&view.snapshot, stats.probes());
    for (labels, id, _) in verdicts() {
        if let Some(Some(not_after)) = not_after.get(id.index()) {
            let name = "tradewind_endpoint_certificate_expiry_seconds";
            out.sample(name, &labels, not_after);
        }
    }
    latency(&mut out, view);
    super::metrics_paths::client_paths(&mut out, view);
    fleet_counts(&mut out, fleet);
    stats.api().render(&mut out);
    stats.render_others(&mut out);
    stats.before().add_to(out.into_text())
}

/// What the fleet counts.
fn fleet_counts(out: &mut Page, counts: &[(&'static str, String, u64)]) {
    // Sorted, so that all of one name stand together, whoever counts them.
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(name, ..)| *name);
    let mut last = "";
    for (name, labels, value) in counts {
        if *name != last {
            let kind = match name.ends_with("_total") {
                true => "counter",
                false => "gauge",
            };
            out.family(name, kind, fleet_help(name));
            last = name;
        }
        out.sample(name, labels, value);
    }
}

/// What a metric of the fleet counts.
fn fleet_help(name: &str) -> &'static str {
    match name {
        "tradewind_fleet_exchanges_total" => "Exchanges with other members that this node began.",
        "tradewind_fleet_messages_total" => "Messages of gossip.",
        "tradewind_fleet_message_bytes_total" => "Octets of messages of gossip.",
        "tradewind_fleet_wire_bytes_total" => "UDP payload of gossip, QUIC included.",
        "tradewind_fleet_dropped_total" => "Messages given up.",
        "tradewind_fleet_refused_peers_total" => "Connections of others that were refused.",
        "tradewind_fleet_refused_by_peers_total" => "Connections that others refused.",
        "tradewind_fleet_bad_messages_total" => "Datagrams, streams and messages not understood.",
        "tradewind_fleet_unaccepted_keys_total" => "Keys and values not believed.",
        "tradewind_fleet_strangers_total" => "Nodes that the configuration does not know.",
        "tradewind_fleet_duplicate_names_total" => "Times that two living nodes had one name.",
        "tradewind_fleet_questions_total" => {
            "Questions of this node to single members, by whether an answer came."
        }
        "tradewind_fleet_answers_total" => "Questions of members that this node answered.",
        "tradewind_fleet_gossip_restarts_total" => "Times that gossip ended and was started anew.",
        "tradewind_fleet_digest_entries" => "Lives of nodes that every exchange carries.",
        "tradewind_fleet_sessions_heard_total" => "Sessions taken over from other proxies.",
        "tradewind_fleet_refusals_total" => "Peers refused, by reason and by whom.",
        _ => "See the documentation of the fleet.",
    }
}

/// How far endpoints are from the sites of vantages, and which of these are believed.
fn latency(out: &mut Page, view: &View) {
    let steering = &view.snapshot.steering;
    let (sites, times) = (&steering.sites, &view.measurements.sites);
    out.family(
        "tradewind_site_rtt_seconds",
        "gauge",
        "Connect time from a site to an endpoint as it steers: it changes only when it has moved for good.",
    );
    for (site, row) in sites.sites.iter().zip(&times.rows) {
        for (e, time) in steering.endpoints.iter().zip(row.iter()) {
            if let Some(rtt) = time.rtt {
                let labels = format!(
                    "site=\"{}\",endpoint=\"{}\",pool=\"{}\"",
                    escape(&site.name),
                    escape(&e.name),
                    escape(&steering.pools[e.pool.index()].name)
                );
                out.sample("tradewind_site_rtt_seconds", &labels, rtt.as_secs_f64());
            }
        }
    }
    out.family(
        "tradewind_vantage_believed",
        "gauge",
        "1: the round-trip times of the vantage count; 0: it is frozen, blind or suspect.",
    );
    for ((name, site), now) in sites.vantages.iter().zip(&*times.vantages) {
        let labels = format!(
            "vantage=\"{}\",site=\"{}\",voice=\"{}\"",
            escape(name),
            escape(&sites.site(*site).name),
            now.voice.text()
        );
        let believed = u64::from(now.voice == Voice::Speaks);
        out.sample("tradewind_vantage_believed", &labels, believed);
    }
}
