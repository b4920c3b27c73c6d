//! What it would take for another answer: each supposition is put to the function that answers, and
//! stated with what that decided.
//!
//! Four kinds are tried: what answers is drained, rung by rung; what is down comes back; an order ends;
//! round-trip times move, where the policy goes by them. The work is bounded by how many endpoints are
//! looked at in all.

mod search;
mod supposition;
mod words;

pub use supposition::{Supposition, suppose};

use crate::ids::EndpointId;
use crate::snapshot::View;
use crate::steer::decision::Standing;

use super::{Answered, Query, Told};

/// A supposition, for programs.
#[derive(Clone, PartialEq, Debug)]
pub struct Condition {
    /// `drained`, `up`, `order-ended` or `rtt`.
    pub what: &'static str,
    /// `endpoint`, `pool`, `region` or `name`.
    pub scope: &'static str,
    /// Which; several endpoints of one pool may come back together.
    pub subjects: Vec<String>,
    /// Round-trip time in milliseconds at which the answer is another.
    pub rtt_ms: Option<f64>,
}

/// An endpoint that might be answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Possible {
    /// Which.
    pub id: EndpointId,
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// Percent of such queries that it is the first answer of.
    pub percent: f64,
}

/// What would be answered if.
#[derive(Clone, PartialEq, Debug)]
pub struct Counterfactual {
    /// What is supposed, all of it together.
    pub supposed: Vec<Supposition>,
    /// The same for programs.
    pub conditions: Vec<Condition>,
    /// What this query would get, by the same draw.
    pub answered: Vec<Answered>,
    /// Among whom it would be drawn.
    pub possible: Vec<Possible>,
    /// In words what it would get where it is not endpoints.
    pub otherwise: Option<String>,
    /// How good it would be.
    pub standing: Standing,
    /// One sentence.
    pub text: String,
}

/// What it would take for another answer than `told`, and whether all was looked for. Under a drill with
/// a scope `view` is one in which its orders are in force.
pub(super) fn counterfactuals(
    view: &View,
    q: &Query<'_>,
    told: &Told<'_>,
) -> (Vec<Counterfactual>, bool) {
    search::Search::new(view, q, told).run()
}
