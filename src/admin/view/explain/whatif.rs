//! What it would take for another answer, and where the TTL comes from, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::explain as told;

use super::{Answer, standing};

/// What would be answered if.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Counterfactual {
    /// One sentence.
    pub text: String,
    /// What is supposed, all of it together.
    #[serde(rename = "if")]
    pub conditions: Vec<Condition>,
    /// What this query would get, by the same draw.
    pub answer: Vec<Answer>,
    /// Among whom it would be drawn.
    pub possible: Vec<Possible>,
    /// In words what it would get where it is not endpoints.
    pub otherwise: Option<String>,
    /// `normal`, `held`, `degraded` or `last-resort`.
    pub standing: &'static str,
}

/// A supposition.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Supposition)]
pub struct Condition {
    /// `drained`, `up`, `order-ended` or `rtt`.
    pub what: &'static str,
    /// `endpoint`, `pool`, `region` or `name`.
    pub scope: &'static str,
    /// Which.
    pub names: Vec<String>,
    /// Round-trip time in milliseconds at which the answer is another.
    pub rtt_ms: Option<f64>,
}

/// An endpoint that might be answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = PossibleAnswer)]
pub struct Possible {
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// Percent of such queries that it is the first answer of.
    pub share_percent: f64,
}

/// Where the TTL comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TtlDerivation {
    /// Seconds that are answered.
    pub seconds: u32,
    /// The name's smallest.
    pub min: u32,
    /// The name's largest.
    pub max: u32,
    /// The rule in one word: `probe`, `ending-override`, `override-end`, `rtt-moving`, `rtt-order`,
    /// `nothing-changes`, `kept-in`, `less-than-normal` or `untold`.
    pub rule: &'static str,
    /// Which of the name's bounds was put on it: `min` or `max`.
    pub clamped: Option<&'static str>,
    /// Seconds from now on during which nothing of the kind can change the answer.
    pub steady_seconds: Option<u32>,
    /// The endpoint whose probe could change the answer first.
    pub endpoint: Option<String>,
    /// Whether that one is up.
    pub endpoint_up: Option<bool>,
    /// Results of the other kind that this takes.
    pub results_needed: Option<u32>,
    /// In words.
    pub text: String,
}

impl From<told::Counterfactual> for Counterfactual {
    fn from(c: told::Counterfactual) -> Counterfactual {
        let condition = |c: told::Condition| Condition {
            what: c.what,
            scope: c.scope,
            names: c.subjects,
            rtt_ms: c.rtt_ms,
        };
        let possible = |p: told::Possible| Possible {
            endpoint: p.endpoint,
            pool: p.pool,
            region: p.region,
            share_percent: p.percent,
        };
        Counterfactual {
            text: c.text,
            conditions: c.conditions.into_iter().map(condition).collect(),
            answer: c.answered.iter().map(Answer::of).collect(),
            possible: c.possible.into_iter().map(possible).collect(),
            otherwise: c.otherwise,
            standing: standing(c.standing),
        }
    }
}

impl From<told::TtlDerivation> for TtlDerivation {
    fn from(t: told::TtlDerivation) -> TtlDerivation {
        TtlDerivation {
            seconds: t.ttl.secs(),
            min: t.min.secs(),
            max: t.max.secs(),
            rule: t.bound.rule(),
            clamped: t.clamped,
            steady_seconds: t.bound.steady_secs(),
            endpoint: t.first.as_ref().map(|m| m.endpoint.clone()),
            endpoint_up: t.first.as_ref().map(|m| m.up),
            results_needed: t.first.as_ref().and_then(|m| m.results),
            text: t.bound.to_string(),
        }
    }
}
