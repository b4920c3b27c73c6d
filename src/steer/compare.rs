//! Two resolved pictures of one configuration side by side.

use crate::ids::{NameId, PlanId};

use super::Steering;
use super::decision::Standing;
use super::offer::Live;
use super::resolve::lanes;

impl Live {
    /// Whether the clients of `plan` who ask for `name` get answers of the same distribution from
    /// `self` and from `other`. TTLs are not looked at.
    pub fn answers_alike(
        &self,
        other: &Live,
        steering: &Steering,
        name: NameId,
        plan: PlanId,
    ) -> bool {
        lanes(steering.group_of(name)).all(|lane| {
            let of = |live: &'_ Live| {
                live.offer(steering, name, plan, lane)
                    .map(|(o, candidates)| (o.outcome, candidates.to_vec()))
            };
            of(self) == of(other)
        })
    }

    /// The worst standing of what is offered for `name`, whoever asks.
    pub fn worst_standing(&self, steering: &Steering, name: NameId) -> Standing {
        let group = steering.group_of(name);
        let plans = self.plans(steering, group.shape);
        let rank = |s: &Standing| match s {
            Standing::Normal => 0,
            Standing::Held => 1,
            Standing::Degraded => 2,
            Standing::LastResort => 3,
        };
        (0..plans)
            .flat_map(|plan| {
                let plan = PlanId::from_index(plan);
                lanes(group).filter_map(move |lane| self.offer(steering, name, plan, lane))
            })
            .map(|(offer, _)| offer.standing)
            .max_by_key(rank)
            .unwrap_or(Standing::Normal)
    }
}
