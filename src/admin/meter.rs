//! Counts and times every request of the API.

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::middleware::Next;
use axum::response::Response;

use crate::telemetry::spans::{Span, TraceParent};

use super::State;

/// The route of a request that matched none: a path as somebody wrote it may be anything.
const UNMATCHED: &str = "unmatched";

/// Passes the request on and counts its answer. A stream counts when its head is there.
pub(super) async fn measure(
    Shared(state): Shared<State>,
    request: Request,
    next: Next,
) -> Response {
    let began = state.clock.now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => {
            known.to_owned()
        }
        _ => "other".to_owned(),
    };
    let parent = request.headers().get("traceparent");
    let parent = parent.and_then(|p| TraceParent::read(p.to_str().ok()?));
    let response = next.run(request).await;
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let status = response.status().as_u16();
    let took = state.clock.now().since(began);
    state.stats.api().count(&method, route, status, took);
    state.stats.spans().keep(|| Span {
        method: method.into(),
        route: route.into(),
        status,
        began_ms: state.clock.wall().unix_ms(began),
        took,
        parent,
    });
    response
}
