//! The HTTP server of the admin API.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{State, openapi, route};

/// After the last connection was accepted, until those that have not asked yet are closed: who has just
/// connected is about to ask.
const SETTLE: Duration = Duration::from_millis(250);

/// Serves until `shutdown` turns true: then accepts no more, and ends when all that was asked is answered.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut told = shutdown.clone();
    let closing = Closing { listener, shutdown };
    axum::serve(closing, router(state))
        .with_graceful_shutdown(async move {
            until(&mut told).await;
            tokio::time::sleep(SETTLE).await;
        })
        .await
}

/// Waits until it turns true, or its sender is gone, which is the same as being told.
async fn until(shutdown: &mut watch::Receiver<bool>) {
    drop(shutdown.wait_for(|stop| *stop).await);
}

/// A listener that accepts nobody once it is told to close: another process may accept there.
struct Closing {
    listener: TcpListener,
    shutdown: watch::Receiver<bool>,
}

impl Listener for Closing {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        tokio::select! {
            biased;
            () = until(&mut self.shutdown) => std::future::pending().await,
            accepted = Listener::accept(&mut self.listener) => accepted,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Every path with its handlers, and the document that describes them.
fn described() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(route::explain::explain))
        .routes(routes!(route::events::events))
        .routes(routes!(route::events::endpoint))
        .routes(routes!(route::regions::regions))
        .routes(routes!(route::reload::reload))
        .routes(routes!(route::flows::flows))
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
        .with_state(state)
}
