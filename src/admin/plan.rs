//! What the API needs of whoever compares another configuration with the one in force; `app`
//! implements it.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::plan::Report;

/// Octets of all files of a plan together, at most.
pub const MOST_OCTETS: usize = 32 << 20;

/// Files of a plan, at most.
pub const MOST_FILES: usize = 1000;

/// A configuration that is asked about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanAsked {
    /// Its files by path, seen from where the node's own configuration lies.
    pub files: BTreeMap<String, String>,
    /// Shares are of addresses, also where there was traffic.
    pub by_addresses: bool,
}

/// What the comparison gave.
#[derive(Clone, PartialEq, Debug)]
pub struct Planned {
    /// What would change.
    pub report: Report,
    /// The view in force that was compared with.
    pub generation: u64,
    /// What is doubtful in the new configuration.
    pub warnings: Vec<String>,
}

/// Why there is no comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlanRefusal {
    /// Another one is under way.
    Busy,
    /// The files are not what they must be.
    Files(String),
    /// The new configuration is wrong: every error.
    Refused(Vec<String>),
    /// It could not be tried.
    Failed(String),
}

/// Compares configurations.
#[async_trait]
pub trait PlanDesk: Send + Sync + 'static {
    /// What would change if this configuration were loaded now.
    async fn plan(&self, asked: PlanAsked) -> Result<Planned, PlanRefusal>;
}
