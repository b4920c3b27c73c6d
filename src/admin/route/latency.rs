//! `GET /v1/latency`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{Query, limited};
use crate::admin::gate::Viewer;
use crate::admin::state::{Answer, State};
use crate::admin::view::latency::{Filter, Latency};

/// Endpoints in one answer, where nothing else is asked for.
const LIMIT: usize = 1000;

/// Which times are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only endpoints with this in their name.
    q: Option<String>,
    /// So many endpoints at most; 1000 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only endpoints after this one: what `next` said.
    after: Option<String>,
}

/// How far every endpoint is from every site of vantages.
#[utoipa::path(
    get,
    path = "/v1/latency",
    tag = "health",
    params(Wanted),
    responses((status = 200, description = "The round-trip times, by site", body = Latency))
)]
pub async fn latency(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(wanted): Query<Wanted>,
) -> Answer<Latency> {
    let filter = Filter {
        q: wanted.q.map(|q| q.to_ascii_lowercase()),
        after: wanted.after.as_deref(),
        limit: limited(wanted.limit, LIMIT)?,
    };
    let now = state.clock.now();
    Ok(Json(Latency::of(&state.publisher.latest(), &filter, now)))
}
