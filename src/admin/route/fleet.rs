//! `GET /v1/fleet`

use axum::{Json, extract};

use super::query::NoQuery;
use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::fleet::Fleet;

/// All nodes: who is there, who runs another configuration, what was refused.
#[utoipa::path(
    get,
    path = "/v1/fleet",
    tag = "fleet",
    responses((status = 200, description = "The fleet as the node that was asked sees it", body = Fleet))
)]
pub async fn fleet(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Answer<Fleet> {
    Ok(Json(state.control.fleet().into()))
}
