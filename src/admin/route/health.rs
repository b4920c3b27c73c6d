//! `GET /v1/health`, `/livez`

use axum::{Json, extract};

use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::health::Health;

/// Verdicts of all endpoints and the load that probing puts on each target.
pub async fn health(_: Viewer, extract::State(state): extract::State<State>) -> Answer<Health> {
    let now = state.clock.now();
    let (wall, probes) = (state.clock.wall(), state.stats.probes());
    let view = state.publisher.latest();
    Ok(Json(Health::of(&view, probes, now, wall)))
}

/// The process lives.
pub async fn livez() -> &'static str {
    "ok\n"
}
