//! The state of everything on one page, as shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::{Capacity, Counts, Ordered};
use crate::admin::desk::Listing;
use crate::admin::fleet::{FleetStatus, Life};
use crate::ids::EndpointId;
use crate::overrides::{Drill, InForce, Reach};
use crate::snapshot::View;
use crate::steer::decision::Standing;
use crate::telemetry::Stats;
use crate::time::{Moment, utc};

/// Names that a warning gives as examples.
const EXAMPLES: usize = 3;

/// The state of everything.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// The node that was asked.
    pub node: String,
    /// The fleet's name; absent where the node is alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The version of the program.
    pub version: &'static str,
    /// The view's number.
    pub generation: u64,
    /// When that view was published.
    pub published: String,
    /// Seconds since the process started.
    pub uptime: u64,
    /// Digest of the configuration in force.
    pub config: String,
    /// Steered names, by the worst that any client of them gets.
    pub names: NameCounts,
    /// Endpoints by condition.
    pub endpoints: Counts,
    /// The regions, in the order of the configuration.
    pub regions: Vec<RegionStatus>,
    /// The nodes.
    pub nodes: NodeCounts,
    /// Orders in force, those of drills among them.
    pub overrides: usize,
    /// Of these, the orders of drills.
    pub drill_orders: usize,
    /// Drills that run.
    pub drills: usize,
    /// What a person should look at, one line each, the worst first.
    pub warnings: Vec<String>,
}

/// Steered names, by the worst that any client of them gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NameCounts {
    /// All.
    pub total: usize,
    /// As it should be.
    pub normal: usize,
    /// An endpoint that fails its checks is kept in, since too much would go at once.
    pub held: usize,
    /// Served by what serves only after the others.
    pub degraded: usize,
    /// Nothing eligible is live.
    pub last_resort: usize,
}

/// A region.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegionStatus {
    /// Name.
    pub name: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Its endpoints by condition.
    pub endpoints: Counts,
    /// How much of it serves.
    pub capacity: Capacity,
}

/// The nodes of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct NodeCounts {
    /// All.
    pub total: usize,
    /// Heard of lately, the one that was asked among them.
    pub alive: usize,
    /// Silent for longer than they may be.
    pub silent: usize,
    /// Stopped on purpose.
    pub left: usize,
    /// Not heard of since the node that was asked started.
    pub never_heard: usize,
    /// Alive, with a prober that does not trust what it sees.
    pub blind: usize,
    /// Known to run another configuration than the node that was asked.
    pub differing: usize,
}

/// What the page is made of, beside the view.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The fleet.
    pub fleet: &'a FleetStatus,
    /// The orders.
    pub orders: &'a Listing,
    /// Drills that run.
    pub drills: usize,
    /// Counters.
    pub stats: &'a Stats,
}

impl Status {
    /// The state of `view` as of `now`.
    pub fn of(view: &View, beside: Beside<'_>, now: Moment) -> Status {
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let mut by_region: Vec<Vec<EndpointId>> = vec![Vec::new(); steering.regions.len()];
        for (i, e) in steering.endpoints.iter().enumerate() {
            let region = steering.pools[e.pool.index()].region;
            by_region[region.index()].push(EndpointId::from_index(i));
        }
        let regions = steering.regions.iter().zip(by_region);
        let regions: Vec<RegionStatus> = regions
            .map(|(region, endpoints)| {
                let (endpoints, capacity) = ordered.count(endpoints);
                RegionStatus {
                    name: region.name.to_string(),
                    latitude: region.coordinates.latitude(),
                    longitude: region.coordinates.longitude(),
                    endpoints,
                    capacity,
                }
            })
            .collect();
        let mut endpoints = Counts::default();
        for region in &regions {
            endpoints.add(&region.endpoints);
        }
        let standings = view.live.standings(steering);
        let nodes = NodeCounts::of(beside.fleet);
        Status {
            node: beside.fleet.node.clone(),
            cluster: beside.fleet.cluster.clone(),
            version: env!("CARGO_PKG_VERSION"),
            generation: view.generation.0,
            published: utc::show(view.wall.unix(view.published)),
            uptime: now.since(Moment::ZERO).as_secs(),
            config: beside.fleet.config.clone(),
            names: NameCounts::of(&standings),
            warnings: warnings(view, &standings, &endpoints, beside),
            endpoints,
            regions,
            nodes,
            overrides: beside.orders.standing.0.len(),
            drill_orders: of_drills(beside.orders).count(),
            drills: beside.drills,
        }
    }
}

impl Counts {
    /// Adds those of others.
    fn add(&mut self, other: &Counts) {
        self.total += other.total;
        self.serving += other.serving;
        self.up += other.up;
        self.down += other.down;
        self.unknown += other.unknown;
        self.stale += other.stale;
        self.drained += other.drained;
        self.disabled += other.disabled;
    }
}

impl NameCounts {
    fn of(standings: &[Standing]) -> NameCounts {
        let mut counts = NameCounts {
            total: standings.len(),
            ..NameCounts::default()
        };
        for standing in standings {
            *match standing {
                Standing::Normal => &mut counts.normal,
                Standing::Held => &mut counts.held,
                Standing::Degraded => &mut counts.degraded,
                Standing::LastResort => &mut counts.last_resort,
            } += 1;
        }
        counts
    }
}

impl NodeCounts {
    pub(super) fn of(fleet: &FleetStatus) -> NodeCounts {
        let mut counts = NodeCounts {
            total: fleet.members.len(),
            ..NodeCounts::default()
        };
        for member in &fleet.members {
            let alive = matches!(member.life, Life::Own | Life::Alive);
            *match member.life {
                Life::Own | Life::Alive => &mut counts.alive,
                Life::Silent => &mut counts.silent,
                Life::Left => &mut counts.left,
                Life::NeverHeard => &mut counts.never_heard,
            } += 1;
            counts.blind += usize::from(alive && member.blind);
            let other = member.config.as_ref().is_some_and(|c| *c != fleet.config);
            counts.differing += usize::from(alive && other);
        }
        counts
    }
}

fn warnings(
    view: &View,
    standings: &[Standing],
    endpoints: &Counts,
    beside: Beside<'_>,
) -> Vec<String> {
    let mut all = Vec::new();
    let names = &view.snapshot.steering.names;
    for (standing, what) in [
        (
            Standing::LastResort,
            "nothing is live, the last resort answers",
        ),
        (
            Standing::Degraded,
            "served by what serves only after the others",
        ),
        (
            Standing::Held,
            "an endpoint that fails its checks is kept in, since too much would go at once",
        ),
    ] {
        let those = names.iter().zip(standings);
        let those = those.filter(|(_, s)| **s == standing);
        let those: Vec<String> = those.map(|(n, _)| n.owner.to_string()).collect();
        all.extend(some(&those, what));
    }
    if endpoints.stale > 0 {
        all.push(format!(
            "{} endpoints are shown as they were believed last: nobody has a vote on them",
            endpoints.stale
        ));
    }
    let mut by_life: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for member in &beside.fleet.members {
        let mut say = |what| by_life.entry(what).or_default().push(member.node.clone());
        match member.life {
            Life::Silent => say("silent for longer than a node may be"),
            Life::NeverHeard => say("not heard of since this node started"),
            Life::Own | Life::Alive if member.blind => {
                say("the prober does not trust what it sees, and has no vote");
            }
            Life::Own | Life::Alive | Life::Left => {}
        }
        let other = |c: &String| *c != beside.fleet.config;
        if member.config.as_ref().is_some_and(other) && member.life == Life::Alive {
            say("another configuration than this node's is in force");
        }
    }
    for (what, nodes) in by_life {
        all.extend(some(&nodes, what));
    }
    if !beside.orders.durable && !beside.orders.standing.0.is_empty() {
        all.push(
            "orders in force will not outlive this process: it has no `state-dir`, or its disk fails"
                .to_owned(),
        );
    }
    if !beside.orders.quarantined.is_empty() {
        all.push(format!(
            "{} orders are kept but not in force: the clock of the node that gave them is far ahead",
            beside.orders.quarantined.len()
        ));
    }
    all.extend(of_drills(beside.orders).map(|(drill, order)| {
        let whom = match drill.reach {
            Reach::Everybody => "all clients".to_owned(),
            Reach::Canary(prefix) => format!("clients in {prefix} only"),
            Reach::Label => format!("who asks for {}.NAME only", drill.label()),
        };
        format!(
            "drill {} is under way: {} of {} {}, for {whom}",
            drill.id,
            order.kind.word(),
            order.subject.scope.word(),
            order.subject.name
        )
    }));
    let keys = beside.stats.key_troubles();
    if keys > 0 {
        all.push(format!(
            "the DNSSEC keys of {keys} zones cannot be stored or made: their roll-overs stand still"
        ));
    }
    all
}

/// The orders of drills.
fn of_drills(orders: &Listing) -> impl Iterator<Item = (&Drill, &InForce)> {
    let all = orders.standing.0.iter();
    all.filter_map(|o| Some((o.record.drill.as_ref()?, o)))
}

/// `a, b, c and 4 more …`.
fn some(names: &[String], what: &str) -> Option<String> {
    let shown = names.iter().take(EXAMPLES).cloned().collect::<Vec<_>>();
    let more = names.len().checked_sub(EXAMPLES).filter(|n| *n > 0);
    let shown = shown.join(", ");
    match more {
        _ if names.is_empty() => None,
        None => Some(format!("{shown}: {what}")),
        Some(more) => Some(format!("{shown} and {more} more: {what}")),
    }
}
