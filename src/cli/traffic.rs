//! `tradewind proxy listeners` and `tradewind proxy clients`: the traffic of a node's proxy, through its
//! admin API.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::ask::{Via, ask};

/// Which client prefixes are shown.
#[derive(Debug, Args)]
pub(super) struct ClientsArgs {
    /// Only prefixes within this network, or the one that holds it; an address will do.
    prefix: Option<String>,
    /// samples (most first), rtt (farthest first), retransmits (worst first) or recent.
    #[arg(long, default_value = "samples")]
    order: String,
    /// So many at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    via: Via,
}

/// Lists the listeners.
pub(super) fn listeners(via: &Via) -> ExitCode {
    match ask(via, "GET", "/v1/proxy/listeners", &[], None) {
        Ok(answer) if via.json => super::done::<_, String>(Ok(answer.json)),
        Ok(answer) => super::done::<_, String>(Ok(listeners_text(&answer.json))),
        Err(e) => super::failed(e),
    }
}

/// Lists client prefixes.
pub(super) fn clients(args: &ClientsArgs) -> ExitCode {
    let mut query = vec![
        ("order", args.order.clone()),
        ("limit", args.limit.to_string()),
    ];
    query.extend(args.prefix.clone().map(|p| ("prefix", p)));
    match ask(&args.via, "GET", "/v1/proxy/clients", &query, None) {
        Ok(answer) if args.via.json => super::done::<_, String>(Ok(answer.json)),
        Ok(answer) => super::done::<_, String>(Ok(clients_text(&answer.json))),
        Err(e) => super::failed(e),
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn word<'j>(json: &'j Value, key: &str) -> &'j str {
    json[key].as_str().unwrap_or_default()
}

fn number(json: &Value, key: &str) -> u64 {
    json[key].as_u64().unwrap_or_default()
}

/// `a 1, b 2`
fn counts(json: &Value) -> String {
    let counts = json.as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(word, n)| format!("{word} {n}")).collect();
    counts.join(", ")
}

/// What of flows is counted, as the end of a line.
fn flows(json: &Value) -> String {
    let mut out = format!(
        "{} open of {}, {} bytes in, {} out",
        number(json, "open"),
        number(json, "total"),
        number(json, "received_bytes"),
        number(json, "sent_bytes")
    );
    for key in ["refused", "ended"] {
        let counts = counts(&json[key]);
        if !counts.is_empty() {
            out += &format!("; {key}: {counts}");
        }
    }
    out
}

fn listeners_text(json: &Value) -> String {
    let mut out = String::new();
    for l in list(&json["listeners"]) {
        let addresses: Vec<&str> = list(&l["addresses"]).filter_map(Value::as_str).collect();
        out += &format!(
            "{:<16} {:<4} {}",
            word(l, "name"),
            word(l, "protocol"),
            addresses.join(" ")
        );
        if let Some(forward) = l["forward"].as_str() {
            out += &format!(" -> {forward}");
        }
        out += ": ";
        out += &match l["requests"].as_u64() {
            Some(requests) => format!("{} open, {requests} requests", number(l, "open")),
            None => flows(l),
        };
        out.push('\n');
    }
    for b in list(&json["backends"]) {
        let name = format!("{}/{}", word(b, "upstream"), word(b, "backend"));
        out += &format!("  {name}: {}", flows(b));
        if let Some(ms) = b["connect_ms"].as_f64() {
            out += &format!("; connects in {ms:.2} ms");
        }
        out.push('\n');
    }
    if out.is_empty() {
        out.push_str("no listeners");
    }
    out.trim_end().to_owned()
}

fn clients_text(json: &Value) -> String {
    let mut out = format!(
        "{} prefixes of at most {}, {} samples\n",
        number(json, "known"),
        number(json, "capacity"),
        number(json, "samples")
    );
    out += &format!(
        "{:<24} {:>9} {:>9} {:>9} {:>7} {:>9} {:>9}\n",
        "prefix", "rtt ms", "min ms", "var ms", "again %", "samples", "seen s"
    );
    for c in list(&json["clients"]) {
        let float = |key: &str| c[key].as_f64().unwrap_or_default();
        out += &format!(
            "{:<24} {:>9.2} {:>9.2} {:>9.2} {:>7.2} {:>9} {:>9.0}\n",
            word(c, "prefix"),
            float("rtt_ms"),
            float("min_rtt_ms"),
            float("rtt_var_ms"),
            float("retransmit_percent"),
            number(c, "samples"),
            float("last_seen_seconds_ago")
        );
    }
    let left = number(json, "matching").saturating_sub(list(&json["clients"]).count() as u64);
    if left > 0 {
        out += &format!("and {left} more\n");
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn listeners_and_backends_are_a_line_each() {
        let json = json!({
            "listeners": [
                { "name": "web", "protocol": "http", "addresses": ["127.0.0.1:80"], "open": 2,
                  "requests": 7 },
                { "name": "mail", "protocol": "tcp", "addresses": ["127.0.0.1:25", "[::1]:25"],
                  "forward": "mail", "open": 1, "total": 3, "received_bytes": 10, "sent_bytes": 20,
                  "refused": { "max-connections": 4 }, "ended": { "client-closed": 2 } },
            ],
            "backends": [
                { "upstream": "mail", "backend": "m1", "open": 1, "total": 3, "received_bytes": 10,
                  "sent_bytes": 20, "ended": {}, "connect_ms": 0.5 },
            ],
        });
        assert_eq!(
            listeners_text(&json),
            "web              http 127.0.0.1:80: 2 open, 7 requests\n\
             mail             tcp  127.0.0.1:25 [::1]:25 -> mail: 1 open of 3, 10 bytes in, 20 out; \
             refused: max-connections 4; ended: client-closed 2\n\
             \x20 mail/m1: 1 open of 3, 10 bytes in, 20 out; connects in 0.50 ms"
        );
        assert_eq!(listeners_text(&json!({})), "no listeners");
    }

    #[test]
    fn client_prefixes_are_a_table_that_says_what_is_left_out() {
        let json = json!({
            "known": 9, "capacity": 65536, "samples": 40, "matching": 3,
            "clients": [{ "prefix": "192.0.2.0/24", "rtt_ms": 20.5, "min_rtt_ms": 18.0,
                "rtt_var_ms": 2.0, "retransmit_percent": 1.5, "samples": 12,
                "last_seen_seconds_ago": 3.2 }],
        });
        let text = clients_text(&json);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "9 prefixes of at most 65536, 40 samples");
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["192.0.2.0/24", "20.50", "18.00", "2.00", "1.50", "12", "3"]
        );
        assert_eq!(lines[3], "and 2 more");
    }
}
