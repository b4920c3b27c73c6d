//! `tradewind explain`: asks a node's admin API.

use std::process::ExitCode;

use serde_json::Value;

use super::ExplainArgs;
use super::ask::ask;

/// Prints why the client gets its answer.
pub(super) fn explain(args: &ExplainArgs) -> ExitCode {
    let mut query = vec![
        ("name", args.name.clone()),
        ("type", args.qtype.clone()),
        ("client", args.client.clone()),
    ];
    let more = [("resolver", &args.resolver), ("draw", &args.draw)];
    for (key, value) in more {
        query.extend(value.clone().map(|v| (key, v)));
    }
    query.extend(args.at.as_deref().map(|at| ("at", super::events::time(at))));
    match ask(&args.via, "GET", "/v1/explain", &query, None) {
        Ok(answer) if args.via.json => {
            println!("{:#}", answer.json);
            ExitCode::SUCCESS
        }
        Ok(answer) => match text(&answer.json) {
            Some(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            None => super::failed("the answer has no `lines`; is the node of another release?"),
        },
        Err(e) => super::failed(e),
    }
}

/// The explanation, and below it what bounds the scope and what it would take for another answer.
fn text(json: &Value) -> Option<String> {
    let lines = |key: &str| {
        let lines = json.get(key)?.as_array()?;
        Some(lines.iter().filter_map(Value::as_str))
    };
    let mut out = String::new();
    for line in lines("lines")? {
        out.push_str(line);
        out.push('\n');
    }
    for line in lines("further-lines").into_iter().flatten() {
        out.push_str(line);
        out.push('\n');
    }
    Some(out)
}
