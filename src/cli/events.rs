//! `tradewind events`: what happened, and what happens.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::ask::{Via, ask};
use super::listen::{Heard, listen};

/// Events in one answer of the API at most.
const PAGE: usize = 1_000;

/// Which events.
#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Go on with what happens, until it is interrupted.
    #[arg(long, short)]
    follow: bool,
    /// From this time on: RFC 3339, or so long ago, such as 1h (units s, m, h, d).
    #[arg(long, allow_hyphen_values = true)]
    since: Option<String>,
    /// Before this time, written as --since.
    #[arg(long, allow_hyphen_values = true)]
    until: Option<String>,
    /// Only of this kind; may be given several times. There are verdict, stale, brake, failback, vantage,
    /// fail-open, order, config, drill, member, refused, node.
    #[arg(long)]
    kind: Vec<String>,
    /// Only about what has this in its name.
    #[arg(long)]
    subject: Option<String>,
    /// At least so grave: info, warning or error.
    #[arg(long)]
    level: Option<String>,
    /// The last so many. The default is 50, with --since all.
    #[arg(long, short = 'n')]
    limit: Option<usize>,
    #[command(flatten)]
    via: Via,
}

/// Prints events, earliest first.
pub(super) fn events(args: &EventsArgs) -> ExitCode {
    let mut filter = Vec::new();
    if !args.kind.is_empty() {
        filter.push(("kind", args.kind.join(",")));
    }
    filter.extend(args.subject.clone().map(|s| ("subject", s)));
    filter.extend(args.level.clone().map(|l| ("level", l)));
    let past = match past(args, &filter) {
        Ok(past) => past,
        Err(e) => return super::failed(e),
    };
    for event in past.iter().rev() {
        print(event, args.via.json);
    }
    if !args.follow {
        return ExitCode::SUCCESS;
    }
    let last = past
        .first()
        .and_then(|e| e.get("number"))
        .and_then(Value::as_u64);
    let json = args.via.json;
    let ended = listen(
        &args.via,
        "/v1/events",
        &filter,
        last,
        |heard| match heard {
            Heard::Event(event) => print(&event, json),
            Heard::Note(note) => eprintln!("{note}"),
        },
    );
    super::failed(ended)
}

/// What happened, latest first.
fn past(args: &EventsArgs, filter: &[(&'static str, String)]) -> Result<Vec<Value>, String> {
    let mut wanted = args.limit.unwrap_or(match args.since {
        Some(_) => usize::MAX,
        None => 50,
    });
    let mut events = Vec::new();
    let mut before: Option<u64> = None;
    while wanted > 0 {
        let mut query = filter.to_vec();
        query.extend(args.since.as_ref().map(|t| ("since", time(t))));
        query.extend(args.until.as_ref().map(|t| ("until", time(t))));
        query.extend(before.map(|n| ("before", n.to_string())));
        query.push(("limit", wanted.min(PAGE).to_string()));
        let mut page = ask(&args.via, "GET", "/v1/events", &query, None)?.json;
        if let Some(partial) = page.get("partial").and_then(Value::as_str) {
            eprintln!("note: {partial}");
        }
        let next = page.get("next").and_then(Value::as_u64);
        let list = page.get_mut("events").map(Value::take);
        let Some(Value::Array(list)) = list else {
            return Err("the answer has no `events`; is the node of another release?".to_owned());
        };
        wanted = wanted.saturating_sub(list.len());
        events.extend(list);
        before = next;
        if before.is_none() {
            break;
        }
    }
    Ok(events)
}

/// Of `15m` the API's `-15m`; other times as they are.
pub(super) fn time(text: &str) -> String {
    let span = text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains('T');
    match span {
        true => format!("-{text}"),
        false => text.to_owned(),
    }
}

fn print(event: &Value, json: bool) {
    if json {
        println!("{event}");
        return;
    }
    let word = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
    println!(
        "{}  {:7}  {:9}  {}  {}",
        word("at"),
        word("level"),
        word("kind"),
        word("node"),
        word("text")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_as_the_api_reads_them() {
        for (given, asked) in [
            ("15m", "-15m"),
            ("-15m", "-15m"),
            ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z"),
            ("soon", "soon"),
        ] {
            assert_eq!(time(given), asked);
        }
    }
}
