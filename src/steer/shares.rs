//! How the clients of a plan are shared among what it offers: the chance of each first answer.
//!
//! Read off the published offers, so what comes out is what queries get, not what one would expect of
//! them.

use crate::ids::{EndpointId, NameId, PlanId};
use crate::net::Family;
use crate::time::Moment;

use super::decision::Standing;
use super::facts::{Duty, Facts, Lane};
use super::offer::Outcome;
use super::{Known, Live, Steering};

/// What a plan offers to those who ask for a name.
#[derive(Clone, PartialEq, Debug)]
pub struct Shares {
    /// What is answered.
    pub told: Told,
    /// How good that is.
    pub standing: Standing,
}

/// What is answered.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// Each endpoint with the chance that it comes first; in sum 1.
    Endpoints(Vec<(EndpointId, f64)>),
    /// The CNAME of the last resort.
    LastResortCname,
    /// SERVFAIL.
    ServFail,
    /// The name does not answer this family.
    NoData,
}

impl Live {
    /// What `plan` offers to those who ask for `name` in `family` (irrelevant for a CNAME name).
    ///
    /// `sticky` gives every client the same endpoint each time; the shares are those of all clients
    /// together, by the weights that its hash keeps to.
    pub fn shares_of_plan(
        &self,
        steering: &Steering,
        name: NameId,
        plan: PlanId,
        family: Family,
    ) -> Shares {
        let lane = match steering.group_of(name).cname {
            true => Lane::Cname,
            false => Lane::of(family),
        };
        let Some((offer, candidates)) = self.offer(steering, name, plan, lane) else {
            return Shares {
                told: Told::NoData,
                standing: Standing::Normal,
            };
        };
        let told = match offer.outcome {
            Outcome::Cname => Told::LastResortCname,
            Outcome::ServFail => Told::ServFail,
            Outcome::Endpoints => {
                let whole = candidates.last().map_or(1, |c| c.upto).max(1) as f64;
                let mut before = 0;
                let part = |c: &super::offer::Candidate| {
                    let own = c.upto - std::mem::replace(&mut before, c.upto);
                    (c.endpoint, own as f64 / whole)
                };
                Told::Endpoints(candidates.iter().map(part).collect())
            }
        };
        Shares {
            told,
            standing: offer.standing,
        }
    }
}

/// Whether each endpoint serves: enabled, up, and neither drained nor disabled. By [`EndpointId`].
pub fn serving(steering: &Steering, known: Known<'_>, now: Moment) -> Vec<bool> {
    let facts = Facts::new(
        steering,
        known.board,
        known.measurements,
        known.overrides,
        now,
    );
    let facts = facts.survey();
    let ids = (0..steering.endpoints.len()).map(EndpointId::from_index);
    ids.map(|e| facts.endpoint(e, None).duty == Duty::Serving)
        .collect()
}
