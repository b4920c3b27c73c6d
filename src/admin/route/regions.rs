//! `GET /v1/regions`

use axum::extract;

use super::query::NoQuery;
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::State;
use crate::admin::view::regions::Regions;

/// Regions with their place, their pools, their endpoints by condition, and how much of each serves.
#[utoipa::path(
    get,
    path = "/v1/regions",
    tag = "steering",
    responses(
        (status = 200, description = "All regions at one generation", body = Regions,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
    )
)]
pub async fn regions(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
) -> Result<Tagged<Regions>, Problem> {
    let now = state.clock.now();
    let view = state.publisher.latest();
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        Ok(Regions::of(&view, now))
    })
}
