//! An explanation as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine;
use crate::steer::decision::Standing;

/// Why a query gets its answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    /// The view's number.
    pub generation: u64,
    /// The node that would answer.
    pub node: String,
    /// The name asked for.
    pub name: String,
    /// Aliases followed from it.
    pub aliases: Vec<String>,
    /// The steered owner; a wildcard where one covers the name.
    pub owner: String,
    /// The type answered.
    #[serde(rename = "type")]
    pub qtype: String,
    /// Who asks.
    pub client: Client,
    /// The way to the decision, one line a step.
    pub steps: Vec<String>,
    /// What is answered, in answer order; empty where no endpoint is.
    pub answer: Vec<Answer>,
    /// In words what is answered where it is not endpoints.
    pub otherwise: Option<String>,
    /// `normal`, `degraded` or `last-resort`.
    pub standing: &'static str,
    /// Whether an operator's override takes part.
    pub overridden: bool,
    /// Seconds.
    pub ttl: u32,
    /// ECS scope prefix length.
    pub scope: u8,
    /// The chance it was decided with; give it back as `draw=` to decide the same again.
    pub draw: String,
    /// All of it for people.
    pub lines: Vec<String>,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedClient)]
pub struct Client {
    /// The address that decided.
    pub address: String,
    /// The ECS network of the query.
    pub ecs: Option<String>,
    /// Why that address decided.
    pub why: &'static str,
    /// The widest network around the address with one place.
    pub network: String,
    /// Continent code.
    pub continent: Option<String>,
    /// Country code.
    pub country: Option<String>,
    /// Subdivision code.
    pub subdivision: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// The inputs that know something of it.
    pub sources: Vec<String>,
}

/// A chosen endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainedAnswer)]
pub struct Answer {
    /// Endpoint.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// The address, or the CNAME target.
    pub address: String,
}

impl From<engine::Explanation> for Explanation {
    fn from(e: engine::Explanation) -> Explanation {
        let lines = e.lines();
        let w = e.whereabouts;
        Explanation {
            generation: e.generation.0,
            node: e.node,
            name: e.name,
            aliases: e.aliases,
            owner: e.owner,
            qtype: e.qtype.to_string(),
            client: Client {
                address: e.client.to_string(),
                ecs: e.ecs.map(|p| p.to_string()),
                why: e.client_why,
                network: w.network.to_string(),
                continent: w.continent,
                country: w.country,
                subdivision: w.subdivision,
                latitude: w.coordinates.map(|c| c.latitude()),
                longitude: w.coordinates.map(|c| c.longitude()),
                asn: w.asn,
                sources: w.inputs,
            },
            steps: e.steps.iter().map(ToString::to_string).collect(),
            answer: e
                .answered
                .into_iter()
                .map(|a| Answer {
                    endpoint: a.endpoint,
                    pool: a.pool,
                    region: a.region,
                    address: a.data,
                })
                .collect(),
            otherwise: e.otherwise,
            standing: match e.decision.standing {
                Standing::Normal => "normal",
                Standing::Held => "held",
                Standing::Degraded => "degraded",
                Standing::LastResort => "last-resort",
            },
            overridden: e.decision.overridden,
            ttl: e.ttl.secs(),
            scope: e.scope.0,
            draw: format!("{:016x}:{}", e.draw.random, e.draw.turn),
            lines,
        }
    }
}
