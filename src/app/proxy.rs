//! The proxy of this node: started with the node, told of every reload, drained at the end.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::compile::Node;
use crate::proxy::run::{AdoptError, Proxy};
use crate::proxy::sockets::{self, Beside};
use crate::telemetry::spans::Spans;
use crate::time::Clock;
use crate::traffic::orders::{Given, Place, Refused, Wish};
use crate::traffic::{BackendOrders, Plan};

use super::backends::Probes;
use super::descriptors;
use super::fleet::SharedSessions;
use super::limits;
use super::run::RunError;
use super::takeover::{Bag, Kind, Label, kept};
use super::telemetry;

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(20);

/// The proxy, on a node with the role.
pub struct Carrier {
    proxy: Proxy,
    laid: Mutex<Laid>,
    probes: Probes,
    spans: Option<Arc<Spans>>,
}

/// What the configuration says, and what operators laid over it.
struct Laid {
    base: Arc<Plan>,
    orders: BackendOrders,
}

/// Why there is no proxy, or not by another configuration; with the place that asks for what cannot be had.
pub(super) fn why_not(error: &AdoptError, node: Option<&Node>) -> String {
    let AdoptError::Bind(refused) = error else {
        return error.to_string();
    };
    let wanted = &refused.place;
    let mut places = node.into_iter().flat_map(|n| &n.listeners_at);
    let place = places.find(|p| p.listener == wanted.listener && p.address == wanted.address);
    match place {
        Some(place) => format!("{}: {error}", place.at),
        None => error.to_string(),
    }
}

/// What a node carries traffic with; `None` without the role `proxy`.
pub type SharedCarrier = Option<Arc<Carrier>>;

/// Starts the proxy of a node, with the sockets that came where it `takes_over`. Nobody is served before
/// [`Carrier::serve`].
///
/// # Errors
/// When a listener cannot be had.
pub(super) fn start(
    node: &Node,
    plan: &Arc<Plan>,
    orders: BackendOrders,
    clock: &Arc<dyn Clock>,
    sessions: &Arc<SharedSessions>,
    (came, takes_over): (&mut Bag, bool),
) -> Result<SharedCarrier, RunError> {
    if !node.proxies_traffic {
        return Ok(None);
    }
    let mut seed = [0; 8];
    limits::random(&mut seed);
    let over = orders.over(plan);
    let share = node.fleet.as_ref().map(|_| sessions.clone().share());
    let mut inherited = |place: &sockets::Place| came.take(&label(place));
    let seed = u64::from_ne_bytes(seed);
    let tracing = telemetry::tracing(node);
    let spans = tracing.as_ref().map(|t| t.spans.clone());
    let beside = Beside {
        before: takes_over,
        datagrams: node.dns_listen.clone(),
    };
    let proxy = Proxy::start(
        over.clone(),
        clock,
        seed,
        share,
        tracing,
        &mut inherited,
        beside,
    )
    .map_err(|e| RunError::Other(why_not(&e, Some(node))))?;
    proxy.inherit_maps(came.take_named(Kind::KernelMap));
    proxy.remember(&kept::take(came));
    let probes = Probes::new(descriptors::for_probes(descriptors::raise()));
    probes.follow(&over);
    let base = plan.clone();
    Ok(Some(Arc::new(Carrier {
        proxy,
        laid: Mutex::new(Laid { base, orders }),
        probes,
        spans,
    })))
}

/// What the socket of a place is called between processes.
pub(super) fn label(place: &sockets::Place) -> Label {
    Label {
        kind: match place.is_datagram {
            true => Kind::ProxyDatagram,
            false => Kind::ProxyStream,
        },
        configured: place.address,
        name: place.listener.clone(),
    }
}

/// Of [`label`].
pub(super) fn place(label: &Label) -> sockets::Place {
    sockets::Place {
        listener: label.name.clone(),
        address: label.configured,
        is_datagram: label.kind.is_datagram(),
    }
}

impl Carrier {
    /// Takes what comes in from now on.
    pub fn serve(&self) {
        self.proxy.serve();
    }

    /// Adds further descriptors of its sockets to `bag`.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn copy_sockets(&self, bag: &mut Bag) -> std::io::Result<()> {
        for (place, socket) in self.proxy.sockets()? {
            bag.put(label(&place), socket);
        }
        for (name, map) in self.proxy.maps()? {
            let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
            let label = Label {
                name,
                ..Label::new(Kind::KernelMap, nowhere)
            };
            bag.put(label, map);
        }
        let (name, secret) = self.proxy.secret();
        kept::put(bag, name, &secret)?;
        self.copy_remembered(bag)
    }

    /// Adds what it remembers of clients to `bag`.
    ///
    /// # Errors
    /// When the system has no descriptor or no memory left.
    pub fn copy_remembered(&self, bag: &mut Bag) -> std::io::Result<()> {
        for (name, octets) in self.proxy.remembered() {
            kept::put(bag, name, &octets)?;
        }
        Ok(())
    }

    /// How long connections may take to end.
    pub fn drain_timeout(&self) -> Duration {
        self.proxy.tier().plan.node.drain_timeout
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        let open = self.proxy.open();
        open.iter().map(|(_, _, open)| u64::from(*open)).sum()
    }

    /// Works by another plan from the next request on.
    ///
    /// # Errors
    /// When a new listener or its TLS cannot be had; then nothing changes.
    pub fn adopt(&self, plan: &Arc<Plan>) -> Result<(), AdoptError> {
        let mut laid = self.laid();
        let over = laid.orders.over(plan);
        self.proxy.adopt(&over)?;
        laid.base = plan.clone();
        self.probes.follow(&over);
        Ok(())
    }

    /// Takes an order about a backend; in force when this returns. Gives all that stand now.
    ///
    /// # Errors
    /// Says why not; nothing is changed then.
    pub fn order(&self, place: &Place, wish: &Given<Wish>) -> Result<BackendOrders, Refused> {
        let mut laid = self.laid();
        let mut orders = laid.orders.clone();
        orders.give(place, wish, &laid.base)?;
        let over = orders.over(&laid.base);
        let adopted = self.proxy.adopt(&over);
        adopted.map_err(|e| Refused::Conflict(e.to_string()))?;
        self.probes.follow(&over);
        laid.orders = orders.clone();
        Ok(orders)
    }

    /// The orders that stand.
    pub fn orders(&self) -> BackendOrders {
        self.laid().orders.clone()
    }

    /// Its requests' spans that wait to be exported; `None`: they are not traced.
    pub fn spans(&self) -> Option<&Arc<Spans>> {
        self.spans.as_ref()
    }

    /// Its probes of backends.
    pub fn probes(&self) -> &Probes {
        &self.probes
    }

    fn laid(&self) -> MutexGuard<'_, Laid> {
        // Each step leaves it whole.
        self.laid.lock().unwrap_or_else(PoisonError::into_inner)
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
