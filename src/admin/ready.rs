//! Whether this node is ready to carry traffic: for load balancers, VRRP and people.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Router, extract};
use serde::Deserialize;
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::problem::Problem;
use super::{Control, route};

/// Knows whether this node is ready; `app` implements it.
pub trait ReadyDesk: Send + Sync + 'static {
    /// Whether the node takes traffic, and each of `upstreams` has a backend that is used.
    ///
    /// # Errors
    /// Why not, in one line.
    fn ready(&self, upstreams: &[&str]) -> Result<(), String>;
}

/// What is asked for beyond the node itself.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// Names of upstreams that must have a backend, with commas between them.
    upstream: Option<String>,
}

impl Wanted {
    fn answer(&self, desk: &dyn ReadyDesk) -> Result<&'static str, Problem> {
        let upstreams = self.upstream.as_deref().unwrap_or_default().split(',');
        let upstreams: Vec<&str> = upstreams.filter(|name| !name.is_empty()).collect();
        match desk.ready(&upstreams) {
            Ok(()) => Ok("ready\n"),
            Err(why) => Err(Problem::unavailable(why)),
        }
    }
}

/// `GET /readyz`
///
/// # Errors
/// 503 with the reason.
pub async fn readyz<C: Control>(
    extract::State(state): extract::State<super::State<C>>,
    Query(wanted): Query<Wanted>,
) -> Result<&'static str, Problem> {
    wanted.answer(&*state.ready)
}

async fn readyz_alone(
    State(desk): State<Arc<dyn ReadyDesk>>,
    Query(wanted): Query<Wanted>,
) -> Result<&'static str, Problem> {
    wanted.answer(&*desk)
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
        .route("/readyz", get(readyz_alone))
        .with_state(desk);
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            // An error means that the sender is gone: the same as being told.
            drop(shutdown.wait_for(|stop| *stop).await);
        })
        .await
}
