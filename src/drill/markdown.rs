//! The report of a drill as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use super::course::{End, Phase};
use super::report::Report;
use super::shift::Moved;
use crate::overrides::Effect;
use crate::time::utc;

/// The report as a page of Markdown.
pub fn markdown(r: &Report) -> String {
    let mut out = String::with_capacity(2048);
    let c = &r.charter;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# Drill {}: {}\n", c.drill.id, plain(&c.what()));
    let _ = writeln!(out, "{}\n", verdict(r));
    let _ = writeln!(out, "| | |\n|---|---|");
    let mut row = |what: &str, text: &str| {
        let _ = writeln!(out, "| {what} | {} |", plain(text));
    };
    row("What", &c.what());
    row("Whom", &c.whom());
    row("Who", &c.owner);
    row("Why", &c.reason);
    if let Some(broke) = &c.break_glass {
        row("Rules broken because", broke);
    }
    row("Planned", &at(c.planned_ms));
    if let Some(begun) = r.entered(Phase::Running) {
        row("Begun", &at(begun));
    }
    match r.ended_ms() {
        Some(end) => row("Ended", &at(end)),
        None => row("Ends at the latest", &at(c.ends_ms)),
    }
    row("Asked on node", &c.node);
    if let Some(driver) = &r.driver {
        row("Driven by node", driver);
    }
    let (names, count) = &r.names;
    let more = count - names.len().min(*count);
    let mut shown = names.join(", ");
    if more > 0 {
        let _ = write!(shown, " and {more} more");
    }
    row("Names", if *count == 0 { "none" } else { &shown });
    checks(r, &mut out);
    times(r, &mut out);
    traffic(r, &mut out);
    steps(r, &mut out);
    out
}

fn verdict(r: &Report) -> String {
    let why = || {
        let step = r.steps.iter().find(|(p, _)| *p == Phase::Ended);
        step.map(|(_, s)| plain(&s.text)).unwrap_or_default()
    };
    match r.state.end() {
        None => format!("**{}**; this report is not whole yet.", r.state.word()),
        Some(End::Finished) => "**Finished**: it ran for its whole time.".to_owned(),
        Some(End::RolledBack) => format!("**Rolled back**: {}.", why()),
        Some(End::Aborted) => format!("**Aborted**: {}.", why()),
    }
}

fn checks(r: &Report, out: &mut String) {
    let _ = writeln!(out, "\n## Safety\n");
    if r.checks.is_empty() {
        let _ = writeln!(out, "Nothing is known of the checks before it.");
        return;
    }
    let _ = writeln!(out, "| Rule | Held | |\n|---|---|---|");
    for check in &r.checks {
        let held = if check.holds { "yes" } else { "**no**" };
        let _ = writeln!(out, "| {} | {held} | {} |", check.rule, plain(&check.text));
    }
}

fn times(r: &Report, out: &mut String) {
    let _ = writeln!(out, "\n## Times\n");
    let _ = writeln!(out, "| | Promised at worst | Seen |\n|---|---|---|");
    let promise = r.promise.as_ref();
    let promised = |of: &dyn Fn(&super::report::Promise) -> Duration| {
        promise.map_or_else(|| "–".to_owned(), |p| span(of(p)))
    };
    let detected = match r.charter.effect {
        Effect::Fail => "0 s: the failure is injected as detected",
        Effect::Drain => "–",
    };
    let _ = writeln!(
        out,
        "| Detection | {} | {detected} |",
        promised(&|p| p.detection)
    );
    let [begun, over] = r.spread_ms();
    let seen = |spread: Option<(u64, usize)>| match spread {
        Some((ms, nodes)) => format!(
            "{} on the last of {nodes} node{}",
            span(Duration::from_millis(ms)),
            if nodes == 1 { "" } else { "s" }
        ),
        None => "–".to_owned(),
    };
    let _ = writeln!(
        out,
        "| Decision and propagation | {} | {} |",
        promised(&|p| p.publish),
        seen(begun)
    );
    let moved = r.traffic.as_ref().and_then(|t| t.away);
    let tail = moved.and_then(|m| m.ninety_nine);
    let tail = tail.map_or_else(
        || "–".to_owned(),
        |d| format!("{}: 99 % of traffic", span(d)),
    );
    let _ = writeln!(out, "| Caches (TTL) | {} | {tail} |", promised(&|p| p.ttl));
    let _ = writeln!(
        out,
        "| Roll-back, decision and propagation | – | {} |",
        seen(over)
    );
    if let Some(p) = promise {
        let whole = p.detection + p.publish + p.ttl;
        let _ = writeln!(
            out,
            "\nThe promise is that of {}: {} in all.",
            plain(&p.name),
            span(whole)
        );
    }
    if r.nodes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n| Node | Begun | Over |\n|---|---|---|");
    for n in &r.nodes {
        let of = |a: Option<super::report::Applied>, from: Option<u64>| match (a, from) {
            (Some(a), Some(from)) => format!(
                "generation {}, after {}",
                a.generation,
                span(Duration::from_millis(a.at_ms.saturating_sub(from)))
            ),
            (Some(a), None) => format!("generation {}", a.generation),
            (None, _) => "–".to_owned(),
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            n.node,
            of(n.begun, r.entered(Phase::Running)),
            of(n.over, r.ended_ms())
        );
    }
}

fn traffic(r: &Report, out: &mut String) {
    let _ = writeln!(out, "\n## Traffic\n");
    let Some(t) = &r.traffic else {
        let _ = writeln!(
            out,
            "No proxy of what the drill is about reports its traffic."
        );
        return;
    };
    let _ = writeln!(
        out,
        "Seen by the proxies of {}: {:.1} arrivals per second before the drill.\n",
        t.nodes.join(", "),
        t.before
    );
    if t.away.is_none() {
        let _ = writeln!(out, "Too little of it to tell when it moved.");
        return;
    }
    let _ = writeln!(out, "| | 50 % | 90 % | 99 % |\n|---|---|---|---|");
    let mut line = |what: &str, moved: Option<Moved>| {
        let m = moved.unwrap_or_default();
        let of = |d: Option<Duration>| d.map_or_else(|| "not seen".to_owned(), span);
        let _ = writeln!(
            out,
            "| {what} | {} | {} | {} |",
            of(m.half),
            of(m.ninety),
            of(m.ninety_nine)
        );
    };
    line("Moved away after", t.away);
    line("Came back after", t.back);
}

fn steps(r: &Report, out: &mut String) {
    let _ = writeln!(out, "\n## Steps\n");
    let mut lines: Vec<(u64, String)> = r
        .steps
        .iter()
        .map(|(phase, s)| {
            let word = match phase {
                Phase::Planned => "planned",
                Phase::Checked => "checked",
                Phase::Running => "running",
                Phase::Ended => s.end.map_or("ended", End::word),
                Phase::Reported => "reported",
            };
            (
                s.at_ms,
                format!("**{word}** ({}): {}", s.node, plain(&s.text)),
            )
        })
        .collect();
    let notes = r.notes.iter();
    lines.extend(notes.map(|n| (n.at_ms, format!("({}): {}", n.node, plain(&n.text)))));
    lines.sort_by_key(|(at, _)| *at);
    for (ms, text) in lines {
        let _ = writeln!(out, "- {} {text}", at(ms));
    }
}

/// `2026-01-31T12:00:00.250Z`.
fn at(ms: u64) -> String {
    let whole = utc::show(ms / 1000);
    let second = whole.trim_end_matches('Z');
    format!("{second}.{:03}Z", ms % 1000)
}

/// `250 ms`, `4.5 s`, `3 min`.
fn span(d: Duration) -> String {
    let ms = d.as_millis();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..120_000 if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        1000..120_000 => format!("{:.1} s", d.as_secs_f64()),
        _ => format!("{:.1} min", d.as_secs_f64() / 60.0),
    }
}

/// What others wrote, so that it cannot change the page.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '#' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::drill::report::{Applied, Check, Note, Promise, Propagation, Traffic};
    use crate::drill::{Charter, State, Step};
    use crate::overrides::{Drill, Reach, ScopeKind};

    /// 2026-01-31T12:00:00Z.
    const NOON: u64 = 1_769_860_800_000;

    fn step(at_ms: u64, end: Option<End>, text: &str) -> Step {
        Step {
            at_ms,
            end,
            node: "eu1".into(),
            text: text.to_owned(),
        }
    }

    fn report() -> Report {
        let node = |n: &str| -> Arc<str> { n.into() };
        let applied = |generation, at_ms| Some(Applied { generation, at_ms });
        let s = |n: u64| Some(Duration::from_secs(n));
        Report {
            charter: Charter {
                drill: Drill {
                    id: "mkz1".into(),
                    reach: Reach::Everybody,
                },
                effect: Effect::Fail,
                scope: ScopeKind::Region,
                name: "eu".into(),
                owner: "alice".into(),
                reason: "quarterly | *drill*".into(),
                break_glass: None,
                demand: Some(60),
                max_errors: 5,
                node: node("eu1"),
                planned_ms: NOON,
                ends_ms: NOON + 120_000,
            },
            state: State::Reported(End::RolledBack),
            steps: vec![
                (
                    Phase::Planned,
                    step(NOON, None, "fail of region eu for all clients"),
                ),
                (Phase::Checked, step(NOON, None, "all of 2 rules hold")),
                (
                    Phase::Running,
                    step(NOON + 40, None, "in force on 2 of 2 nodes"),
                ),
                (
                    Phase::Ended,
                    step(
                        NOON + 61_000,
                        Some(End::RolledBack),
                        "us-1 is down: refused",
                    ),
                ),
                (Phase::Reported, step(NOON + 63_000, None, "2 nodes told")),
            ],
            driver: Some(node("ap1")),
            notes: vec![Note {
                at_ms: NOON + 30_000,
                node: node("ap1"),
                text: "node eu1 is gone".to_owned(),
            }],
            checks: vec![Check {
                rule: "quorum".to_owned(),
                holds: true,
                text: "2 of 2 nodes must be there, 2 are".to_owned(),
            }],
            names: (vec!["www.gslb.test.".to_owned()], 3),
            nodes: vec![
                Propagation {
                    node: node("ap1"),
                    begun: applied(8, NOON + 190),
                    over: applied(9, NOON + 61_020),
                },
                Propagation {
                    node: node("eu1"),
                    begun: applied(4, NOON + 45),
                    over: None,
                },
            ],
            promise: Some(Promise {
                name: "www.gslb.test.".to_owned(),
                detection: Duration::from_secs(6),
                publish: Duration::from_millis(3_020),
                ttl: Duration::from_secs(20),
            }),
            traffic: Some(Traffic {
                nodes: vec!["eu1".to_owned()],
                before: 120.5,
                away: Some(Moved {
                    half: s(7),
                    ninety: s(19),
                    ninety_nine: s(24),
                }),
                back: Some(Moved {
                    half: s(4),
                    ninety: None,
                    ninety_nine: None,
                }),
            }),
            now_ms: NOON + 64_000,
        }
    }

    #[test]
    fn o11_the_report_reads_as_in_the_golden_file() {
        let got = markdown(&report());
        assert_eq!(got, include_str!("report.golden.md"), "\n{got}");
    }

    #[test]
    fn a_running_drill_has_a_report_of_what_is_known() {
        let mut early = report();
        early.state = State::Running;
        early.steps.truncate(3);
        early.traffic = None;
        early.nodes.clear();
        let got = markdown(&early);
        assert!(
            got.contains("**running**; this report is not whole yet."),
            "{got}"
        );
        assert!(
            got.contains("| Ends at the latest | 2026-01-31T12:02:00.000Z |"),
            "{got}"
        );
    }
}
