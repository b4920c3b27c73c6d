//! `GET /v1/latency`

use axum::{Json, extract};

use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::latency::Latency;

/// How far every endpoint is from every site of vantages.
pub async fn latency(_: Viewer, extract::State(state): extract::State<State>) -> Answer<Latency> {
    let now = state.clock.now();
    Ok(Json(Latency::of(&state.publisher.latest(), now)))
}
