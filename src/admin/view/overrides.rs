//! Orders as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::audit::{Gathered, Recorded};
use crate::admin::desk::{Listing, Taken};
use crate::health::{Scope, State};
use crate::overrides::{Drill, InForce, Quarantined, Reach};
use crate::snapshot::{View, orders};
use crate::time::utc;

/// Most endpoints beneath an order that are shown one by one.
const SHOWN: usize = 20;

/// All orders, with what they lie upon.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overrides {
    /// The view's number.
    pub generation: u64,
    /// Whether orders outlive this process here.
    pub durable: bool,
    /// In force.
    pub overrides: Vec<Order>,
    /// Kept but not in force: their author's clock is far ahead.
    pub quarantined: Vec<Held>,
}

/// An order in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Override)]
pub struct Order {
    /// `state/region/eu`.
    pub id: String,
    /// `endpoint`, `pool`, `region` or `name`.
    pub scope: &'static str,
    /// Of the scope.
    pub name: String,
    /// `drain`, `disable`, `force-up`, `force-down`, `weight` or `failback`; of a drill `drill-fail` or
    /// `drill-drain`.
    pub kind: &'static str,
    /// The drill whose order it is; absent where it is an operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<OfDrill>,
    /// The weight ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it was given.
    pub given: String,
    /// Where.
    pub node: String,
    /// Its stamp: what was given together has the same.
    pub stamp: String,
    /// When it ends by itself.
    pub expires: Option<String>,
    /// Seconds until then.
    pub ends_in_seconds: Option<u64>,
    /// The rule it broke and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// What health says beneath it; `None`: this configuration has no such thing.
    pub beneath: Option<Beneath>,
}

/// The drill that an order belongs to, and whom it concerns.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = OrderOfDrill)]
pub struct OfDrill {
    /// Its name.
    pub id: String,
    /// `everybody`, `canary` or `label`.
    pub reach: &'static str,
    /// The clients that it concerns, where it is a canary; nobody else's answers change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// What stands before a name so that it answers as under the drill, where that is its scope;
    /// nothing else changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl OfDrill {
    /// Of a drill with this reach.
    pub fn of(drill: &Drill) -> OfDrill {
        let (reach, canary, label) = match drill.reach {
            Reach::Everybody => ("everybody", None, None),
            Reach::Canary(prefix) => ("canary", Some(prefix.to_string()), None),
            Reach::Label => ("label", None, Some(drill.label())),
        };
        OfDrill {
            id: drill.id.to_string(),
            reach,
            canary,
            label,
        }
    }
}

/// The real state of what an order covers.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Beneath {
    /// Endpoints covered.
    pub endpoints: usize,
    /// Of them up.
    pub up: usize,
    /// Of them down.
    pub down: usize,
    /// Of them neither.
    pub unknown: usize,
    /// Up to 20 of those that are not up, with the last error.
    pub not_up: Vec<NotUp>,
}

/// An endpoint that is not up beneath an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotUp {
    /// Its name.
    pub endpoint: String,
    /// `down` or `unknown`.
    pub state: &'static str,
    /// The last failure.
    pub last_error: Option<String>,
}

/// An order that is kept but not in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantinedOrder)]
pub struct Held {
    /// What it says: `state/region/eu drain`.
    pub says: Vec<String>,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The node whose clock is ahead.
    pub node: String,
    /// Its stamp.
    pub stamp: String,
    /// How far it is ahead.
    pub ahead_seconds: u64,
}

/// An order that was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderGiven)]
pub struct Given {
    /// Its stamp.
    pub stamp: String,
    /// What it says of each subject.
    pub said: Vec<String>,
    /// When it ends by itself.
    pub expires: Option<String>,
    /// The view of this node that has it first.
    pub generation: u64,
    /// Nodes where it is in force.
    pub applied: usize,
    /// Nodes where it must come into force.
    pub of: usize,
    /// Those where it is not yet.
    pub missing: Vec<Missing>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// A node where an order is not in force yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct Missing {
    /// The node.
    pub node: String,
    /// Why.
    pub why: String,
}

/// Lines of the audit record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Audit {
    /// Latest first.
    pub audit: Vec<Event>,
    /// The nodes that did not answer in time: what only they wrote is not there.
    pub missing: Vec<String>,
}

/// A line of the audit record.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct Event {
    /// When it was written, on the first node that did.
    pub at: String,
    /// Of orders `ordered`, `received`, `replaced`, `lost`, `expired`, `quarantined`, `believed` or
    /// `refused`; of requests `changed`, `refused`, `signed-in` or `signed-out`.
    pub event: String,
    /// Who gave the order, or asked.
    pub owner: String,
    /// The node where it happened: of an order the one that took it.
    pub node: String,
    /// The nodes in whose records it stands.
    pub records: Vec<String>,
    /// What exactly.
    pub text: String,
}

impl From<Gathered<Recorded>> for Audit {
    fn from(found: Gathered<Recorded>) -> Audit {
        Audit {
            audit: found.all.into_iter().map(Into::into).collect(),
            missing: found.missing,
        }
    }
}

impl From<Recorded> for Event {
    fn from(Recorded { line, records }: Recorded) -> Event {
        Event {
            at: utc::show(line.at_ms / 1000),
            event: line.event,
            owner: line.owner,
            node: line.node,
            records,
            text: line.text,
        }
    }
}

impl From<Taken> for Given {
    fn from(taken: Taken) -> Given {
        let missing = taken.missing.into_iter();
        Given {
            stamp: taken.stamp,
            said: taken.said,
            expires: taken.expires.map(|ms| utc::show(ms / 1000)),
            generation: taken.generation,
            applied: taken.applied,
            of: taken.of,
            missing: missing.map(|(node, why)| Missing { node, why }).collect(),
            warnings: taken.warnings,
        }
    }
}

impl Overrides {
    /// What `listing` has, over `view`.
    pub fn of(listing: Listing, view: &View) -> Overrides {
        let orders = listing.standing.0.iter();
        Overrides {
            generation: view.generation.0,
            durable: listing.durable,
            overrides: orders.map(|o| Order::of(o, listing.now_ms, view)).collect(),
            quarantined: listing.quarantined.iter().map(Held::of).collect(),
        }
    }
}

impl Order {
    fn of(order: &InForce, now_ms: u64, view: &View) -> Order {
        let InForce {
            subject,
            kind,
            record,
        } = order;
        Order {
            id: subject.to_string(),
            scope: subject.scope.word(),
            name: subject.name.to_string(),
            kind: kind.word(),
            drill: record.drill.as_ref().map(OfDrill::of),
            weight: match kind {
                crate::overrides::Kind::Weight(w) => Some(w.0),
                _ => None,
            },
            owner: record.owner.to_string(),
            reason: record.reason.to_string(),
            given: utc::show(record.stamp.ms / 1000),
            node: record.author().to_string(),
            stamp: record.stamp.to_string(),
            expires: record.expires.map(|ms| utc::show(ms / 1000)),
            ends_in_seconds: record.expires.map(|ms| ms.saturating_sub(now_ms) / 1000),
            break_glass: record.broke.as_deref().map(str::to_owned),
            beneath: orders::scope(subject, &view.snapshot.steering).map(|s| Beneath::of(s, view)),
        }
    }
}

impl Held {
    fn of(q: &Quarantined) -> Held {
        let entries = q.record.entries.iter();
        Held {
            says: entries
                .map(|e| match e.kind {
                    Some(kind) => format!("{} {kind}", e.subject),
                    None => format!("{} clear", e.subject),
                })
                .collect(),
            owner: q.record.owner.to_string(),
            reason: q.record.reason.to_string(),
            node: q.record.author().to_string(),
            stamp: q.record.stamp.to_string(),
            ahead_seconds: q.ahead_ms / 1000,
        }
    }
}

impl Beneath {
    fn of(scope: Scope, view: &View) -> Beneath {
        let steering = &view.snapshot.steering;
        let mut out = Beneath::default();
        for id in orders::covered(scope, steering) {
            let endpoint = &steering.endpoints[id.index()];
            let verdict = view.board.verdict(id);
            out.endpoints += 1;
            let state = match verdict.state {
                _ if !endpoint.enabled => "unknown",
                State::Up => "up",
                State::Down => "down",
                State::Unknown { .. } => "unknown",
            };
            match state {
                "up" => out.up += 1,
                "down" => out.down += 1,
                _ => out.unknown += 1,
            }
            if state != "up" && out.not_up.len() < SHOWN {
                out.not_up.push(NotUp {
                    endpoint: endpoint.name.to_string(),
                    state,
                    last_error: verdict.last_error.as_deref().map(str::to_owned),
                });
            }
        }
        out
    }
}
