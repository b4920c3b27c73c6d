//! `POST /v1/reload`

use axum::Json;
use axum::extract;

use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::reload::Reloaded;
use crate::admin::{Control, ReloadOutcome};

/// Loads the configuration again; the old one stays when the new one is wrong.
pub async fn reload<C: Control>(
    extract::State(state): extract::State<State<C>>,
) -> Answer<Reloaded> {
    match state.control.reload().await {
        ReloadOutcome::Adopted {
            generation,
            warnings,
        } => Ok(Json(Reloaded {
            generation: generation.0,
            warnings,
        })),
        ReloadOutcome::Refused { problems } => Err(Problem::refused(problems)),
        ReloadOutcome::Failed(why) => Err(Problem::unavailable(why)),
    }
}
