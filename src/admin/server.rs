//! The HTTP server of the admin API.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::snapshot::Publisher;
use crate::telemetry::Stats;
use crate::time::Clock;

use super::{Control, problem::Problem, route};

/// What handlers need.
pub struct State<C> {
    /// Where the newest view is.
    pub publisher: Publisher,
    /// Counters.
    pub stats: Arc<Stats>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Orders.
    pub control: Arc<C>,
    /// Whether the first round is over and DNS is served.
    pub ready: watch::Receiver<bool>,
}

impl<C> Clone for State<C> {
    fn clone(&self) -> Self {
        State {
            publisher: self.publisher.clone(),
            stats: self.stats.clone(),
            clock: self.clock.clone(),
            control: self.control.clone(),
            ready: self.ready.clone(),
        }
    }
}

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
        .route("/readyz", get(route::health::readyz::<C>))
        .route("/metrics", get(route::metrics::metrics::<C>))
        .route("/v1/explain", get(route::explain::explain::<C>))
        .route("/v1/health", get(route::health::health::<C>))
        .route("/v1/names", get(route::names::names::<C>))
        .route("/v1/regions", get(route::regions::regions::<C>))
        .route("/v1/reload", post(route::reload::reload::<C>))
        .fallback(route::fallback)
        .method_not_allowed_fallback(route::wrong_method)
        .with_state(state)
}

/// What handlers return.
pub type Answer<T> = Result<axum::Json<T>, Problem>;
