//! `GET /v1/health`, `/livez`, `/readyz`

use axum::{Json, extract};

use crate::admin::Control;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::health::Health;

/// Verdicts of all endpoints and the load that probing puts on each target.
pub async fn health<C: Control>(extract::State(state): extract::State<State<C>>) -> Answer<Health> {
    let now = state.clock.now();
    let (wall, probes) = (state.clock.wall(), state.stats.probes());
    let view = state.publisher.latest();
    Ok(Json(Health::of(&view, probes, now, wall)))
}

/// The process lives.
pub async fn livez() -> &'static str {
    "ok\n"
}

/// DNS is served: the first round of probes is over.
pub async fn readyz<C: Control>(
    extract::State(state): extract::State<State<C>>,
) -> Result<&'static str, Problem> {
    if *state.ready.borrow() {
        Ok("ready\n")
    } else {
        Err(Problem::unavailable(
            "the first round of probes is not complete; DNS is not served yet",
        ))
    }
}
