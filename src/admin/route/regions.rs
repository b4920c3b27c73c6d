//! `GET /v1/regions`

use axum::{Json, extract};

use crate::admin::Control;
use crate::admin::state::{Answer, State};
use crate::admin::view::regions::Regions;

/// Regions with their pools and how many of their endpoints serve.
pub async fn regions<C: Control>(
    extract::State(state): extract::State<State<C>>,
) -> Answer<Regions> {
    Ok(Json(Regions::of(&state.publisher.latest())))
}
