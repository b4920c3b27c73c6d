//! The HTTP server of the admin API.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::gate::guard::guard;
use super::{Door, State, gate, listen, meter, openapi, route};

/// Serves until `shutdown` turns true: then accepts no more, and ends when all that was asked is answered.
pub async fn serve(
    listener: TcpListener,
    state: State,
    door: Door,
    shutdown: watch::Receiver<bool>,
) {
    listen::serve(listener, router(state), door, shutdown).await;
}

/// Every path with its handlers, and the document that describes them.
pub(super) fn described() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(route::health::livez))
        .routes(routes!(route::ready::readyz))
        .routes(routes!(route::metrics::metrics))
        .routes(routes!(route::status::status))
        .routes(routes!(route::status::generation))
        .routes(routes!(route::config::config))
        .routes(routes!(route::expectations::expectations))
        .routes(routes!(route::drills::list, route::drills::begin))
        .routes(routes!(route::drills::one))
        .routes(routes!(route::drills::abort))
        .routes(routes!(route::drills::report))
        .routes(routes!(route::events::events))
        .routes(routes!(route::events::endpoint))
        .routes(routes!(route::reload::reload))
        .routes(routes!(route::names::names))
        .routes(routes!(route::names::name))
        .routes(routes!(route::pools::pools))
        .routes(routes!(route::pools::pool))
        .routes(routes!(route::regions::regions))
        .routes(routes!(route::explain::explain))
        .routes(routes!(route::endpoints::endpoints))
        .routes(routes!(route::endpoints::endpoint))
        .routes(routes!(route::endpoints::votes))
        .routes(routes!(route::course::votes))
        .routes(routes!(route::health::health))
        .routes(routes!(route::latency::latency))
        .routes(routes!(route::paths::paths))
        .routes(routes!(route::status::monitors))
        .routes(routes!(route::status::nodes))
        .routes(routes!(route::fleet::fleet))
        .routes(routes!(route::flows::flows))
        .routes(routes!(route::plan::plan))
        .routes(routes!(
            route::session::session,
            route::session::sign_in,
            route::session::sign_out
        ))
        .routes(routes!(
            route::overrides::list,
            route::overrides::put,
            route::overrides::post,
            route::overrides::delete
        ))
        .routes(routes!(route::overrides::switchover))
        .routes(routes!(route::overrides::audit))
        .routes(routes!(route::caches::list))
        .routes(routes!(route::caches::purge))
        .routes(routes!(route::traffic::clients))
        .routes(routes!(route::traffic::listeners))
        .routes(routes!(route::backends::list))
        .routes(routes!(route::backends::one))
        .routes(routes!(route::backends::give))
}

fn router(state: State) -> Router {
    let (router, mut document) = described().split_for_parts();
    gate::describe(&mut document);
    let document = openapi::complete(&document);
    let paths: Arc<str> = openapi::paths(&document).into();
    let others = paths.clone();
    router
        .route("/v1/openapi.json", get(openapi::serve(&document)))
        .merge(super::console::router())
        .fallback(move |uri| std::future::ready(route::fallback(&uri, &paths)))
        .method_not_allowed_fallback(move |method, uri| {
            std::future::ready(route::wrong_method(&method, &uri, &others))
        })
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), meter::measure))
        .with_state(state)
}
