//! `[[expect]]`: what the configuration's authors expect of its answers, tried on what was compiled.
//!
//! Each expectation is a question put to the engine under a supposition: everything is up, but for what it
//! says otherwise. Only the name that is asked for is looked at, so that many of them are quick.

mod assert;
mod question;
#[cfg(test)]
mod tests;
mod things;

use std::sync::Arc;
use std::time::Duration;

use crate::config::spec::ExpectSpec;
use crate::config::{Diagnostic, Sources, Spec, nearest};
use crate::engine::prospect::{steered, way};
use crate::ids::TargetId;
use crate::snapshot::{ProbeTarget, Snapshot, Tried, View};
use crate::time::Moment;

use super::Problems;
use assert::{Broken, breaches, got, wanted};
use question::{Base, Question};

/// So many broken expectations are explained; the others are only told.
const EXPLAINED: usize = 50;

/// The present in which they are tried.
const NOW: Moment = Moment(1_000_000_000_000);

/// What is probed wherever this node stands, by [`TargetId`], and for each endpoint its target: how long
/// states last bounds TTLs.
type Probed<'a> = (&'a [ProbeTarget], &'a [Option<TargetId>]);

/// Tries every expectation of `spec` on what it was compiled to; those that are broken are errors.
pub(super) fn tried(
    spec: &Spec,
    sources: &Sources,
    snapshot: &Arc<Snapshot>,
    probed: Probed<'_>,
    p: &mut Problems,
) -> Arc<[Tried]> {
    if spec.expectations.is_empty() {
        return Arc::default();
    }
    let mut base = Base::new(snapshot, probed);
    let mut explained = 0;
    let mut all = Vec::with_capacity(spec.expectations.len());
    for one in &spec.expectations {
        all.extend(try_one(one, sources, &mut base, &mut explained, p));
    }
    all.into()
}

/// Tries one; `None` where it cannot be asked, which is then an error.
fn try_one(
    e: &ExpectSpec,
    sources: &Sources,
    base: &mut Base,
    explained: &mut usize,
    p: &mut Problems,
) -> Option<Tried> {
    let question = Question::of(e, base, p)?;
    let place = format!(
        "{}:{}",
        sources.path(e.span.file).display(),
        sources.line_col(e.span)
    );
    let untried = Tried {
        place: place.into(),
        question: question.words(e).into(),
        wanted: wanted(e).into(),
        got: "not tried: nobody measures round-trip times for this node".into(),
        because: e.because.as_deref().map(Into::into),
        broken: Vec::new(),
        lines: Vec::new(),
    };
    if !e.rtt.is_empty() && base.view.snapshot.steering.sites.sites.is_empty() {
        return Some(untried);
    }
    let clients = question.clients(base);
    let steering = &base.view.snapshot.steering;
    let mut worst = None;
    let mut first = None;
    for client in clients.iter().copied() {
        let prospect = question.ask(&base.view, client);
        let broken = breaches(e, &question, &prospect, steering);
        if broken.is_empty() {
            first.get_or_insert((prospect, broken, client));
            continue;
        }
        worst = Some((prospect, broken, client));
        break;
    }
    let (prospect, broken, client) = worst.or(first)?;
    let name = e.name.value.to_string();
    let got = match (&e.client, broken.is_empty()) {
        (None, false) => format!(
            "{} for {}",
            got(&prospect, steering),
            question.words_of(client)
        ),
        _ => got(&prospect, steering),
    };
    let mut tried = Tried {
        got: got.into(),
        broken: broken.iter().map(|b| b.text.clone()).collect(),
        ..untried
    };
    if !tried.holds() {
        *explained += 1;
        if *explained <= EXPLAINED {
            let asked = (&e.name.value, question.qtype);
            tried.lines = way(&base.view, &question.supposed, asked, client, NOW);
        }
        let unknown = steered(&base.view, &e.name.value, question.qtype).is_none();
        let near = || near(&base.view, &name);
        let help = match unknown.then(near).flatten() {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => why(&tried),
        };
        p.push(told(&tried, &broken).maybe_help(help));
    }
    Some(tried)
}

/// A broken expectation as a finding.
fn told(tried: &Tried, broken: &[Broken]) -> Diagnostic {
    let because = match &tried.because {
        Some(because) => format!(" (because {because})"),
        None => String::new(),
    };
    let parts: Vec<&str> = broken.iter().map(|b| b.text.as_str()).collect();
    let message = format!(
        "{} does not get what is expected{because}: {}",
        tried.question,
        parts.join("; ")
    );
    Diagnostic::error(broken.first().map(|b| b.span), message)
}

/// The way to the answer on one line: what each stage made of the pools, and who was held back.
fn why(tried: &Tried) -> Option<String> {
    const FRAME: [&str; 13] = [
        "client ",
        "place ",
        "members: ",
        "candidates: ",
        "weighted by ",
        "random by ",
        "round-robin by ",
        "sticky by ",
        "draw ",
        "answer",
        "ttl ",
        "scope ",
        "for IPv",
    ];
    let steps = tried.lines.iter().skip(1);
    let steps = steps.filter(|l| FRAME.iter().all(|f| !l.starts_with(f)));
    let steps: Vec<&str> = steps.map(String::as_str).take(12).collect();
    (!steps.is_empty()).then(|| format!("why: {}", steps.join("; ")))
}

fn near(view: &View, name: &str) -> Option<String> {
    let owners = view.snapshot.steering.names.iter();
    let owners: Vec<String> = owners.map(|n| n.owner.to_string()).collect();
    nearest(name, owners.iter().map(String::as_str)).map(str::to_owned)
}

/// `30s`, as the configuration writes it.
fn seconds(d: Duration) -> String {
    format!("{} s", d.as_secs())
}
