//! Whether this node is ready to carry traffic: for load balancers, VRRP and people.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::route;

/// Knows whether this node is ready; `app` implements it.
pub trait ReadyDesk: Send + Sync + 'static {
    /// Whether the node takes traffic, and each of `upstreams` has a backend that is used.
    ///
    /// # Errors
    /// Why not.
    fn ready(&self, upstreams: &[&str]) -> Result<(), NotReady>;
}

/// Why a node is not ready, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotReady {
    /// It is not now.
    Now(String),
    /// There is no such upstream to be ready.
    Unknown(String),
}

impl From<String> for NotReady {
    fn from(why: String) -> NotReady {
        NotReady::Now(why)
    }
}

/// Serves `/livez` and `/readyz`, and nothing else, until `shutdown` turns true: for a node without
/// the rest of the admin API, to who may open the socket.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve_ready(
    listener: UnixListener,
    desk: Arc<dyn ReadyDesk>,
    mut shutdown: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(route::health::livez))
        .route("/readyz", get(route::ready::readyz_alone))
        .with_state(desk);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            // An error means that the sender is gone: the same as being told.
            drop(shutdown.wait_for(|stop| *stop).await);
        })
        .await
}
