//! The answer to a reload.

use serde::Serialize;
use utoipa::ToSchema;

/// A reload that was adopted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The generation that first served the new configuration.
    pub generation: u64,
    /// What is doubtful in it, one line each.
    pub warnings: Vec<String>,
}
