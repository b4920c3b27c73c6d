//! The proxy of a node: its threads, its listeners, and what it is told while it runs.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashSet;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle as Task, LocalSet, spawn_local};

use crate::time::{Clock, Moment};
use crate::traffic::Plan;

use super::chooser::Share;
use super::connection;
use super::dial;
use super::sockets::{self, BindError, Listening, Place};
use super::stats::WorkerStats;
use super::tier::{Registry, Tier};
use super::tls::Vault;
use super::udp;
use super::worker::Worker;

/// Pause after the system refused to accept.
const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// How often idle connections to backends are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Why a plan cannot be adopted.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// A listener cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Its TLS cannot be had.
    #[error("{0}")]
    Tls(String),
}

/// What a worker is told.
enum Order {
    /// Take what comes in on this socket.
    Listen(Place, Listening, Arc<AtomicU32>),
    /// Accept there no longer.
    Leave(Place),
    /// End connections as they become idle; or no longer.
    Drain(bool),
}

/// One address that is listened on.
struct Bound {
    place: Place,
    address: SocketAddr,
    open: Arc<AtomicU32>,
}

struct Hand {
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
    stats: Arc<WorkerStats>,
}

/// What is changed by one at a time.
struct Inner {
    registry: Registry,
    vault: Vault,
    bound: Vec<Bound>,
}

/// A proxy that runs. Dropping it ends its threads, and with them what is under way.
pub struct Proxy {
    tier: Arc<ArcSwap<Tier>>,
    clock: Arc<dyn Clock>,
    hands: Vec<Hand>,
    inner: Mutex<Inner>,
}

impl Proxy {
    /// Binds all listeners of `plan` and starts the workers. `seed` is a random word; `share` makes the
    /// tables of sessions that are to be shared with other nodes.
    ///
    /// # Errors
    /// The first listener that cannot be had, or threads that cannot be started.
    pub fn start(
        plan: Arc<Plan>,
        clock: &Arc<dyn Clock>,
        seed: u64,
        share: Option<Box<Share>>,
    ) -> io::Result<Proxy> {
        let workers = plan.node.workers.max(1);
        // Before the first socket there is nobody to serve.
        let tier = Arc::new(ArcSwap::from_pointee(Tier::default()));
        let mut hands = Vec::new();
        for number in 0..workers {
            let stats = Arc::new(WorkerStats::default());
            let (orders, told) = unbounded_channel();
            let (tier, clock, own) = (tier.clone(), clock.clone(), stats.clone());
            // Workers must not draw alike.
            let seed = seed ^ u64::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let thread = std::thread::Builder::new()
                .name(format!("proxy-{number}"))
                .spawn(move || {
                    let worker = Worker::new(tier, clock, own, number as usize, seed);
                    LocalSet::new().block_on(&runtime, work(worker, told));
                })?;
            hands.push(Hand {
                orders,
                thread: Some(thread),
                stats,
            });
        }
        let mut registry = Registry::new(seed);
        if let Some(share) = share {
            registry.choosers.share(share);
        }
        let proxy = Proxy {
            tier,
            clock: clock.clone(),
            hands,
            inner: Mutex::new(Inner {
                registry,
                vault: Vault::new(clock.clone()),
                bound: Vec::new(),
            }),
        };
        proxy.listen(&plan).map_err(io::Error::other)?;
        Ok(proxy)
    }

    /// Works by another plan from the next request on. Connections live on; listeners that stay keep
    /// their sockets. When a new listener cannot be had, the old plan goes on.
    ///
    /// # Errors
    /// The first listener, or the first TLS file, that cannot be had.
    pub fn adopt(&self, plan: &Arc<Plan>) -> Result<(), AdoptError> {
        self.listen(plan)
    }

    fn listen(&self, plan: &Arc<Plan>) -> Result<(), AdoptError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: Vec<Place> = plan
            .listeners
            .iter()
            .flat_map(|l| {
                l.bind.iter().map(|address| Place {
                    listener: l.name.clone(),
                    address: *address,
                    is_datagram: l.protocol.is_datagram(),
                })
            })
            .collect();
        // All new sockets first: a port that is taken changes nothing.
        let mut fresh = Vec::new();
        for place in &wanted {
            if !inner.bound.iter().any(|b| b.place == *place) {
                let moves = plan.node.vips.contains(&place.address.ip());
                fresh.push((
                    place.clone(),
                    sockets::open(place, self.hands.len(), moves)?,
                ));
            }
        }
        let prepared = inner.vault.prepare(plan).map_err(AdoptError::Tls)?;
        let doors = inner.vault.adopt(plan, prepared).map_err(AdoptError::Tls)?;
        let tier = inner
            .registry
            .resolve(plan.clone(), doors, self.clock.now());
        dial::check(plan);
        self.tier.store(Arc::new(tier));
        for (place, sockets) in fresh {
            let address = sockets.first().and_then(|s| s.local_addr().ok());
            let open = Arc::new(AtomicU32::new(0));
            for (hand, socket) in self.hands.iter().zip(sockets) {
                let order = Order::Listen(place.clone(), socket, open.clone());
                let _ = hand.orders.send(order);
            }
            inner.bound.push(Bound {
                address: address.unwrap_or(place.address),
                place,
                open,
            });
        }
        let (stay, leave) = std::mem::take(&mut inner.bound)
            .into_iter()
            .partition(|b| wanted.contains(&b.place));
        inner.bound = stay;
        for bound in leave {
            for hand in &self.hands {
                let _ = hand.orders.send(Order::Leave(bound.place.clone()));
            }
        }
        Ok(())
    }

    /// Where it listens: names of listeners with their addresses.
    pub fn addresses(&self) -> Vec<(Box<str>, SocketAddr)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = inner.bound.iter();
        bound
            .map(|b| (b.place.listener.clone(), b.address))
            .collect()
    }

    /// Open connections of each listener's address.
    pub fn open(&self) -> Vec<(Box<str>, SocketAddr, u32)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = inner.bound.iter();
        let open = |b: &Bound| b.open.load(std::sync::atomic::Ordering::Relaxed);
        bound
            .map(|b| (b.place.listener.clone(), b.address, open(b)))
            .collect()
    }

    /// Takes up TLS files that have changed. Reads files: not for a thread that serves.
    pub fn look_at_files(&self) {
        let (listeners, upstreams) = {
            let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.vault.all()
        };
        listeners.iter().for_each(|l| l.look());
        upstreams.iter().for_each(|u| u.look());
    }

    /// The time.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The tier in force.
    pub fn tier(&self) -> Arc<Tier> {
        self.tier.load_full()
    }

    /// What each worker counts.
    pub fn stats(&self) -> impl Iterator<Item = &Arc<WorkerStats>> {
        self.hands.iter().map(|h| &h.stats)
    }

    /// Lines of access logs that were lost.
    pub fn lost_lines(&self) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.registry.logs.dropped()
    }

    /// Connections end as they become idle, and answers say so; or no longer. Listeners stay open, so
    /// that nobody is refused who still comes.
    pub fn drain(&self, draining: bool) {
        for hand in &self.hands {
            let _ = hand.orders.send(Order::Drain(draining));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let threads: Vec<_> = self
            .hands
            .drain(..)
            .filter_map(|mut hand| hand.thread.take())
            .collect();
        // Without their orders the workers end.
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// What a worker thread does, until nobody can tell it anything any more.
async fn work(worker: Rc<Worker>, mut told: UnboundedReceiver<Order>) {
    spawn_local(worker.watches.clone().run());
    let pool = worker.clone();
    let sweeper = spawn_local(async move {
        let mut sweeps = tokio::time::interval(SWEEP);
        let mut cut = 0;
        loop {
            sweeps.tick().await;
            pool.pool.sweep(pool.watches.coarse());
            let tier = pool.tier();
            if !pool.shared.is_empty() {
                let known: HashSet<u64> = tier.servers().map(|s| s.id).collect();
                pool.shared.sweep(|server| !known.contains(&server));
            }
            // Who waits for a server that an operator took out learns of it.
            let now_cut = tier
                .servers()
                .filter(|s| s.is_cut())
                .fold(0, |all, s| all ^ (s.id << 1 | 1));
            if std::mem::replace(&mut cut, now_cut) != now_cut {
                pool.watches.wake_all();
            }
            pool.set_wall();
        }
    });
    let mut accepting: Vec<(Place, Task<()>)> = Vec::new();
    while let Some(order) = told.recv().await {
        match order {
            Order::Listen(place, socket, open) => {
                let name: Rc<str> = (*place.listener).into();
                let task = match socket {
                    Listening::Stream(socket) => tokio::net::TcpListener::from_std(socket)
                        .map(|l| spawn_local(accept(worker.clone(), name.clone(), l, open))),
                    Listening::Datagram(socket) => tokio::net::UdpSocket::from_std(socket)
                        .map(|s| spawn_local(udp::serve(worker.clone(), name.clone(), s, open))),
                };
                match task {
                    Ok(task) => accepting.push((place, task)),
                    Err(error) => {
                        tracing::error!(listener = %name, %error, "cannot take what comes in");
                    }
                }
            }
            Order::Leave(place) => accepting.retain(|(at, task)| {
                if *at == place {
                    task.abort();
                }
                *at != place
            }),
            Order::Drain(draining) => worker.set_draining(draining),
        }
    }
    sweeper.abort();
}

async fn accept(
    worker: Rc<Worker>,
    name: Rc<str>,
    listener: tokio::net::TcpListener,
    open: Arc<AtomicU32>,
) {
    loop {
        match listener.accept().await {
            Ok((tcp, source)) => {
                connection::begin(&worker, &name, &open, tcp, source);
            }
            Err(error) => {
                // Out of file descriptors, as a rule: those who wait stay in the queue.
                if worker.may_warn() {
                    tracing::warn!(listener = %name, %error, "cannot accept a connection");
                }
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}
