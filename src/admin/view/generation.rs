//! The number of the view in force, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshot::View;
use crate::time::utc;

/// The view in force: cheap to ask for, to find out whether anything changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct InForce {
    /// The node that was asked.
    pub node: String,
    /// The view's number; it only grows while the process lives.
    pub generation: u64,
    /// When it was published.
    pub published: String,
    /// Digest of the configuration in it.
    pub config: String,
}

impl InForce {
    /// Of `view`, whose configuration has this digest.
    pub fn of(view: &View, config: String) -> InForce {
        InForce {
            node: view.snapshot.settings.node.to_string(),
            generation: view.generation.0,
            published: utc::show(view.wall.unix(view.published)),
            config,
        }
    }
}
