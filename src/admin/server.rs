//! The HTTP server of the admin API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
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
pub(super) fn described() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(route::health::livez))
        .routes(routes!(route::ready::readyz))
        .routes(routes!(route::metrics::metrics))
        .routes(routes!(route::status::status))
        .routes(routes!(route::status::generation))
        .routes(routes!(route::config::config))
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
        .routes(routes!(route::health::health))
        .routes(routes!(route::latency::latency))
        .routes(routes!(route::status::monitors))
        .routes(routes!(route::status::nodes))
        .routes(routes!(route::fleet::fleet))
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
    let (router, document) = described().split_for_parts();
    let document = openapi::complete(&document);
    let paths: Arc<str> = openapi::paths(&document).into();
    let others = paths.clone();
    router
        .route("/v1/openapi.json", get(openapi::serve(&document)))
        .fallback(move |uri| std::future::ready(route::fallback(&uri, &paths)))
        .method_not_allowed_fallback(move |method, uri| {
            std::future::ready(route::wrong_method(&method, &uri, &others))
        })
        .with_state(state)
}
