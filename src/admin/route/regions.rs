//! `GET /v1/regions`

use axum::{Json, extract};

use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::regions::Regions;

/// Regions with their pools and how many of their endpoints serve.
#[utoipa::path(
    get,
    path = "/v1/regions",
    responses((status = 200, description = "All regions at one generation", body = Regions))
)]
pub async fn regions(_: Viewer, extract::State(state): extract::State<State>) -> Answer<Regions> {
    Ok(Json(Regions::of(&state.publisher.latest())))
}
