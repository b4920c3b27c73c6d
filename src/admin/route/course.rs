//! `GET /v1/votes/history`

use std::sync::Arc;

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::Query;
use super::then::past;
use crate::admin::gate::Viewer;
use crate::admin::problem::{Document, Problem};
use crate::admin::state::{Answer, State};
use crate::admin::view::course::VotesHistory;
use crate::admin::view::matrix::{self, Matrix};

/// Endpoints of a page, where nothing else is asked for.
const LIMIT: usize = 50;

/// Endpoints of a page at most.
const MOST: usize = 100;

/// Changes of one endpoint at most.
const CHANGES: usize = 200;

/// Whose changes, and from when on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// From this time on: RFC 3339, or so long ago, such as `-6h`; `-15m` without it.
    #[param(example = "-6h")]
    since: Option<String>,
    /// Only those of endpoints with this in their name.
    q: Option<String>,
    /// Only those of endpoints of this pool.
    pool: Option<String>,
    /// So many endpoints at most.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<usize>,
    /// Only endpoints after this one: what `next` said.
    after: Option<String>,
}

/// How the verdicts and the votes behind them changed, of as many endpoints at once as `GET /v1/votes`
/// shows: the latest 200 changes of each, as long as `[history]` keeps them.
#[utoipa::path(
    get,
    path = "/v1/votes/history",
    tag = "health",
    params(Wanted),
    responses(
        (status = 200, description = "A page of endpoints with their changes", body = VotesHistory),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 404, description = "No such pool; the nearest is told", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn votes(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(wanted): Query<Wanted>,
) -> Answer<VotesHistory> {
    let limit = wanted.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::parameter(
            "limit",
            format!("{limit} is not between 1 and {MOST}"),
        ));
    }
    let since_ms = past(&state, "since", wanted.since.as_deref().unwrap_or("-15m"))?;
    let now = state.clock.now();
    let view = state.publisher.latest();
    find::filters(&view, wanted.pool.as_deref(), None)?;
    let filter = matrix::Filter {
        pool: wanted.pool.as_deref(),
        q: wanted.q.map(|q| q.to_ascii_lowercase()),
        after: wanted.after.as_deref(),
        limit,
    };
    let page = Matrix::of(&view, &filter, now);
    let names: Vec<String> = page.endpoints.into_iter().map(|e| e.endpoint).collect();
    let wanted: Vec<Arc<str>> = names.iter().map(|n| n.as_str().into()).collect();
    let course = state.history.course(&wanted, since_ms).await;
    Ok(Json(VotesHistory::of(&course, names, CHANGES, page.next)))
}
