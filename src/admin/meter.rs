//! Counts and times every request of the API.

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::middleware::Next;
use axum::response::Response;

use crate::telemetry::TraceParent;
use crate::telemetry::spans::ApiSpan;

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
    let parent = parent(&request);
    let response = next.run(request).await;
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let status = response.status().as_u16();
    let took = state.clock.now().since(began);
    state.stats.api().count(&method, route, status, took);
    let spans = state.stats.spans();
    // Who does not record their side has no use for ours.
    if spans.wanted() && parent.is_none_or(|p| p.sampled) {
        spans.keep(Box::new(ApiSpan {
            method: method.into(),
            route: route.into(),
            status,
            began_ns: state.clock.wall().unix_ns(began),
            took,
            parent,
        }));
    }
    response
}

/// The trace that a request is part of, where it says so once.
fn parent(request: &Request) -> Option<TraceParent> {
    let mut all = request.headers().get_all("traceparent").iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    TraceParent::parse(only.as_bytes())
}
