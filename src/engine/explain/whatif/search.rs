//! Which suppositions are worth stating.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::health::Scope;
use crate::ids::{EndpointId, PlanId, PoolId, RegionId, SiteId};
use crate::snapshot::{Supposed, View};
use crate::steer::decision::Standing;
use crate::steer::{LastResort, NoTrace, Share, Stage};

use super::super::members::positions;
use super::super::{Answered, Query, Told, answered, otherwise};
use super::supposition::{Supposition, suppose_upon};
use super::words::{condition, sentence};
use super::{Counterfactual, Possible};

/// Endpoints that are looked at in all: some milliseconds of work.
const LOOKS: usize = 24_000;

/// Rungs of the ladder: how many regions in a row are supposed to be drained.
const RUNGS: usize = 4;

/// Things of one kind that are tried.
const TRIES: usize = 6;

/// Pools whose round-trip times are supposed to move, one way each.
const MOVED: usize = 3;

/// Nothing is farther away.
const FARTHEST: Duration = Duration::from_secs(10);

/// Round-trip times are told in steps of this.
const STEP: Duration = Duration::from_micros(100);

/// What would be decided.
struct Outcome {
    answered: Vec<Answered>,
    shares: Vec<Share>,
    otherwise: Option<String>,
    standing: Standing,
}

/// A search for other answers.
pub(super) struct Search<'v> {
    view: &'v View,
    q: &'v Query<'v>,
    plan: PlanId,
    /// What the answer follows from now.
    known: Supposed,
    /// Endpoints that a decision looks at.
    cost: usize,
    left: usize,
    out: bool,
    found: Vec<Counterfactual>,
}

impl<'v> Search<'v> {
    pub(super) fn new(view: &'v View, q: &'v Query<'v>, told: &Told<'_>) -> Search<'v> {
        let steering = &view.snapshot.steering;
        let group = steering.group_of(q.id);
        let of = |p: PoolId| steering.pools[p.index()].endpoints.len();
        let beyond = match &group.last_resort {
            LastResort::Pool(p) => of(*p),
            _ => 0,
        };
        let cost: usize = group.members.iter().map(|m| of(m.pool)).sum();
        Search {
            view,
            q,
            plan: view.live.plan(steering, q.id, told.who.client.addr),
            known: Supposed::of(view),
            cost: (cost + beyond).max(1),
            left: LOOKS,
            out: false,
            found: Vec::new(),
        }
    }

    /// All that is worth stating, and whether all was looked for.
    pub(super) fn run(mut self) -> (Vec<Counterfactual>, bool) {
        if let Some(now) = self.decide(&[])
            && self
                .view
                .snapshot
                .steering
                .group_of(self.q.id)
                .members
                .len()
                < usize::from(u16::MAX)
        {
            let runners = self.ladder(&now);
            self.back_up(&now);
            self.ended(&now);
            self.distances(&now, &runners);
        }
        (self.found, !self.out)
    }

    /// What would be decided; `None` when enough work was done.
    fn decide(&mut self, all: &[Supposition]) -> Option<Outcome> {
        match self.left.checked_sub(self.cost) {
            Some(left) => self.left = left,
            None => {
                self.out = true;
                return None;
            }
        }
        let (view, q) = (self.view, self.q);
        // From the moment of the view on, so that with nothing supposed it is the view's own answer.
        let supposed = suppose_upon(view, self.known.clone(), all);
        let then = view.supposing(&supposed, (q.id, self.plan), view.published);
        let told = Told::decide(&then, q, &mut NoTrace);
        let group = then.snapshot.steering.group_of(q.id);
        Some(Outcome {
            answered: answered(&then, &told.picks, group.cname),
            shares: told.shares(&then, q),
            otherwise: otherwise(&told, &group.last_resort),
            standing: told.decision.standing,
        })
    }

    fn state(&mut self, supposed: Vec<Supposition>, o: &Outcome) {
        let (view, steering) = (self.view, &self.view.snapshot.steering);
        let possible = o.shares.iter().map(|s| {
            let e = &steering.endpoints[s.endpoint.index()];
            let pool = &steering.pools[e.pool.index()];
            Possible {
                id: s.endpoint,
                endpoint: e.name.to_string(),
                pool: pool.name.to_string(),
                region: steering.regions[pool.region.index()].name.to_string(),
                percent: s.percent,
            }
        });
        self.found.push(Counterfactual {
            conditions: supposed.iter().map(|s| condition(view, s)).collect(),
            text: sentence(
                view,
                &supposed,
                &o.answered,
                o.otherwise.as_deref(),
                |pool| {
                    let of = |s: &&Share| steering.endpoints[s.endpoint.index()].pool == pool;
                    o.shares.iter().filter(of).map(|s| s.percent).sum()
                },
            ),
            answered: o.answered.clone(),
            possible: possible.collect(),
            otherwise: o.otherwise.clone(),
            standing: o.standing,
            supposed,
        });
    }

    fn pools(&self, o: &Outcome) -> Vec<PoolId> {
        let steering = &self.view.snapshot.steering;
        let pool = |s: &Share| steering.endpoints[s.endpoint.index()].pool;
        let all: BTreeSet<PoolId> = o.shares.iter().map(pool).collect();
        all.into_iter().collect()
    }

    /// The regions of those among whom is drawn; of all members where the last resort answers otherwise.
    fn regions(&self, o: &Outcome) -> BTreeSet<RegionId> {
        let steering = &self.view.snapshot.steering;
        let region = |p: PoolId| steering.pools[p.index()].region;
        self.pools(o).into_iter().map(region).collect()
    }

    /// Who comes when those who answer are drained, and whoever comes then: the pools that came.
    fn ladder(&mut self, now: &Outcome) -> Vec<PoolId> {
        let steering = &self.view.snapshot.steering;
        let first = now.answered.first();
        let first = first.and_then(|a| endpoint(self.view, &a.endpoint));
        let pool_of = |e: EndpointId| steering.endpoints[e.index()].pool;
        if let Some(e) = first
            && now
                .shares
                .iter()
                .any(|s| s.endpoint != e && pool_of(s.endpoint) == pool_of(e))
        {
            let drained = vec![Supposition::Drained(Scope::Endpoint(e))];
            if let Some(o) = self.decide(&drained) {
                self.state(drained, &o);
            }
        }
        let mut runners = Vec::new();
        // A pool beside it in its region may come before any other region.
        let answering = self.pools(now);
        let regions = self.regions(now);
        let members = &steering.group_of(self.q.id).members;
        let beside = members.iter().any(|m| {
            let region = steering.pools[m.pool.index()].region;
            regions.contains(&region) && !answering.contains(&m.pool)
        });
        if beside && answering.len() <= RUNGS {
            let pools = answering
                .iter()
                .map(|p| Supposition::Drained(Scope::Pool(*p)));
            let drained: Vec<Supposition> = pools.collect();
            if let Some(o) = self.decide(&drained) {
                runners.extend(self.pools(&o));
                self.state(drained, &o);
            }
        }
        let mut drained: Vec<Supposition> = Vec::new();
        let mut next = regions;
        while !next.is_empty() && drained.len() + next.len() <= RUNGS.max(next.len()) {
            let scopes = next.iter().map(|r| Supposition::Drained(Scope::Region(*r)));
            let before = drained.len();
            for s in scopes {
                if !drained.contains(&s) {
                    drained.push(s);
                }
            }
            // An endpoint may be forced up whatever its region: then no drain moves its clients.
            if drained.len() == before {
                break;
            }
            let Some(o) = self.decide(&drained) else {
                break;
            };
            self.state(drained.clone(), &o);
            runners.extend(self.pools(&o));
            next = self.regions(&o);
        }
        runners.retain(|p| !answering.contains(p));
        let mut seen = BTreeSet::new();
        runners.retain(|p| seen.insert(*p));
        runners
    }

    /// Who answers when somebody that is down comes back.
    fn back_up(&mut self, now: &Outcome) {
        let view = self.view;
        let steering = &view.snapshot.steering;
        let mut tries = 0;
        for member in &steering.group_of(self.q.id).members {
            let down: Vec<EndpointId> = steering.pools[member.pool.index()]
                .endpoints
                .iter()
                .copied()
                .filter(|e| {
                    let serves = view.board.verdict(*e).state.serves();
                    steering.endpoints[e.index()].enabled && !serves
                })
                .collect();
            let mut alone = false;
            for one in down.iter().take(2) {
                alone |= self.if_other(vec![Supposition::Up(vec![*one])], now);
            }
            if down.len() > 1 && !alone {
                self.if_other(vec![Supposition::Up(down.clone())], now);
            }
            tries += usize::from(!down.is_empty());
            if tries == TRIES {
                break;
            }
        }
    }

    /// Who answers when an order ends.
    fn ended(&mut self, now: &Outcome) {
        for at in positions(self.view, self.q).into_iter().take(TRIES) {
            self.if_other(vec![Supposition::Ended(at)], now);
        }
    }

    /// States it when somebody else might be answered, or with other shares; says whether it did.
    fn if_other(&mut self, supposed: Vec<Supposition>, now: &Outcome) -> bool {
        let Some(o) = self.decide(&supposed) else {
            return false;
        };
        let other = o.shares != now.shares || o.otherwise != now.otherwise;
        if other {
            self.state(supposed, &o);
        }
        other
    }

    /// How far round-trip times would have to move, where the order goes by them.
    fn distances(&mut self, now: &Outcome, runners: &[PoolId]) {
        let steering = &self.view.snapshot.steering;
        let shape = steering.shape_of(self.q.id);
        let stages = &steering.policies[shape.policy.index()].stages;
        let base = self.view.live.base(steering, self.q.id, self.plan);
        let sites = shape.partition.plans[base.index()].sites.sites();
        if sites.is_empty() || !stages.iter().any(|s| matches!(s, Stage::Latency { .. })) {
            return;
        }
        for pool in self.pools(now).into_iter().take(MOVED) {
            self.threshold(pool, sites, true);
        }
        for pool in runners.iter().take(MOVED) {
            self.threshold(*pool, sites, false);
        }
    }

    /// Finds the time at which a pool no longer answers (`rises`), or comes to, and states it.
    fn threshold(&mut self, pool: PoolId, sites: &[SiteId], rises: bool) -> Option<()> {
        let times = &self.view.measurements.sites;
        let endpoints = &self.view.snapshot.steering.pools[pool.index()].endpoints;
        let known = sites
            .iter()
            .flat_map(|s| endpoints.iter().map(move |e| (*s, *e)))
            .filter_map(|(s, e)| times.get(s, e).rtt);
        let (least, most) = known.fold((None, None), |(least, most), rtt: Duration| {
            let least = least.map_or(rtt, |l: Duration| l.min(rtt));
            (Some(least), most.max(Some(rtt)))
        });
        let steps = |d: Duration| (d.as_micros() / STEP.as_micros()) as u32;
        // `same`: as it is now; `other`: as far as it may go. Both in steps.
        let (mut same, mut other) = match rises {
            true => (steps(least?), steps(FARTHEST)),
            false => (steps(most?) + 1, 0),
        };
        let at = |n: u32| {
            vec![Supposition::Rtt {
                pool,
                sites: sites.to_vec(),
                rtt: STEP * n,
                rises,
            }]
        };
        let mut outcome = self.decide(&at(other))?;
        if self.pools(&outcome).contains(&pool) == rises {
            return None;
        }
        while same.abs_diff(other) > 1 {
            let middle = same.midpoint(other);
            let o = self.decide(&at(middle))?;
            if self.pools(&o).contains(&pool) == rises {
                same = middle;
            } else {
                (other, outcome) = (middle, o);
            }
        }
        self.state(at(other), &outcome);
        Some(())
    }
}

fn endpoint(view: &View, name: &str) -> Option<EndpointId> {
    let all = &view.snapshot.steering.endpoints;
    let at = all.binary_search_by(|e| (*e.name).cmp(name));
    at.ok().map(EndpointId::from_index)
}
