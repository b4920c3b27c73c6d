//! In which condition endpoints are: health and the operators' word together, and how many are in which.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::health::{Override, OverrideKind, Scope, State, Verdict};
use crate::ids::EndpointId;
use crate::snapshot::View;
use crate::time::Moment;

/// The condition of an endpoint, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It passes its checks, or has none.
    Up,
    /// It fails them.
    Down,
    /// No probe has ended yet.
    Unknown,
    /// Nobody has a vote now: what is shown is what was believed last.
    Stale,
    /// An operator sends no new clients there.
    Drained,
    /// Out of service by an operator or the configuration.
    Disabled,
}

/// How many endpoints are in which condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct Counts {
    /// All.
    pub total: usize,
    /// Clients may be sent there.
    pub serving: usize,
    /// Pass their checks, or have none.
    pub up: usize,
    /// Fail them.
    pub down: usize,
    /// No probe has ended yet.
    pub unknown: usize,
    /// Believed as it was last, since nobody has a vote.
    pub stale: usize,
    /// Drained by an operator.
    pub drained: usize,
    /// Out of service by an operator or the configuration.
    pub disabled: usize,
}

/// How much of what there is serves. Configured weights stand for capacity, one of 0 as 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
pub struct Capacity {
    /// Weight of the endpoints that serve.
    pub serving: u64,
    /// Weight of all that the configuration enables.
    pub whole: u64,
    /// The first as a share of the second in percent, rounded down; 100 of nothing.
    pub percent: u64,
}

/// The orders in force, by what they are about.
pub(super) struct Ordered<'v> {
    view: &'v View,
    states: HashMap<Scope, &'v Override>,
    weights: HashMap<Scope, &'v Override>,
}

/// What is known of an endpoint together.
pub(super) struct Known<'v> {
    pub(super) verdict: &'v Verdict,
    /// The order about its state: that of the narrowest scope.
    pub(super) order: Option<&'v Override>,
    pub(super) condition: Condition,
    /// Clients may be sent there.
    pub(super) serves: bool,
}

impl<'v> Ordered<'v> {
    /// Of `view`, without those that have ended by `now`.
    pub(super) fn of(view: &'v View, now: Moment) -> Ordered<'v> {
        let (mut states, mut weights) = (HashMap::new(), HashMap::new());
        let all = view.overrides.0.iter();
        for order in all.filter(|o| o.expires.is_none_or(|end| end > now)) {
            // Of two about the same thing the later one stands.
            match order.kind {
                OverrideKind::Weight(_) => weights.insert(order.scope, order),
                _ => states.insert(order.scope, order),
            };
        }
        Ordered {
            view,
            states,
            weights,
        }
    }

    /// What is known of an endpoint, apart from orders about names.
    pub(super) fn known(&self, e: EndpointId) -> Known<'v> {
        let steering = &self.view.snapshot.steering;
        let endpoint = &steering.endpoints[e.index()];
        let verdict = self.view.board.verdict(e);
        let order = self.state(e);
        let kind = order.map(|o| o.kind);
        let condition = match (kind, verdict.state) {
            _ if !endpoint.enabled => Condition::Disabled,
            (Some(OverrideKind::Disable), _) => Condition::Disabled,
            (Some(OverrideKind::Drain), _) => Condition::Drained,
            _ if verdict.stale => Condition::Stale,
            (_, State::Up) => Condition::Up,
            (_, State::Down) => Condition::Down,
            (_, State::Unknown { .. }) => Condition::Unknown,
        };
        let serves = endpoint.enabled
            && match kind {
                Some(OverrideKind::Drain | OverrideKind::Disable | OverrideKind::ForceDown) => {
                    false
                }
                Some(OverrideKind::ForceUp) => true,
                Some(OverrideKind::Weight(_)) | None => verdict.state.serves(),
            };
        Known {
            verdict,
            order,
            condition,
            serves,
        }
    }

    fn state(&self, e: EndpointId) -> Option<&'v Override> {
        if self.states.is_empty() {
            return None;
        }
        let steering = &self.view.snapshot.steering;
        let pool = steering.endpoints[e.index()].pool;
        let region = steering.pools[pool.index()].region;
        let get = |scope| self.states.get(&scope).copied();
        get(Scope::Endpoint(e))
            .or_else(|| get(Scope::Pool(pool)))
            .or_else(|| get(Scope::Region(region)))
    }

    /// The weight that an operator gave an endpoint.
    pub(super) fn weight(&self, e: EndpointId) -> Option<u32> {
        match self.weights.get(&Scope::Endpoint(e))?.kind {
            OverrideKind::Weight(weight) => Some(weight.0),
            _ => None,
        }
    }

    /// The counts and the capacity of some endpoints.
    pub(super) fn count(
        &self,
        endpoints: impl IntoIterator<Item = EndpointId>,
    ) -> (Counts, Capacity) {
        let (mut counts, mut capacity) = (Counts::default(), Capacity::default());
        for e in endpoints {
            let known = self.known(e);
            let endpoint = &self.view.snapshot.steering.endpoints[e.index()];
            let weight = u64::from(endpoint.weight.0.max(1));
            counts.total += 1;
            if known.serves {
                counts.serving += 1;
                capacity.serving += weight;
            }
            if endpoint.enabled {
                capacity.whole += weight;
            }
            *match known.condition {
                Condition::Up => &mut counts.up,
                Condition::Down => &mut counts.down,
                Condition::Unknown => &mut counts.unknown,
                Condition::Stale => &mut counts.stale,
                Condition::Drained => &mut counts.drained,
                Condition::Disabled => &mut counts.disabled,
            } += 1;
        }
        capacity.percent = (capacity.serving * 100)
            .checked_div(capacity.whole)
            .unwrap_or(100);
        (counts, capacity)
    }
}

/// The word for what an order says.
pub(super) fn kind_text(kind: OverrideKind) -> String {
    match kind {
        OverrideKind::Drain => "drain".to_owned(),
        OverrideKind::Disable => "disable".to_owned(),
        OverrideKind::ForceUp => "force-up".to_owned(),
        OverrideKind::ForceDown => "force-down".to_owned(),
        OverrideKind::Weight(weight) => format!("weight {}", weight.0),
    }
}
