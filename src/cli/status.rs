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
        std::thread::sleep(interval);
    }
}

/// The whole picture.
fn text(json: &Value, look: Look) -> String {
    let mut out = head(json, look);
    for warning in list(&json["warnings"]) {
        let warning = warning
            .as_str()
            .map_or_else(|| warning.to_string(), str::to_owned);
        out += &format!(
            "{}\n",
            Tone::Bad.paint(&format!("! {warning}"), look.colour)
        );
    }
    let mut counts = Table::new(&[
        Column::text(""),
        Column::number("total"),
        Column::text("of these"),
    ]);
    for what in ["names", "endpoints"] {
        let (rest, tone) = parts(&json[what]);
        counts.row([
            what.into(),
            number(&json[what], "total").into(),
            Cell::from(rest).toned(tone),
        ]);
    }
    for what in ["overrides", "drills"] {
        let many = json[what]
            .as_u64()
            .or_else(|| json[what].as_array().map(|a| a.len() as u64));
        if let Some(many) = many.or_else(|| json[what]["total"].as_u64()) {
            counts.row([what.into(), many.into()]);
        }
    }
    out.push('\n');
    out += &counts.text(look);
    for what in ["regions", "nodes"] {
        let table = listed(what, &json[what]);
        if !table.is_empty() {
            out.push('\n');
            out += &table.text(look);
        }
    }
    out
}

fn head(json: &Value, look: Look) -> String {
    let seconds = |key: &str| {
        let value = &json[key];
        let seconds = value.as_f64().or_else(|| value["seconds"].as_f64());
        seconds.map(|s| span(s.max(0.0) as u64))
    };
    let mut line = format!(
        "{} ({}), generation {}",
        Tone::Head.paint(&format!("node {}", word(json, "node")), look.colour),
        word(json, "version"),
        number(json, "generation"),
    );
    match (json["published"].as_str(), seconds("published")) {
        (Some(at), _) => line += &format!(" of {at}"),
        (None, Some(ago)) => line += &format!(" published {ago} ago"),
        (None, None) => {}
    }
    match (json["uptime"].as_str(), seconds("uptime")) {
        (Some(up), _) => line += &format!(", up {up}"),
        (None, Some(up)) => line += &format!(", up {up}"),
        (None, None) => {}
    }
    line.push('\n');
    line
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

/// How a word of a count or a state is to look.
fn tone(word: &str) -> Tone {
    match word {
        "up" | "normal" | "alive" | "this node" => Tone::Good,
        "down" | "last-resort" | "silent" | "never heard" => Tone::Bad,
        "held" | "degraded" | "unknown" | "stale" | "drained" | "disabled" | "left" => {
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

/// A row for each item, a column for each of its facts.
fn listed(what: &'static str, items: &Value) -> Table {
    const FACTS: [(&str, Column); 12] = [
        ("region", Column::text("region")),
        ("state", Column::text("state")),
        ("total", Column::number("endpoints")),
        ("endpoints", Column::number("endpoints")),
        ("up", Column::number("up")),
        ("serving", Column::number("serving")),
        ("down", Column::number("down")),
        ("unknown", Column::number("unknown")),
        ("drained", Column::number("drained")),
        ("disabled", Column::number("disabled")),
        ("generation", Column::number("generation")),
        ("config", Column::text("config")),
    ];
    let first = match what {
        "regions" => Column::text("region"),
        _ => Column::text("node"),
    };
    let columns: Vec<Column> = std::iter::once(first)
        .chain(FACTS.iter().map(|(_, c)| *c))
        .collect();
    let mut table = Table::new(&columns);
    for item in list(items) {
        let name = match (item["name"].as_str(), item["node"].as_str()) {
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => continue,
        };
        let mut row = vec![Cell::from(name)];
        for (key, _) in FACTS {
            let value = &item[key];
            let (text, look) = match value {
                Value::String(s) => (s.clone(), tone(s)),
                // Nothing of what is bad is not bad.
                Value::Number(n) if n.as_u64() == Some(0) => (n.to_string(), Tone::Faint),
                Value::Number(n) => (n.to_string(), tone(key)),
                _ => (String::new(), Tone::Plain),
            };
            row.push(Cell::from(text).toned(look));
        }
        table.row(row);
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
            "node": "ns1", "version": "0.1.0", "generation": 42,
            "published": "2026-11-22T01:00:00Z", "uptime": 7300,
            "names": { "total": 12, "normal": 11, "held": 0, "degraded": 0, "last-resort": 1 },
            "endpoints": { "total": 30, "up": 29, "down": 1 },
            "regions": [
                { "name": "eu", "endpoints": 20, "up": 20, "down": 0 },
                { "name": "ap", "endpoints": 10, "up": 9, "down": 1 },
            ],
            "nodes": [{ "node": "ns1", "region": "eu", "state": "this node", "generation": 42 }],
            "overrides": 2, "drills": 0,
            "warnings": ["www.example. answers by its last resort"],
        });
        assert_eq!(
            text(&json, Look::default()),
            "node ns1 (0.1.0), generation 42 of 2026-11-22T01:00:00Z, up 2 h\n\
             ! www.example. answers by its last resort\n\n\
             \x20          total  of these\n\
             names         12  1 last-resort, 11 normal\n\
             endpoints     30  1 down, 29 up\n\
             overrides      2\n\
             drills         0\n\n\
             region  endpoints  up  down\n\
             eu             20  20     0\n\
             ap             10   9     1\n\n\
             node  region  state      generation\n\
             ns1   eu      this node          42\n"
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
