//! What a trace tells of health and orders.

use crate::health::{Override, OverrideKind};
use crate::ids::EndpointId;

use super::decision::Standing;
use super::facts::{Duty, EndpointNow, describe};
use super::resolve::{GroupNow, lanes};
use super::{Ruling, Step, Trace};

const WEIGHTLESS: &str = "weight 0: waits until every positive weight is gone";
const BACKUP: &str = "backup: waits until all others are gone";

impl GroupNow<'_> {
    /// Tells of those held back up to the tier that answers, and of the tier.
    pub(super) fn tell_tier<T: Trace>(
        &self,
        tiers: &[Vec<u16>],
        t: usize,
        standing: Standing,
        trace: &mut T,
    ) {
        if !T::ON {
            return;
        }
        let seen = match standing {
            Standing::Normal | Standing::Held => &tiers[..=t],
            _ => tiers,
        };
        self.tell_held(seen, trace);
        trace.step(|| Step::Tier {
            tier: t + 1,
            of: tiers.len(),
            standing,
            why: match standing {
                Standing::Normal | Standing::Held => {
                    "the first with a pool that has enough live endpoints"
                }
                _ => "no tier has a pool with enough live endpoints; the first with any",
            }
            .to_owned(),
        });
    }

    /// Tells of every endpoint and pool of `tiers` that is no candidate, and why.
    pub(super) fn tell_held<T: Trace>(&self, tiers: &[Vec<u16>], trace: &mut T) {
        let steering = self.facts.steering;
        for m in tiers.iter().flatten() {
            let (member, now) = (&self.group.members[usize::from(*m)], self.at(*m));
            let pool = &steering.pools[member.pool.index()];
            for (id, e) in self.endpoints(*m) {
                if !lanes(self.group).any(|l| e.has(l)) {
                    continue;
                }
                let (rule, why) = match e.duty {
                    Duty::Down | Duty::Waiting | Duty::Awaited | Duty::Out => {
                        (self.ruling(id, &e), self.facts.why_not(id, &e))
                    }
                    Duty::Serving if e.kept => (
                        Ruling::KeptIn,
                        format!("kept in though it fails: {}", self.facts.why_not(id, &e)),
                    ),
                    Duty::Serving if e.share < 100 => (
                        Ruling::Ramp,
                        format!("let in by steps: {} % of its clients", e.share),
                    ),
                    Duty::Serving if e.weight == 0 => (Ruling::Weight, WEIGHTLESS.to_owned()),
                    Duty::Serving if e.backup => (Ruling::Backup, BACKUP.to_owned()),
                    Duty::Serving => continue,
                };
                trace.step(|| Step::HeldBack {
                    endpoint: steering.endpoints[id.index()].name.to_string(),
                    pool: pool.name.to_string(),
                    rule,
                    why,
                });
            }
            if now.whole {
                continue;
            }
            let (rule, why) = if now.weight == 0 {
                (Ruling::Weight, WEIGHTLESS.to_owned())
            } else if member.backup {
                (Ruling::Backup, BACKUP.to_owned())
            } else {
                let counts: Vec<String> = lanes(self.group)
                    .map(|l| format!("{} {}", now.live[l as usize], l.text()))
                    .collect();
                let enough = pool.min_live.max(1);
                let counts = counts.join(", ");
                let why = format!("live {counts}; at least {enough} of each wanted");
                (Ruling::MinLive, why)
            };
            trace.step(|| Step::PassedOver {
                pool: pool.name.to_string(),
                rule,
                why,
            });
        }
    }

    /// By which rule an endpoint does not serve.
    fn ruling(&self, id: EndpointId, e: &EndpointNow) -> Ruling {
        if !self.facts.steering.endpoints[id.index()].enabled {
            return Ruling::Disabled;
        }
        let by_order = |o: &Override| !matches!(o.kind, OverrideKind::Weight(_));
        if self.facts.orders(e).any(by_order) {
            return Ruling::Override;
        }
        match e.duty {
            Duty::Waiting => Ruling::Failback,
            Duty::Awaited => Ruling::FirstProbe,
            Duty::Serving | Duty::Down | Duty::Out => Ruling::Down,
        }
    }

    /// The orders about `members`, each once.
    pub(super) fn tell_orders<T: Trace>(&self, members: impl Iterator<Item = u16>, trace: &mut T) {
        let mut seen: Vec<&Override> = Vec::new();
        for m in members {
            let (_, weight) = self
                .facts
                .member_weight(&self.group.members[usize::from(m)], self.name);
            seen.extend(weight);
            for (_, e) in self.endpoints(m) {
                seen.extend(self.facts.orders(&e));
            }
        }
        let mut told: Vec<&Override> = Vec::new();
        for o in seen {
            if told.iter().any(|t| std::ptr::eq(*t, o)) {
                continue;
            }
            told.push(o);
            trace.step(|| {
                let mut order = describe(self.facts.steering, o);
                if let Some(end) = o.expires {
                    order.push_str(&format!(" (ends in {:.0?})", self.facts.now.until(end)));
                }
                Step::Ordered { order }
            });
        }
    }
}
