//! `tradewind proxy`: backends and caches of a node's proxy, through its admin API.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::ask::{Answer, Via, ask};
use super::caches;
use super::orders::os_user;
use super::say::{list, number, shown, word};
use super::table::{Cell, Column, Table};
use super::terminal::{Look, Tone};
use super::traffic;

/// Where they are shown and ordered.
const PATH: &str = "/v1/proxy/upstreams";

/// What is done with backends.
#[derive(Debug, Subcommand)]
pub(super) enum ProxyCommand {
    /// Show how the upstreams and their backends stand, and why.
    Status {
        /// Only this upstream.
        upstream: Option<String>,
        #[command(flatten)]
        via: Via,
    },
    /// Send no new clients to a backend; what is under way may finish.
    Drain(BackendArgs),
    /// Send nothing to a backend, and cut off what is under way.
    Disable(BackendArgs),
    /// Let a backend serve that was drained or disabled.
    Enable(BackendArgs),
    /// Give a backend another weight.
    Weight {
        #[command(flatten)]
        backend: BackendArgs,
        /// 0 to 1000000; 0 takes no new clients. Without it, as configured.
        #[arg(long)]
        to: Option<u32>,
    },
    /// Add a backend, or bring back a configured one that was removed.
    Add {
        #[command(flatten)]
        backend: BackendArgs,
        /// Where it is, such as 10.0.0.1:8080.
        #[arg(long)]
        address: SocketAddr,
        /// Its share beside the others.
        #[arg(long, default_value_t = 1)]
        weight: u32,
        /// It serves only while no other can.
        #[arg(long)]
        backup: bool,
        /// The zone it stands in.
        #[arg(long)]
        zone: Option<String>,
        /// Requests under way to it at most.
        #[arg(long)]
        max_connections: Option<u32>,
    },
    /// Take a backend away.
    Remove(BackendArgs),
    /// Forget cached responses: of a URL, of a prefix, with a tag, or all.
    Purge(caches::PurgeArgs),
    /// List the caches, with what they hold and did.
    Caches(Via),
    /// List the listeners, with what they carry and did, and the backends of layer 4.
    Listeners(Via),
    /// List client prefixes, with how far they are and how much is sent to them again.
    Clients(traffic::ClientsArgs),
}

/// A backend, and why.
#[derive(Debug, Args)]
pub(super) struct BackendArgs {
    /// UPSTREAM/BACKEND.
    place: String,
    /// Why; whoever finds the order later reads it.
    #[arg(long)]
    reason: String,
    /// Who gives the order; the default is the user who runs this.
    #[arg(long)]
    owner: Option<String>,
    #[command(flatten)]
    via: Via,
}

/// Runs the command.
pub(super) fn proxy(command: ProxyCommand) -> ExitCode {
    match command {
        ProxyCommand::Status { upstream, via } => {
            let path = upstream.map_or_else(|| PATH.to_owned(), |name| format!("{PATH}/{name}"));
            shown(&via, &path, &[], status)
        }
        ProxyCommand::Drain(args) => order("drain", args, []),
        ProxyCommand::Disable(args) => order("disable", args, []),
        ProxyCommand::Enable(args) => order("enable", args, []),
        ProxyCommand::Remove(args) => order("remove", args, []),
        ProxyCommand::Purge(args) => caches::purge(&args),
        ProxyCommand::Caches(via) => caches::list(&via),
        ProxyCommand::Listeners(via) => traffic::listeners(&via),
        ProxyCommand::Clients(args) => traffic::clients(&args),
        ProxyCommand::Weight { backend, to } => {
            order("weight", backend, [("weight", to.map(Value::from))])
        }
        ProxyCommand::Add {
            backend,
            address,
            weight,
            backup,
            zone,
            max_connections,
        } => order(
            "add",
            backend,
            [
                ("address", Some(address.to_string().into())),
                ("weight", Some(weight.into())),
                ("backup", Some(backup.into())),
                ("zone", zone.map(Value::from)),
                ("max-connections", max_connections.map(Value::from)),
            ],
        ),
    }
}

fn order<const N: usize>(
    action: &str,
    args: BackendArgs,
    more: [(&str, Option<Value>); N],
) -> ExitCode {
    let Some((upstream, backend)) = args.place.split_once('/') else {
        return super::failed(format!(
            "`{}` names no backend; write UPSTREAM/BACKEND",
            args.place
        ));
    };
    let mut body = Map::new();
    body.insert("action".to_owned(), action.into());
    body.insert("reason".to_owned(), args.reason.into());
    let owner = args.owner.unwrap_or_else(os_user);
    body.insert("owner".to_owned(), owner.into());
    for (key, value) in more {
        body.extend(value.map(|v| (key.to_owned(), v)));
    }
    let path = format!("{PATH}/{upstream}/backends/{backend}");
    match ask(&args.via, "POST", &path, &[], Some(&body.into())) {
        Err(e) => super::failed(e),
        Ok(Answer { json, .. }) => {
            if args.via.json {
                println!("{json:#}");
                return ExitCode::SUCCESS;
            }
            let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
            println!("{}; {} requests under way", text("said"), json["in_flight"]);
            for warning in json["warnings"].as_array().into_iter().flatten() {
                println!("warning: {}", warning.as_str().unwrap_or_default());
            }
            ExitCode::SUCCESS
        }
    }
}

/// All upstreams, a row for each backend.
fn status(json: &Value, look: Look) -> String {
    let mut out = String::new();
    for upstream in list(&json["upstreams"]) {
        if !out.is_empty() {
            out.push('\n');
        }
        let mode = word(upstream, "mode");
        let tone = match mode {
            "normal" => Tone::Plain,
            _ => Tone::Bad,
        };
        let mode = tone.paint(mode, look.colour);
        out += &format!("upstream {}: {mode}", word(upstream, "name"));
        if let Some(circuit) = upstream["circuit"].as_str() {
            out += &format!(", circuit {circuit}");
        }
        let waiting = number(&upstream["queue"], "waiting");
        if waiting > 0 {
            out += &format!(", {waiting} waiting");
        }
        out.push('\n');
        out += &backends(upstream).text(look);
    }
    let xdp = super::xdp::lines(&json["xdp"]);
    if !xdp.is_empty() && !out.is_empty() {
        out.push('\n');
    }
    out += &xdp;
    if out.is_empty() {
        out = "no upstreams\n".to_owned();
    }
    out
}

fn backends(upstream: &Value) -> Table {
    let mut table = Table::new(&[
        Column::text("backend"),
        Column::text("address"),
        Column::text("state"),
        Column::number("weight"),
        Column::number("of it"),
        Column::number("under way"),
        Column::text("cause, orders"),
    ])
    .indented(2);
    for b in list(&upstream["backends"]) {
        let state = word(b, "state");
        let tone = match state {
            "up" => Tone::Good,
            "unknown" => Tone::Doubtful,
            _ => Tone::Bad,
        };
        let share = b["share_percent"].as_f64().filter(|s| *s < 100.0);
        let mut says = vec![word(b, "cause").to_owned()];
        says.extend(list(&b["orders"]).map(|order| {
            format!(
                "{} by {} ({})",
                word(order, "kind"),
                word(order, "owner"),
                word(order, "reason")
            )
        }));
        table.row([
            word(b, "name").into(),
            word(b, "address").into(),
            Cell::from(state).toned(tone),
            number(b, "weight").into(),
            share.map(|s| format!("{s:.0}%")).unwrap_or_default().into(),
            number(b, "in_flight").into(),
            says.join("; ").into(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_shows_state_cause_and_orders() {
        let json = json!({ "upstreams": [{
            "name": "api", "mode": "normal", "circuit": "closed", "queue": { "waiting": 2 },
            "backends": [{
                "name": "b1", "address": "10.0.0.1:80", "state": "ejected", "weight": 3,
                "share_percent": 10.0, "in_flight": 4, "cause": "3 failed requests",
                "orders": [{ "kind": "drain", "owner": "ann", "reason": "disk" }],
            }],
        }] });
        assert_eq!(
            status(&json, Look::default()),
            "upstream api: normal, circuit closed, 2 waiting\n  \
             backend  address      state    weight  of it  under way  cause, orders\n  \
             b1       10.0.0.1:80  ejected       3    10%          4  3 failed requests; drain by ann (disk)\n"
        );
        let none = json!({ "upstreams": [] });
        assert_eq!(status(&none, Look::default()), "no upstreams\n");
    }
}
