//! `GET /metrics`

use axum::extract;
use axum::http::header;
use axum::response::IntoResponse;

use super::query::NoQuery;
use crate::admin::gate::MetricsReader;
use crate::admin::metrics::render;
use crate::admin::state::State;

/// Prometheus text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "node",
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain"))
)]
pub async fn metrics(
    _: MetricsReader,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> impl IntoResponse {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (
        kind,
        render(
            &state.publisher.latest(),
            &state.stats,
            &state.control.fleet().counts,
        ),
    )
}
