//! Health over an order: the first tier that has something to offer answers.
//!
//! Six passes, each over the tiers in order, the first that finds something ends it:
//! 1. whole pools: in every family of the name at least `min-live` (at least one) endpoints
//!    serve that have a positive weight and are no backups;
//! 2. pools with at least one such endpoint of the family asked;
//! 3. endpoints of zero weight, backups, and members that are one of both (requirement F2);
//! 4. endpoints of positive weight, no backups, that pass their checks again and wait for their
//!    failback (requirement F9);
//! 5. endpoints of positive weight, no backups, that a reload brought and no probe has reached yet
//!    (requirement H1): better than nobody;
//! 6. the last resort (requirement F1).

use crate::health::Override;
use crate::health::latency::DWELL;
use crate::ids::{EndpointId, NameId, PlanId, SiteId};
use crate::units::Ttl;

use super::clients::asks;
use super::decision::Standing;
use super::facts::{Duty, EndpointNow, Facts, Lane};
use super::offer::{Candidate, Offer, Outcome};
use super::partition::Plan;
use super::{Chooser, Group, Stage, Trace, TtlBound};

/// A member of a group now.
pub(super) struct MemberNow {
    /// Share of the pool.
    pub(super) weight: u32,
    /// Positive weight and no backup.
    pub(super) prime: bool,
    /// First pass.
    pub(super) whole: bool,
    /// Serving prime endpoints, by lane.
    pub(super) live: [u32; 3],
    /// Serving endpoints, by lane.
    pub(super) serving: [u32; 3],
    /// Prime endpoints that wait for their failback, by lane.
    pub(super) waiting: [u32; 3],
    /// Prime endpoints whose first probe is awaited, by lane.
    pub(super) awaited: [u32; 3],
    /// Seconds until a probe may take a live endpoint away.
    pub(super) steady_live: u32,
    /// Seconds until a probe may bring a first-choice endpoint back.
    pub(super) steady_down: u32,
    /// Earliest end of an order about it or its endpoints.
    pub(super) expires: u64,
    /// Whether there is an order about it or its endpoints.
    pub(super) ordered: bool,
    /// Whether an endpoint of it is let in by steps.
    ramping: bool,
    /// The share that it gets as a whole: the largest of its endpoints' in the family where that is
    /// smallest, so that both families come from the same pools (requirement A4).
    pub(super) share: u8,
    /// Whether an endpoint of it serves though it fails its checks.
    kept: bool,
}

/// A group now, or one of its names when an order speaks of that name.
pub(super) struct GroupNow<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) group: &'a Group,
    pub(super) name: Option<NameId>,
    chooser: Chooser,
    pub(super) members: Vec<MemberNow>,
    /// Whether round-trip times take part in the order, or may come to.
    timed: bool,
    /// Whether an endpoint of a member is let in by steps.
    pub(super) ramps: bool,
}

/// A pass after the first: who is left to serve when no pool is whole.
struct Pass<'p> {
    /// The first tier with such a member answers.
    found: &'p dyn Fn(&MemberNow) -> bool,
    /// Its members that take part.
    pool: &'p dyn Fn(&MemberNow) -> bool,
    /// Their endpoints that take part.
    endpoint: &'p dyn Fn(&EndpointNow) -> bool,
    /// In words.
    what: &'static str,
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
            timed: false,
            ramps: false,
        };
        for m in &group.members {
            let member = now.member(m);
            now.members.push(member);
        }
        let stages = &steering.policies[policy.index()].stages;
        now.timed = stages.iter().any(|s| matches!(s, Stage::Latency { .. }))
            && now.everybody().any(|(e, _)| facts.is_measured(e));
        now.ramps = now.members.iter().any(|m| m.ramping);
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
            waiting: [0; 3],
            awaited: [0; 3],
            steady_live: u32::MAX,
            steady_down: u32::MAX,
            expires: u64::MAX,
            ordered: false,
            ramping: false,
            share: 100,
            kept: false,
        };
        let mut top = [0; 3];
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
                            let top = &mut top[lane as usize];
                            *top = e.share.max(*top);
                            now.ramping |= e.share < 100;
                            now.kept |= e.kept;
                            now.steady_live = now.steady_live.min(e.steady);
                        }
                    }
                    Duty::Down | Duty::Waiting | Duty::Awaited if e.prime() => {
                        now.steady_down = now.steady_down.min(e.steady);
                        now.waiting[lane as usize] += u32::from(e.duty == Duty::Waiting);
                        now.awaited[lane as usize] += u32::from(e.duty == Duty::Awaited);
                    }
                    Duty::Down | Duty::Waiting | Duty::Awaited | Duty::Out => {}
                }
            }
        }
        let lowest = lanes(self.group).map(|l| top[l as usize]).min();
        now.share = lowest.unwrap_or(100);
        let enough = pool.min_live.max(1);
        now.whole = now.prime && lanes(self.group).all(|l| now.live[l as usize] >= enough);
        now
    }

    pub(super) fn at(&self, m: u16) -> &MemberNow {
        &self.members[usize::from(m)]
    }

    /// The endpoints of a member with their state.
    pub(super) fn endpoints(&self, m: u16) -> impl Iterator<Item = (EndpointId, EndpointNow)> + '_ {
        let pool = self.group.members[usize::from(m)].pool;
        self.facts.steering.pools[pool.index()]
            .endpoints
            .iter()
            .map(|e| (*e, self.facts.endpoint(*e, self.name)))
    }

    /// The endpoints of all members with their state.
    fn everybody(&self) -> impl Iterator<Item = (EndpointId, EndpointNow)> + '_ {
        (0..=u16::MAX)
            .take(self.group.members.len())
            .flat_map(|m| self.endpoints(m))
    }

    /// The smallest round-trip time from a site to a member's serving endpoints.
    pub(super) fn rtt(&self, site: SiteId, m: u16) -> Option<std::time::Duration> {
        let member = &self.group.members[usize::from(m)];
        self.facts.rtt(site, member, self.name)
    }

    /// Whether what a site says of a member may change within a dwell.
    fn moves(&self, site: SiteId, m: u16) -> bool {
        // As in `rtt`: where none serves, all count.
        let none = self.endpoints(m).all(|(_, e)| e.duty != Duty::Serving);
        let mut count = self
            .endpoints(m)
            .filter(|(_, e)| none || e.duty == Duty::Serving);
        count.any(|(e, _)| self.facts.moves(site, e))
    }

    /// For how many seconds from any moment on the order of a plan stands as far as round-trip times
    /// go (requirement T1). Any probe that changes who serves may change which endpoint of a pool is
    /// the nearest; a value that counts changes only after a dwell, and while one is under way, or a
    /// first value is awaited, the order may change at once.
    ///
    /// Where clients' own times are asked for, they come, change and go after a dwell as well.
    pub(super) fn pace(&self, id: PlanId) -> u32 {
        let (steering, clients) = (self.facts.steering, &self.facts.clients);
        let narrow = clients.narrow(steering, self.group.shape, id);
        let base = narrow.map_or(id, |n| n.base);
        let shape = &steering.shapes[self.group.shape.index()];
        let pace = self.pace_of_sites(&shape.partition.plans[base.index()]);
        if narrow.is_some_and(|n| n.moving) {
            return 0;
        }
        match clients.dwell {
            dwell if dwell > 0 && asks(steering, shape).is_some() => {
                pace.min(dwell).min(DWELL.as_secs() as u32)
            }
            _ => pace,
        }
    }

    fn pace_of_sites(&self, plan: &Plan) -> u32 {
        let sites = plan.sites.sites();
        if !self.timed || sites.is_empty() {
            return u32::MAX;
        }
        let members = || (0..=u16::MAX).take(self.members.len());
        let moves = |site: &SiteId| members().any(|m| self.moves(*site, m));
        // Where the first site dominates and knows everybody, nobody else's word counts.
        let moving = if plan.sites.is_dominated() {
            moves(&sites[0])
        } else {
            sites.iter().any(moves)
        };
        let judged = self.everybody().filter(|(_, e)| e.duty != Duty::Out);
        let steady = judged.map(|(_, e)| e.steady).min().unwrap_or(u32::MAX);
        if moving {
            0
        } else {
            steady.min(DWELL.as_secs() as u32)
        }
    }

    /// What is offered out of `tiers` in one lane, whose order stands for `pace` seconds. Candidates
    /// are put into `out`, which must be empty. With the offer comes, where the trace is on, what bounds its TTL.
    pub(super) fn offer<T: Trace>(
        &self,
        tiers: &[Vec<u16>],
        pace: u32,
        lane: Lane,
        out: &mut Vec<Candidate>,
        trace: &mut T,
    ) -> (Offer, TtlBound) {
        let l = lane as usize;
        let find = |ok: &dyn Fn(&MemberNow) -> bool| {
            tiers.iter().position(|t| t.iter().any(|m| ok(self.at(*m))))
        };
        if let Some(t) = find(&|m| m.whole) {
            self.fill_whole(&tiers[t], lane, out);
            let reach = self.ramp(tiers, t, lane, out);
            // Where something failing is kept in, clients' operators shall know (requirement F3).
            let kept = tiers[t].iter().map(|m| self.at(*m));
            let kept = kept.filter(|m| m.whole).any(|m| m.kept);
            let standing = if kept {
                Standing::Held
            } else {
                Standing::Normal
            };
            self.tell_tier(tiers, t, standing, trace);
            let (mut offer, mut why) = self.normal(tiers, pace, (t, reach), trace);
            if kept {
                offer.standing = Standing::Held;
                offer.ttl = self.group.ttl_min;
                if T::ON {
                    why = TtlBound::KeptIn;
                }
            }
            return (offer, why);
        }
        for pass in [
            Pass {
                found: &|m| m.prime && m.live[l] > 0,
                pool: &|m| m.prime,
                endpoint: &|e| e.duty == Duty::Serving && e.prime(),
                what: "a degraded answer",
            },
            Pass {
                found: &|m| m.serving[l] > 0,
                pool: &|_| true,
                endpoint: &|e| e.duty == Duty::Serving,
                what: "a degraded answer",
            },
            Pass {
                found: &|m| m.prime && m.waiting[l] > 0,
                pool: &|m| m.prime,
                endpoint: &|e| e.duty == Duty::Waiting && e.prime(),
                what: "an answer before failback",
            },
            Pass {
                found: &|m| m.prime && m.awaited[l] > 0,
                pool: &|m| m.prime,
                endpoint: &|e| e.duty == Duty::Awaited && e.prime(),
                what: "an answer before the first probe",
            },
        ] {
            let Some(t) = find(pass.found) else { continue };
            let pools = tiers[t].iter().copied();
            let pools = pools.filter(|m| (pass.pool)(self.at(*m)));
            self.fill(pools, lane, pass.endpoint, out);
            let standing = Standing::Degraded;
            self.tell_tier(tiers, t, standing, trace);
            return self.lesser(standing, Outcome::Endpoints, pass.what, trace);
        }
        if T::ON {
            self.tell_held(tiers, trace);
        }
        let outcome = self.last_resort(tiers, lane, out, trace);
        let (mut offer, why) = self.lesser(Standing::LastResort, outcome, "the last resort", trace);
        for e in self.pinned_list() {
            let now = self.facts.endpoint(*e, None);
            for o in self.facts.orders(&now) {
                offer.overridden = true;
                offer.expires = offer.expires.min(o.expires.map_or(u64::MAX, |m| m.0));
            }
        }
        (offer, why)
    }

    /// The offer of the first pass: its TTL reaches to the first event that could change it (T1).
    /// Tier `t` answers; `reach` is the last that takes part.
    fn normal<T: Trace>(
        &self,
        tiers: &[Vec<u16>],
        pace: u32,
        (t, reach): (usize, usize),
        trace: &mut T,
    ) -> (Offer, TtlBound) {
        let mut steady = pace;
        let (mut expires, mut ordered) = (u64::MAX, false);
        for (i, tier) in tiers[..=reach].iter().enumerate() {
            for m in tier.iter().map(|m| self.at(*m)) {
                if m.prime {
                    steady = steady.min(m.steady_down);
                }
                if i >= t && m.prime {
                    steady = steady.min(m.steady_live);
                }
                expires = expires.min(m.expires);
                ordered |= m.ordered;
            }
        }
        if pace != u32::MAX {
            // Who of the later tiers serves has a say in the order as well.
            let ends = self.members.iter().map(|m| m.expires);
            expires = expires.min(ends.min().unwrap_or(u64::MAX));
        }
        let (min, max) = (self.group.ttl_min, self.group.ttl_max);
        let ttl = if expires == u64::MAX {
            Ttl::from_secs(steady).min(max).max(min)
        } else {
            min
        };
        let mut why = TtlBound::Untold;
        if T::ON {
            why = if expires != u64::MAX {
                TtlBound::EndingOverride
            } else if steady == 0 && pace == 0 {
                TtlBound::OrderMoves { min }
            } else if steady == pace && pace != u32::MAX {
                TtlBound::OrderStands {
                    secs: steady,
                    min,
                    max,
                }
            } else if steady == u32::MAX {
                TtlBound::Nothing { max }
            } else {
                let mut all = tiers[..=reach]
                    .iter()
                    .flatten()
                    .flat_map(|m| self.endpoints(*m));
                let first = all.find(|(_, e)| e.steady == steady);
                let name = |e: EndpointId| &self.facts.steering.endpoints[e.index()].name;
                TtlBound::Probe {
                    endpoint: first.map(|(e, _)| name(e).to_string()),
                    secs: steady,
                    min,
                    max,
                }
            };
            let touched = tiers[..=reach].iter().flatten().copied();
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
        what: &'static str,
        trace: &mut T,
    ) -> (Offer, TtlBound) {
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
        if T::ON {
            self.tell_orders((0..=u16::MAX).take(self.members.len()), trace);
        }
        (offer, TtlBound::Lesser(what))
    }

    /// Puts the serving first-choice endpoints of the whole pools of a tier into `out`.
    pub(super) fn fill_whole(&self, tier: &[u16], lane: Lane, out: &mut Vec<Candidate>) {
        let pools = tier.iter().copied().filter(|m| self.at(*m).whole);
        self.fill(pools, lane, |e| e.duty == Duty::Serving && e.prime(), out);
    }

    /// Puts the endpoints of `pools` that pass `ok` into `out`, by pool weight and endpoint weight.
    pub(super) fn fill(
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
    pub(super) fn share(
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
}

impl MemberNow {
    fn note(&mut self, order: Option<&Override>) {
        if let Some(o) = order {
            self.ordered = true;
            self.expires = self.expires.min(o.expires.map_or(u64::MAX, |m| m.0));
        }
    }
}
