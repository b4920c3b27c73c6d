//! The rules that must hold before a drill begins (requirement O2), each with both numbers.

use crate::app::orders::assess::assess_overrides;
use crate::drill::Charter;
use crate::drill::report::Check;
use crate::health::{Guard, Override};
use crate::overrides::{Kind, Standing};
use crate::snapshot::{View, orders};
use crate::time::Moment;

use super::world::{Ground, laid_over, lesser, under};

/// No other drill may run.
pub(super) const ALONE: &str = "no-other-drill";
/// No operator's order may be about the same endpoints.
pub(super) const NO_ORDER: &str = "no-conflicting-order";
/// More than half of the nodes must be there.
pub(super) const QUORUM: &str = "quorum";
/// The names must be well before.
pub(super) const WELL: &str = "names-well-before";
/// What must take over must pass its checks.
pub(super) const TAKERS: &str = "takers-healthy";
/// The names must be well under the drill.
pub(super) const CARRIED: &str = "names-well-under-it";
/// Regions and capacity must remain.
pub(super) const REMAINS: &str = "region-and-capacity";

/// Nodes that are there, and nodes that there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Present {
    pub(super) alive: usize,
    pub(super) all: usize,
}

impl Present {
    /// How many make a majority.
    pub(super) fn needed(self) -> usize {
        self.all / 2 + 1
    }

    pub(super) fn is_enough(self) -> bool {
        self.alive >= self.needed()
    }
}

/// Looks at every rule; `demanded` says by what the demand of the charter is what it is.
pub(super) fn checks(
    (charter, demanded): (&Charter, &str),
    ground: &Ground,
    view: &View,
    standing: &Standing,
    present: Present,
    now: Moment,
) -> Vec<Check> {
    let mut out = Vec::new();
    let mut rule = |rule: &str, holds: bool, text: String| {
        out.push(Check {
            rule: rule.to_owned(),
            holds,
            text,
        });
    };
    let drills = standing.0.iter();
    let others: Vec<String> = drills
        .filter(|o| matches!(o.kind, Kind::Drill(_)))
        .filter_map(|o| o.record.drill.as_ref().map(|d| d.id.to_string()))
        .collect();
    let named = match &others[..] {
        [] => String::new(),
        some => format!(" ({})", some.join(", ")),
    };
    rule(
        ALONE,
        others.is_empty(),
        format!("0 other drills may run, {} run{named}", others.len()),
    );
    let against = conflicting(standing, ground, view, 0);
    rule(
        NO_ORDER,
        against.is_empty(),
        format!(
            "0 operators' orders may be about the endpoints of the drill, {} are{}",
            against.len(),
            in_brackets(&against)
        ),
    );
    rule(
        QUORUM,
        present.is_enough(),
        format!(
            "{} of {} nodes must be there, {} are",
            present.needed(),
            present.all,
            present.alive
        ),
    );
    let ill = lesser(&view.live, view, &ground.names);
    rule(
        WELL,
        ill.is_none(),
        match ill {
            None => format!(
                "all of {} names answer from what is up and meant for it",
                ground.names.len()
            ),
            Some((name, how)) => {
                format!("0 names may be worse than normal before, {name} gives {how}")
            }
        },
    );
    let failing = failing(ground, view, None);
    rule(
        TAKERS,
        failing.is_empty() && !ground.takers.is_empty(),
        format!(
            "all of {} endpoints that must take over must pass their checks, {} do{}",
            ground.takers.len(),
            ground.takers.len() - failing.len(),
            in_brackets(&failing)
        ),
    );
    let drilled = under(charter, view, now);
    let worse = lesser(&drilled.live, &drilled, &ground.names);
    rule(
        CARRIED,
        worse.is_none(),
        match worse {
            None => format!(
                "all of {} names are carried under the drill",
                ground.names.len()
            ),
            Some((name, how)) => {
                format!("0 names may be worse than normal under the drill, {name} would give {how}")
            }
        },
    );
    let overrides = laid_over(charter, view);
    let assessment = assess_overrides(view, &overrides, charter.demand, now);
    let remains = assessment.broken.is_empty();
    let mut said = match remains {
        true => "at least one region stays on".to_owned(),
        false => assessment.broken.join("; "),
    };
    if let Some((name, percent)) = &assessment.least {
        let headroom = charter.measured.map(|m| m.headroom(*percent) * 100.0);
        let headroom = headroom.map_or_else(String::new, |h| format!(", headroom {h:+.0} %"));
        said.push_str(&format!(
            "; {percent} % of the capacity of {name} would serve{headroom}"
        ));
    }
    said.push_str("; ");
    said.push_str(demanded);
    if !remains && charter.measured.is_some() {
        said.push_str("; if less is enough, say how much with `demand`");
    }
    for warning in assessment.warnings.iter().take(1) {
        said.push_str("; ");
        said.push_str(warning);
    }
    rule(REMAINS, remains, said);
    out
}

/// Operators' orders about the state of endpoints that the drill covers, given after `since_ms`.
pub(super) fn conflicting(
    standing: &Standing,
    ground: &Ground,
    view: &View,
    since_ms: u64,
) -> Vec<String> {
    let steering = &view.snapshot.steering;
    let all = standing.0.iter();
    let of_state = all.filter(|o| {
        matches!(
            o.kind,
            Kind::Drain | Kind::Disable | Kind::ForceUp | Kind::ForceDown
        )
    });
    of_state
        .filter(|o| o.record.stamp.ms >= since_ms)
        .filter(|o| {
            let scope = orders::scope(&o.subject, steering);
            let covered = scope.map(|s| orders::covered(s, steering));
            covered.is_some_and(|c| c.iter().any(|e| ground.covered.contains(e)))
        })
        .map(|o| {
            format!(
                "{} of {} {} by {}",
                o.kind,
                o.subject.scope.word(),
                o.subject.name,
                o.record.owner
            )
        })
        .collect()
}

/// Those who must take over and fail their checks, whatever operators ordered; with `since`, only those
/// that began to fail after it. Who is drained or disabled is not asked to take over.
pub(super) fn failing(ground: &Ground, view: &View, since: Option<Moment>) -> Vec<String> {
    let steering = &view.snapshot.steering;
    let ordered_out: Vec<&Override> = view
        .overrides
        .0
        .iter()
        .filter(|o| {
            use crate::health::OverrideKind as K;
            matches!(o.kind, K::Drain | K::Disable)
        })
        .collect();
    let mut out_of_service = std::collections::HashSet::new();
    for o in ordered_out {
        out_of_service.extend(orders::covered(o.scope, steering));
    }
    let takers = ground.takers.iter();
    let takers = takers.filter(|e| !out_of_service.contains(*e));
    takers
        .filter(|e| {
            let verdict = view.board.verdict(**e);
            // One that automation keeps in fails all the same.
            let kept = verdict.held.is_some_and(Guard::keeps_in);
            let down = !verdict.state.serves();
            kept || down && since.is_none_or(|since| verdict.since >= since)
        })
        .map(|e| {
            let name = &steering.endpoints[e.index()].name;
            match &view.board.verdict(*e).last_error {
                Some(error) => format!("{name}: {error}"),
                None => name.to_string(),
            }
        })
        .collect()
}

fn in_brackets(some: &[String]) -> String {
    let few: Vec<&str> = some.iter().take(3).map(String::as_str).collect();
    match few.len() {
        0 => String::new(),
        n if n < some.len() => format!(" ({} and {} more)", few.join(", "), some.len() - n),
        _ => format!(" ({})", few.join(", ")),
    }
}
