//! Answers about orders as text.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::say::list;
use crate::cli::table::span;

/// An order that was taken.
pub(super) fn given(json: &Value, server: &str) -> String {
    let mut out = String::new();
    let until = match json["expires"].as_str() {
        Some(end) => format!(" until {end}"),
        None => String::new(),
    };
    // Writing to a String cannot fail.
    for said in strings(&json["said"]) {
        let _ = writeln!(out, "{said}{until}");
    }
    let (applied, of) = (&json["applied"], &json["of"]);
    let nodes = if of == 1 { "node" } else { "nodes" };
    let _ = write!(out, "in force on {applied} of {of} {nodes}");
    let missing: Vec<String> = list(&json["missing"])
        .map(|m| format!("{} ({})", text(&m["node"]), text(&m["why"])))
        .collect();
    if !missing.is_empty() {
        let _ = write!(out, "; not yet: {}", missing.join(", "));
    }
    let _ = writeln!(out, " (order {}, taken by {server})", text(&json["stamp"]));
    for warning in strings(&json["warnings"]) {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

/// All orders.
pub(super) fn overrides(json: &Value) -> String {
    let mut out = String::new();
    for o in list(&json["overrides"]) {
        let kind = match o["weight"].as_u64() {
            Some(w) => format!("weight {w}"),
            None => text(&o["kind"]).to_owned(),
        };
        let _ = write!(
            out,
            "{kind} of {} {} by {}: {}",
            text(&o["scope"]),
            text(&o["name"]),
            text(&o["owner"]),
            text(&o["reason"])
        );
        let _ = match (o["expires"].as_str(), o["ends_in_seconds"].as_u64()) {
            (Some(end), Some(left)) => writeln!(out, " (until {end}, {})", span(left)),
            _ => writeln!(out, " (until cleared)"),
        };
        if let Some(said) = of_drill(&o["drill"]) {
            let _ = writeln!(out, "  {said}");
        }
        let _ = writeln!(out, "  given {} on {}", text(&o["given"]), text(&o["node"]));
        if let Some(broke) = o["break_glass"].as_str() {
            let _ = writeln!(out, "  break-glass: {broke}");
        }
        let beneath = &o["beneath"];
        if beneath.is_null() {
            let _ = writeln!(out, "  about nothing in this configuration");
            continue;
        }
        let _ = writeln!(
            out,
            "  beneath it: {} up, {} down, {} unknown",
            beneath["up"], beneath["down"], beneath["unknown"]
        );
        for e in list(&beneath["not_up"]) {
            let error = e["last_error"].as_str();
            let error = error.map(|e| format!(": {e}")).unwrap_or_default();
            let _ = writeln!(
                out,
                "    {} {}{error}",
                text(&e["endpoint"]),
                text(&e["state"])
            );
        }
    }
    for q in list(&json["quarantined"]) {
        let says: Vec<&str> = strings(&q["says"]).collect();
        let _ = writeln!(
            out,
            "quarantined: {} by {}: {}\n  its time is {} ahead of this node's clock (taken by {}); \
             give it again to confirm it, or clear it",
            says.join(", "),
            text(&q["owner"]),
            text(&q["reason"]),
            span(q["ahead_seconds"].as_u64().unwrap_or(0)),
            text(&q["node"])
        );
    }
    if out.is_empty() {
        out.push_str("no orders in force\n");
    }
    if json["durable"] == false {
        out.push_str(
            "warning: this node has no state directory; its orders end with its process\n",
        );
    }
    out
}

/// Which drill an order is of and whom it concerns; `None`: it is an operator's.
fn of_drill(drill: &Value) -> Option<String> {
    let id = drill["id"].as_str()?;
    let whom = match (drill["canary"].as_str(), drill["label"].as_str()) {
        (Some(prefix), _) => format!("only clients in {prefix} are concerned"),
        (_, Some(label)) => format!("only who asks for {label}.NAME is concerned"),
        _ => "all clients are concerned".to_owned(),
    };
    Some(format!("drill {id}: {whom}"))
}

/// The audit record. Where a line does not stand in the record of the node that it is about, those in whose
/// it stands are told.
pub(super) fn audit(json: &Value) -> String {
    let mut out = String::new();
    for e in list(&json["audit"]) {
        let node = text(&e["node"]);
        let records: Vec<&str> = strings(&e["records"]).collect();
        let elsewhere = match records.is_empty() || records == [node] {
            true => String::new(),
            false => format!(" [{}]", records.join(", ")),
        };
        let _ = writeln!(
            out,
            "{} {:<11} {} ({node}): {}{elsewhere}",
            text(&e["at"]),
            text(&e["event"]),
            text(&e["owner"]),
            text(&e["text"])
        );
    }
    if out.is_empty() {
        out.push_str("nothing was written down yet\n");
    }
    let missing: Vec<&str> = strings(&json["missing"]).collect();
    if !missing.is_empty() {
        let _ = writeln!(
            out,
            "warning: no answer from {} within a second; what only they wrote down is not here",
            missing.join(", ")
        );
    }
    out
}

fn strings(json: &Value) -> impl Iterator<Item = &str> {
    list(json).filter_map(Value::as_str)
}

fn text(json: &Value) -> &str {
    json.as_str().unwrap_or("?")
}
