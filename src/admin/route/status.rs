//! `GET /v1/status`, `/v1/generation`, `/v1/nodes`, `/v1/monitors`

use axum::{Json, extract};

use super::query::NoQuery;
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::generation::InForce;
use crate::admin::view::monitors::Monitors;
use crate::admin::view::nodes::Nodes;
use crate::admin::view::status::{Beside, Status};

/// The state of everything: names, endpoints, regions, nodes, and what a person should look at.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "node",
    responses((status = 200, description = "The state of everything", body = Status))
)]
pub async fn status(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Answer<Status> {
    let now = state.clock.now();
    let (fleet, orders) = (state.control.fleet(), state.orders.list());
    let drills = state.drills.list();
    let beside = Beside {
        fleet: &fleet,
        orders: &orders,
        drills: drills.iter().filter(|d| d.ended_ms().is_none()).count(),
        stats: &state.stats,
    };
    Ok(Json(Status::of(&state.publisher.latest(), beside, now)))
}

/// The view in force: cheap to ask for, to find out whether anything changed.
#[utoipa::path(
    get,
    path = "/v1/generation",
    tag = "node",
    responses(
        (status = 200, description = "The view in force", body = InForce,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
    )
)]
pub async fn generation(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
) -> Result<Tagged<InForce>, Problem> {
    let view = state.publisher.latest();
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        Ok(InForce::of(&view, state.control.configuration().0))
    })
}

/// The nodes of the fleet: who is there, what each runs, and what its word is worth.
#[utoipa::path(
    get,
    path = "/v1/nodes",
    tag = "fleet",
    responses((status = 200, description = "All nodes of the configuration", body = Nodes))
)]
pub async fn nodes(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Answer<Nodes> {
    let now = state.clock.now();
    let view = state.publisher.latest();
    Ok(Json(Nodes::of(&view, state.control.fleet(), now)))
}

/// Monitors: what each asks, how soon it notices, and the endpoints that it checks.
#[utoipa::path(
    get,
    path = "/v1/monitors",
    tag = "health",
    responses(
        (status = 200, description = "All monitors", body = Monitors,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
    )
)]
pub async fn monitors(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
) -> Result<Tagged<Monitors>, Problem> {
    let now = state.clock.now();
    let view = state.publisher.latest();
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        Ok(Monitors::of(&view, now))
    })
}
