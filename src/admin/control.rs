//! What the API may order; `app` implements it.

use std::sync::Arc;

use async_trait::async_trait;

use super::fleet::FleetStatus;
use crate::config::Effective;
use crate::units::Generation;

/// Orders to the running server.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// The fleet as this node sees it.
    fn fleet(&self) -> FleetStatus;

    /// The configuration in force: its digest, and its options.
    fn configuration(&self) -> (String, Arc<Effective>);

    /// Loads the configuration again and serves it, or keeps the old one.
    async fn reload(&self) -> ReloadOutcome;
}

/// How a reload went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReloadOutcome {
    /// The new configuration is served.
    Adopted {
        /// Since this generation.
        generation: Generation,
        /// What is doubtful in it, one line each.
        warnings: Vec<String>,
    },
    /// The new configuration is wrong; the old one is still served.
    Refused {
        /// Every error, one line each.
        problems: Vec<String>,
    },
    /// The reload could not be tried; the old configuration is still served.
    Failed(String),
}
