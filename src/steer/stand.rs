//! How names stand in a view, for people: what every plan offers now, and how good that is.
//!
//! It reads what queries read ([`Live`]), and decides nothing.

use crate::ids::{EndpointId, NameId, PlanId};
use crate::net::Family;
use crate::time::Moment;
use crate::units::Ttl;

use super::decision::Standing;
use super::facts::{Facts, Lane};
use super::offer::{Outcome, order};
use super::refine::Tiers;
use super::resolve::{GroupNow, lanes};
use super::{Known, Live, Steering};

/// What is answered.
#[derive(Clone, PartialEq, Debug)]
pub enum Offered {
    /// One of these endpoints, each with the chance of being the first that is answered, 0 to 1.
    Endpoints(Vec<(EndpointId, f64)>),
    /// The CNAME of the last resort.
    Cname,
    /// SERVFAIL.
    ServFail,
}

/// What one plan of a name offers to one kind of question.
#[derive(Clone, PartialEq, Debug)]
pub struct Stand {
    /// `None`: the answer is a CNAME.
    pub family: Option<Family>,
    /// How good it is.
    pub standing: Standing,
    /// For how long.
    pub ttl: Ttl,
    /// Whether an operator's order takes part.
    pub overridden: bool,
    /// What is answered.
    pub offered: Offered,
}

impl Standing {
    /// In one word.
    pub fn text(self) -> &'static str {
        match self {
            Standing::Normal => "normal",
            Standing::Held => "held",
            Standing::Degraded => "degraded",
            Standing::LastResort => "last-resort",
        }
    }

    /// 0 is the best, 3 the worst.
    pub fn rank(self) -> u8 {
        match self {
            Standing::Normal => 0,
            Standing::Held => 1,
            Standing::Degraded => 2,
            Standing::LastResort => 3,
        }
    }
}

impl Live {
    /// What `plan` of `name` offers, for every kind of question that the name answers.
    pub fn stands(&self, steering: &Steering, name: NameId, plan: PlanId) -> Vec<Stand> {
        let group = steering.group_of(name);
        let stand = |lane| {
            let (offer, candidates) = self.offer(steering, name, plan, lane)?;
            let whole = candidates.last().map_or(1, |c| c.upto).max(1) as f64;
            let mut before = 0;
            let share = |upto: u64| {
                let own = upto - before;
                before = upto;
                own as f64 / whole
            };
            let shares: Vec<f64> = candidates.iter().map(|c| c.upto).map(share).collect();
            let endpoints = candidates.iter().map(|c| c.endpoint).zip(shares);
            Some(Stand {
                family: match lane {
                    Lane::V4 => Some(Family::V4),
                    Lane::V6 => Some(Family::V6),
                    Lane::Cname => None,
                },
                standing: offer.standing,
                ttl: offer.ttl,
                overridden: offer.overridden,
                offered: match offer.outcome {
                    Outcome::Endpoints => Offered::Endpoints(endpoints.collect()),
                    Outcome::Cname => Offered::Cname,
                    Outcome::ServFail => Offered::ServFail,
                },
            })
        };
        lanes(group).filter_map(stand).collect()
    }

    /// The worst that any client of `name` gets.
    pub fn standing(&self, steering: &Steering, name: NameId) -> Standing {
        let group = steering.group_of(name);
        let plans = self.plans(steering, group.shape);
        let plans = (0..plans).map(PlanId::from_index);
        let offers = plans.flat_map(|plan| {
            let of = move |lane| self.offer(steering, name, plan, lane);
            lanes(group).filter_map(of)
        });
        let all = offers.map(|(offer, _)| offer.standing);
        all.max_by_key(|s| s.rank()).unwrap_or(Standing::Normal)
    }

    /// [`Live::standing`] of every name, in their order; what names share is looked at once.
    pub fn standings(&self, steering: &Steering) -> Vec<Standing> {
        let mut of_group: Vec<Option<Standing>> = vec![None; steering.groups.len()];
        let names = steering.names.iter().enumerate();
        let standing = names.map(|(i, n)| {
            let name = NameId::from_index(i);
            if self.is_named(name) {
                return self.standing(steering, name);
            }
            *of_group[n.group.index()].get_or_insert_with(|| self.standing(steering, name))
        });
        standing.collect()
    }
}

/// The order of the members of `name` for the clients of `plan`, with the round-trip times that are
/// known at `now` laid over it.
pub fn tiers_now(
    steering: &Steering,
    known: Known<'_>,
    name: NameId,
    plan: PlanId,
    now: Moment,
) -> Tiers {
    let group = steering.group_of(name);
    let compiled = &steering.shapes[group.shape.index()].partition.plans[plan.index()];
    let facts = Facts::new(
        steering,
        known.board,
        known.measurements,
        known.overrides,
        now,
    );
    let group_now = GroupNow::new(&facts, group, Some(name));
    order(steering, group, plan, &group_now).unwrap_or_else(|| compiled.tiers.clone())
}
