//! What bounds a scope, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::explain::{Neighbour as Theirs, ScopeBounds};

use super::Answer;

/// Why the scope is neither longer nor shorter.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ScopeBounds)]
pub struct Bounds {
    /// The clients who are decided alike.
    pub network: String,
    /// Their plan's number.
    pub plan: u32,
    /// What keeps it from being shorter: `plan` (another static plan next door), `hash` (the client is
    /// hashed by as many bits), `drill` (a drill has a canary network) or `nothing` (all are alike).
    pub by: &'static str,
    /// The network of one bit less, which holds somebody who is decided otherwise.
    pub parent: Option<String>,
    /// The nearest network below with another plan.
    pub below: Option<Neighbour>,
    /// The nearest network above with another plan.
    pub above: Option<Neighbour>,
}

/// A network of clients next door with another plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ScopeNeighbour)]
pub struct Neighbour {
    /// The widest network at that border with one plan.
    pub network: String,
    /// Its plan's number.
    pub plan: u32,
    /// Whether it is special-purpose address space, for which the resolver's address decides.
    pub special_purpose: bool,
    /// Whether it lies in the scope's parent, so that no shorter scope would be true.
    pub bounds: bool,
    /// The pools in the order of its plan, tier by tier, before health and round-trip times.
    pub order: Vec<Vec<String>>,
    /// What its clients would get now.
    pub answer: Vec<Answer>,
    /// In words what they would get where it is not endpoints.
    pub otherwise: Option<String>,
}

impl From<ScopeBounds> for Bounds {
    fn from(b: ScopeBounds) -> Bounds {
        Bounds {
            network: b.network.to_string(),
            plan: b.plan,
            by: b.by.text(),
            parent: b.parent.map(|p| p.to_string()),
            below: b.below.map(Into::into),
            above: b.above.map(Into::into),
        }
    }
}

impl From<Theirs> for Neighbour {
    fn from(n: Theirs) -> Neighbour {
        Neighbour {
            network: n.network.to_string(),
            plan: n.plan,
            special_purpose: n.special_purpose,
            bounds: n.bounds,
            order: n.order,
            answer: n.answered.iter().map(Answer::of).collect(),
            otherwise: n.otherwise,
        }
    }
}
