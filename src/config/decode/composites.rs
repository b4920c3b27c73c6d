//! `[monitors.NAME.composite]`: parts are names first, and whole monitors once all are read.

use hashbrown::HashMap;
use std::sync::Arc;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::MonitorSpec;
use crate::health::composite::MAX_PARTS;
use crate::health::{CompositeCheck, Monitor, Need};

use super::context::Context;
use super::monitors::Decoded;
use super::reader::Reader;

/// A composite whose parts are still names.
pub(super) struct CompositeSpec {
    name: Marked<String>,
    port: Option<u16>,
    need: Need,
    parts: Vec<Marked<String>>,
    complete: bool,
}

/// Options of probes, which a composite never is.
const OF_PROBES: &[&str] = &[
    "interval", "timeout", "rise", "fall", "jitter", "source", "family", "retries",
];

/// Reads one composite.
pub(super) fn composite(
    cx: &mut Context<'_>,
    name: Marked<String>,
    r: &Reader<'_>,
) -> Option<CompositeSpec> {
    let mark = cx.mark();
    for key in OF_PROBES.iter().filter(|k| r.has(k)) {
        cx.push(
            Diagnostic::error(
                r.span_of(key),
                format!(
                    "{} means nothing: a composite is not probed itself and follows its parts at once",
                    r.name_of(key)
                ),
            )
            .help("set it for the parts"),
        );
    }
    let port: Option<Marked<u16>> = r.get(cx, "port");
    let sub = r.sub(cx, "composite");
    let lists = ["all", "any", "of"].map(|key| sub.list::<String>(cx, key));
    let at_least: Option<Marked<u32>> = sub.get(cx, "at-least");
    let chosen = sub.one_of(cx, &["all", "any", "of"], "rule")?;
    if let Some(n) = at_least.as_ref().filter(|_| chosen != "of") {
        let message = format!("{} has no meaning with `{chosen}`", sub.name_of("at-least"));
        cx.push(Diagnostic::error(n.span, message).help("write `of` instead, or remove it"));
    }
    let parts = lists.into_iter().flatten().next()?;
    let need = match (chosen, at_least) {
        ("all", _) => Need::All,
        ("any", _) => Need::Any,
        (_, Some(n)) => {
            if n.value as usize > parts.len() {
                let message = format!(
                    "{} is {}, but `of` has {} parts: it would always be down",
                    sub.name_of("at-least"),
                    n.value,
                    parts.len()
                );
                let help = format!("lower it to {} or less, or add parts", parts.len());
                cx.push(Diagnostic::error(n.span, message).help(help));
            }
            Need::AtLeast(n.value)
        }
        (_, None) => {
            cx.absence(
                Diagnostic::error(
                    sub.span_of("of"),
                    format!("{} lacks `at-least`", sub.name_of("of")),
                )
                .help("add `at-least = 2`, or write `all` or `any` instead of `of`"),
            );
            return None;
        }
    };
    Some(CompositeSpec {
        name,
        port: port.map(|p| p.value),
        need,
        parts,
        complete: cx.clean_since(mark) && r.misspelt().is_empty() && sub.misspelt().is_empty(),
    })
}

/// Puts the parts' monitors in the place of their names. Composites among whose parts is one that did
/// not decode, or that are parts of themselves, are left out; the latter are reported.
pub(super) fn resolve(cx: &mut Context<'_>, decoded: Vec<Decoded>) -> Vec<MonitorSpec> {
    let mut monitors: Vec<Option<MonitorSpec>> = Vec::new();
    let mut open: Vec<(usize, CompositeSpec)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, decoded) in decoded.into_iter().enumerate() {
        let name = match decoded {
            Decoded::Plain(spec) => {
                let name = spec.name.value.clone();
                monitors.push(Some(*spec));
                name
            }
            Decoded::Composite(spec) => {
                let name = spec.name.value.clone();
                monitors.push(None);
                open.push((at, spec));
                name
            }
        };
        places.insert(name, at);
    }
    // Those whose parts are all known are made, until none is left or none of them is.
    loop {
        let before = open.len();
        let mut still = Vec::new();
        for (at, spec) in open {
            let known: Option<Vec<(Arc<Monitor>, bool)>> = spec
                .parts
                .iter()
                .map(|p| monitors[*places.get(&p.value)?].as_ref())
                .map(|m| m.map(|m| (Arc::new(m.monitor.clone()), m.complete)))
                .collect();
            match known {
                None => still.push((at, spec)),
                Some(parts) => monitors[at] = Some(made(cx, spec, parts)),
            }
        }
        open = still;
        if open.is_empty() || open.len() == before {
            break;
        }
    }
    let unmade: HashMap<&str, &CompositeSpec> = open
        .iter()
        .map(|(_, spec)| (spec.name.as_str(), spec))
        .collect();
    let mut cycles: Vec<Vec<&CompositeSpec>> = Vec::new();
    for (_, spec) in &open {
        let seen = cycles
            .iter()
            .flatten()
            .any(|c| c.name.value == spec.name.value);
        cycles.extend(cycle(spec, &unmade).filter(|_| !seen));
    }
    for cycle in cycles {
        report(cx, &cycle);
    }
    monitors.into_iter().flatten().collect()
}

fn made(
    cx: &mut Context<'_>,
    spec: CompositeSpec,
    parts: Vec<(Arc<Monitor>, bool)>,
) -> MonitorSpec {
    let complete = spec.complete && parts.iter().all(|(_, complete)| *complete);
    let check = CompositeCheck {
        need: spec.need,
        parts: parts.into_iter().map(|(monitor, _)| monitor).collect(),
    };
    let size = check.size();
    if size > MAX_PARTS {
        cx.push(
            Diagnostic::error(
                spec.name.span,
                format!(
                    "composite monitor `{}` has {size} parts, those of its parts included; the largest \
                     allowed number is {MAX_PARTS}",
                    spec.name.value
                ),
            )
            .help("use fewer, or nest them less"),
        );
        // It must not grow further in others.
        return MonitorSpec {
            monitor: CompositeCheck {
                need: check.need,
                parts: Vec::new(),
            }
            .into_monitor(spec.name.as_str().into(), spec.port),
            name: spec.name,
            complete: false,
        };
    }
    MonitorSpec {
        monitor: check.into_monitor(spec.name.as_str().into(), spec.port),
        name: spec.name,
        complete,
    }
}

/// A way from `from` back to itself.
fn cycle<'s>(
    from: &'s CompositeSpec,
    unmade: &HashMap<&str, &'s CompositeSpec>,
) -> Option<Vec<&'s CompositeSpec>> {
    let mut seen: HashMap<&str, &'s CompositeSpec> = HashMap::new();
    let mut ways = vec![from];
    // Breadth first, each with the one it was reached from.
    let mut at = 0;
    while let Some(here) = ways.get(at).copied() {
        at += 1;
        for part in &here.parts {
            if part.value == from.name.value {
                let mut path = vec![here];
                while let Some(before) = seen.get(path[path.len() - 1].name.as_str()) {
                    path.push(before);
                }
                path.reverse();
                return Some(path);
            }
            if let Some(next) = unmade.get(part.as_str())
                && !seen.contains_key(next.name.as_str())
            {
                seen.insert(&next.name, here);
                ways.push(next);
            }
        }
    }
    None
}

fn report(cx: &mut Context<'_>, cycle: &[&CompositeSpec]) {
    let names: Vec<&str> = cycle.iter().map(|c| c.name.as_str()).collect();
    let message = format!(
        "composite monitor `{}` is a part of itself: {} → {0}",
        names[0],
        names.join(" → ")
    );
    let mut d = Diagnostic::error(cycle[0].name.span, message)
        .help("remove one of these from the parts of the one before it");
    for other in &cycle[1..] {
        d = d.related(other.name.span, "the way leads through here");
    }
    cx.push(d);
}
