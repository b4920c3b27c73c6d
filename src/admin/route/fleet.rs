//! `GET /v1/fleet`

use axum::{Json, extract};

use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::fleet::Fleet;

/// All nodes: who is there, who runs another configuration, what was refused.
pub async fn fleet(_: Viewer, extract::State(state): extract::State<State>) -> Answer<Fleet> {
    Ok(Json(state.control.fleet().into()))
}
