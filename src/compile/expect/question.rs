//! What an expectation asks, and of whom: a name, a client and a supposition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::spec::{AnswerSpec, ExpectSpec};
use crate::dns::rtype;
use crate::engine::ExplainClient;
use crate::engine::prospect::{Prospect, prospect, somebody_of_each_plan, steered};
use crate::health::{
    Board, Monitor, MonitorKind, Override, OverrideKind, Overrides, RiseFall, SiteTimes, Verdict,
};
use crate::ids::{EndpointId, ShapeId, SiteId};
use crate::net::Prefix;
use crate::snapshot::{Parts, Snapshot, Supposed, View};
use crate::steer::Measurements;
use crate::units::Generation;

use super::things::{Things, text};
use super::{NOW, Probed};
use crate::compile::Problems;

/// How long a state lasts at least once it was reached.
#[derive(Clone, Copy, Debug, Default)]
struct Lasts {
    up: Option<Duration>,
    down: Option<Duration>,
}

/// What all questions start from: everything is up, nothing is measured or ordered.
pub(super) struct Base {
    /// A view of which nothing is resolved.
    pub(super) view: View,
    pub(super) things: Things,
    /// By endpoint.
    lasts: Vec<Lasts>,
    /// Boards by what is down.
    boards: HashMap<Vec<EndpointId>, Arc<Board>>,
    unmeasured: Option<SiteTimes>,
    clients: HashMap<ShapeId, Arc<[ExplainClient]>>,
}

impl Base {
    pub(super) fn new(snapshot: &Arc<Snapshot>, (targets, target_of): Probed<'_>) -> Base {
        let monitors: Vec<Lasts> = snapshot.monitors.iter().map(lasts).collect();
        let of = |target: &Option<crate::ids::TargetId>| match target {
            Some(t) => monitors[targets[t.index()].monitor.index()],
            None => Lasts::default(),
        };
        let lasts: Vec<Lasts> = target_of.iter().map(of).collect();
        let up = lasts.iter().map(|l| match l.up {
            Some(_) => Verdict::unmonitored().if_up(l.up),
            None => Verdict::unmonitored(),
        });
        let board = Board::new(up.collect());
        let parts = Parts::new(snapshot.clone(), Arc::new(board));
        Base {
            view: View::unresolved(Generation::default(), NOW, parts),
            things: Things::default(),
            lasts,
            boards: HashMap::new(),
            unmeasured: None,
            clients: HashMap::new(),
        }
    }

    fn board(&mut self, down: Vec<EndpointId>) -> Arc<Board> {
        if down.is_empty() {
            return self.view.board.clone();
        }
        let (all_up, lasts) = (&self.view.board, &self.lasts);
        let board = self.boards.entry(down).or_insert_with_key(|down| {
            let verdicts = down.iter().map(|e| {
                let verdict = all_up.verdict(*e).if_down(lasts[e.index()].down);
                (*e, verdict)
            });
            Arc::new(all_up.with(verdicts.collect::<Vec<_>>()))
        });
        board.clone()
    }
}

/// How long the states last that a monitor gives.
fn lasts(m: &Monitor) -> Lasts {
    if let MonitorKind::Composite(composite) = &m.kind {
        let parts = || composite.parts.iter().map(|p| lasts(p));
        return Lasts {
            up: parts().filter_map(|l| l.up).min(),
            down: parts().filter_map(|l| l.down).min(),
        };
    }
    let mut state = RiseFall::new();
    for _ in 0..m.rise {
        state.observe(true, m);
    }
    let up = state.steady_for(m);
    for _ in 0..m.fall {
        state.observe(false, m);
    }
    Lasts {
        up: Some(up),
        down: Some(state.steady_for(m)),
    }
}

/// What an expectation asks.
pub(super) struct Question<'e> {
    e: &'e ExpectSpec,
    pub(super) qtype: u16,
    pub(super) supposed: Supposed,
    /// For each thing that the expectation's answers and shares name: its endpoints.
    pub(super) things: HashMap<String, Vec<EndpointId>>,
}

impl<'e> Question<'e> {
    /// The question of `e`; `None` when it names something that is not there, or is ambiguous.
    pub(super) fn of(e: &'e ExpectSpec, base: &mut Base, p: &mut Problems) -> Option<Question<'e>> {
        let snapshot = base.view.snapshot.clone();
        let steering = &snapshot.steering;
        let mut whole = true;
        let named = e.down.iter().chain(&e.drained);
        let named = named.chain(e.rtt.iter().map(|(t, _)| t));
        for thing in named {
            let found = base.things.find(&thing.value, thing.span, steering, p);
            whole &= found.is_some();
        }
        let mut things = HashMap::new();
        let answers = e.answer.iter().chain(&e.not);
        let answered = answers.filter_map(|a| match &a.value {
            AnswerSpec::Thing(t) => Some((t, a.span)),
            _ => None,
        });
        let shared = e.shares.iter().map(|(t, _)| (&t.value, t.span));
        for (thing, span) in answered.chain(shared) {
            match base.things.find(thing, span, steering, p) {
                Some(found) => {
                    things.insert(text(thing), found.endpoints);
                }
                None => whole = false,
            }
        }
        if !whole {
            return None;
        }
        let down = e.down.iter().filter_map(|t| base.things.get(&t.value));
        let mut down: Vec<EndpointId> = down.flat_map(|t| t.endpoints.clone()).collect();
        down.sort_unstable();
        down.dedup();
        let drained = e.drained.iter().filter_map(|t| base.things.get(&t.value));
        let orders = drained.map(|t| Override {
            scope: t.scope,
            kind: OverrideKind::Drain,
            owner: "nobody".into(),
            reason: "supposed".into(),
            expires: None,
        });
        let overrides = Arc::new(Overrides(orders.collect()));
        let measurements = measured(e, base);
        Some(Question {
            e,
            qtype: match e.qtype.as_str() {
                "AAAA" => rtype::AAAA,
                "HTTPS" => rtype::HTTPS,
                _ => rtype::A,
            },
            supposed: Supposed {
                board: base.board(down),
                measurements,
                overrides,
            },
            things,
        })
    }

    /// Those for whom it must hold.
    pub(super) fn clients(&self, base: &mut Base) -> Arc<[ExplainClient]> {
        if let Some((prefix, network)) = &self.e.client {
            return Arc::from([ExplainClient {
                addr: prefix.addr(),
                source: network.then_some(prefix.len()),
                resolver: None,
            }]);
        }
        let Some(name) = steered(&base.view, &self.e.name.value, self.qtype) else {
            return Arc::from([ExplainClient {
                addr: std::net::Ipv4Addr::UNSPECIFIED.into(),
                source: None,
                resolver: None,
            }]);
        };
        let shape = base.view.snapshot.steering.shape_id_of(name);
        let view = &base.view;
        let clients = base.clients.entry(shape);
        let clients = clients.or_insert_with(|| somebody_of_each_plan(view, name).into());
        clients.clone()
    }

    /// What one of them gets.
    pub(super) fn ask(&self, view: &View, client: ExplainClient) -> Prospect {
        let asked = (&self.e.name.value, self.qtype);
        let everybody = self.e.client.is_none();
        prospect(view, &self.supposed, asked, client, everybody, NOW)
    }

    /// `www.gslb.example A for 192.0.2.0/24 with eu-1 down`
    pub(super) fn words(&self, e: &ExpectSpec) -> String {
        let mut words = format!("{} {}", e.name.value, e.qtype);
        match &e.client {
            Some((prefix, true)) => words.push_str(&format!(" for {}", prefix.value)),
            Some((prefix, false)) => words.push_str(&format!(" for {}", prefix.addr())),
            None => words.push_str(" for everybody"),
        }
        let mut with = Vec::new();
        let all = |things: &[crate::config::Marked<crate::config::spec::ThingSpec>]| {
            let things: Vec<String> = things.iter().map(|t| text(&t.value)).collect();
            things.join(", ")
        };
        if !e.down.is_empty() {
            with.push(format!("{} down", all(&e.down)));
        }
        if !e.drained.is_empty() {
            with.push(format!("{} drained", all(&e.drained)));
        }
        for (thing, rtt) in &e.rtt {
            let ms = rtt.as_secs_f64() * 1e3;
            with.push(format!("{} {ms} ms away", text(&thing.value)));
        }
        if !with.is_empty() {
            words.push_str(&format!(" with {}", with.join(" and ")));
        }
        words
    }

    /// A client in words.
    pub(super) fn words_of(&self, client: ExplainClient) -> String {
        match client.source {
            Some(len) => Prefix::containing(client.addr, len).to_string(),
            None => "every client".to_owned(),
        }
    }
}

/// The times that `e` supposes, from every site.
fn measured(e: &ExpectSpec, base: &mut Base) -> Arc<Measurements> {
    if e.rtt.is_empty() {
        return base.view.measurements.clone();
    }
    let steering = &base.view.snapshot.steering;
    let (sites, endpoints) = (steering.sites.sites.len(), steering.endpoints.len());
    let unknown = || SiteTimes::unknown(sites, endpoints);
    let mut times = base.unmeasured.get_or_insert_with(unknown).clone();
    for (thing, rtt) in &e.rtt {
        for endpoint in base
            .things
            .get(&thing.value)
            .iter()
            .flat_map(|t| &t.endpoints)
        {
            for site in (0..sites).map(SiteId::from_index) {
                times.suppose(site, *endpoint, *rtt);
            }
        }
    }
    Arc::new(Measurements {
        sites: times,
        ..Measurements::default()
    })
}
