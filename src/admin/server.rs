//! The HTTP server of the admin API.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::gate::guard::guard;
use super::{Door, State, listen, meter, openapi, route};

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
fn described() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(route::expectations::expectations))
        .routes(routes!(route::explain::explain))
        .routes(routes!(route::drills::list, route::drills::begin))
        .routes(routes!(route::drills::one))
        .routes(routes!(route::drills::abort))
        .routes(routes!(route::drills::report))
        .routes(routes!(route::regions::regions))
        .routes(routes!(route::reload::reload))
        .routes(routes!(route::flows::flows))
        .routes(routes!(route::plan::plan))
        .routes(routes!(
            route::session::session,
            route::session::sign_in,
            route::session::sign_out
        ))
        .route("/livez", get(route::health::livez))
        .route("/readyz", get(route::ready::readyz))
        .route("/metrics", get(route::metrics::metrics))
        .route("/v1/fleet", get(route::fleet::fleet))
        .route("/v1/health", get(route::health::health))
        .route("/v1/latency", get(route::latency::latency))
        .route("/v1/names", get(route::names::names))
        .route(
            "/v1/overrides",
            get(route::overrides::list)
                .put(route::overrides::put)
                .post(route::overrides::put)
                .delete(route::overrides::delete),
        )
        .route("/v1/switchover", post(route::overrides::switchover))
        .route("/v1/audit", get(route::overrides::audit))
        .route("/v1/proxy/caches", get(route::caches::list))
        .route("/v1/proxy/caches/{name}/purge", post(route::caches::purge))
        .route("/v1/proxy/clients", get(route::traffic::clients))
        .route("/v1/proxy/listeners", get(route::traffic::listeners))
        .route("/v1/proxy/upstreams", get(route::backends::list))
        .route("/v1/proxy/upstreams/{upstream}", get(route::backends::one))
        .route(
            "/v1/proxy/upstreams/{upstream}/backends/{backend}",
            post(route::backends::give),
        )
}

fn router(state: State) -> Router {
    let (router, document) = described().split_for_parts();
    router
        .route("/v1/openapi.json", get(openapi::serve(&document)))
        .merge(super::console::router())
        .fallback(route::fallback)
        .method_not_allowed_fallback(route::wrong_method)
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), meter::measure))
        .with_state(state)
}
