//! `POST /v1/reload`

use axum::Json;
use axum::extract;

use crate::admin::ReloadOutcome;
use crate::admin::gate::Admin;
use crate::admin::problem::{Document, Problem};
use crate::admin::state::{Answer, State};
use crate::admin::view::reload::Reloaded;

/// Loads the configuration again; the old one stays when the new one is wrong.
#[utoipa::path(
    post,
    path = "/v1/reload",
    responses(
        (status = 200, description = "The new configuration is in force", body = Reloaded),
        (status = 422, description = "It is wrong; every error is listed", body = Document,
         content_type = "application/problem+json"),
        (status = 503, description = "The reload could not be tried", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn reload(_: Admin, extract::State(state): extract::State<State>) -> Answer<Reloaded> {
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
