//! Health over an order: the first tier that has something to offer answers.
//!
//! Four passes, each over the tiers in order, the first that finds something ends it:
//! 1. whole pools: in every family of the name at least `min-live` (and at least one) endpoints
//!    serve that have a positive weight and are no backups;
//! 2. pools with at least one such endpoint of the family asked;
//! 3. endpoints of zero weight, backups, and members that are one of both (requirement F2);
//! 4. the last resort (requirement F1).

use crate::health::Override;
use crate::ids::{EndpointId, NameId};
use crate::units::Ttl;

use super::decision::Standing;
use super::facts::{Duty, EndpointNow, Facts, Lane, describe};
use super::offer::{Candidate, Offer, Outcome};
use super::{Chooser, Group, LastResort, Step, Trace};

/// A member of a group now.
struct MemberNow {
    /// Share of the pool.
    weight: u32,
    /// Positive weight and no backup.
    prime: bool,
    /// First pass.
    whole: bool,
    /// Serving prime endpoints, by lane.
    live: [u32; 3],
    /// Serving endpoints, by lane.
    serving: [u32; 3],
    /// Seconds until a probe may take a live endpoint away.
    steady_live: u32,
    /// Seconds until a probe may bring a first-choice endpoint back.
    steady_down: u32,
    /// Earliest end of an order about it or its endpoints.
    expires: u64,
    /// Whether there is an order about it or its endpoints.
    ordered: bool,
}

/// A group now, or one of its names when an order speaks of that name.
pub(super) struct GroupNow<'a> {
    facts: &'a Facts<'a>,
    group: &'a Group,
    name: Option<NameId>,
    chooser: Chooser,
    members: Vec<MemberNow>,
}

/// The lanes of a group in the order of its offers.
pub(super) fn lanes(group: &Group) -> impl Iterator<Item = Lane> + Clone + '_ {
    let cname = group.cname.then_some(Lane::Cname);
    let families = if group.cname {
        &[][..]
    } else {
        &group.families
    };
    cname
        .into_iter()
        .chain(families.iter().map(|f| Lane::of(*f)))
}

impl<'a> GroupNow<'a> {
    pub(super) fn new(facts: &'a Facts<'a>, group: &'a Group, name: Option<NameId>) -> Self {
        let steering = facts.steering;
        let policy = steering.shapes[group.shape.index()].policy;
        let mut now = GroupNow {
            facts,
            group,
            name,
            chooser: steering.policies[policy.index()].chooser,
            members: Vec::with_capacity(group.members.len()),
        };
        for m in &group.members {
            let member = now.member(m);
            now.members.push(member);
        }
        now
    }

    fn member(&self, m: &super::Member) -> MemberNow {
        let (weight, order) = self.facts.member_weight(m, self.name);
        let mut now = MemberNow {
            weight,
            prime: weight > 0 && !m.backup,
            whole: false,
            live: [0; 3],
            serving: [0; 3],
            steady_live: u32::MAX,
            steady_down: u32::MAX,
            expires: u64::MAX,
            ordered: false,
        };
        now.note(order);
        let pool = &self.facts.steering.pools[m.pool.index()];
        for e in &pool.endpoints {
            let e = self.facts.endpoint(*e, self.name);
            for o in self.facts.orders(&e) {
                now.note(Some(o));
            }
            for lane in lanes(self.group).filter(|l| e.has(*l)) {
                match e.duty {
                    Duty::Serving => {
                        now.serving[lane as usize] += 1;
                        if e.prime() {
                            now.live[lane as usize] += 1;
                            now.steady_live = now.steady_live.min(e.steady);
                        }
                    }
                    Duty::Down if e.prime() => now.steady_down = now.steady_down.min(e.steady),
                    Duty::Down | Duty::Out => {}
                }
            }
        }
        let enough = pool.min_live.max(1);
        now.whole = now.prime && lanes(self.group).all(|l| now.live[l as usize] >= enough);
        now
    }

    fn at(&self, m: u16) -> &MemberNow {
        &self.members[usize::from(m)]
    }

    /// The endpoints of a member with their state.
    fn endpoints(&self, m: u16) -> impl Iterator<Item = (EndpointId, EndpointNow)> + '_ {
        let pool = self.group.members[usize::from(m)].pool;
        self.facts.steering.pools[pool.index()]
            .endpoints
            .iter()
            .map(|e| (*e, self.facts.endpoint(*e, self.name)))
    }

    /// The smallest round-trip time of a member's serving endpoints.
    pub(super) fn rtt(&self, m: u16) -> Option<std::time::Duration> {
        self.facts
            .rtt(&self.group.members[usize::from(m)], self.name)
    }

    /// What is offered out of `tiers` in one lane. Candidates are put into `out`, which must be
    /// empty. With the offer comes, where the trace is on, what bounds its TTL.
    pub(super) fn offer<T: Trace>(
        &self,
        tiers: &[Vec<u16>],
        lane: Lane,
        out: &mut Vec<Candidate>,
        trace: &mut T,
    ) -> (Offer, String) {
        let l = lane as usize;
        let find = |ok: &dyn Fn(&MemberNow) -> bool| {
            tiers.iter().position(|t| t.iter().any(|m| ok(self.at(*m))))
        };
        if let Some(t) = find(&|m| m.whole) {
            let pools = tiers[t].iter().copied().filter(|m| self.at(*m).whole);
            self.fill(pools, lane, |e| e.duty == Duty::Serving && e.prime(), out);
            self.tell_tier(tiers, t, Standing::Normal, lane, trace);
            return self.normal(tiers, t, trace);
        }
        if let Some(t) = find(&|m| m.prime && m.live[l] > 0) {
            let pools = tiers[t].iter().copied().filter(|m| self.at(*m).prime);
            self.fill(pools, lane, |e| e.duty == Duty::Serving && e.prime(), out);
            self.tell_tier(tiers, t, Standing::Degraded, lane, trace);
            return self.lesser(
                Standing::Degraded,
                Outcome::Endpoints,
                "a degraded answer",
                trace,
            );
        }
        if let Some(t) = find(&|m| m.serving[l] > 0) {
            self.fill(
                tiers[t].iter().copied(),
                lane,
                |e| e.duty == Duty::Serving,
                out,
            );
            self.tell_tier(tiers, t, Standing::Degraded, lane, trace);
            return self.lesser(
                Standing::Degraded,
                Outcome::Endpoints,
                "a degraded answer",
                trace,
            );
        }
        if T::ON {
            self.tell_held(tiers, lane, trace);
        }
        let outcome = self.last_resort(tiers, lane, out, trace);
        self.lesser(Standing::LastResort, outcome, "the last resort", trace)
    }

    /// The offer of the first pass: its TTL reaches to the first event that could change it (T1).
    fn normal<T: Trace>(&self, tiers: &[Vec<u16>], t: usize, trace: &mut T) -> (Offer, String) {
        let mut steady = u32::MAX;
        let (mut expires, mut ordered) = (u64::MAX, false);
        for (i, tier) in tiers[..=t].iter().enumerate() {
            for m in tier.iter().map(|m| self.at(*m)) {
                if m.prime {
                    steady = steady.min(m.steady_down);
                }
                if i == t && m.prime {
                    steady = steady.min(m.steady_live);
                }
                expires = expires.min(m.expires);
                ordered |= m.ordered;
            }
        }
        let (min, max) = (self.group.ttl_min, self.group.ttl_max);
        let ttl = if expires == u64::MAX {
            Ttl::from_secs(steady).min(max).max(min)
        } else {
            min
        };
        let mut why = String::new();
        if T::ON {
            why = if expires != u64::MAX {
                "an override with an end takes part: the smallest".to_owned()
            } else if steady == u32::MAX {
                format!("no probe can change the answer: the largest, {max}")
            } else {
                let who = tiers[..=t]
                    .iter()
                    .flatten()
                    .flat_map(|m| self.endpoints(*m))
                    .find(|(_, e)| e.steady == steady)
                    .map_or("a probe", |(e, _)| {
                        &self.facts.steering.endpoints[e.index()].name
                    });
                format!(
                    "a probe of {who} may change the answer in {steady} s, within {min} to {max}"
                )
            };
            let touched = tiers[..=t].iter().flatten().copied();
            self.tell_orders(touched, trace);
        }
        let offer = Offer {
            expires,
            first: 0,
            len: 0,
            ttl,
            outcome: Outcome::Endpoints,
            standing: Standing::Normal,
            overridden: ordered,
        };
        (offer, why)
    }

    /// The offer of the other passes: the smallest TTL (T3), and any order may change it.
    fn lesser<T: Trace>(
        &self,
        standing: Standing,
        outcome: Outcome,
        what: &str,
        trace: &mut T,
    ) -> (Offer, String) {
        let offer = Offer {
            expires: self
                .members
                .iter()
                .map(|m| m.expires)
                .min()
                .unwrap_or(u64::MAX),
            first: 0,
            len: 0,
            ttl: self.group.ttl_min,
            outcome,
            standing,
            overridden: self.members.iter().any(|m| m.ordered),
        };
        let mut why = String::new();
        if T::ON {
            self.tell_orders(0..self.members.len() as u16, trace);
            why = format!("{what} gets the smallest");
        }
        (offer, why)
    }

    /// Puts the endpoints of `pools` that pass `ok` into `out`, by pool weight and endpoint weight.
    fn fill(
        &self,
        pools: impl Iterator<Item = u16>,
        lane: Lane,
        ok: impl Fn(&EndpointNow) -> bool,
        out: &mut Vec<Candidate>,
    ) {
        for m in pools {
            let weight = self.at(m).weight;
            let those = self.endpoints(m).filter(|(_, e)| e.has(lane) && ok(e));
            self.share(weight, those, out);
        }
    }

    /// Shares `weight` among `those` by their weights. A weight of zero got here only after every
    /// positive one was gone, and counts as one.
    fn share(
        &self,
        weight: u32,
        those: impl Iterator<Item = (EndpointId, EndpointNow)>,
        out: &mut Vec<Candidate>,
    ) {
        let start = out.len();
        let mut upto = out.last().map_or(0, |c| c.upto);
        // First the weights stand where the running sums will.
        out.extend(those.map(|(endpoint, e)| Candidate {
            endpoint,
            upto: u64::from(e.weight.max(1)),
        }));
        let whole: u64 = out[start..].iter().map(|c| c.upto).sum();
        for c in &mut out[start..] {
            let share = match self.chooser {
                Chooser::RoundRobin | Chooser::Random => 1,
                // 2^20 parts to a unit of pool weight: 2^20 × 10^6 × 10^6 fits 64 bits.
                Chooser::Weighted | Chooser::Sticky { .. } => {
                    ((u64::from(weight.max(1)) * c.upto) << 20) / whole
                }
            };
            upto += share.max(1);
            c.upto = upto;
        }
    }

    fn last_resort<T: Trace>(
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
            LastResort::Endpoints(list) => {
                self.pinned(list, tiers, lane, out);
                "the endpoints named for it".to_owned()
            }
            LastResort::Pool(p) => {
                let pool = &steering.pools[p.index()];
                self.pinned(&pool.endpoints, tiers, lane, out);
                format!("pool {}", pool.name)
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

    /// Endpoints named by the configuration for the last resort: those that serve if any does, else
    /// all of them; never a drained, disabled or fenced-out one.
    fn pinned(
        &self,
        list: &[EndpointId],
        tiers: &[Vec<u16>],
        lane: Lane,
        out: &mut Vec<Candidate>,
    ) {
        let eligible = |prefer: &dyn Fn(&EndpointNow) -> bool| -> Vec<(EndpointId, EndpointNow)> {
            list.iter()
                .filter_map(|e| {
                    let pool = self.facts.steering.endpoints[e.index()].pool;
                    let member = self.group.members.iter().position(|m| m.pool == pool);
                    let fenced = member
                        .is_some_and(|m| !tiers.iter().flatten().any(|t| usize::from(*t) == m));
                    // An order about the name is about its members.
                    let now = self
                        .facts
                        .endpoint(*e, self.name.filter(|_| member.is_some()));
                    let fit = !fenced && now.has(lane) && now.duty != Duty::Out && prefer(&now);
                    fit.then_some((*e, now))
                })
                .collect()
        };
        let serving = |e: &EndpointNow| e.duty == Duty::Serving;
        let choices: [&dyn Fn(&EndpointNow) -> bool; 4] = [
            &|e| serving(e) && e.prime(),
            &serving,
            &EndpointNow::prime,
            &|_| true,
        ];
        for prefer in choices {
            let those = eligible(prefer);
            if !those.is_empty() {
                self.share(1, those.into_iter(), out);
                return;
            }
        }
    }

    fn tell_tier<T: Trace>(
        &self,
        tiers: &[Vec<u16>],
        t: usize,
        standing: Standing,
        lane: Lane,
        trace: &mut T,
    ) {
        if !T::ON {
            return;
        }
        let seen = match standing {
            Standing::Normal => &tiers[..=t],
            _ => tiers,
        };
        self.tell_held(seen, lane, trace);
        trace.step(|| Step::Tier {
            tier: t + 1,
            of: tiers.len(),
            standing,
            why: match standing {
                Standing::Normal => "the first with a pool that has enough live endpoints",
                _ => "no tier has a pool with enough live endpoints; the first with any",
            }
            .to_owned(),
        });
    }

    fn tell_held<T: Trace>(&self, tiers: &[Vec<u16>], lane: Lane, trace: &mut T) {
        let steering = self.facts.steering;
        for m in tiers.iter().flatten() {
            let (member, now) = (&self.group.members[usize::from(*m)], self.at(*m));
            let pool = &steering.pools[member.pool.index()];
            for (id, e) in self.endpoints(*m) {
                if !lanes(self.group).any(|l| e.has(l)) {
                    continue;
                }
                let why = match e.duty {
                    Duty::Down | Duty::Out => self.facts.why_not(id, &e),
                    Duty::Serving if e.weight == 0 => {
                        "weight 0: waits until every positive weight is gone".to_owned()
                    }
                    Duty::Serving if e.backup => {
                        "backup: waits until all others are gone".to_owned()
                    }
                    Duty::Serving => continue,
                };
                trace.step(|| Step::HeldBack {
                    endpoint: steering.endpoints[id.index()].name.to_string(),
                    pool: pool.name.to_string(),
                    why,
                });
            }
            if now.whole {
                continue;
            }
            let why = if now.weight == 0 {
                "weight 0: waits until every positive weight is gone".to_owned()
            } else if member.backup {
                "backup: waits until all others are gone".to_owned()
            } else {
                let counts: Vec<String> = lanes(self.group)
                    .map(|l| format!("{} {}", now.live[l as usize], l.text()))
                    .collect();
                let enough = pool.min_live.max(1);
                format!(
                    "live {}; at least {enough} wanted (asked {})",
                    counts.join(", "),
                    lane.text()
                )
            };
            trace.step(|| Step::PassedOver {
                pool: pool.name.to_string(),
                why,
            });
        }
    }

    /// The orders about `members`, each once.
    fn tell_orders<T: Trace>(&self, members: impl Iterator<Item = u16>, trace: &mut T) {
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

impl MemberNow {
    fn note(&mut self, order: Option<&Override>) {
        if let Some(o) = order {
            self.ordered = true;
            self.expires = self.expires.min(o.expires.map_or(u64::MAX, |m| m.0));
        }
    }
}
