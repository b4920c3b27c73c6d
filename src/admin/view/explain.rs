//! An explanation as shown.

mod bounds;
mod candidates;
mod whatif;

use serde::Serialize;
use utoipa::ToSchema;

use super::events::BasedOn;
use crate::engine;
use crate::snapshot::View;
use crate::steer::decision::Standing;
use crate::time::Moment;

pub use bounds::{Bounds, Neighbour};
pub use candidates::{Candidate, Elimination, Order, Ranked, Stage};
pub use whatif::{Condition, Counterfactual, Possible, TtlDerivation};

/// Why a query gets its answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Explanation {
    /// What it is based on, where it is about another time; null: about now.
    pub based_on: Option<BasedOn>,
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
    /// `normal`, `held`, `degraded` or `last-resort`.
    pub standing: &'static str,
    /// Whether an operator's override takes part.
    pub overridden: bool,
    /// Seconds.
    pub ttl: u32,
    /// ECS scope prefix length.
    pub scope: u8,
    /// The chance it was decided with; give it back as `draw=` to decide the same again.
    pub draw: String,
    /// Every endpoint of the name's pools, in their order; the first 1,000.
    pub candidates: Vec<Candidate>,
    /// How many endpoints the name's pools have.
    pub candidates_in_all: usize,
    /// Who was put out, or put behind others, by which rule.
    pub eliminations: Vec<Elimination>,
    /// The tiers after each stage of the policy.
    pub stages: Vec<Stage>,
    /// Why the scope is what it is: whom it holds, and the two neighbours that get something else.
    pub neighbours: Bounds,
    /// Where the TTL comes from.
    pub ttl_derivation: TtlDerivation,
    /// The overrides in force about the name, its pools, their endpoints and regions.
    pub overrides: Vec<Order>,
    /// What it would take for another answer; each was decided as stated.
    pub counterfactuals: Vec<Counterfactual>,
    /// Whether all of these were looked for: a name with very many endpoints ends the search early.
    pub counterfactuals_complete: bool,
    /// The explanation for people.
    pub lines: Vec<String>,
    /// For people: the neighbours and what it would take for another answer.
    pub further_lines: Vec<String>,
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
#[derive(Debug, Clone, Serialize, ToSchema)]
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

impl Explanation {
    /// As shown, with the votes in `view`, which it explains.
    pub fn of(full: engine::FullExplanation, view: &View, now: Moment) -> Explanation {
        let further_lines = full.further_lines();
        let candidates = full.candidates.iter();
        let candidates = candidates.map(|c| Candidate::of(c, view, now)).collect();
        let e = full.told;
        let lines = e.lines();
        let w = e.whereabouts;
        Explanation {
            based_on: None,
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
            answer: e.answered.iter().map(Answer::of).collect(),
            otherwise: e.otherwise,
            standing: standing(e.decision.standing),
            overridden: e.decision.overridden,
            ttl: e.ttl.secs(),
            scope: e.scope.0,
            draw: format!("{:016x}:{}", e.draw.random, e.draw.turn),
            candidates,
            candidates_in_all: full.candidates_in_all,
            eliminations: full.eliminations.into_iter().map(Into::into).collect(),
            stages: full.stages.into_iter().map(Into::into).collect(),
            neighbours: full.bounds.into(),
            ttl_derivation: full.ttl.into(),
            overrides: full.orders.into_iter().map(Into::into).collect(),
            counterfactuals: full.counterfactuals.into_iter().map(Into::into).collect(),
            counterfactuals_complete: full.searched,
            lines,
            further_lines,
        }
    }
}

impl Answer {
    fn of(a: &engine::Answered) -> Answer {
        Answer {
            endpoint: a.endpoint.clone(),
            pool: a.pool.clone(),
            region: a.region.clone(),
            address: a.data.clone(),
        }
    }
}

/// A standing in one word.
pub(in crate::admin::view) fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Normal => "normal",
        Standing::Held => "held",
        Standing::Degraded => "degraded",
        Standing::LastResort => "last-resort",
    }
}
