//! `POST /v1/reload`

use axum::Json;
use axum::extract;

use super::query::NoQuery;
use crate::admin::ReloadOutcome;
use crate::admin::gate::Admin;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::reload::Reloaded;

/// Loads the configuration again; the old one stays when the new one is wrong.
#[utoipa::path(
    post,
    path = "/v1/reload",
    tag = "node",
    responses(
        (status = 200, description = "The new configuration is in force", body = Reloaded),
        (status = 422, description = "It is wrong; every error is listed"),
        (status = 503, description = "The reload could not be tried"),
    )
)]
pub async fn reload(
    _: Admin,
    extract::State(state): extract::State<State>,
    _: NoQuery,
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
