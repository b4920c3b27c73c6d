//! The view of another time: a configuration, and what the record says of that time.
//!
//! On its own time line: its moments count from 1970, so that what was before this process began has a
//! place. Explain it with [`moment`] of the time it is asked for.

use std::sync::Arc;
use std::time::Duration;

use super::{Parts, Snapshot, View, drills, orders};
use crate::chunked::Chunked;
use crate::health::council::Worth;
use crate::health::latency::{VantageHeard, Voice};
use crate::health::{
    Board, Cause, Guard, Opinion, SiteTime, SiteTimes, State, VantageNow, Verdict, Vote, Weakness,
};
use crate::history::{self, fact};
use crate::ids::EndpointId;
use crate::overrides::{
    Class, Drill, Effect, Entry, InForce, Kind, Record, ScopeKind, Standing, Subject,
};
use crate::steer::Measurements;
use crate::time::{Moment, Wall};
use crate::units::{Generation, Weight};

/// A view of another time.
#[derive(Debug)]
pub struct Then {
    /// The view.
    pub view: View,
    /// What the record does not say, in words.
    pub missing: Vec<String>,
}

/// The moment of a time, in milliseconds since 1970-01-01T00:00:00Z, on the time line of such views.
pub fn moment(ms: u64) -> Moment {
    Moment(ms.saturating_mul(1_000_000))
}

/// The view that `state` tells of, under the configuration in force then.
pub fn view(state: &history::State, snapshot: Arc<Snapshot>) -> Then {
    let mut missing = Vec::new();
    let board = board(state, &snapshot, &mut missing);
    let sites = times(state, &snapshot);
    if snapshot.steering.asks_clients() {
        missing.push("what clients' own connections measured".to_owned());
    }
    let standing = standing(state, &mut missing);
    // Moments count from 1970 here.
    let wall = Wall::new(Moment::ZERO, Duration::ZERO);
    let overrides = orders::resolve(&standing, &snapshot.steering, wall);
    let drills = drills::of(&standing, &snapshot.steering, wall);
    let parts = Parts {
        wall,
        drills,
        measurements: Arc::new(Measurements {
            sites,
            ..Measurements::default()
        }),
        overrides: Arc::new(overrides),
        ..Parts::new(snapshot, Arc::new(board))
    };
    Then {
        view: View::new(Generation(state.generation), moment(state.at_ms), parts),
        missing,
    }
}

fn board(state: &history::State, snapshot: &Snapshot, missing: &mut Vec<String>) -> Board {
    let mut unknown = Vec::new();
    let vantages = &snapshot.settings.council.vantages;
    let names: Vec<&str> = vantages.iter().map(|v| &*v.name).collect();
    let endpoints = snapshot.steering.endpoints.iter().enumerate();
    let verdicts = endpoints.map(|(i, e)| match state.verdicts.get(&*e.name) {
        Some(v) => verdict(v, &names),
        None if snapshot.target_of.get(i).is_none_or(Option::is_none) => Verdict::unmonitored(),
        None => {
            unknown.push(e.name.to_string());
            Verdict {
                state: State::Unknown {
                    counts_as_up: false,
                },
                cause: Cause::NotProbed,
                ..Verdict::unmonitored()
            }
        }
    });
    let mut board = Board::new(verdicts.collect());
    if let Some(first) = unknown.first() {
        missing.push(format!(
            "the health of {} endpoints, {first} among them",
            unknown.len()
        ));
    }
    let worths = names.iter().filter_map(|name| {
        let (worth, _) = state.vantages.get(*name)?;
        Some(VantageNow {
            worth: worth_of(worth)?,
            alive: None,
        })
    });
    let worths: Arc<[VantageNow]> = worths.collect();
    if worths.len() == names.len() {
        board.set_vantages(worths);
    }
    board
}

fn verdict(v: &fact::Verdict, vantages: &[&str]) -> Verdict {
    let until = || moment(v.held_until_ms.unwrap_or_default());
    Verdict {
        state: match v.state {
            "up" => State::Up,
            "down" => State::Down,
            word => State::Unknown {
                counts_as_up: word == "presumed",
            },
        },
        cause: match v.cause {
            "unmonitored" => Cause::Unmonitored,
            "not-probed" => Cause::NotProbed,
            "passing" => Cause::Passing,
            _ => Cause::Failing(v.failure.clone().unwrap_or_default()),
        },
        since: moment(v.since_ms),
        steady_for: v.steady_ns.map(Duration::from_nanos),
        failures: v.failures,
        passes: v.passes,
        last_probe: v.last_probe_ms.map(moment),
        last_error: v.last_error.clone(),
        stale: v.stale,
        held: v.held.map(|word| match word {
            "brake" => Guard::Brake,
            "suspect" => Guard::Suspect,
            "hold" => Guard::Hold { until: until() },
            "flapping" => Guard::Flapping { until: until() },
            "manual" => Guard::Manual,
            _ => Guard::NotServed,
        }),
        share: v.share,
        votes: v.votes.as_ref().map(|votes| {
            let of = |name: &&str| {
                let said = votes.iter().find(|v| &*v.vantage == *name)?;
                Some(Vote {
                    opinion: opinion_of(said.opinion),
                    failures: said.failures,
                })
            };
            vantages.iter().map(of).collect()
        }),
    }
}

fn opinion_of(word: &str) -> Opinion {
    match word {
        "up" => Opinion::Up,
        "connect" => Opinion::Down(Weakness::Connect),
        "timeout" => Opinion::Down(Weakness::Timeout),
        "tls" => Opinion::Down(Weakness::Tls),
        "protocol" => Opinion::Down(Weakness::Protocol),
        "unexpected" => Opinion::Down(Weakness::Unexpected),
        _ => Opinion::None,
    }
}

fn worth_of(word: &str) -> Option<Worth> {
    let all = [
        Worth::Valid,
        Worth::OnlyUp,
        Worth::Expired,
        Worth::Blind,
        Worth::Absent,
    ];
    all.into_iter()
        .find(|w| super::record::worth_word(*w) == word)
}

fn times(state: &history::State, snapshot: &Snapshot) -> SiteTimes {
    let sites = &snapshot.steering.sites;
    let endpoints = &snapshot.steering.endpoints;
    let row = |site: &str| -> Chunked<SiteTime> {
        let time = |e: EndpointId| {
            let known = state.times.get(&*endpoints[e.index()].name)?;
            let time = known.iter().find(|t| &*t.site == site)?;
            let rtt = time.rtt_ns.map(Duration::from_nanos);
            Some(SiteTime {
                rtt,
                latest: rtt,
                moving: time.moving,
            })
        };
        let all = (0..endpoints.len()).map(EndpointId::from_index);
        all.map(|e| time(e).unwrap_or_default()).collect()
    };
    let heard = sites.vantages.iter().map(|(node, _)| {
        let said = state.vantages.get(&**node).and_then(|(_, v)| v.as_deref());
        VantageHeard {
            voice: voice_of(said),
            heard: None,
            measured: 0,
        }
    });
    SiteTimes {
        rows: sites.sites.iter().map(|s| row(&s.name)).collect(),
        vantages: heard.collect(),
    }
}

fn voice_of(word: Option<&str>) -> Voice {
    let all = [Voice::Silent, Voice::Blind, Voice::Suspect];
    let voice = all.into_iter().find(|v| Some(v.text()) == word);
    voice.unwrap_or(Voice::Speaks)
}

/// The orders in force.
fn standing(state: &history::State, missing: &mut Vec<String>) -> Standing {
    let mut standing = Standing::default();
    for (subject, order) in &state.orders {
        match in_force(subject, order) {
            Some(order) => standing.0.push(order),
            None => missing.push(format!("the order about {subject}, which cannot be read")),
        }
    }
    standing
}

fn in_force(subject: &str, order: &fact::Order) -> Option<InForce> {
    let mut parts = subject.splitn(3, '/');
    let subject = Subject {
        class: Class::from_word(parts.next()?)?,
        scope: ScopeKind::from_word(parts.next()?)?,
        name: parts.next()?.into(),
    };
    let kind = match order.kind.split_once(' ') {
        Some(("weight", number)) => {
            let weight = Weight(number.parse().ok()?);
            Kind::Weight(Some(weight).filter(|w| *w <= Weight::MAX)?)
        }
        _ => {
            let all = [
                Kind::Drain,
                Kind::Disable,
                Kind::ForceUp,
                Kind::ForceDown,
                Kind::Failback,
                Kind::Drill(Effect::Fail),
                Kind::Drill(Effect::Drain),
            ];
            all.into_iter().find(|k| k.word() == &*order.kind)?
        }
    };
    let record = Record {
        stamp: order.stamp.parse().ok()?,
        owner: order.owner.clone(),
        reason: order.reason.clone(),
        expires: order.expires_ms,
        broke: None,
        drill: match &order.drill {
            Some(text) => Some(Drill::from_text(text)?),
            None => None,
        },
        mark: None,
        entries: vec![Entry {
            subject: subject.clone(),
            kind: Some(kind),
        }],
        voids: Vec::new(),
        signed: None,
    };
    Some(InForce {
        subject,
        kind,
        record: Arc::new(record),
    })
}
