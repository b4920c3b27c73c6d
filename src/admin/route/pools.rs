//! `GET /v1/pools`, `GET /v1/pools/{pool}`

use axum::extract;
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::{NoQuery, Path, Query, limit};
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::State;
use crate::admin::view::pools::{PoolDetail, Pools};

/// Which pools are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only those with this in their name.
    q: Option<String>,
    /// Only those of this region.
    region: Option<String>,
    /// So many at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those after this one: what `next` said.
    after: Option<String>,
}

/// Pools with their endpoints by condition, and how much of each serves.
#[utoipa::path(
    get,
    path = "/v1/pools",
    tag = "steering",
    params(Wanted),
    responses(
        (status = 200, description = "A page of the pools", body = Pools,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 404, description = "No such region; the nearest is told"),
    )
)]
pub async fn pools(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    Query(wanted): Query<Wanted>,
) -> Result<Tagged<Pools>, Problem> {
    let limit = limit(wanted.limit)?;
    let now = state.clock.now();
    let q = wanted.q.map(|q| q.to_ascii_lowercase());
    let view = state.publisher.latest();
    find::filters(&view, None, wanted.region.as_deref())?;
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        let filter = (q.as_deref(), wanted.region.as_deref());
        Ok(Pools::of(
            &view,
            filter,
            wanted.after.as_deref(),
            limit,
            now,
        ))
    })
}

/// One pool with its endpoints, and the names that it serves.
#[utoipa::path(
    get,
    path = "/v1/pools/{pool}",
    tag = "steering",
    params(("pool" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The pool", body = PoolDetail,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 404, description = "No such pool; the nearest is told"),
    )
)]
pub async fn pool(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Path(name): Path<String>,
) -> Result<Tagged<PoolDetail>, Problem> {
    let now = state.clock.now();
    let view = state.publisher.latest();
    let id = find::pool(&view, &name)?;
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        Ok(PoolDetail::of(&view, id, now))
    })
}
