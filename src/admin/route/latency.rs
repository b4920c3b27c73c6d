//! `GET /v1/latency`

use axum::{Json, extract};

use crate::admin::Control;
use crate::admin::state::{Answer, State};
use crate::admin::view::latency::Latency;

/// How far every endpoint is from every site of vantages.
pub async fn latency<C: Control>(
    extract::State(state): extract::State<State<C>>,
) -> Answer<Latency> {
    let now = state.clock.now();
    Ok(Json(Latency::of(&state.publisher.latest(), now)))
}
