//! `GET /v1/endpoints`, `GET /v1/endpoints/{endpoint}`, `GET /v1/votes`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::{NoQuery, Path, Query, limit};
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::condition::Condition;
use crate::admin::view::endpoints::{EndpointDetail, Endpoints, Filter};
use crate::admin::view::matrix::{self, Matrix};

/// Which endpoints are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only those with this in their name.
    q: Option<String>,
    /// Only those of this pool.
    pool: Option<String>,
    /// Only those of this region.
    region: Option<String>,
    /// Only those in this condition.
    #[param(inline)]
    state: Option<Condition>,
    /// So many at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those after this one: what `next` said.
    after: Option<String>,
}

/// Endpoints with what is known of each.
#[utoipa::path(
    get,
    path = "/v1/endpoints",
    tag = "health",
    params(Wanted),
    responses(
        (status = 200, description = "A page of the endpoints", body = Endpoints,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 404, description = "No such pool or region; the nearest is told"),
    )
)]
pub async fn endpoints(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    Query(wanted): Query<Wanted>,
) -> Result<Tagged<Endpoints>, Problem> {
    let limit = limit(wanted.limit)?;
    let now = state.clock.now();
    let view = state.publisher.latest();
    find::filters(&view, wanted.pool.as_deref(), wanted.region.as_deref())?;
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        let filter = Filter {
            pool: wanted.pool.as_deref(),
            region: wanted.region.as_deref(),
            state: wanted.state,
            q: wanted.q.map(|q| q.to_ascii_lowercase()),
            after: wanted.after.as_deref(),
            limit,
        };
        Ok(Endpoints::of(&view, &filter, now))
    })
}

/// One endpoint: its verdict with cause and votes, the order that acts on it, and how far it is.
#[utoipa::path(
    get,
    path = "/v1/endpoints/{endpoint}",
    tag = "health",
    params(("endpoint" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointDetail),
        (status = 404, description = "No such endpoint; the nearest is told"),
    )
)]
pub async fn endpoint(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
    Path(name): Path<String>,
) -> Answer<EndpointDetail> {
    let now = state.clock.now();
    let view = state.publisher.latest();
    let id = find::endpoint(&view, &name)?;
    let probes = state.stats.probes();
    Ok(Json(EndpointDetail::of(&view, id, probes, now)))
}

/// Which votes are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VotesWanted {
    /// Only those on endpoints with this in their name.
    q: Option<String>,
    /// Only those on endpoints of this pool.
    pool: Option<String>,
    /// So many endpoints at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only endpoints after this one: what `next` said.
    after: Option<String>,
}

/// What every vantage says of every endpoint.
#[utoipa::path(
    get,
    path = "/v1/votes",
    tag = "health",
    params(VotesWanted),
    responses(
        (status = 200, description = "A page of the matrix", body = Matrix),
        (status = 404, description = "No such pool; the nearest is told"),
    )
)]
pub async fn votes(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(wanted): Query<VotesWanted>,
) -> Answer<Matrix> {
    let filter = matrix::Filter {
        pool: wanted.pool.as_deref(),
        q: wanted.q.map(|q| q.to_ascii_lowercase()),
        after: wanted.after.as_deref(),
        limit: limit(wanted.limit)?,
    };
    let now = state.clock.now();
    let view = state.publisher.latest();
    find::filters(&view, wanted.pool.as_deref(), None)?;
    Ok(Json(Matrix::of(&view, &filter, now)))
}
