//! Suppositions and what follows from them, in words.

use std::time::Duration;

use crate::health::latency::DWELL;
use crate::ids::PoolId;
use crate::snapshot::View;

use super::super::Answered;
use super::super::members::{drill_of, kind, subject};
use super::{Condition, Supposition};

/// A supposition for programs.
pub(super) fn condition(view: &View, s: &Supposition) -> Condition {
    let steering = &view.snapshot.steering;
    match s {
        Supposition::Drained(scope) => {
            let (scope, name) = subject(steering, *scope);
            Condition {
                what: "drained",
                scope,
                subjects: vec![name],
                rtt_ms: None,
            }
        }
        Supposition::Up(endpoints) => {
            let names = endpoints.iter();
            let names = names.map(|e| steering.endpoints[e.index()].name.to_string());
            Condition {
                what: "up",
                scope: "endpoint",
                subjects: names.collect(),
                rtt_ms: None,
            }
        }
        Supposition::Ended(at) => {
            let (scope, name) = subject(steering, view.overrides.0[*at].scope);
            Condition {
                what: "order-ended",
                scope,
                subjects: vec![name],
                rtt_ms: None,
            }
        }
        Supposition::Rtt { pool, rtt, .. } => Condition {
            what: "rtt",
            scope: "pool",
            subjects: vec![steering.pools[pool.index()].name.to_string()],
            rtt_ms: Some(millis(*rtt)),
        },
    }
}

fn millis(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// `region eu were drained`, `eu-1 came back up` …
fn clause(view: &View, s: &Supposition) -> String {
    let steering = &view.snapshot.steering;
    let c = condition(view, s);
    let names = listed(&c.subjects);
    match s {
        Supposition::Drained(_) => format!("{} {names} were drained", c.scope),
        Supposition::Up(_) => format!("{names} came back up"),
        Supposition::Ended(at) => {
            let o = &view.overrides.0[*at];
            let (order, _) = kind(o.kind);
            let what = format!("the {order} of {} {names} by {}", c.scope, o.owner);
            match drill_of(view, o) {
                Some(drill) => format!("drill {}, {what}, ended", drill.id),
                None => format!("{what} ended"),
            }
        }
        Supposition::Rtt {
            pool, rtt, rises, ..
        } => {
            let (verb, held) = (if *rises { "rose" } else { "fell" }, DWELL.as_secs());
            let name = &steering.pools[pool.index()].name;
            let ms = millis(*rtt);
            format!("the round-trip time to pool {name} {verb} to {ms:.1} ms for {held} s")
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [init @ .., last] => {
            let init: Vec<&str> = init.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", init.join(", "), last.as_ref())
        }
    }
}

/// All of it in one sentence.
pub(super) fn sentence(
    view: &View,
    supposed: &[Supposition],
    answered: &[Answered],
    otherwise: Option<&str>,
    percent_of: impl Fn(PoolId) -> f64,
) -> String {
    let clauses: Vec<String> = supposed.iter().map(|s| clause(view, s)).collect();
    let clauses = clauses.join(" and ");
    // A pool that comes near enough to another shares with it, and this draw may fall on either.
    if let [
        Supposition::Rtt {
            pool, rises: false, ..
        },
    ] = supposed
        && (0.05..99.95).contains(&percent_of(*pool))
    {
        let name = &view.snapshot.steering.pools[pool.index()].name;
        let percent = percent_of(*pool);
        return format!("pool {name} would get {percent:.0} % of such queries if {clauses}");
    }
    if answered.is_empty() {
        let what = otherwise.unwrap_or("nothing");
        return format!("{what} would be answered if {clauses}");
    }
    let names: Vec<&str> = answered.iter().map(|a| a.endpoint.as_str()).collect();
    let mut places: Vec<String> = Vec::new();
    for a in answered {
        let place = format!("pool {} in region {}", a.pool, a.region);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    format!(
        "{} of {} would answer if {clauses}",
        listed(&names),
        listed(&places)
    )
}
