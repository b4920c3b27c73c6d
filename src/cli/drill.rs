//! `tradewind drill`: failures and drains for a set time, through the admin API of any node.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::ask::{Answer, Failure, Via, ask, try_ask};
use super::orders::os_user;

/// A drill that did not run for its whole time.
const NOT_FINISHED: u8 = 4;

/// Time between two looks of `--watch`.
const LOOK: Duration = Duration::from_millis(400);

/// So many looks may fail in a row before the watch gives up: the node asked may be the one that dies.
const PATIENCE: u32 = 25;

/// Drills.
#[derive(Debug, Subcommand)]
pub(super) enum DrillCommand {
    /// Treat it as down for a while, and see who takes over.
    Fail(BeginArgs),
    /// Send no new clients there for a while, and see who takes over.
    Drain(BeginArgs),
    /// List drills, the latest first.
    List(Via),
    /// Show a drill with its steps.
    Show(OneArgs),
    /// End a drill now.
    Abort(AbortArgs),
    /// Show what a drill did and showed: Markdown, or JSON with --json.
    Report(ReportArgs),
}

/// A drill to begin.
#[derive(Debug, Args)]
pub(super) struct BeginArgs {
    /// region, pool or endpoint.
    scope: String,
    /// Its name in the configuration.
    name: String,
    /// How long, such as 30s, 2m or 1h.
    #[arg(long = "for", value_name = "DURATION")]
    duration: String,
    /// Only for clients in this network; what all others get stays as it is.
    #[arg(long, value_name = "PREFIX", conflicts_with = "label")]
    canary: Option<String>,
    /// For nobody but who asks for drill-ID.NAME.
    #[arg(long)]
    label: bool,
    /// Why; whoever sees it later reads it.
    #[arg(long, default_value = "drill")]
    reason: String,
    /// Who; the default is the user who runs this.
    #[arg(long)]
    owner: Option<String>,
    /// The share of each name's capacity that must go on serving, such as 60%; without it traffic says,
    /// where it is known.
    #[arg(long)]
    demand: Option<String>,
    /// Most requests that proxies may answer with 5xx before it is rolled back.
    #[arg(long, value_name = "SHARE")]
    max_errors: Option<String>,
    /// Breaks the rules that do not hold, for this reason.
    #[arg(long, value_name = "REASON")]
    break_glass: Option<String>,
    /// Show how it goes until it is over; the default on a terminal.
    #[arg(long, overrides_with = "no_watch")]
    watch: bool,
    /// Do not wait for its end.
    #[arg(long)]
    no_watch: bool,
    #[command(flatten)]
    via: Via,
}

/// One drill.
#[derive(Debug, Args)]
pub(super) struct OneArgs {
    /// The drill.
    id: String,
    /// Show how it goes until it is over.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    via: Via,
}

/// The end of a drill.
#[derive(Debug, Args)]
pub(super) struct AbortArgs {
    /// The drill.
    id: String,
    /// Why.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the default is the user who runs this.
    #[arg(long)]
    owner: Option<String>,
    #[command(flatten)]
    via: Via,
}

/// The report of a drill.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The drill.
    id: String,
    /// As Markdown; the default.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    via: Via,
}

/// Runs one of them.
pub(super) fn run(command: DrillCommand) -> ExitCode {
    match command {
        DrillCommand::Fail(args) => begin("fail", args),
        DrillCommand::Drain(args) => begin("drain", args),
        DrillCommand::List(via) => shown(&via, "/v1/drills", list),
        DrillCommand::Show(args) if args.watch => watch_known(&args.via, &args.id),
        DrillCommand::Show(args) => shown(&args.via, &path(&args.id), whole),
        DrillCommand::Abort(args) => abort(args),
        DrillCommand::Report(args) => {
            let text = |json: &Value| text(&json["markdown"]).to_owned();
            shown(&args.via, &format!("{}/report", path(&args.id)), text)
        }
    }
}

fn begin(effect: &str, args: BeginArgs) -> ExitCode {
    let mut body = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        body.extend(value.map(|v| (key.to_owned(), Value::from(v))));
    };
    put("effect", Some(effect.to_owned()));
    put("scope", Some(args.scope));
    put("name", Some(args.name));
    put("for", Some(args.duration));
    put("canary", args.canary);
    put("owner", Some(args.owner.unwrap_or_else(os_user)));
    put("reason", Some(args.reason));
    put("demand", args.demand);
    put("max-errors", args.max_errors);
    put("break-glass", args.break_glass);
    if args.label {
        body.insert("label".to_owned(), true.into());
    }
    let via = &args.via;
    match ask(via, "POST", "/v1/drills", &[], Some(&body.into())) {
        Err(e) => super::failed(e),
        Ok(Answer { json, .. }) => {
            let watched = match args.watch {
                true => true,
                false => std::io::stdout().is_terminal() && !args.no_watch && !via.json,
            };
            match (via.json, watched) {
                (true, true) => {}
                (true, false) => println!("{json:#}"),
                (false, _) => print!("{}", begun(&json)),
            }
            match watched {
                true => watch(via, text(&json["id"])),
                false => ExitCode::SUCCESS,
            }
        }
    }
}

fn abort(args: AbortArgs) -> ExitCode {
    let mut body = Map::new();
    let owner = args.owner.unwrap_or_else(os_user);
    body.insert("owner".to_owned(), owner.into());
    body.insert("reason".to_owned(), args.reason.into());
    let path = format!("{}/abort", path(&args.id));
    match ask(&args.via, "POST", &path, &[], Some(&body.into())) {
        Err(e) => super::failed(e),
        Ok(Answer { json, .. }) if args.via.json => {
            println!("{json:#}");
            ExitCode::SUCCESS
        }
        Ok(Answer { json, .. }) => {
            print!("{}", head(&json));
            ExitCode::SUCCESS
        }
    }
}

/// As [`watch`], of a drill that somebody names: what a node refuses now it refuses later, too.
fn watch_known(via: &Via, id: &str) -> ExitCode {
    match try_ask(via, "GET", &path(id), &[], None) {
        Err(refused @ Failure::Refused { .. }) => super::failed(refused),
        _ => watch(via, id),
    }
}

/// Shows steps as they come, until the report is whole; as JSON, the drill as it is then.
fn watch(via: &Via, id: &str) -> ExitCode {
    let terminal = std::io::stderr().is_terminal() && !via.json;
    let (mut told, mut failures) = (HashSet::new(), 0);
    loop {
        let json = match ask(via, "GET", &path(id), &[], None) {
            Ok(Answer { json, .. }) => json,
            Err(e) => {
                failures += 1;
                if failures > PATIENCE {
                    return super::failed(e);
                }
                super::terminal::pause(LOOK);
                continue;
            }
        };
        failures = 0;
        if terminal {
            eprint!("\r\x1b[K");
        }
        let lines = if via.json {
            Vec::new()
        } else {
            progress(&json)
        };
        for line in lines {
            // Another node's note may come late and stand before what was told.
            if told.insert(line.clone()) {
                println!("{line}");
            }
        }
        // Whoever reads through a pipe sees it now.
        drop(std::io::stdout().flush());
        if json["state"] == "reported" {
            match via.json {
                true => println!("{json:#}"),
                false => print!("{}", summary(&json)),
            }
            return match json["ended"] == "finished" {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(NOT_FINISHED),
            };
        }
        if terminal {
            let left = json["ends_in_ms"].as_u64().unwrap_or(0) / 1000;
            eprint!("{} … {left} s left", text(&json["state"]));
            drop(std::io::stderr().flush());
        }
        super::terminal::pause(LOOK);
    }
}

fn shown(via: &Via, path: &str, text: impl FnOnce(&Value) -> String) -> ExitCode {
    super::say::shown(via, path, &[], |json, _| text(json))
}

fn path(id: &str) -> String {
    format!("/v1/drills/{id}")
}

/// What one sees of a drill that has begun.
fn begun(json: &Value) -> String {
    let mut out = head(json);
    // Writing to a String cannot fail.
    if let Some(label) = json["label"].as_str() {
        for name in array(&json["names"]).filter_map(Value::as_str) {
            let _ = writeln!(out, "  ask for {label}.{}", name.trim_end_matches('.'));
        }
    }
    out
}

/// `drill k2f9: fail of region eu for all clients: running until …`.
fn head(json: &Value) -> String {
    let whom = match (json["canary"].as_str(), json["label"].as_str()) {
        (Some(prefix), _) => format!("clients in {prefix}"),
        (_, Some(label)) => format!("who asks for {label}.NAME"),
        _ => "all clients".to_owned(),
    };
    let state = match json["ended"].as_str() {
        Some(end) => end.to_owned(),
        None => format!("{} until {}", text(&json["state"]), text(&json["ends"])),
    };
    format!(
        "drill {}: {} of {} {} for {whom}: {state}\n",
        text(&json["id"]),
        text(&json["effect"]),
        text(&json["scope"]),
        text(&json["name"]),
    )
}

fn list(json: &Value) -> String {
    let all: String = array(&json["drills"]).map(head).collect();
    match all.is_empty() {
        true => "no drill was begun yet\n".to_owned(),
        false => all,
    }
}

fn whole(json: &Value) -> String {
    let mut out = begun(json);
    let _ = writeln!(
        out,
        "  by {}: {}",
        text(&json["owner"]),
        text(&json["reason"])
    );
    for check in array(&json["checks"]) {
        let held = if check["holds"] == true {
            "holds"
        } else {
            "BROKEN"
        };
        let _ = writeln!(
            out,
            "  {held:<6} {}: {}",
            text(&check["rule"]),
            text(&check["text"])
        );
    }
    for line in progress(json) {
        let _ = writeln!(out, "  {line}");
    }
    out.push_str(&summary(json));
    out
}

/// Steps and notes, a line each, in the order in which they are known.
fn progress(json: &Value) -> Vec<String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for step in array(&json["steps"]) {
        let after = step["after_ms"].as_u64().unwrap_or(0) as f64 / 1000.0;
        let line = format!(
            "{:>8.1} s  {:<11} {} ({})",
            after,
            text(&step["step"]),
            text(&step["text"]),
            text(&step["node"])
        );
        lines.push((text(&step["at"]).to_owned(), line));
    }
    for note in array(&json["notes"]) {
        let line = format!("            note        {}", text(&note["text"]));
        lines.push((text(&note["at"]).to_owned(), line));
    }
    lines.sort_by(|a, b| a.0.cmp(&b.0));
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What it showed.
fn summary(json: &Value) -> String {
    let mut out = String::new();
    let seconds = |v: &Value| v.as_u64().map(|ms| format!("{:.1} s", ms as f64 / 1000.0));
    // What is promised must not be said to be less than it is.
    let at_worst = |v: &Value| {
        v.as_u64().map(|ms| match ms {
            0..1000 => format!("{ms} ms"),
            _ => format!("{:.1} s", ms.div_ceil(100) as f64 / 10.0),
        })
    };
    let seen = &json["seen"];
    if let Some(ms) = seen["publish_ms"].as_u64() {
        let promised = at_worst(&json["promised"]["publish_ms"]);
        let promised = promised.map_or_else(String::new, |p| format!(", {p} at worst promised"));
        let _ = writeln!(out, "  every node obeyed after {ms} ms{promised}");
    }
    if let Some(ms) = seen["roll_back_ms"].as_u64() {
        let _ = writeln!(out, "  every node was back after {ms} ms");
    }
    let promised = &json["promised"];
    if let Some(whole) = at_worst(&promised["total_ms"]) {
        let of = |key: &str| at_worst(&promised[key]).unwrap_or_default();
        let _ = writeln!(
            out,
            "  promised at worst for {}: {whole} (detection {}, publication {}, caches {})",
            text(&promised["name"]),
            of("detection_ms"),
            of("publish_ms"),
            of("ttl_ms")
        );
    }
    answers(&json["answers"], &mut out);
    for (of, what) in [("answers", "DNS answers"), ("traffic", "traffic")] {
        for (verb, key) in [("moved away", "away"), ("came back", "back")] {
            let moved = &json[of][key];
            if moved.is_object() {
                let of = |key: &str| seconds(&moved[key]).unwrap_or_else(|| "not seen".to_owned());
                let _ = writeln!(
                    out,
                    "  {what} {verb}: 50 % {}, 90 % {}, 99 % {}",
                    of("p50_ms"),
                    of("p90_ms"),
                    of("p99_ms")
                );
            }
        }
    }
    out
}

/// Where DNS sent clients.
fn answers(json: &Value, out: &mut String) {
    if let Some(why) = json["why_not"].as_str() {
        let _ = writeln!(out, "  DNS answers: {why}");
    }
    for r in array(&json["regions"]) {
        let share = |key: &str| match r[key].as_f64() {
            Some(share) => format!("{:.1} %", share * 100.0),
            None => "not asked".to_owned(),
        };
        let _ = writeln!(
            out,
            "  DNS answers to {}: {} before, {} during, {} after",
            text(&r["region"]),
            share("before"),
            share("during"),
            share("after")
        );
    }
}

fn array(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> &str {
    json.as_str().unwrap_or("?")
}
