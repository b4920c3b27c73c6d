//! The report of a drill as Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use super::answers::{Answers, Tally, When};
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
        row("Rules may be broken because", broke);
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
    answers(r, &mut out);
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
        promise.map_or_else(|| "–".to_owned(), |p| at_worst(of(p)))
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
    let tail = |moved: Option<Moved>, what: &str| {
        let tail = moved.and_then(|m| m.ninety_nine);
        tail.map(|d| format!("{}: 99 % of {what}", span(d)))
    };
    let tails = [
        tail(answers_away(&r.answers), "DNS answers"),
        tail(r.traffic.as_ref().and_then(|t| t.away), "traffic"),
    ];
    let tails: Vec<String> = tails.into_iter().flatten().collect();
    let tail = match tails.is_empty() {
        true => "–".to_owned(),
        false => tails.join("; "),
    };
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
            at_worst(whole)
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

/// Where DNS sent clients.
fn answers(r: &Report, out: &mut String) {
    let _ = writeln!(out, "\n## DNS answers\n");
    let (nodes, tally) = match &r.answers {
        Answers::Label => {
            let _ = writeln!(
                out,
                "Only who asks for the label is concerned: no answer to the names themselves moves."
            );
            return;
        }
        Answers::TooFine => {
            let _ = writeln!(
                out,
                "Queries are sampled by networks of at most /24 and /48: those of the canary are not \
                 told from its neighbours."
            );
            return;
        }
        Answers::NotAsked => {
            let _ = writeln!(
                out,
                "No node saw a query for these names from who is concerned: there is nothing to tell."
            );
            return;
        }
        Answers::Seen { nodes, tally } => (nodes, tally),
    };
    let samples: Vec<String> = tally.samples.iter().map(u64::to_string).collect();
    let _ = writeln!(
        out,
        "Seen by {} in samples: {} of the half minute before, {} during, {} after.\n",
        nodes.join(", "),
        samples[0],
        samples[1],
        samples[2]
    );
    let _ = writeln!(
        out,
        "| Sent to | Before | During | After |\n|---|---|---|---|"
    );
    for region in tally.regions.keys() {
        let share = |when: When| {
            let shares = tally.shares(when)?;
            let own = shares.iter().find(|(name, _)| *name == &**region)?;
            Some(format!("{:.1} %", own.1 * 100.0))
        };
        let cell = |when| share(when).unwrap_or_else(|| "not asked".to_owned());
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            plain(region),
            cell(When::Before),
            cell(When::During),
            cell(When::After)
        );
    }
    match tally.away() {
        None => {
            let _ = writeln!(out, "\n{}", why_no_times(tally));
        }
        Some(away) => {
            let _ = writeln!(out);
            moved_table(
                &[
                    ("Moved away after", Some(away)),
                    ("Came back after", tally.back()),
                ],
                out,
            );
        }
    }
}

fn why_no_times(tally: &Tally) -> &'static str {
    match tally.there[When::Before as usize] {
        0 if tally.samples[When::Before as usize] > 0 => {
            "No answer named what the drill takes away: none could move."
        }
        _ => "Too few answers before the drill to tell when they moved.",
    }
}

fn answers_away(answers: &Answers) -> Option<Moved> {
    match answers {
        Answers::Seen { tally, .. } => tally.away(),
        Answers::Label | Answers::TooFine | Answers::NotAsked => None,
    }
}

fn moved_table(lines: &[(&str, Option<Moved>)], out: &mut String) {
    let _ = writeln!(out, "| | 50 % | 90 % | 99 % |\n|---|---|---|---|");
    for (what, moved) in lines {
        let m = moved.unwrap_or_default();
        let of = |d: Option<Duration>| d.map_or_else(|| "not seen".to_owned(), span);
        let _ = writeln!(
            out,
            "| {what} | {} | {} | {} |",
            of(m.half),
            of(m.ninety),
            of(m.ninety_nine)
        );
    }
}

fn traffic(r: &Report, out: &mut String) {
    let _ = writeln!(out, "\n## Traffic of proxies\n");
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
    moved_table(
        &[("Moved away after", t.away), ("Came back after", t.back)],
        out,
    );
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

/// As [`span`], of what must not be said to be less than it is: rounded up to a tenth.
fn at_worst(d: Duration) -> String {
    let ms = u64::try_from(d.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    let unit = match ms {
        0..1000 => 1,
        1000..120_000 => 100,
        _ => 6000,
    };
    span(Duration::from_millis(ms.div_ceil(unit) * unit))
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
    use crate::drill::answers::Answer;
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

    /// Three of four answers name eu; the drill takes them away in its first second.
    fn tally() -> Tally {
        let mut tally = Tally::default();
        let (eu, us) = ([("eu", true)], [("us", false)]);
        for n in 0..100 {
            let to = if n % 4 > 0 { &eu } else { &us };
            let mut add = |when, to: &[(&str, bool)]| {
                tally.add(&Answer {
                    when,
                    weight: 1,
                    to,
                })
            };
            add((When::Before, 0), to);
            add((When::During, n / 25), if n < 2 { &eu } else { &us });
        }
        tally
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
                measured: None,
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
            answers: Answers::Seen {
                nodes: vec!["ap1".to_owned(), "eu1".to_owned()],
                tally: Box::new(tally()),
            },
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
        early.answers = Answers::NotAsked;
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
        assert!(got.contains("No node saw a query for these names"), "{got}");
    }

    #[test]
    fn a_promise_is_never_rounded_down() {
        let ms = |ms| at_worst(Duration::from_millis(ms));
        assert_eq!(ms(40), "40 ms");
        assert_eq!(ms(3_000), "3 s");
        assert_eq!(ms(3_001), "3.1 s");
        assert_eq!(ms(3_100), "3.1 s");
        assert_eq!(ms(121_000), "2.1 min");
        assert_eq!(at_worst(Duration::from_micros(40_001)), "41 ms");
    }
}
