//! `GET /v1/names`

use axum::{Json, extract};

use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::names::Names;

/// Steered names with policy, pools, bounds and worst-case failover time.
pub async fn names(_: Viewer, extract::State(state): extract::State<State>) -> Answer<Names> {
    Ok(Json(Names::of(&state.publisher.latest())))
}
