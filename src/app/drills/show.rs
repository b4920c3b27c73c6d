//! A drill as it is now, out of what nodes say of it.

use super::files::File;
use super::world::Ground;
use crate::drill::report::{Promise, Propagation, Traffic};
use crate::drill::{Counts, Phase, Report, State, moved, shift};
use crate::snapshot::{View, failover};

/// Names that are spelt out.
const SHOWN: usize = 5;

/// The report of a drill at `now_ms`; `ground` is what it is about in `view`.
pub(super) fn report(file: &File, ground: Option<&Ground>, view: &View, now_ms: u64) -> Report {
    let course = file.course();
    let state = course.state(now_ms, file.charter.ends_ms);
    let steering = &view.snapshot.steering;
    let names = ground.map_or(&[][..], |g| &g.names);
    let owners = names.iter().take(SHOWN);
    let owners = owners.map(|n| steering.names[n.index()].owner.to_string());
    let promised = names
        .iter()
        .filter_map(|n| Some((n, failover::worst_case(&view.snapshot, *n)?)));
    let promise = promised.max_by_key(|(_, t)| t.total());
    let nodes = file.words.iter();
    let nodes = nodes.filter(|(_, w)| w.begun.is_some() || w.over.is_some());
    Report {
        state,
        steps: course
            .0
            .iter()
            .filter(|(phase, _)| shown(**phase, state))
            .map(|(p, s)| (*p, s.clone()))
            .collect(),
        driver: file.driver().map(|(_, node, _)| node),
        notes: file.notes(),
        checks: file.checks().to_vec(),
        names: (owners.collect(), names.len()),
        nodes: nodes
            .map(|(node, w)| Propagation {
                node: node.clone(),
                begun: w.begun,
                over: w.over,
            })
            .collect(),
        promise: promise.map(|(name, time)| Promise {
            name: steering.names[name.index()].owner.to_string(),
            detection: time.detection,
            publish: time.publish,
            ttl: time.ttl.duration(),
        }),
        traffic: traffic(file),
        answers: super::answers::together(file),
        charter: file.charter.clone(),
        now_ms,
    }
}

/// A phase that was entered too late to count is not shown.
fn shown(phase: Phase, state: State) -> bool {
    phase != Phase::Reported || matches!(state, State::Reported(_))
}

/// What all proxies together saw.
fn traffic(file: &File) -> Option<Traffic> {
    let mut nodes = Vec::new();
    let (mut away, mut back) = (Counts::default(), Counts::default());
    for (node, word) in &file.words {
        if let Some(seen) = &word.seen {
            nodes.push(node.to_string());
            away.plus(&seen.away);
            back.plus(&seen.back);
        }
    }
    if nodes.is_empty() {
        return None;
    }
    let over = !back.after.is_empty();
    Some(Traffic {
        nodes,
        before: match away.seconds {
            0 => 0.0,
            seconds => away.before as f64 / seconds as f64,
        },
        away: moved(&away),
        back: shift::moved_back(&back, &away).filter(|_| over),
    })
}
