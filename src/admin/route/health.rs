//! `GET /v1/health`, `/livez`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{NoQuery, Query, limited};
use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::health::Health;

/// Endpoints in one answer, where nothing else is asked for.
const LIMIT: usize = 1000;

/// Which endpoints are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// So many at most; 1000 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those after this one: what `next` said.
    after: Option<String>,
}

/// Verdicts of endpoints, and the load that probing puts on their targets.
#[utoipa::path(
    get,
    path = "/v1/health",
    tag = "health",
    params(Wanted),
    responses((status = 200, description = "A page of the verdicts", body = Health))
)]
pub async fn health(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(wanted): Query<Wanted>,
) -> Answer<Health> {
    let limit = limited(wanted.limit, LIMIT)?;
    let now = state.clock.now();
    let (wall, probes) = (state.clock.wall(), state.stats.probes());
    let view = state.publisher.latest();
    let page = (wanted.after.as_deref(), limit);
    Ok(Json(Health::of(&view, probes, page, now, wall)))
}

/// The process lives.
#[utoipa::path(
    get,
    path = "/livez",
    tag = "node",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub async fn livez(_: NoQuery) -> &'static str {
    "ok\n"
}
