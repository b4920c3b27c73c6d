//! `GET /metrics`

use axum::extract;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use super::query::NoQuery;
use crate::admin::gate::MetricsReader;
use crate::admin::metrics::render;
use crate::admin::metrics_form::Form;
use crate::admin::problem::Problem;
use crate::admin::state::State;

/// Prometheus text format, or OpenMetrics for those who ask for that.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "node",
    responses((status = 200, description = "All metrics; `Accept` says in which form", content(
        (String = "text/plain"),
        (String = "application/openmetrics-text"),
    )))
)]
pub async fn metrics(
    _: MetricsReader,
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    _: NoQuery,
) -> Result<impl IntoResponse, Problem> {
    let form = Form::wanted(&headers);
    // The page of a large configuration takes a while to write: other requests do not wait for it.
    let written = tokio::task::spawn_blocking(move || {
        let counts = state.control.fleet().counts;
        form.told(render(&state.publisher.latest(), &state.stats, &counts))
    });
    let page = written
        .await
        .map_err(|e| Problem::unavailable(format!("the page could not be written: {e}")))?;
    let head = [
        (header::CONTENT_TYPE, form.content_type()),
        (header::VARY, "accept"),
    ];
    Ok((head, page))
}
