//! The view that a new configuration would lead to: what is known of health, round-trip times and
//! operators' orders is carried over to it, as a reload does.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::health::clients::{ClientTime, ClientTimes, ClientsOf};
use crate::health::{Board, Monitor, Override, Overrides, Scope, SiteTime, SiteTimes, Verdict};
use crate::ids::{EndpointId, NameId, PoolId, RegionId, TargetId};
use crate::snapshot::{Parts, Snapshot, View};
use crate::steer::{Measurements, Steering};
use crate::time::Moment;

/// What would be in force.
#[derive(Debug)]
pub struct Supposed {
    /// The view.
    pub view: View,
    /// Endpoints of which nothing is known yet, and that are taken as up.
    pub assumed_up: Vec<EndpointId>,
}

/// The view that `new` leads to where `before` is in force.
///
/// As after a reload, an endpoint keeps its verdict where the same check of the same address stays.
/// Where there is none the first probe, within a second or two, would say: it is taken as up.
pub fn suppose(before: &View, new: Arc<Snapshot>, now: Moment) -> Supposed {
    let (board, assumed_up) = board(before, &new);
    let parts = Parts {
        measurements: Arc::new(measurements(before, &new)),
        overrides: Arc::new(overrides(before, &new)),
        board: Arc::new(board),
        snapshot: new,
        ..before.parts()
    };
    let generation = before.generation.next();
    Supposed {
        view: View::new(generation, now, parts),
        assumed_up,
    }
}

/// The view of `snapshot` where everything is up and nothing is measured.
pub fn all_up(snapshot: Arc<Snapshot>, now: Moment) -> View {
    let count = snapshot.steering.endpoints.len();
    let board = Board::new(vec![Verdict::unmonitored(); count]);
    let parts = Parts::new(snapshot, Arc::new(board));
    View::new(Default::default(), now, parts)
}

/// What is checked: address, port and how.
type Check<'s> = (IpAddr, u16, &'s Monitor);

fn check(snapshot: &Snapshot, target: TargetId) -> Check<'_> {
    let t = &snapshot.targets[target.index()];
    (t.addr, t.port, &snapshot.monitors[t.monitor.index()])
}

fn board(before: &View, new: &Snapshot) -> (Board, Vec<EndpointId>) {
    let old = &before.snapshot;
    let mut known: HashMap<(IpAddr, u16), Vec<(&Monitor, EndpointId)>> = HashMap::new();
    for (i, target) in old.target_of.iter().enumerate() {
        if let Some(target) = target {
            let (address, port, monitor) = check(old, *target);
            let found = known.entry((address, port)).or_default();
            found.push((monitor, EndpointId::from_index(i)));
        }
    }
    let mut assumed = Vec::new();
    let verdicts = new.target_of.iter().enumerate().map(|(i, target)| {
        let Some(target) = target else {
            return Verdict::unmonitored();
        };
        let (address, port, monitor) = check(new, *target);
        let found = known.get(&(address, port)).into_iter().flatten();
        let name = &new.steering.endpoints[i].name;
        // One address may be an endpoint of two pools: a hold of one of them is its own.
        let same = found.filter(|(m, _)| *m == monitor).map(|(_, e)| *e);
        let best = same.max_by_key(|e| old.steering.endpoints[e.index()].name == *name);
        match best {
            Some(e) => before.board.verdict(e).clone(),
            None => {
                assumed.push(EndpointId::from_index(i));
                Verdict::unmonitored()
            }
        }
    });
    let verdicts: Vec<Verdict> = verdicts.collect();
    (Board::new(verdicts), assumed)
}

fn measurements(before: &View, new: &Snapshot) -> Measurements {
    let old = &before.snapshot.steering;
    // By address: that is what is measured.
    let of_old: HashMap<(Option<IpAddr>, u16), EndpointId> = old
        .endpoints
        .iter()
        .enumerate()
        .map(|(i, e)| ((e.address, e.port), EndpointId::from_index(i)))
        .collect();
    let from = |e: &crate::steer::Endpoint| of_old.get(&(e.address, e.port)).copied();
    let times = &before.measurements.sites;
    let rows = new.steering.sites.sites.iter().map(|site| {
        let same = |s: &crate::health::latency::SiteAt| s.name == site.name;
        let row = old.sites.sites.iter().position(same);
        let time = |e| -> SiteTime {
            let (Some(row), Some(e)) = (row, from(e)) else {
                return SiteTime::default();
            };
            times.get(crate::ids::SiteId::from_index(row), e)
        };
        new.steering.endpoints.iter().map(time).collect()
    });
    let vantages = new.steering.sites.vantages.iter().map(|(name, _)| {
        let at = old.sites.vantages.iter().position(|(n, _)| n == name);
        let heard = at.and_then(|i| times.vantages.get(i));
        heard.copied()
    });
    let own = new.steering.endpoints.iter().map(|e| {
        let rtt = from(e).and_then(|e| before.measurements.rtt.get(e.index()));
        rtt.copied().flatten()
    });
    Measurements {
        rtt: own.collect(),
        sites: SiteTimes {
            rows: rows.collect(),
            // One that nobody has heard yet says nothing of any.
            vantages: vantages
                .collect::<Option<Vec<_>>>()
                .unwrap_or_default()
                .into(),
        },
        clients: clients(&before.measurements.clients, old, &new.steering),
    }
}

/// What clients measured, by the regions of another configuration.
fn clients(times: &ClientTimes, old: &Steering, new: &Steering) -> ClientTimes {
    let region = |id: RegionId| {
        let name = &old.regions[id.index()].name;
        let at = new.regions.iter().position(|r| r.name == *name);
        at.map(RegionId::from_index)
    };
    let row = |row: &ClientsOf| {
        let times = row.times.iter();
        let mut times: Vec<ClientTime> = times
            .filter_map(|t| {
                let region = region(t.region)?;
                Some(ClientTime { region, ..*t })
            })
            .collect();
        times.sort_unstable_by_key(|t| t.region);
        ClientsOf {
            prefix: row.prefix,
            times: times.into(),
        }
    };
    ClientTimes {
        rows: times.rows.iter().map(row).collect(),
        ..times.clone()
    }
}

/// The orders in force, about the things of the same names.
fn overrides(before: &View, new: &Snapshot) -> Overrides {
    let (old, new) = (&before.snapshot.steering, &new.steering);
    let scope = |scope: Scope| -> Option<Scope> {
        Some(match scope {
            Scope::Endpoint(e) => {
                let name = &old.endpoints[e.index()].name;
                let at = new.endpoints.binary_search_by(|e| e.name.cmp(name)).ok()?;
                Scope::Endpoint(EndpointId::from_index(at))
            }
            Scope::Pool(p) => {
                let name = &old.pools[p.index()].name;
                let at = new.pools.binary_search_by(|p| p.name.cmp(name)).ok()?;
                Scope::Pool(PoolId::from_index(at))
            }
            Scope::Region(r) => {
                let name = &old.regions[r.index()].name;
                let at = new.regions.iter().position(|r| r.name == *name)?;
                Scope::Region(RegionId::from_index(at))
            }
            Scope::Name(n) => {
                let owner = &old.names.get(n.index())?.owner;
                let name: NameId = new.name_id(owner)?;
                Scope::Name(name)
            }
        })
    };
    let orders = before.overrides.0.iter().filter_map(|order| {
        Some(Override {
            scope: scope(order.scope)?,
            ..order.clone()
        })
    });
    Overrides(orders.collect())
}
