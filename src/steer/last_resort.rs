//! The last resort: what is answered when nothing eligible is live (requirement F1).

use crate::ids::EndpointId;

use super::facts::{Duty, EndpointNow, Lane};
use super::offer::{Candidate, Outcome};
use super::resolve::GroupNow;
use super::{LastResort, Step, Trace};

impl GroupNow<'_> {
    /// Puts the candidates of the last resort into `out` and says what kind of answer it is; never
    /// an empty one (requirement F5).
    pub(super) fn last_resort<T: Trace>(
        &self,
        tiers: &[Vec<u16>],
        lane: Lane,
        out: &mut Vec<Candidate>,
        trace: &mut T,
    ) -> Outcome {
        let steering = self.facts.steering;
        let what = match &self.group.last_resort {
            LastResort::AllEligible => {
                let all = || tiers.iter().flatten().copied();
                let eligible = |e: &EndpointNow| e.duty != Duty::Out;
                let prime = all().filter(|m| self.at(*m).prime);
                self.fill(prime, lane, |e| eligible(e) && e.prime(), out);
                if out.is_empty() {
                    self.fill(all(), lane, eligible, out);
                }
                "all eligible members as if they were up".to_owned()
            }
            LastResort::Endpoints(_) => {
                self.pinned(tiers, lane, out);
                "the endpoints named for it".to_owned()
            }
            LastResort::Pool(p) => {
                self.pinned(tiers, lane, out);
                format!("pool {}", steering.pools[p.index()].name)
            }
            LastResort::Cname(target) => {
                trace.step(|| Step::LastResort {
                    what: format!("CNAME {target}"),
                });
                return Outcome::Cname;
            }
            LastResort::ServFail => "SERVFAIL".to_owned(),
        };
        if out.is_empty() {
            trace.step(|| Step::LastResort {
                what: match self.group.last_resort {
                    LastResort::ServFail => what,
                    _ => format!("{what}, but none is eligible: SERVFAIL"),
                },
            });
            return Outcome::ServFail;
        }
        trace.step(|| Step::LastResort { what });
        Outcome::Endpoints
    }

    /// Endpoints that the configuration names for the last resort.
    pub(super) fn pinned_list(&self) -> &[EndpointId] {
        match &self.group.last_resort {
            LastResort::Endpoints(list) => list,
            LastResort::Pool(p) => &self.facts.steering.pools[p.index()].endpoints,
            LastResort::AllEligible | LastResort::Cname(_) | LastResort::ServFail => &[],
        }
    }

    /// Offers the endpoints that the configuration names for the last resort: those that serve if any does, else
    /// all of them; never a drained, disabled or fenced-out one.
    fn pinned(&self, tiers: &[Vec<u16>], lane: Lane, out: &mut Vec<Candidate>) {
        let eligible: Vec<(EndpointId, EndpointNow)> = self
            .pinned_list()
            .iter()
            .filter_map(|e| {
                let pool = self.facts.steering.endpoints[e.index()].pool;
                let member = self.group.members.iter().position(|m| m.pool == pool);
                let in_plan = |m: usize| tiers.iter().flatten().any(|t| usize::from(*t) == m);
                let fenced = member.is_some_and(|m| !in_plan(m));
                // An order about the name is about its members.
                let now = self
                    .facts
                    .endpoint(*e, self.name.filter(|_| member.is_some()));
                let fit = !fenced && now.has(lane) && now.duty != Duty::Out;
                fit.then_some((*e, now))
            })
            .collect();
        let serving = |e: &EndpointNow| e.duty == Duty::Serving;
        let choices: [&dyn Fn(&EndpointNow) -> bool; 4] = [
            &|e| serving(e) && e.prime(),
            &serving,
            &EndpointNow::prime,
            &|_| true,
        ];
        for prefer in choices {
            let those = || eligible.iter().copied().filter(|(_, e)| prefer(e));
            if those().next().is_some() {
                self.share(1, those(), out);
                return;
            }
        }
    }
}
