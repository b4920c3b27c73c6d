//! A plan for people.

use serde_json::Value;

/// Names of one line that lists some.
const LISTED: usize = 8;

/// The plan as text; of `names` at most in full.
pub(super) fn text(plan: &Value, names: usize) -> String {
    let mut out = String::new();
    head(plan, &mut out);
    moves(&plan["moves"], "  ", 3, &mut out);
    load(plan, &mut out);
    changes(plan, names, &mut out);
    new_names(plan, names, &mut out);
    unasked(plan, &mut out);
    for (kind, what) in [
        ("steered", "names"),
        ("pools", "pools"),
        ("regions", "regions"),
    ] {
        for (key, sign) in [("added", "added"), ("removed", "removed")] {
            let list = words(&plan[kind][key]);
            if !list.is_empty() {
                out += &format!("{what} {sign}: {}\n", some(&list));
            }
        }
    }
    let assumed = words(&plan["assumed_up"]);
    if !assumed.is_empty() {
        out += &format!(
            "not probed yet, taken as up: {} ({})\n",
            assumed.len(),
            some(&assumed)
        );
    }
    for warning in words(&plan["warnings"]) {
        out += &format!("{warning}\n");
    }
    if let Some(passes) = plan["gate"]["passes"].as_bool() {
        let bound = percent(&plan["gate"]["max_shift"]);
        let shift = percent(&plan["shift"]);
        let surely = match plan["certainty"].is_object() {
            true => format!(
                ", surely no more than {},",
                percent(&plan["gate"]["compared"])
            ),
            false => String::new(),
        };
        out += &match passes {
            true => format!("gate: {shift}{surely} of at most {bound}: passes\n"),
            false => format!("gate: {shift}{surely} of at most {bound}: FAILS\n"),
        };
    }
    out
}

fn head(plan: &Value, out: &mut String) {
    let of = match plan["basis"].as_str() {
        Some("traffic") => format!(
            "the queries of the last day (about {})",
            plan["queries"].as_f64().unwrap_or_default()
        ),
        _ => "the addresses whose place is known".to_owned(),
    };
    *out += &match plan["generation"].as_u64() {
        Some(generation) => format!(
            "against node {} at generation {generation}, by {of}\n",
            plan["node"].as_str().unwrap_or_default()
        ),
        None => format!("against a configuration where everything is up, by {of}\n"),
    };
    *out += &format!(
        "{}{} go to another region, {} get another address; {} names change, {} do not\n",
        percent(&plan["shift"]),
        give_or_take(&plan["certainty"]),
        percent(&plan["changed"]),
        list(&plan["names"]).count() as u64 + plan["names_left"].as_u64().unwrap_or_default(),
        plan["names_unchanged"]
    );
}

/// How sure a share is; nothing where it is exact.
fn give_or_take(certainty: &Value) -> String {
    match certainty["samples"].as_u64() {
        Some(samples) => format!(
            " (standard error {}, {samples} samples)",
            percent(&certainty["standard_error"])
        ),
        None => String::new(),
    }
}

/// Names that nobody asked for.
fn unasked(plan: &Value, out: &mut String) {
    let (names, count) = (words(&plan["unasked"]["names"]), &plan["unasked"]["count"]);
    let count = count.as_u64().unwrap_or_default();
    if count == 0 {
        return;
    }
    let shown = names.len().min(LISTED);
    let mut listed = names[..shown].join(", ");
    if count > shown as u64 {
        listed += &format!(" and {} more", count - shown as u64);
    }
    *out += &format!(
        "no query was seen for {count} name{}, which count in no sum: {listed}; clients of {} of them \
         would move\n",
        if count == 1 { "" } else { "s" },
        plan["unasked"]["moving"].as_u64().unwrap_or_default()
    );
}

/// The names that are added: what failing over and caching them takes.
fn new_names(plan: &Value, most: usize, out: &mut String) {
    for n in list(&plan["new_names"]).take(most) {
        *out += &format!(
            "{} is added: worst-case failover {}, ECS partitions {}\n",
            word(n, "name"),
            time(&n["failover"]),
            n["partitions"]
        );
    }
}

fn moves(all: &Value, indent: &str, examples: usize, out: &mut String) {
    for m in list(all) {
        *out += &format!(
            "{indent}{:>8}  {} -> {}",
            percent(&m["share"]),
            word(m, "from"),
            word(m, "to")
        );
        let some: Vec<String> = list(&m["examples"])
            .take(examples)
            .map(|e| match e["country"].as_str() {
                Some(country) => format!("{} {country}", word(e, "network")),
                None => word(e, "network").to_owned(),
            })
            .collect();
        if !some.is_empty() {
            *out += &format!("  (as {})", some.join(", "));
        }
        out.push('\n');
    }
}

fn load(plan: &Value, out: &mut String) {
    if list(&plan["load"]).count() == 0 {
        return;
    }
    *out += &format!(
        "{:<28} {:>8} {:>8} {:>10} {:>10} {:>7} {:>7}\n",
        "load", "now", "then", "serving", "then", "strain", "then"
    );
    for l in list(&plan["load"]) {
        let name = match l["pool"].as_str() {
            Some(pool) => format!("  {pool}"),
            None => word(l, "region").to_owned(),
        };
        let strain = |v: &Value| v.as_f64().map_or("-".to_owned(), |s| format!("{s:.2}"));
        let serving = |at: &str| format!("{}/{}", l["serving"][at], l["capacity"][at]);
        let line = format!(
            "{name:<28} {:>8} {:>8} {:>10} {:>10} {:>7} {:>7}",
            percent(&l["load"]["old"]),
            percent(&l["load"]["new"]),
            serving("old"),
            serving("new"),
            strain(&l["strain"]["old"]),
            strain(&l["strain"]["new"])
        );
        *out += line.trim_end();
        out.push('\n');
    }
}

fn changes(plan: &Value, most: usize, out: &mut String) {
    for n in list(&plan["names"]).take(most) {
        *out += &format!(
            "{} {}: {}{} to another region, {} another address",
            word(n, "name"),
            word(n, "record"),
            percent(&n["shift"]),
            give_or_take(&n["certainty"]),
            percent(&n["changed"])
        );
        if plan["basis"] == "traffic" && n["basis"] == "addresses" {
            *out += " (by addresses: no query was seen)";
        }
        out.push('\n');
        moves(&n["moves"], "  ", 2, out);
        let (old, new) = (&n["failover"]["old"], &n["failover"]["new"]);
        if old != new {
            *out += &format!("  worst-case failover: {} -> {}\n", time(old), time(new));
        }
        let (old, new) = (&n["partitions"]["old"], &n["partitions"]["new"]);
        if old != new {
            *out += &format!("  ECS partitions: {old} -> {new}\n");
        }
    }
    let told = list(&plan["names"]).count();
    let left = told.saturating_sub(most) as u64 + plan["names_left"].as_u64().unwrap_or_default();
    if left > 0 {
        *out += &format!("and {left} names more; --names says how many are told\n");
    }
}

/// Seconds as text, never less than they are; of what is not monitored `never`.
fn time(json: &Value) -> String {
    match json.as_f64() {
        Some(s) => format!("{:.1} s", (s * 10.0 - 1e-6).ceil() / 10.0),
        None => "never".to_owned(),
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn words(json: &Value) -> Vec<&str> {
    list(json).filter_map(Value::as_str).collect()
}

fn word<'j>(json: &'j Value, key: &str) -> &'j str {
    json[key].as_str().unwrap_or_default()
}

/// The first of a list, and how many more there are.
fn some(list: &[&str]) -> String {
    let mut out = list[..list.len().min(LISTED)].join(", ");
    if list.len() > LISTED {
        out += &format!(" and {} more", list.len() - LISTED);
    }
    out
}

/// `0.1234` as `12.34%`; what is not nothing is never shown as nothing.
fn percent(json: &Value) -> String {
    let n = json.as_f64().unwrap_or_default() * 100.0;
    match n > 0.0 && n < 0.005 {
        true => "<0.01%".to_owned(),
        false => format!("{n:.2}%"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_reads_like_this() {
        let plan = json!({
            "node": "fra1", "generation": 12, "basis": "traffic", "queries": 1234.0,
            "shift": 0.125, "changed": 0.25,
            "certainty": { "samples": 1234, "over_seconds": 7200, "standard_error": 0.009414,
                "at_most": 0.144657, "few": false },
            "unasked": { "names": ["b.example."], "count": 1, "moving": 0 },
            "gate": { "max_shift": 0.1, "compared": 0.144657, "passes": false },
            "new_names": [{ "name": "c.example.", "failover": 12.001, "partitions": 3 }],
            "moves": [{ "from": "eu", "to": "us", "share": 0.125, "examples": [
                { "network": "192.0.2.0/24", "country": "DE", "latitude": 50.0,
                  "longitude": 8.0, "share": 0.125 }] }],
            "names": [{ "name": "www.example.", "basis": "traffic", "queries": 1234.0,
                "record": "A", "shift": 0.125, "changed": 0.25, "moves": [],
                "failover": { "old": 12.02, "new": 8.0 }, "partitions": { "old": 3, "new": 4 } },
                { "name": "b.example.", "basis": "addresses", "queries": 0.0, "record": "CNAME",
                "shift": 0.0, "changed": 0.00001, "moves": [], "failover": { "old": null, "new": null },
                "partitions": { "old": 1, "new": 1 } }],
            "names_left": 2, "names_unchanged": 7,
            "load": [
                { "region": "eu", "pool": null, "load": { "old": 0.75, "new": 0.5 },
                  "capacity": { "old": 2, "new": 2 }, "serving": { "old": 2, "new": 1 },
                  "strain": { "old": 1.5, "new": null } },
                { "region": "eu", "pool": "eu-web", "load": { "old": 0.75, "new": 0.5 },
                  "capacity": { "old": 2, "new": 2 }, "serving": { "old": 2, "new": 1 },
                  "strain": { "old": 1.5, "new": 0.5 } }],
            "steered": { "added": ["c.example."], "removed": [] },
            "pools": { "added": [], "removed": ["old"] },
            "regions": { "added": [], "removed": [] },
            "assumed_up": ["us-9"], "warnings": ["warning: x"],
        });
        assert_eq!(
            text(&plan, 2),
            "against node fra1 at generation 12, by the queries of the last day (about 1234)\n\
             12.50% (standard error 0.94%, 1234 samples) go to another region, 25.00% get another address; 4 names change, 7 do not\n\
             \x20   12.50%  eu -> us  (as 192.0.2.0/24 DE)\n\
             load                              now     then    serving       then  strain    then\n\
             eu                             75.00%   50.00%        2/2        1/2    1.50       -\n\
             \x20 eu-web                       75.00%   50.00%        2/2        1/2    1.50    0.50\n\
             www.example. A: 12.50% to another region, 25.00% another address\n\
             \x20 worst-case failover: 12.1 s -> 8.0 s\n\
             \x20 ECS partitions: 3 -> 4\n\
             b.example. CNAME: 0.00% to another region, <0.01% another address (by addresses: no \
             query was seen)\n\
             and 2 names more; --names says how many are told\n\
             c.example. is added: worst-case failover 12.1 s, ECS partitions 3\n\
             no query was seen for 1 name, which count in no sum: b.example.; clients of 0 of them \
             would move\n\
             names added: c.example.\n\
             pools removed: old\n\
             not probed yet, taken as up: 1 (us-9)\n\
             warning: x\n\
             gate: 12.50%, surely no more than 14.47%, of at most 10.00%: FAILS\n"
        );
    }
}
