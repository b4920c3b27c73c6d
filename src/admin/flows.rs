//! What the API needs of whoever knows which clients are sent where; `app` implements it.

use std::time::Duration;

use async_trait::async_trait;

use super::audit::Gathered;
use crate::net::Prefix;

/// Knows the flows of the last day.
#[async_trait]
pub trait FlowDesk: Send + Sync + 'static {
    /// What was seen within the last `hours`, 1 to 24, the most first: by all nodes that answer DNS, or by
    /// `node`. Other nodes are waited for a second at most.
    async fn within(&self, hours: u64, node: Option<&str>) -> Gathered<FlowFacts>;

    /// On how many samples that rests, of all nodes that answer DNS and within a second this question.
    async fn sampled(&self, hours: u64) -> SampledFacts;
}

/// On how many samples flows rest.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SampledFacts {
    /// By name; a name that is missing has none that are known of.
    pub names: Vec<NameSamples>,
    /// How long ago the first of them was taken, the window at most.
    pub over: Duration,
}

/// The samples of one name.
#[derive(Clone, PartialEq, Debug)]
pub struct NameSamples {
    /// The steered name.
    pub name: String,
    /// How many.
    pub samples: f64,
    /// The queries that they stand for.
    pub queries: f64,
    /// The sum of the squares of what each stands for.
    pub squares: f64,
}

/// How often clients of a network were sent to a pool.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowFacts {
    /// The steered name.
    pub name: String,
    /// The client network; where many are added up by country, one of them.
    pub network: Prefix,
    /// The region; empty: the answer had no endpoint.
    pub region: String,
    /// The pool; empty: the answer had no endpoint.
    pub pool: String,
    /// Queries, as estimated from the samples.
    pub queries: f64,
}
