//! What any node shows of the whole fleet, and each node knows only its part of: the audit record, and which
//! clients are sent where.
//!
//! Neither is told to everybody all the time: both are large, and seldom looked at. A node that is asked
//! asks the others, waits less than a second, and puts together what came; who did not answer is named.
//! Whoever is asked by a node answers for itself alone, so no question goes in circles.

mod audit;
mod flows;
mod samples;
mod words;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;

use self::words::Question;
use super::fleet::{FleetDesk, Joined};
use super::flows::{Flow, Flows};
use super::orders::Desk;
use crate::admin::audit::{AuditDesk, Gathered, Recorded};
use crate::admin::desk::AuditLine;
use crate::admin::flows::{FlowDesk, FlowFacts, SampledFacts};
use crate::fleet::{Answers, Asking, Peer};
use crate::snapshot::Publisher;
use crate::time::{Clock, Moment};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(900);

/// The same for a node that the failure detector takes for dead: it may have come back just now.
const LITTLE: Duration = Duration::from_millis(200);

/// Flows of others are asked for again after this time: adding them up takes each a moment.
const FRESH: Duration = Duration::from_secs(2);

/// Windows of flows that are kept so long, at most.
const WINDOWS: usize = 8;

/// What it works with.
pub(super) struct Given<'a> {
    /// This node's end of the fleet.
    pub(super) joined: &'a Joined,
    /// Who is in it.
    pub(super) fleet: &'a Arc<FleetDesk>,
    /// This node's audit record.
    pub(super) orders: &'a Arc<Desk>,
    /// This node's flows.
    pub(super) flows: &'a Arc<Flows>,
    /// The view in force.
    pub(super) publisher: &'a Publisher,
    /// The time.
    pub(super) clock: &'a Arc<dyn Clock>,
}

/// Answers for the fleet.
pub(super) struct Fleetwide {
    own: Own,
    asking: Arc<dyn Asking>,
    fleet: Arc<FleetDesk>,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    /// What others said of their flows lately; the oldest window first.
    heard: Mutex<Vec<Arc<Window>>>,
}

/// What this node knows itself, and tells others.
#[derive(Clone)]
struct Own {
    orders: Arc<Desk>,
    flows: Arc<Flows>,
}

/// Flows of others: each table as it came.
type Said = Arc<Gathered<Vec<(Flow, f64)>>>;

/// What is known of one window.
struct Window {
    hours: u64,
    node: Option<String>,
    /// Locked while others are asked: of several who want the same, one asks.
    said: tokio::sync::Mutex<Option<(Moment, Said)>>,
}

/// Begins to answer other nodes, and answers for them.
pub(super) fn start(given: &Given<'_>) -> Arc<Fleetwide> {
    let own = Own {
        orders: given.orders.clone(),
        flows: given.flows.clone(),
    };
    let asking = given.joined.asking();
    asking.answer_with(Arc::new(own.clone()));
    Arc::new(Fleetwide {
        own,
        asking,
        fleet: given.fleet.clone(),
        publisher: given.publisher.clone(),
        clock: given.clock.clone(),
        heard: Mutex::default(),
    })
}

impl Answers for Own {
    fn answer(&self, _: &Peer, question: &str) -> Option<Vec<u8>> {
        Some(match Question::parse(question)? {
            Question::Audit { limit, node } => words::of_audit(&self.audit(limit, node.as_deref())),
            Question::Flows { hours } => {
                words::of_flows(&self.flows.told(hours, words::MOST_FLOWS))
            }
            Question::Samples { hours } => samples::of(&self.flows.sampled_facts(hours)),
        })
    }
}

impl Own {
    fn audit(&self, limit: usize, node: Option<&str>) -> Vec<AuditLine> {
        let is_wanted = |line: &AuditLine| node.is_none_or(|node| line.node == node);
        self.orders.audit_where(limit, is_wanted)
    }
}

impl Fleetwide {
    /// The other nodes of the fleet that have one of these roles.
    fn others(&self, roles: &[&str]) -> Vec<Arc<str>> {
        let view = self.publisher.latest();
        let nodes = view.snapshot.settings.nodes.iter();
        let others = nodes.filter(|n| {
            *n.name != *self.fleet.node()
                && self.fleet.is_member(&n.name)
                && n.roles.iter().any(|r| roles.contains(r))
        });
        others.map(|n| (*n.name).into()).collect()
    }

    /// Asks all of `nodes` at once, and reads what they answer.
    async fn ask<T: Send + 'static>(
        &self,
        nodes: Vec<Arc<str>>,
        question: &Question,
        read: fn(&[u8]) -> Option<T>,
    ) -> (Vec<(Arc<str>, T)>, Vec<String>) {
        let members = self.fleet.bus().members();
        let is_alive = |node: &str| members.iter().any(|m| m.alive && *m.node == *node);
        let text: Arc<str> = question.to_string().into();
        let mut asked = JoinSet::new();
        for node in nodes {
            let patience = match is_alive(&node) {
                true => PATIENCE,
                false => LITTLE,
            };
            let (asking, text) = (self.asking.clone(), text.clone());
            asked.spawn(async move {
                let answer = tokio::time::timeout(patience, asking.ask(&node, &text)).await;
                let said = answer
                    .ok()
                    .and_then(Result::ok)
                    .and_then(|octets| read(&octets));
                (node, said)
            });
        }
        let (mut all, mut missing) = (Vec::new(), Vec::new());
        while let Some(Ok((node, said))) = asked.join_next().await {
            match said {
                Some(said) => all.push((node, said)),
                None => missing.push(node.to_string()),
            }
        }
        // In an order that does not depend on who was faster.
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        missing.sort();
        (all, missing)
    }

    /// The window of so many hours, of all nodes or one.
    fn window(&self, hours: u64, node: Option<&str>) -> Arc<Window> {
        // Each step leaves it whole.
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |w: &&Arc<Window>| w.hours == hours && w.node.as_deref() == node;
        if let Some(known) = heard.iter().find(is_it) {
            return known.clone();
        }
        if heard.len() >= WINDOWS {
            heard.remove(0);
        }
        let window = Arc::new(Window {
            hours,
            node: node.map(str::to_owned),
            said: tokio::sync::Mutex::default(),
        });
        heard.push(window.clone());
        window
    }

    /// What other nodes saw lately.
    async fn flows_of_others(&self, hours: u64, node: Option<&str>) -> Said {
        let window = self.window(hours, node);
        let mut known = window.said.lock().await;
        let is_fresh = |at: Moment| self.clock.now().since(at) < FRESH;
        if let Some((at, said)) = &*known
            && is_fresh(*at)
        {
            return said.clone();
        }
        let mut nodes = self.others(&["dns"]);
        nodes.retain(|n| node.is_none_or(|node| **n == *node));
        let question = Question::Flows { hours };
        let (all, missing) = self.ask(nodes, &question, words::read_flows).await;
        let said = Arc::new(Gathered {
            all: all.into_iter().map(|(_, flows)| flows).collect(),
            missing,
        });
        *known = Some((self.clock.now(), said.clone()));
        said
    }
}

#[async_trait]
impl AuditDesk for Fleetwide {
    async fn audit(&self, limit: usize, node: Option<&str>) -> Gathered<Recorded> {
        // Orders are noted by those who keep them, the rest where the API is.
        let others = self.others(&["dns", "admin"]);
        let question = Question::Audit {
            limit,
            node: node.map(str::to_owned),
        };
        let (mut all, missing) = self.ask(others, &question, words::read_audit).await;
        // Last, so that what happened meanwhile is there.
        all.push((self.fleet.node().into(), self.own.audit(limit, node)));
        Gathered {
            all: audit::merge(all, limit),
            missing,
        }
    }
}

#[async_trait]
impl FlowDesk for Fleetwide {
    async fn within(&self, hours: u64, node: Option<&str>) -> Gathered<FlowFacts> {
        let others = self.flows_of_others(hours, node).await;
        let is_asked = node.is_none_or(|node| *node == *self.fleet.node());
        let own = match is_asked {
            true => self.own.flows.within(hours),
            false => Vec::new(),
        };
        Gathered {
            all: flows::merge(own, &others.all),
            missing: others.missing.clone(),
        }
    }

    async fn sampled(&self, hours: u64) -> SampledFacts {
        let question = Question::Samples { hours };
        // Whoever does not answer is told of with the flows; here the sums are less sure by that.
        let (others, _) = self
            .ask(self.others(&["dns"]), &question, samples::read)
            .await;
        let others = others.into_iter().map(|(_, said)| said);
        let own = self.own.flows.sampled_facts(hours);
        samples::merge(std::iter::once(own).chain(others))
    }
}
