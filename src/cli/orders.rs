//! `tradewind drain`, `disable`, `force-up`, `force-down`, `weight`, `failback`, `clear`,
//! `switchover`, `overrides`, `audit`: operators' orders, through the admin API of any node.

mod show;

use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::ask::{Answer, Via, ask};
use super::say::shown;

/// In force, but not on every node yet.
const PARTLY: u8 = 3;

/// Who, why and until when.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why; whoever finds the order later reads it.
    #[arg(long)]
    reason: String,
    /// How long, such as 30m, 2h or 1d; without it the order stays until it is cleared, a failback for
    /// an hour.
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until")]
    duration: Option<String>,
    /// Until when, such as 2026-01-31T12:00:00Z.
    #[arg(long)]
    until: Option<String>,
    /// Who gives the order; the default is the user who runs this.
    #[arg(long)]
    owner: Option<String>,
    /// The share of each name's capacity that must go on serving, such as 60%.
    #[arg(long)]
    demand: Option<String>,
    /// Breaks the rules that the order would break, for this reason.
    #[arg(long, value_name = "REASON")]
    break_glass: Option<String>,
}

/// What the end of an order is given with.
#[derive(Debug, Args)]
pub(super) struct Ending {
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the default is the user who runs this.
    #[arg(long)]
    owner: Option<String>,
    /// Breaks the rules that this would break, for this reason.
    #[arg(long, value_name = "REASON")]
    break_glass: Option<String>,
}

/// An order about one scope.
#[derive(Debug, Args)]
pub(super) struct OrderArgs {
    /// endpoint, pool, region or name.
    scope: String,
    /// Its name in the configuration.
    name: String,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    via: Via,
}

/// Up or down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Direction {
    /// It serves.
    Up,
    /// It does not.
    Down,
}

/// An order that outranks probes.
#[derive(Debug, Args)]
pub(super) struct ForceArgs {
    /// What it is to count as.
    #[arg(value_enum)]
    direction: Direction,
    #[command(flatten)]
    order: OrderArgs,
}

/// The end of an order about state.
#[derive(Debug, Args)]
pub(super) struct EnableArgs {
    /// endpoint, pool, region or name.
    scope: String,
    /// Its name in the configuration.
    name: String,
    #[command(flatten)]
    ends: Ending,
    #[command(flatten)]
    via: Via,
}

/// A weight.
#[derive(Debug, Args)]
pub(super) struct WeightArgs {
    /// endpoint, pool, region or name.
    scope: String,
    /// Its name in the configuration.
    name: String,
    /// 0 to 1000000; with 0 it serves only when every positive weight is gone.
    weight: u32,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    via: Via,
}

/// The end of an order.
#[derive(Debug, Args)]
pub(super) struct ClearArgs {
    /// endpoint, pool, region or name.
    scope: String,
    /// Its name in the configuration.
    name: String,
    /// Only the order about this: state (drain, disable, force-up, force-down), weight or failback.
    #[arg(long, value_parser = ["state", "weight", "failback"])]
    class: Option<String>,
    #[command(flatten)]
    ends: Ending,
    #[command(flatten)]
    via: Via,
}

/// Several orders as one.
#[derive(Debug, Args)]
pub(super) struct SwitchoverArgs {
    /// Scopes to drain, such as region/eu.
    #[arg(long, value_name = "SCOPE/NAME")]
    drain: Vec<String>,
    /// Scopes to disable.
    #[arg(long, value_name = "SCOPE/NAME")]
    disable: Vec<String>,
    /// Scopes to force up.
    #[arg(long, value_name = "SCOPE/NAME")]
    force_up: Vec<String>,
    /// Scopes to force down.
    #[arg(long, value_name = "SCOPE/NAME")]
    force_down: Vec<String>,
    /// Scopes whose orders end.
    #[arg(long, value_name = "SCOPE/NAME")]
    clear: Vec<String>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    via: Via,
}

/// How much of the audit record.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Lines.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Only what happened at this node.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    via: Via,
}

/// Gives one order.
pub(super) fn order(kind: &str, args: OrderArgs) -> ExitCode {
    let mut body = args.why.body();
    body.insert("scope".to_owned(), args.scope.into());
    body.insert("name".to_owned(), args.name.into());
    body.insert("kind".to_owned(), kind.into());
    given(&args.via, "PUT", "/v1/overrides", &[], Some(body.into()))
}

/// Gives a weight.
pub(super) fn weight(args: WeightArgs) -> ExitCode {
    let mut body = args.why.body();
    body.insert("scope".to_owned(), args.scope.into());
    body.insert("name".to_owned(), args.name.into());
    body.insert("kind".to_owned(), "weight".into());
    body.insert("weight".to_owned(), args.weight.into());
    given(&args.via, "PUT", "/v1/overrides", &[], Some(body.into()))
}

/// Takes orders back.
pub(super) fn clear(args: ClearArgs) -> ExitCode {
    let mut query = vec![
        ("scope", args.scope),
        ("name", args.name),
        ("owner", args.ends.owner.unwrap_or_else(os_user)),
        ("reason", args.ends.reason),
    ];
    query.extend(args.class.map(|c| ("class", c)));
    query.extend(args.ends.break_glass.map(|b| ("break-glass", b)));
    given(&args.via, "DELETE", "/v1/overrides", &query, None)
}

/// Ends an order about state.
pub(super) fn enable(args: EnableArgs) -> ExitCode {
    clear(ClearArgs {
        scope: args.scope,
        name: args.name,
        class: Some("state".to_owned()),
        ends: args.ends,
        via: args.via,
    })
}

/// Gives an order that outranks probes.
pub(super) fn force(args: ForceArgs) -> ExitCode {
    let kind = match args.direction {
        Direction::Up => "force-up",
        Direction::Down => "force-down",
    };
    order(kind, args.order)
}

/// Gives several orders as one.
pub(super) fn switchover(args: SwitchoverArgs) -> ExitCode {
    let mut orders = Vec::new();
    for (kind, scopes) in [
        ("drain", &args.drain),
        ("disable", &args.disable),
        ("force-up", &args.force_up),
        ("force-down", &args.force_down),
        ("clear", &args.clear),
    ] {
        for text in scopes {
            let Some((scope, name)) = text.split_once('/') else {
                return super::failed(format!(
                    "`{text}` is no scope with a name such as region/eu or pool/web-eu"
                ));
            };
            orders.push(json!({ "scope": scope, "name": name, "kind": kind }));
        }
    }
    if orders.is_empty() {
        return super::failed("nothing is ordered; give --drain region/eu or the like");
    }
    let mut body = args.why.body();
    body.insert("orders".to_owned(), orders.into());
    given(&args.via, "POST", "/v1/switchover", &[], Some(body.into()))
}

/// Lists the orders in force.
pub(super) fn list(via: &Via) -> ExitCode {
    shown(via, "/v1/overrides", &[], |json, _| show::overrides(json))
}

/// Shows the audit record of the fleet.
pub(super) fn audit(args: &AuditArgs) -> ExitCode {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.node.clone().map(|node| ("node", node)));
    shown(&args.via, "/v1/audit", &query, |json, _| show::audit(json))
}

impl Why {
    fn body(self) -> Map<String, Value> {
        let mut body = Map::new();
        let mut put = |key: &str, value: Option<String>| {
            body.extend(value.map(|v| (key.to_owned(), Value::from(v))));
        };
        put("owner", Some(self.owner.unwrap_or_else(os_user)));
        put("reason", Some(self.reason));
        put("for", self.duration);
        put("until", self.until);
        put("demand", self.demand);
        put("break-glass", self.break_glass);
        body
    }
}

fn given(
    via: &Via,
    method: &str,
    path: &str,
    query: &[(&str, String)],
    body: Option<Value>,
) -> ExitCode {
    match ask(via, method, path, query, body.as_ref()) {
        Err(e) => super::failed(e),
        Ok(Answer { json, server }) => {
            if via.json {
                println!("{json:#}");
            } else {
                print!("{}", show::given(&json, &server));
            }
            if json["missing"].as_array().is_some_and(|m| !m.is_empty()) {
                return ExitCode::from(PARTLY);
            }
            ExitCode::SUCCESS
        }
    }
}

/// Who runs this, as far as the system says.
pub(super) fn os_user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].map(std::env::var);
    let named = named.into_iter().flatten().find(|n| !n.is_empty());
    named.unwrap_or_else(|| match std::fs::metadata("/proc/self") {
        Ok(own) => format!("uid {}", own.uid()),
        Err(_) => "unknown user".to_owned(),
    })
}
