//! The proxy of this node: started with the node, told of every reload, drained at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::compile::Node;
use crate::proxy::run::{AdoptError, Proxy};
use crate::time::Clock;
use crate::traffic::Plan;

use super::limits;
use super::run::RunError;

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(20);

/// The proxy, on a node with the role.
pub struct Carrier {
    proxy: Proxy,
}

/// What a node carries traffic with; `None` without the role `proxy`.
pub type SharedCarrier = Option<Arc<Carrier>>;

/// Starts the proxy of a node.
///
/// # Errors
/// When a listener cannot be had.
pub(super) fn start(
    node: &Node,
    plan: &Arc<Plan>,
    clock: &Arc<dyn Clock>,
) -> Result<SharedCarrier, RunError> {
    if !node.proxies_traffic {
        return Ok(None);
    }
    let mut seed = [0; 8];
    limits::random(&mut seed);
    let proxy = Proxy::start(plan.clone(), clock, u64::from_ne_bytes(seed))
        .map_err(|e| RunError::Other(e.to_string()))?;
    Ok(Some(Arc::new(Carrier { proxy })))
}

impl Carrier {
    /// Works by another plan from the next request on.
    ///
    /// # Errors
    /// When a new listener or its TLS cannot be had; then nothing changes.
    pub fn adopt(&self, plan: &Arc<Plan>) -> Result<(), AdoptError> {
        self.proxy.adopt(plan)
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<(Box<str>, SocketAddr)> {
        self.proxy.addresses()
    }

    /// The running proxy.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Ends connections as they become idle, and waits until all have ended or the drain timeout is
    /// over.
    pub async fn drain(&self) {
        self.proxy.drain(true);
        let longest = self.proxy.tier().plan.node.drain_timeout;
        let ended = async {
            while self.proxy.open().iter().any(|(_, _, open)| *open > 0) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(longest, ended).await.is_err() {
            let left: u32 = self.proxy.open().iter().map(|(_, _, open)| open).sum();
            tracing::warn!(
                connections = left,
                "the drain timeout is over; these connections are cut"
            );
        }
    }
}

impl crate::telemetry::Metrics for Carrier {
    fn render(&self, page: &mut crate::telemetry::Page) {
        self.proxy.render(page);
    }
}
