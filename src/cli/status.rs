//! `tradewind status`: how a node and its fleet stand, what is wrong first.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::ask::{Answer, Via, ask};
use super::say::{list, number, word};
use super::table::{Cell, Column, Table, span};
use super::terminal::{Look, Tone};
use crate::config::quantity::parse_duration;

/// Where it is asked.
const PATH: &str = "/v1/status";

/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// What is shown, and how often.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Show it again and again, this often, until interrupted.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "2s", value_parser = interval)]
    watch: Option<Duration>,
    #[command(flatten)]
    via: Via,
}

fn interval(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|d| *d >= Duration::from_millis(100))
        .ok_or_else(|| "a duration of at least 100ms such as 2s is wanted".to_owned())
}

/// Shows it, once or until interrupted.
pub(super) fn status(args: &StatusArgs) -> ExitCode {
    let Some(interval) = args.watch else {
        return super::say::shown(&args.via, PATH, &[], text);
    };
    loop {
        let look = Look::of_stdout();
        // On a terminal a new picture takes the place of the old one; a file gets one after the other.
        let shown = match ask(&args.via, "GET", PATH, &[], None) {
            Ok(Answer { json, .. }) if args.via.json => format!("{json}\n"),
            Ok(Answer { json, .. }) => text(&json, look),
            // A node that restarts is back soon.
            Err(e) => format!("{}\n", Tone::Bad.paint(&e, look.colour)),
        };
        let before = match look.width.is_some() && !args.via.json {
            true => CLEAR,
            false => "",
        };
        print!("{before}{shown}");
        super::terminal::pause(interval);
    }
}

/// The whole picture.
fn text(json: &Value, look: Look) -> String {
    let mut out = head(json, look);
    for warning in list(&json["warnings"]).filter_map(Value::as_str) {
        let warning = Tone::Bad.paint(&format!("! {warning}"), look.colour);
        out += &format!("{warning}\n");
    }
    let mut counts = Table::new(&[
        Column::text(""),
        Column::number("total"),
        Column::text("of these"),
    ]);
    for what in ["names", "endpoints", "nodes", "overrides", "drills"] {
        let counted = &json[what];
        let Some(total) = counted["total"].as_u64().or_else(|| counted.as_u64()) else {
            continue;
        };
        let (mut rest, tone) = parts(counted);
        if what == "overrides" && number(json, "drill_orders") > 0 {
            rest = format!("{} of drills", number(json, "drill_orders"));
        }
        counts.row([what.into(), total.into(), Cell::from(rest).toned(tone)]);
    }
    out.push('\n');
    out += &counts.text(look);
    let regions = regions(&json["regions"]);
    if !regions.is_empty() {
        out.push('\n');
        out += &regions.text(look);
    }
    out
}

fn head(json: &Value, look: Look) -> String {
    let mut line = Tone::Head.paint(&format!("node {}", word(json, "node")), look.colour);
    line += &format!(" ({})", word(json, "version"));
    if let Some(cluster) = json["cluster"].as_str() {
        line += &format!(" of cluster {cluster}");
    }
    format!(
        "{line}, generation {} of {}, up {}\n",
        number(json, "generation"),
        word(json, "published"),
        span(number(json, "uptime")),
    )
}

/// The counts beside the total that are not zero, and the tone of the worst of them.
fn parts(counts: &Value) -> (String, Tone) {
    let counts = counts.as_object().into_iter().flatten();
    let counts: Vec<(&String, u64)> = counts
        .filter(|(key, _)| *key != "total")
        .filter_map(|(key, n)| Some((key, n.as_u64()?)))
        .filter(|(_, n)| *n > 0)
        .collect();
    let worst = counts
        .iter()
        .map(|(key, _)| tone(key))
        .max_by_key(|t| rank(*t));
    let words: Vec<String> = counts.iter().map(|(key, n)| format!("{n} {key}")).collect();
    (words.join(", "), worst.unwrap_or_default())
}

/// How a count is to look when it is not zero.
fn tone(word: &str) -> Tone {
    match word {
        "up" | "serving" | "normal" | "alive" => Tone::Good,
        "down" | "last-resort" | "silent" | "never-heard" | "blind" => Tone::Bad,
        "held" | "degraded" | "unknown" | "stale" | "drained" | "disabled" | "differing" => {
            Tone::Doubtful
        }
        _ => Tone::Plain,
    }
}

fn rank(tone: Tone) -> u8 {
    match tone {
        Tone::Bad => 3,
        Tone::Doubtful => 2,
        Tone::Good => 1,
        Tone::Plain | Tone::Faint | Tone::Head => 0,
    }
}

/// A row for each region.
fn regions(regions: &Value) -> Table {
    const COUNTS: [&str; 8] = [
        "total", "serving", "up", "down", "unknown", "stale", "drained", "disabled",
    ];
    let mut columns = vec![Column::text("region"), Column::number("capacity")];
    columns.push(Column::number("endpoints"));
    columns.extend(COUNTS[1..].iter().map(|c| Column::number(c)));
    let mut table = Table::new(&columns);
    for region in list(regions) {
        let percent = number(&region["capacity"], "percent");
        let capacity = Cell::from(format!("{percent} %")).toned(match percent {
            100.. => Tone::Good,
            50..100 => Tone::Doubtful,
            _ => Tone::Bad,
        });
        let counts = COUNTS.iter().map(|key| {
            let n = number(&region["endpoints"], key);
            // Nothing of what is bad is not bad.
            Cell::from(n).toned(if n == 0 { Tone::Faint } else { tone(key) })
        });
        let name = Cell::from(word(region, "name"));
        table.row([name, capacity].into_iter().chain(counts));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_stands_first() {
        let json = json!({
            "node": "ns1", "cluster": "lab", "version": "0.1.0", "generation": 42,
            "published": "2026-11-22T01:00:00Z", "uptime": 7300,
            "names": { "total": 12, "normal": 11, "held": 0, "degraded": 0, "last-resort": 1 },
            "endpoints": { "total": 30, "serving": 28, "up": 29, "down": 1, "drained": 1 },
            "regions": [
                { "name": "eu", "capacity": { "percent": 95 },
                  "endpoints": { "total": 20, "serving": 19, "up": 20, "drained": 1 } },
                { "name": "ap", "capacity": { "percent": 90 },
                  "endpoints": { "total": 10, "serving": 9, "up": 9, "down": 1 } },
            ],
            "nodes": { "total": 3, "alive": 3 },
            "overrides": 2,
            "warnings": ["www.example. answers by its last resort"],
        });
        assert_eq!(
            text(&json, Look::default()),
            "node ns1 (0.1.0) of cluster lab, generation 42 of 2026-11-22T01:00:00Z, up 2 h\n\
             ! www.example. answers by its last resort\n\n\
             \x20          total  of these\n\
             names         12  1 last-resort, 11 normal\n\
             endpoints     30  1 down, 1 drained, 28 serving, 29 up\n\
             nodes          3  3 alive\n\
             overrides      2\n\n\
             region  capacity  endpoints  serving  up  down  unknown  stale  drained  disabled\n\
             eu          95 %         20       19  20     0        0      0        1         0\n\
             ap          90 %         10        9   9     1        0      0        0         0\n"
        );
        let painted = text(
            &json,
            Look {
                colour: true,
                width: None,
            },
        );
        assert!(painted.contains("\u{1b}[1m\u{1b}[31m! www"), "{painted:?}");
    }

    #[test]
    fn an_interval_too_short_to_be_seen_is_refused() {
        assert_eq!(interval("2s"), Ok(Duration::from_secs(2)));
        assert!(interval("1ms").is_err() && interval("soon").is_err());
    }
}
