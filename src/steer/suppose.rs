//! What one name would offer one client if other things were known.
//!
//! For questions that start with "if": the rules are those of every answer, only the rest of the
//! configuration is left out, so that a question costs what its name costs and no more.

use std::sync::Arc;

use crate::ids::{EndpointId, NameId, PlanId};
use crate::time::Moment;

use super::decision::Chosen;
use super::facts::Facts;
use super::offer::{BlockBuilder, Known, Live};
use super::shares::Told;
use super::sticky::Hashes;
use super::{Ask, Chooser, Decision, Steering};

/// An endpoint that may be drawn, and how often: its part of the sum of all parts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Share {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Its part, in percent.
    pub percent: f64,
}

impl Live {
    /// Nothing offered yet: a start for [`Live::of_one`].
    pub fn blank(steering: &Steering) -> Live {
        let sticky = |p: &super::Policy| matches!(p.chooser, Chooser::Sticky { .. });
        let hashes = if steering.policies.iter().any(sticky) {
            Hashes::of(steering)
        } else {
            Hashes::default()
        };
        Live {
            hashes: Arc::new(hashes),
            ..Live::default()
        }
    }

    /// What `plan` of `name` offers when this is known, and nothing else: to ask it of another name or
    /// for a client of another plan means nothing. `self` is of the same `steering`.
    pub fn of_one(
        &self,
        steering: &Steering,
        known: Known<'_>,
        (name, plan): (NameId, PlanId),
        now: Moment,
    ) -> Live {
        let facts = Facts::new(
            steering,
            known.board,
            known.measurements,
            known.overrides,
            now,
        )
        .with(&self.clients);
        let mut room = BlockBuilder::default();
        room.add_plan(&facts, steering.group_of(name), Some(name), plan);
        Live {
            at: now,
            blocks: Vec::new(),
            named: vec![(name, Arc::new(room.finish()))],
            hashes: self.hashes.clone(),
            clients: self.clients.whole(),
        }
    }

    /// Among whom `decision`, which is of this and of `ask`, was drawn; empty where no endpoint is
    /// answered. With `sticky` the client's network has one choice, and that is all there is.
    pub fn shares(&self, steering: &Steering, ask: &Ask, decision: &Decision) -> Vec<Share> {
        let Chosen::Endpoints(picks) = &decision.chosen else {
            return Vec::new();
        };
        if matches!(steering.chooser_of(ask.name), Chooser::Sticky { .. }) {
            let whole = |e: &EndpointId| Share {
                endpoint: *e,
                percent: 100.0,
            };
            return picks.as_slice().iter().map(whole).collect();
        }
        self.offered(steering, ask)
    }

    /// All whom the plan of `ask` offers, with the part of the clients that each gets.
    pub fn offered(&self, steering: &Steering, ask: &Ask) -> Vec<Share> {
        let plan = self.plan(steering, ask.name, ask.client.addr);
        match self
            .shares_of_plan(steering, ask.name, plan, ask.family)
            .told
        {
            Told::Endpoints(list) => list
                .into_iter()
                .map(|(endpoint, part)| Share {
                    endpoint,
                    percent: part * 100.0,
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}
