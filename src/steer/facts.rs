//! What may be said of each endpoint now: configuration, verdict and the operators' word together.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::health::latency::Voice;
use crate::health::{Board, Guard, Override, OverrideKind, Overrides, Scope, State, Verdict};
use crate::ids::{EndpointId, NameId, RegionId, SiteId};
use crate::net::Family;
use crate::time::Moment;

use super::clients::Clients;
use super::estimate::ABSENT;
use super::{Measurements, Member, Steering};

/// What an answer is made of: addresses of one family, or a CNAME.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    V4,
    V6,
    Cname,
}

impl Lane {
    pub(super) fn of(family: Family) -> Lane {
        match family {
            Family::V4 => Lane::V4,
            Family::V6 => Lane::V6,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Lane::V4 => "IPv4",
            Lane::V6 => "IPv6",
            Lane::Cname => "CNAME",
        }
    }
}

/// Whether an endpoint does its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Duty {
    /// Clients may be sent there.
    Serving,
    /// Not now; it may come back, also by the last resort.
    Down,
    /// Passes again and waits for its failback (requirement F9): only where nothing else serves.
    Waiting,
    /// No probe has ended yet (requirement H1): only where nothing known serves.
    Awaited,
    /// Drained or disabled: not by the last resort either (requirement F1).
    Out,
}

/// Marks an order that is not there.
const NONE: u32 = u32::MAX;

/// An endpoint now.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointNow {
    pub(super) duty: Duty,
    /// Share within the pool.
    pub(super) weight: u32,
    pub(super) backup: bool,
    lanes: u8,
    order: u32,
    weighed: u32,
    /// No probe can change `duty` for so many seconds; `u32::MAX`: for good.
    pub(super) steady: u32,
    /// Percent of its clients that it gets.
    pub(super) share: u8,
    /// It serves though it fails its checks.
    pub(super) kept: bool,
}

impl EndpointNow {
    /// Whether it can be answered in this lane.
    pub(super) fn has(&self, lane: Lane) -> bool {
        self.lanes & (1 << lane as u8) != 0
    }

    /// Whether it is of the first choice: positive weight and no backup (requirement F2).
    pub(super) fn prime(&self) -> bool {
        self.weight > 0 && !self.backup
    }
}

/// What of a verdict decides what [`Facts`] says of an endpoint: verdicts alike in it are alike.
pub(super) fn gist(v: &Verdict) -> Gist {
    let kept = v.held.map(Guard::keeps_in);
    (v.state, v.last_probe.is_none(), v.steady_for, kept, v.share)
}

/// State, whether no probe has ended, promise, whether it is kept in or back, share.
pub(super) type Gist = (State, bool, Option<Duration>, Option<bool>, u8);

/// Everything known now. Overrides that have expired are not among it.
pub(super) struct Facts<'a> {
    pub(super) steering: &'a Steering,
    board: &'a Board,
    measurements: &'a Measurements,
    overrides: &'a [Override],
    pub(super) now: Moment,
    /// What clients' own times narrow.
    pub(super) clients: Arc<Clients>,
    /// The order about the state of a scope: drain, disable, force.
    states: HashMap<Scope, u32>,
    /// The order about its weight. Apart from the state, so that a weight given to one endpoint does
    /// not lift the drain of its pool.
    weights: HashMap<Scope, u32>,
    /// All endpoints, apart from orders about names; empty until [`Facts::survey`].
    endpoints: Vec<EndpointNow>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        steering: &'a Steering,
        board: &'a Board,
        measurements: &'a Measurements,
        overrides: &'a Overrides,
        now: Moment,
    ) -> Facts<'a> {
        let mut states = HashMap::new();
        let mut weights = HashMap::new();
        for (i, o) in overrides.0.iter().enumerate() {
            if o.expires.is_some_and(|end| end <= now) {
                continue;
            }
            // Of two orders about the same thing the later one stands.
            match o.kind {
                OverrideKind::Weight(_) => weights.insert(o.scope, i as u32),
                _ => states.insert(o.scope, i as u32),
            };
        }
        Facts {
            steering,
            board,
            measurements,
            overrides: &overrides.0,
            now,
            clients: Arc::default(),
            states,
            weights,
            endpoints: Vec::new(),
        }
    }

    /// With what clients' own times narrow.
    pub(super) fn with(mut self, clients: &Arc<Clients>) -> Self {
        self.clients = clients.clone();
        self
    }

    /// Who measured clients of `addr` from a region, in words; empty where nothing counts.
    pub(super) fn measured(&self, addr: IpAddr, region: RegionId) -> String {
        let clients = &self.measurements.clients;
        let Some(row) = clients.of(addr) else {
            return String::new();
        };
        let Some(time) = row.times.iter().find(|t| t.region == region) else {
            return String::new();
        };
        let Some(rtt) = time.rtt else {
            return String::new();
        };
        let name = &self.steering.regions[region.index()].name;
        let age = (time.age + self.now.since(clients.at)).as_secs();
        let (prefix, n) = (row.prefix, time.connections);
        let ms = rtt.as_secs_f64() * 1e3;
        format!("measured by {n} connections from {prefix} in {name}, {ms:.1} ms, {age} s ago")
    }

    /// Looks at every endpoint once, so that [`Facts::endpoint`] only reads.
    pub(super) fn survey(mut self) -> Self {
        self.endpoints = (0..self.steering.endpoints.len())
            .map(|e| self.look(EndpointId::from_index(e), None))
            .collect();
        self
    }

    /// The names that an order speaks of, each once, ascending.
    pub(super) fn ordered_names(&self) -> Vec<NameId> {
        let mut names: Vec<NameId> = self
            .states
            .keys()
            .chain(self.weights.keys())
            .filter_map(|s| match s {
                Scope::Name(n) => Some(*n),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The scopes that an order about the state or the weight speaks of, with what is ordered until
    /// when.
    pub(super) fn scopes(
        &self,
    ) -> impl Iterator<Item = (Scope, OverrideKind, Option<Moment>)> + '_ {
        let orders = self.states.values().chain(self.weights.values());
        orders.map(|i| {
            let order = &self.overrides[*i as usize];
            (order.scope, order.kind, order.expires)
        })
    }

    /// The endpoint now, as a member of `name` where orders about names count.
    pub(super) fn endpoint(&self, e: EndpointId, name: Option<NameId>) -> EndpointNow {
        match (name, self.endpoints.get(e.index())) {
            (None, Some(known)) => *known,
            _ => self.look(e, name),
        }
    }

    fn look(&self, e: EndpointId, name: Option<NameId>) -> EndpointNow {
        let endpoint = &self.steering.endpoints[e.index()];
        let order = self.state_order(e, name);
        let (state, unprobed, steady_for, kept, share) = gist(self.board.verdict(e));
        let duty = if !endpoint.enabled {
            Duty::Out
        } else {
            match order.map(|i| self.overrides[i as usize].kind) {
                Some(OverrideKind::Drain | OverrideKind::Disable) => Duty::Out,
                Some(OverrideKind::ForceUp) => Duty::Serving,
                Some(OverrideKind::ForceDown) => Duty::Down,
                Some(OverrideKind::Weight(_)) | None => {
                    if state.serves() {
                        Duty::Serving
                    } else if kept == Some(false) {
                        Duty::Waiting
                    } else if state != State::Down && unprobed {
                        Duty::Awaited
                    } else {
                        Duty::Down
                    }
                }
            }
        };
        let weighed = self.weights.get(&Scope::Endpoint(e)).copied();
        let weight = match weighed.map(|i| self.overrides[i as usize].kind) {
            Some(OverrideKind::Weight(w)) => w.0,
            _ => endpoint.weight.0,
        };
        let steady = match steady_for {
            Some(d) if order.is_none() && endpoint.enabled => {
                u32::try_from(d.as_secs()).unwrap_or(u32::MAX - 1)
            }
            _ => u32::MAX,
        };
        let mut lanes = 0;
        if let Some(addr) = endpoint.address {
            lanes |= 1 << Lane::of(Family::of(addr)) as u8;
        }
        if endpoint.cname.is_some() {
            lanes |= 1 << Lane::Cname as u8;
        }
        EndpointNow {
            duty,
            weight,
            backup: endpoint.backup,
            lanes,
            order: order.unwrap_or(NONE),
            weighed: weighed.unwrap_or(NONE),
            steady,
            share: if order.is_none() { share } else { 100 },
            kept: order.is_none() && kept == Some(true),
        }
    }

    /// The order about an endpoint's state: that of the narrowest scope.
    fn state_order(&self, e: EndpointId, name: Option<NameId>) -> Option<u32> {
        if self.states.is_empty() {
            return None;
        }
        let pool = self.steering.endpoints[e.index()].pool;
        let region = self.steering.pools[pool.index()].region;
        let get = |s: Scope| self.states.get(&s).copied();
        get(Scope::Endpoint(e))
            .or_else(|| get(Scope::Pool(pool)))
            .or_else(|| name.and_then(|n| get(Scope::Name(n))))
            .or_else(|| get(Scope::Region(region)))
    }

    /// A member's weight, and the order that gives it.
    pub(super) fn member_weight(
        &self,
        m: &Member,
        name: Option<NameId>,
    ) -> (u32, Option<&Override>) {
        if self.weights.is_empty() {
            return (m.weight.0, None);
        }
        let region = self.steering.pools[m.pool.index()].region;
        let get = |s: Scope| self.weights.get(&s).copied();
        let order = get(Scope::Pool(m.pool))
            .or_else(|| name.and_then(|n| get(Scope::Name(n))))
            .or_else(|| get(Scope::Region(region)))
            .map(|i| &self.overrides[i as usize]);
        match order.map(|o| o.kind) {
            Some(OverrideKind::Weight(w)) => (w.0, order),
            _ => (m.weight.0, None),
        }
    }

    /// The orders that act on an endpoint: about its state, about its weight.
    pub(super) fn orders(&self, now: &EndpointNow) -> impl Iterator<Item = &'a Override> {
        let all = self.overrides;
        [now.order, now.weighed]
            .into_iter()
            .filter(|i| *i != NONE)
            .map(move |i| &all[i as usize])
    }

    /// The smallest round-trip time from a site among a pool's serving endpoints; where none serves, among all,
    /// or [`ABSENT`]: a pool that cannot be answered anyway must not make the others look unmeasured.
    pub(super) fn rtt(&self, site: SiteId, m: &Member, name: Option<NameId>) -> Option<Duration> {
        let endpoints = &self.steering.pools[m.pool.index()].endpoints;
        let serves = |e: &EndpointId| self.endpoint(*e, name).duty == Duty::Serving;
        let known = |e: &EndpointId| self.measurements.sites.get(site, *e).rtt;
        if endpoints.iter().any(serves) {
            endpoints
                .iter()
                .filter(|e| serves(e))
                .filter_map(known)
                .min()
        } else {
            Some(endpoints.iter().filter_map(known).min().unwrap_or(ABSENT))
        }
    }

    /// Whether what a site says of an endpoint may change within a dwell.
    pub(super) fn moves(&self, site: SiteId, e: EndpointId) -> bool {
        self.measurements.sites.get(site, e).moving
    }

    /// Whether round-trip times of an endpoint are known, or will be.
    pub(super) fn is_measured(&self, e: EndpointId) -> bool {
        self.measurements.sites.reaches(e)
    }

    /// A site in words, with the vantages there that are not believed.
    pub(super) fn site(&self, site: SiteId) -> String {
        let sites = &self.steering.sites;
        let mut text = sites.site(site).name.to_string();
        let vantages = sites
            .vantages
            .iter()
            .zip(&*self.measurements.sites.vantages);
        for ((name, _), now) in vantages.filter(|((_, s), _)| *s == site) {
            if now.voice != Voice::Speaks {
                text.push_str(&format!(" ({name} {})", now.voice.text()));
            }
        }
        text
    }

    /// Why an endpoint does not serve, in words; for a trace.
    pub(super) fn why_not(&self, e: EndpointId, now: &EndpointNow) -> String {
        if !self.steering.endpoints[e.index()].enabled {
            return "disabled in the configuration".to_owned();
        }
        if let Some(o) = self.overrides.get(now.order as usize) {
            return describe(self.steering, o);
        }
        let v = self.board.verdict(e);
        let since = self.now.since(v.since);
        let mut text = match v.held {
            Some(guard) => format!("{guard}; {} for {since:.0?}", v.state),
            None => format!("{} for {since:.0?}", v.state),
        };
        if let Some(error) = &v.last_error {
            text.push_str(": ");
            text.push_str(error);
        }
        text
    }
}

/// An order in words: `drain of pool eu by alice: kernel update`.
pub(super) fn describe(steering: &Steering, o: &Override) -> String {
    let what = match o.kind {
        OverrideKind::Drain => "drain".to_owned(),
        OverrideKind::Disable => "disable".to_owned(),
        OverrideKind::ForceUp => "force-up".to_owned(),
        OverrideKind::ForceDown => "force-down".to_owned(),
        OverrideKind::Weight(w) => format!("weight {}", w.0),
    };
    let whom = match o.scope {
        Scope::Endpoint(e) => format!("endpoint {}", steering.endpoints[e.index()].name),
        Scope::Pool(p) => format!("pool {}", steering.pools[p.index()].name),
        Scope::Region(r) => format!("region {}", steering.regions[r.index()].name),
        Scope::Name(n) => format!("name {}", steering.names[n.index()].owner),
    };
    format!("{what} of {whom} by {}: {}", o.owner, o.reason)
}
