//! Nodes as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::status::NodeCounts;
use crate::admin::fleet::FleetStatus;
use crate::snapshot::View;
use crate::time::Moment;

/// All nodes of the configuration.
#[derive(Debug, Serialize, ToSchema)]
pub struct Nodes {
    /// The view's number.
    pub generation: u64,
    /// The node that was asked.
    pub node: String,
    /// How many are how.
    pub counts: NodeCounts,
    /// By name.
    pub nodes: Vec<Node>,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Region.
    pub region: String,
    /// Degrees north of the region.
    pub latitude: Option<f64>,
    /// Degrees east of the region.
    pub longitude: Option<f64>,
    /// What it does.
    pub roles: Vec<&'static str>,
    /// `this node`, `alive`, `silent`, `left` or `never heard`.
    pub state: &'static str,
    /// Seconds since its heartbeat last moved here.
    pub heard_seconds_ago: Option<f64>,
    /// Its prober does not trust what it sees, and has no vote.
    pub blind: bool,
    /// Digest of the configuration it runs, once it said so.
    pub config: Option<String>,
    /// Whether that is another one than the node that was asked runs.
    pub differs: bool,
    /// The view it serves, as it last said.
    pub generation: Option<u64>,
    /// Checks it votes on.
    pub votes: usize,
    /// What its word is worth; absent for one that does not probe, or probes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vantage: Option<VantageWorth>,
}

/// A node as a vantage.
#[derive(Debug, Serialize, ToSchema)]
pub struct VantageWorth {
    /// Its failure domain.
    pub site: String,
    /// What its word is worth.
    pub worth: &'static str,
    /// Seconds since it gave a sign of life; null for the node that was asked.
    pub age_seconds: Option<f64>,
}

impl Nodes {
    /// The nodes of `view` as `fleet` knows them at `now`.
    pub fn of(view: &View, fleet: FleetStatus, now: Moment) -> Nodes {
        let counts = NodeCounts::of(&fleet);
        let steering = &view.snapshot.steering;
        let rules = &view.snapshot.settings.council;
        let worths = view.board.vantages();
        let vantage = |name: &str| {
            let id = rules.vantage(name)?;
            let now_worth = worths.get(id.index())?;
            Some(VantageWorth {
                site: rules.sites[rules.vantages[id.index()].site.index()].to_string(),
                worth: now_worth.worth.text(),
                age_seconds: now_worth.alive.map(|at| now.since(at).as_secs_f64()),
            })
        };
        let nodes = fleet.members.into_iter().map(|m| {
            let region = steering.regions.iter().find(|r| *r.name == *m.region);
            let place = region.map(|r| r.coordinates);
            Node {
                vantage: vantage(&m.node),
                latitude: place.map(|c| c.latitude()),
                longitude: place.map(|c| c.longitude()),
                differs: m.config.as_ref().is_some_and(|c| *c != fleet.config),
                name: m.node,
                region: m.region,
                roles: m.roles,
                state: m.life.text(),
                heard_seconds_ago: m.heard_seconds_ago,
                blind: m.blind,
                config: m.config,
                generation: m.generation,
                votes: m.votes,
            }
        });
        Nodes {
            generation: view.generation.0,
            node: fleet.node,
            counts,
            nodes: nodes.collect(),
        }
    }
}
