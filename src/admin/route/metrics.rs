//! `GET /metrics`

use axum::extract;
use axum::http::header;
use axum::response::IntoResponse;

use crate::admin::gate::MetricsReader;
use crate::admin::metrics::render;
use crate::admin::state::State;

/// Prometheus text format.
pub async fn metrics(
    _: MetricsReader,
    extract::State(state): extract::State<State>,
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
