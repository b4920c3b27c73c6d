//! The HTTP server of the admin API.

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Control, State, route};

/// Serves until `shutdown` turns true.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve<C: Control>(
    listener: TcpListener,
    state: State<C>,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    axum::serve(listener, router(state))
        .with_graceful_shutdown(async move {
            // An error means that the sender is gone: the same as being told.
            drop(shutdown.wait_for(|stop| *stop).await);
        })
        .await
}

fn router<C: Control>(state: State<C>) -> Router {
    Router::new()
        .route("/livez", get(route::health::livez))
        .route("/readyz", get(route::ready::readyz::<C>))
        .route("/metrics", get(route::metrics::metrics::<C>))
        .route("/v1/explain", get(route::explain::explain::<C>))
        .route("/v1/fleet", get(route::fleet::fleet::<C>))
        .route("/v1/health", get(route::health::health::<C>))
        .route("/v1/latency", get(route::latency::latency::<C>))
        .route("/v1/names", get(route::names::names::<C>))
        .route(
            "/v1/overrides",
            get(route::overrides::list::<C>)
                .put(route::overrides::put::<C>)
                .post(route::overrides::put::<C>)
                .delete(route::overrides::delete::<C>),
        )
        .route("/v1/switchover", post(route::overrides::switchover::<C>))
        .route("/v1/audit", get(route::overrides::audit::<C>))
        .route("/v1/proxy/caches", get(route::caches::list::<C>))
        .route(
            "/v1/proxy/caches/{name}/purge",
            post(route::caches::purge::<C>),
        )
        .route("/v1/proxy/clients", get(route::traffic::clients::<C>))
        .route("/v1/proxy/listeners", get(route::traffic::listeners::<C>))
        .route("/v1/proxy/upstreams", get(route::backends::list::<C>))
        .route(
            "/v1/proxy/upstreams/{upstream}",
            get(route::backends::one::<C>),
        )
        .route(
            "/v1/proxy/upstreams/{upstream}/backends/{backend}",
            post(route::backends::give::<C>),
        )
        .route("/v1/regions", get(route::regions::regions::<C>))
        .route("/v1/reload", post(route::reload::reload::<C>))
        .fallback(route::fallback)
        .method_not_allowed_fallback(route::wrong_method)
        .with_state(state)
}
