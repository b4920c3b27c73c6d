//! `tradewind proxy listeners` and `tradewind proxy clients`: the traffic of a node's proxy, through its
//! admin API.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::ask::Via;
use super::say::{list, number, shown, word};
use super::table::{Cell, Column, Table, octets};
use super::terminal::Look;

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
    /// What the proxies of the whole fleet know together, by region, as it steers; `--order` is for one
    /// node alone.
    #[arg(long, conflicts_with = "order")]
    fleet: bool,
    #[command(flatten)]
    via: Via,
}

/// Lists the listeners.
pub(super) fn listeners(via: &Via) -> ExitCode {
    shown(via, "/v1/proxy/listeners", &[], listeners_text)
}

/// Lists client prefixes.
pub(super) fn clients(args: &ClientsArgs) -> ExitCode {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.prefix.clone().map(|p| ("prefix", p)));
    if args.fleet {
        return shown(&args.via, "/v1/latency/clients", &query, fleet_text);
    }
    query.push(("order", args.order.clone()));
    shown(&args.via, "/v1/proxy/clients", &query, clients_text)
}

/// `a 1, b 2`
fn counts(json: &Value) -> String {
    let counts = json.as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(word, n)| format!("{word} {n}")).collect();
    counts.join(", ")
}

/// What of flows was refused, and how they ended.
fn ends(json: &Value) -> String {
    let of = |key: &str| match counts(&json[key]) {
        none if none.is_empty() => None,
        some => Some(format!("{key}: {some}")),
    };
    let parts: Vec<String> = ["refused", "ended"].into_iter().filter_map(of).collect();
    parts.join("; ")
}

/// Columns of what of flows is counted.
const FLOWS: [Column; 5] = [
    Column::number("open"),
    Column::number("flows"),
    Column::number("in"),
    Column::number("out"),
    Column::number("requests"),
];

fn flows(json: &Value) -> [Cell; 5] {
    let requests = json["requests"].as_u64();
    let known = |cell: String| {
        Cell::from(if requests.is_some() {
            String::new()
        } else {
            cell
        })
    };
    [
        number(json, "open").into(),
        known(number(json, "total").to_string()),
        known(octets(number(json, "received_bytes"))),
        known(octets(number(json, "sent_bytes"))),
        requests.map(|r| r.to_string()).unwrap_or_default().into(),
    ]
}

fn listeners_text(json: &Value, look: Look) -> String {
    let head = ["listener", "protocol", "addresses", "to"].map(Column::text);
    let columns: Vec<Column> = head
        .into_iter()
        .chain(FLOWS)
        .chain([Column::text("")])
        .collect();
    let mut table = Table::new(&columns);
    for l in list(&json["listeners"]) {
        let addresses: Vec<&str> = list(&l["addresses"]).filter_map(Value::as_str).collect();
        let head = [
            Cell::from(word(l, "name")),
            word(l, "protocol").into(),
            addresses.join(" ").into(),
            word(l, "forward").into(),
        ];
        table.row(head.into_iter().chain(flows(l)).chain([ends(l).into()]));
    }
    if table.is_empty() {
        return "no listeners\n".to_owned();
    }
    let head = [Column::text("backend"), Column::number("connects ms")];
    let columns: Vec<Column> = head
        .into_iter()
        .chain(FLOWS)
        .chain([Column::text("")])
        .collect();
    let mut backends = Table::new(&columns);
    for b in list(&json["backends"]) {
        let name = format!("{}/{}", word(b, "upstream"), word(b, "backend"));
        let ms = b["connect_ms"].as_f64().map(|ms| format!("{ms:.2}"));
        let head = [Cell::from(name), ms.unwrap_or_default().into()];
        backends.row(head.into_iter().chain(flows(b)).chain([ends(b).into()]));
    }
    let gap = if backends.is_empty() { "" } else { "\n" };
    format!("{}{gap}{}", table.text(look), backends.text(look))
}

fn fleet_text(json: &Value, look: Look) -> String {
    let mut out = format!(
        "{} of {} paths; {} orders, {} of them another than without clients' times\n",
        list(&json["clients"]).count(),
        number(json, "matching"),
        number(json, "orders"),
        number(json, "orders_differing"),
    );
    let mut table = Table::new(&[
        Column::text("prefix"),
        Column::text("region"),
        Column::number("rtt ms"),
        Column::number("latest ms"),
        Column::number("connections"),
        Column::number("seen s"),
        Column::text(""),
    ]);
    for c in list(&json["clients"]) {
        let two = |key: &str| c[key].as_f64().map(|ms| format!("{ms:.2}"));
        let seen = c["last_seen_seconds_ago"].as_f64().unwrap_or_default();
        let note = match (c["rtt_ms"].is_null(), c["moving"] == true) {
            (true, _) => "does not count yet",
            (false, true) => "may change",
            (false, false) => "",
        };
        table.row([
            word(c, "prefix").into(),
            word(c, "region").into(),
            two("rtt_ms").unwrap_or_default().into(),
            two("latest_ms").unwrap_or_default().into(),
            number(c, "connections").to_string().into(),
            format!("{seen:.0}").into(),
            note.into(),
        ]);
    }
    out.push_str(&table.text(look));
    out
}

fn clients_text(json: &Value, look: Look) -> String {
    let mut out = format!(
        "{} prefixes of at most {}, {} samples\n",
        number(json, "known"),
        number(json, "capacity"),
        number(json, "samples")
    );
    let mut table = Table::new(&[
        Column::text("prefix"),
        Column::number("rtt ms"),
        Column::number("min ms"),
        Column::number("var ms"),
        Column::number("again %"),
        Column::number("samples"),
        Column::number("seen s"),
    ]);
    for c in list(&json["clients"]) {
        let float = |key: &str| c[key].as_f64().unwrap_or_default();
        let two = |key: &str| Cell::from(format!("{:.2}", float(key)));
        table.row([
            word(c, "prefix").into(),
            two("rtt_ms"),
            two("min_rtt_ms"),
            two("rtt_var_ms"),
            two("retransmit_percent"),
            number(c, "samples").into(),
            format!("{:.0}", float("last_seen_seconds_ago")).into(),
        ]);
    }
    out += &table.text(look);
    let left = number(json, "matching").saturating_sub(list(&json["clients"]).count() as u64);
    if left > 0 {
        out += &format!("and {left} more\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn listeners_and_backends_are_tables() {
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
            listeners_text(&json, Look::default()),
            "listener  protocol  addresses              to    open  flows    in   out  requests\n\
             web       http      127.0.0.1:80                    2                            7\n\
             mail      tcp       127.0.0.1:25 [::1]:25  mail     1      3  10 B  20 B            \
             refused: max-connections 4; ended: client-closed 2\n\n\
             backend  connects ms  open  flows    in   out\n\
             mail/m1         0.50     1      3  10 B  20 B\n"
        );
        assert_eq!(
            listeners_text(&json!({}), Look::default()),
            "no listeners\n"
        );
    }

    #[test]
    fn client_prefixes_are_a_table_that_says_what_is_left_out() {
        let json = json!({
            "known": 9, "capacity": 65536, "samples": 40, "matching": 3,
            "clients": [{ "prefix": "192.0.2.0/24", "rtt_ms": 20.5, "min_rtt_ms": 18.0,
                "rtt_var_ms": 2.0, "retransmit_percent": 1.5, "samples": 12,
                "last_seen_seconds_ago": 3.2 }],
        });
        let text = clients_text(&json, Look::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "9 prefixes of at most 65536, 40 samples");
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>(),
            ["192.0.2.0/24", "20.50", "18.00", "2.00", "1.50", "12", "3"]
        );
        assert_eq!(lines[3], "and 2 more");
    }
}
