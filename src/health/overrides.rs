//! An operator's word. Outranks automation, and is shown apart from the verdict (glossary).

use std::sync::Arc;

use crate::ids::{EndpointId, NameId, PoolId, RegionId};
use crate::time::Moment;
use crate::units::Weight;

/// What an override covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// One endpoint.
    Endpoint(EndpointId),
    /// All endpoints of a pool.
    Pool(PoolId),
    /// All pools of a region.
    Region(RegionId),
    /// A steered name: all its members.
    Name(NameId),
}

/// What the operator ordered (requirement O9: three different things).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OverrideKind {
    /// No new clients; existing connections finish. Never comes back through fail-open.
    Drain,
    /// Out of service entirely. Never comes back through fail-open.
    Disable,
    /// Treated as up whatever probes say.
    ForceUp,
    /// Treated as down whatever probes say.
    ForceDown,
    /// Another weight; zero serves only when every positive weight is gone.
    Weight(Weight),
}

/// One order with its author and end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// What it covers.
    pub scope: Scope,
    /// What is ordered.
    pub kind: OverrideKind,
    /// Who ordered it.
    pub owner: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When it ends by itself; bounds the TTL (requirement T3).
    pub expires: Option<Moment>,
}

/// The overrides in force. Narrower scopes win over wider ones: endpoint, pool, name, region.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides(pub Vec<Override>);
