//! What a view says of health, orders and distances, as facts for the record: all of it, or what is
//! otherwise than in the view before.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Snapshot, View};
use crate::health::council::Worth;
use crate::health::latency::Voice;
use crate::health::{Cause, Guard, Opinion, State, Verdict, Weakness};
use crate::history::fact::{self, Fact, error_text};
use crate::ids::{EndpointId, SiteId};
use crate::overrides::{InForce, Standing};
use crate::time::{Moment, Wall};

/// A view, and what it does not say itself.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The view.
    pub view: Arc<View>,
    /// The orders in force.
    pub standing: Arc<Standing>,
    /// The digest of its configuration.
    pub config: Arc<str>,
}

/// Everything that is so.
pub fn all(now: &Seen) -> Vec<Fact> {
    let view = &*now.view;
    let mut facts = vec![Fact::Config {
        digest: now.config.clone(),
    }];
    let vantages = vantages(view).into_iter();
    facts.extend(vantages.map(|(node, said)| said.fact(node)));
    facts.extend(now.standing.0.iter().map(order));
    facts.extend(view.board.iter().map(|(e, v)| verdict(view, e, v)));
    let endpoints = (0..view.snapshot.steering.endpoints.len()).map(EndpointId::from_index);
    let times = endpoints.map(|e| times(view, e));
    facts.extend(times.filter(|t| matches!(t, Fact::Times { times, .. } if !times.is_empty())));
    facts
}

/// What became otherwise since `before`.
pub fn changed(before: &Seen, now: &Seen) -> Vec<Fact> {
    let mut facts = Vec::new();
    if before.config != now.config {
        facts.push(Fact::Config {
            digest: now.config.clone(),
        });
    }
    let (old, new) = (vantages(&before.view), vantages(&now.view));
    let gone = old.keys().filter(|n| !new.contains_key(*n));
    facts.extend(gone.map(|node| Fact::Vantage {
        node: node.clone(),
        worth: None,
        voice: None,
    }));
    let news = new
        .iter()
        .filter(|(node, said)| old.get(*node) != Some(*said));
    facts.extend(news.map(|(node, said)| said.clone().fact(node.clone())));
    if !Arc::ptr_eq(&before.standing, &now.standing) {
        let gone = before.standing.0.iter().filter(|o| {
            let same = |n: &&InForce| n.subject == o.subject;
            !now.standing.0.iter().any(|n| same(&n))
        });
        facts.extend(gone.map(|o| Fact::Order {
            subject: o.subject.to_string().into(),
            order: None,
        }));
        let news = now
            .standing
            .0
            .iter()
            .filter(|o| !before.standing.0.contains(o));
        facts.extend(news.map(order));
    }
    match Arc::ptr_eq(&before.view.snapshot, &now.view.snapshot) {
        true => in_one_snapshot(&before.view, &now.view, &mut facts),
        false => across(&before.view, &now.view, &mut facts),
    }
    facts
}

fn in_one_snapshot(before: &View, now: &View, facts: &mut Vec<Fact>) {
    let differing = before.board.differing(&now.board, same);
    facts.extend(differing.map(|e| verdict(now, e, now.board.verdict(e))));
    let (old, new) = (&before.measurements.sites, &now.measurements.sites);
    if old.alike(new) {
        let mut moved: Vec<EndpointId> = old.differing(new).collect();
        moved.sort_unstable();
        moved.dedup();
        facts.extend(moved.into_iter().map(|e| times(now, e)));
    } else {
        let endpoints = (0..now.snapshot.steering.endpoints.len()).map(EndpointId::from_index);
        facts.extend(endpoints.map(|e| times(now, e)));
    }
}

/// Between two configurations: by name.
fn across(before: &View, now: &View, facts: &mut Vec<Fact>) {
    let (old, new) = (&before.snapshot, &now.snapshot);
    for e in &old.steering.endpoints {
        if find(new, &e.name).is_none() {
            facts.push(Fact::Verdict {
                endpoint: (*e.name).into(),
                verdict: None,
            });
            facts.push(Fact::Times {
                endpoint: (*e.name).into(),
                times: Arc::default(),
            });
        }
    }
    // Votes are by the number of a vantage.
    let names = |s: &Snapshot| -> Vec<Box<str>> {
        let vantages = s.settings.council.vantages.iter();
        vantages.map(|v| (*v.name).into()).collect()
    };
    let voters = names(old) == names(new);
    for (e, v) in now.board.iter() {
        let name = &new.steering.endpoints[e.index()].name;
        let was = find(old, name).filter(|o| o.index() < before.board.len());
        if was.is_none_or(|o| !voters || !same(before.board.verdict(o), v)) {
            facts.push(verdict(now, e, v));
        }
        let fact = times(now, e);
        match was {
            Some(o) if times(before, o) == fact => {}
            None if matches!(&fact, Fact::Times { times, .. } if times.is_empty()) => {}
            _ => facts.push(fact),
        }
    }
}

fn find(snapshot: &Snapshot, name: &str) -> Option<EndpointId> {
    let endpoints = &snapshot.steering.endpoints;
    let at = endpoints.binary_search_by(|e| (*e.name).cmp(name));
    at.ok().map(EndpointId::from_index)
}

/// Whether nothing of a verdict changed that is worth a row: when it was probed last, and how often a
/// vantage failed, is not.
fn same(a: &Verdict, b: &Verdict) -> bool {
    let rest = |v: &Verdict| {
        let Verdict {
            state,
            since,
            steady_for,
            failures,
            passes,
            stale,
            held,
            share,
            ..
        } = v;
        (
            *state,
            *since,
            *steady_for,
            *failures,
            *passes,
            *stale,
            *held,
            *share,
        )
    };
    let opinions = |v: &Verdict| {
        let votes = v.votes.as_ref()?;
        Some(
            votes
                .iter()
                .map(|v| v.map(|v| v.opinion))
                .collect::<Vec<_>>(),
        )
    };
    let votes = match (&a.votes, &b.votes) {
        (Some(x), Some(y)) if Arc::ptr_eq(x, y) => true,
        _ => opinions(a) == opinions(b),
    };
    rest(a) == rest(b) && a.cause == b.cause && a.last_error == b.last_error && votes
}

/// What is said of a vantage.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Said {
    worth: Worth,
    voice: Option<Voice>,
}

impl Said {
    fn fact(self, node: Arc<str>) -> Fact {
        Fact::Vantage {
            node,
            worth: Some(worth_word(self.worth).into()),
            voice: self.voice.map(|v| v.text().into()),
        }
    }
}

fn vantages(view: &View) -> BTreeMap<Arc<str>, Said> {
    let rules = &view.snapshot.settings.council;
    let heard = &view.measurements.sites.vantages;
    let voices = view.snapshot.steering.sites.vantages.iter().zip(&**heard);
    let voices: BTreeMap<&str, Voice> = voices.map(|((n, _), h)| (&**n, h.voice)).collect();
    let all = rules.vantages.iter().zip(view.board.vantages());
    all.map(|(v, now)| {
        let said = Said {
            worth: now.worth,
            voice: voices.get(&*v.name).copied(),
        };
        ((*v.name).into(), said)
    })
    .collect()
}

fn order(order: &InForce) -> Fact {
    let record = &order.record;
    Fact::Order {
        subject: order.subject.to_string().into(),
        order: Some(Arc::new(fact::Order {
            kind: order.kind.to_string().into(),
            owner: record.owner.clone(),
            reason: record.reason.clone(),
            expires_ms: record.expires,
            stamp: record.stamp.to_string().into(),
            drill: record.drill.as_ref().map(|d| d.text().into()),
        })),
    }
}

fn times(view: &View, endpoint: EndpointId) -> Fact {
    let steering = &view.snapshot.steering;
    let table = &view.measurements.sites;
    let sites = steering.sites.sites.iter().enumerate();
    let times = sites.filter_map(|(i, site)| {
        let time = table.get(SiteId::from_index(i), endpoint);
        (time.rtt.is_some() || time.moving).then(|| fact::SiteTime {
            site: (*site.name).into(),
            rtt_ns: time.rtt.map(nanoseconds),
            moving: time.moving,
        })
    });
    Fact::Times {
        endpoint: (*steering.endpoints[endpoint.index()].name).into(),
        times: times.collect(),
    }
}

fn nanoseconds(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

fn verdict(view: &View, endpoint: EndpointId, v: &Verdict) -> Fact {
    let wall = view.wall;
    let (cause, failure) = match &v.cause {
        Cause::Unmonitored => ("unmonitored", None),
        Cause::NotProbed => ("not-probed", None),
        Cause::Passing => ("passing", None),
        Cause::Failing(why) => ("failing", Some(error_text(why))),
    };
    let (held, until) = match v.held {
        Some(guard) => (Some(guard_word(guard)), until(guard)),
        None => (None, None),
    };
    Fact::Verdict {
        endpoint: (*view.snapshot.steering.endpoints[endpoint.index()].name).into(),
        verdict: Some(Arc::new(fact::Verdict {
            state: state_word(v.state),
            cause,
            failure,
            since_ms: calendar(wall, v.since),
            steady_ns: v.steady_for.map(nanoseconds),
            failures: v.failures,
            passes: v.passes,
            last_probe_ms: v.last_probe.map(|at| calendar(wall, at)),
            last_error: v.last_error.as_deref().map(error_text),
            stale: v.stale,
            held,
            held_until_ms: until.map(|at| calendar(wall, at)),
            share: v.share,
            votes: v.votes.as_ref().map(|votes| {
                let vantages = &view.snapshot.settings.council.vantages;
                let all = vantages.iter().zip(votes.iter());
                let said = all.filter_map(|(vantage, vote)| {
                    vote.map(|vote| fact::Vote {
                        vantage: (*vantage.name).into(),
                        opinion: opinion_word(vote.opinion),
                        failures: vote.failures,
                    })
                });
                said.collect()
            }),
        })),
    }
}

/// What never was is told as nothing at all, not as 1970.
fn calendar(wall: Wall, at: Moment) -> u64 {
    match at {
        Moment::ZERO => 0,
        at => wall.unix_ms(at),
    }
}

/// One word for a state.
pub fn state_word(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::Down => "down",
        State::Unknown { counts_as_up: true } => "presumed",
        State::Unknown { .. } => "awaited",
    }
}

fn guard_word(guard: Guard) -> &'static str {
    match guard {
        Guard::Brake => "brake",
        Guard::Suspect => "suspect",
        Guard::Hold { .. } => "hold",
        Guard::Flapping { .. } => "flapping",
        Guard::Manual => "manual",
        Guard::NotServed => "not-served",
    }
}

fn until(guard: Guard) -> Option<Moment> {
    match guard {
        Guard::Hold { until } | Guard::Flapping { until } => Some(until),
        _ => None,
    }
}

/// One word for an opinion.
pub(super) fn opinion_word(opinion: Opinion) -> &'static str {
    match opinion {
        Opinion::Up => "up",
        Opinion::None => "none",
        Opinion::Down(Weakness::Connect) => "connect",
        Opinion::Down(Weakness::Timeout) => "timeout",
        Opinion::Down(Weakness::Tls) => "tls",
        Opinion::Down(Weakness::Protocol) => "protocol",
        Opinion::Down(Weakness::Unexpected) => "unexpected",
    }
}

/// One word for what a vantage's word is worth.
pub(super) fn worth_word(worth: Worth) -> &'static str {
    match worth {
        Worth::Valid => "valid",
        Worth::OnlyUp => "only-up",
        Worth::Expired => "expired",
        Worth::Blind => "blind",
        Worth::Absent => "absent",
    }
}

#[cfg(test)]
pub(crate) mod tests;
