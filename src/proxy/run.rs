//! The proxy of a node: its threads, its listeners, and what it is told while it runs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashSet;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle as Task, LocalSet, spawn_local};

use crate::limit::Secret;
use crate::time::{Clock, Moment};
use crate::traffic::Plan;

use super::chooser::Share;
use super::connection::{self, Intake};
use super::dial;
use super::sockets::{self, Beside, BindError, Inherited, Listening, Place, Wanted};
use super::stats::WorkerStats;
use super::tier::{Registry, Tier};
use super::tls::Vault;
use super::trace::Tracing;
use super::udp;
use super::worker::Worker;
use super::xdp::{Forwarder, Status, XdpError};

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
    /// The kernel does not forward its packets.
    #[error(transparent)]
    Xdp(#[from] XdpError),
    /// The system gives no threads for it.
    #[error("the threads of the proxy cannot be started: {0}")]
    Threads(#[from] io::Error),
}

/// What a worker is told.
enum Order {
    /// Take what comes in on this socket.
    Listen(Box<Listen>),
    /// Accept there no longer.
    Leave(Place),
    /// End connections as they become idle; or no longer.
    Drain(bool),
    /// Take nothing new; end connections with their next answer.
    Retire,
    /// Give the sessions of datagrams away, so many of each socket at most.
    HandOver(usize, UnboundedSender<udp::Batch>),
}

/// A socket to listen on.
struct Listen {
    place: Place,
    /// Which of the sockets of the place it is.
    nth: usize,
    socket: Listening,
    open: Arc<AtomicU32>,
    /// Sessions of the process before.
    sessions: Vec<udp::Handed>,
}

/// What a worker listens on.
struct Listener {
    place: Place,
    nth: usize,
    task: Task<()>,
    /// Of datagrams.
    asks: Option<UnboundedSender<udp::Asked>>,
}

/// One address that is listened on.
struct Bound {
    place: Place,
    address: SocketAddr,
    open: Arc<AtomicU32>,
    /// For the process that comes after this one.
    sockets: Vec<OwnedFd>,
}

impl Bound {
    /// Whether a place can have its sockets: its listener is not `wanted` by its name any more. What waits in
    /// them is lost to nobody so.
    fn would_serve(&self, place: &Place, wanted: &[Place]) -> bool {
        self.address == place.address
            && self.place.is_datagram == place.is_datagram
            && !wanted.contains(&self.place)
    }

    fn copies(&self) -> io::Result<Vec<OwnedFd>> {
        self.sockets.iter().map(OwnedFd::try_clone).collect()
    }
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
    /// Ports that it listened on, and whether for datagrams: a worker may have them a little longer.
    had: HashSet<(u16, bool)>,
    /// Sockets that wait for [`Proxy::serve`], each with the number of its worker.
    waiting: Option<Vec<(usize, Order)>>,
    /// `None` while no listener's packets are forwarded in the kernel.
    xdp: Option<Forwarder>,
}

/// A proxy that runs. Dropping it ends its threads, and with them what is under way.
pub struct Proxy {
    tier: Arc<ArcSwap<Tier>>,
    clock: Arc<dyn Clock>,
    hands: Vec<Hand>,
    beside: Beside,
    inner: Mutex<Inner>,
}

impl Proxy {
    /// Binds all listeners of `plan` and starts the workers. `seed` is a random word; `share` makes the
    /// tables of sessions that are to be shared with other nodes; `tracing` says which requests are traced,
    /// if any are. Sockets that are inherited are taken rather than bound; `beside` are those of others.
    /// Nobody is served before [`Proxy::serve`].
    ///
    /// # Errors
    /// The first listener that cannot be had, or threads that cannot be started.
    pub fn start(
        plan: Arc<Plan>,
        clock: &Arc<dyn Clock>,
        seed: u64,
        share: Option<Box<Share>>,
        tracing: Option<Tracing>,
        inherited: &mut Inherited<'_>,
        beside: Beside,
    ) -> Result<Proxy, AdoptError> {
        let workers = plan.node.workers.max(1);
        // Before the first socket there is nobody to serve.
        let tier = Arc::new(ArcSwap::from_pointee(Tier::default()));
        let mut hands = Vec::new();
        for number in 0..workers {
            let stats = Arc::new(WorkerStats::default());
            let (orders, told) = unbounded_channel();
            let (tier, clock, own) = (tier.clone(), clock.clone(), stats.clone());
            let tracing = tracing.clone();
            // Workers must not draw alike.
            let seed = seed ^ u64::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let thread = std::thread::Builder::new()
                .name(format!("proxy-{number}"))
                .spawn(move || {
                    let worker = Worker::new(tier, clock, own, number as usize, seed);
                    worker.trace_by(tracing);
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
            beside,
            inner: Mutex::new(Inner {
                registry,
                vault: Vault::new(clock.clone()),
                bound: Vec::new(),
                had: HashSet::new(),
                waiting: Some(Vec::new()),
                xdp: None,
            }),
        };
        proxy.listen(&plan, inherited, proxy.beside.before)?;
        Ok(proxy)
    }

    /// Takes what comes in from now on.
    pub fn serve(&self) {
        self.serve_after(udp::Inheritance::default());
    }

    /// Takes connections that come in from now on, and packets that the kernel forwards; datagrams wait in
    /// their sockets.
    pub fn serve_connections(&self) {
        let mut inner = self.inner();
        if let Some(xdp) = &inner.xdp {
            xdp.take_over();
        }
        let Some(waiting) = &mut inner.waiting else {
            return;
        };
        let is_stream = |(_, order): &mut (usize, Order)| !matches!(order, Order::Listen(l) if l.place.is_datagram);
        let streams: Vec<_> = waiting.extract_if(.., is_stream).collect();
        drop(inner);
        self.send(streams);
    }

    /// Takes whatever comes in from now on, and goes on with the sessions of the process before.
    pub fn serve_after(&self, mut came: udp::Inheritance) {
        self.serve_connections();
        let mut inner = self.inner();
        let Some(mut waiting) = inner.waiting.take() else {
            return;
        };
        drop(inner);
        udp::remember(&self.tier(), &came.ids, self.clock.now());
        for (_, order) in &mut waiting {
            if let Order::Listen(listen) = order {
                listen.sessions = came.take(&listen.place, listen.nth);
            }
        }
        self.send(waiting);
        let nobodys: usize = came.batches.iter().map(|b| b.sessions.len()).sum();
        if nobodys > 0 {
            tracing::info!(
                sessions = nobodys,
                "no listener goes on with these sessions of datagrams of the process before"
            );
        }
    }

    fn send(&self, orders: Vec<(usize, Order)>) {
        for (number, order) in orders {
            let _ = self.hands[number].orders.send(order);
        }
    }

    /// Gives away the sessions of datagrams, `most` of each socket at most: to be called once the proxy is
    /// [retired](Proxy::retire). All have come when the channel ends.
    pub fn hand_over(&self, most: usize) -> UnboundedReceiver<udp::Batch> {
        let (to, batches) = unbounded_channel();
        for hand in &self.hands {
            let _ = hand.orders.send(Order::HandOver(most, to.clone()));
        }
        batches
    }

    /// So many sessions of a listener could not be given away.
    pub fn count_lost(&self, listener: &str, sessions: usize) {
        let tier = self.tier();
        let state = tier.listener(listener).and_then(|(at, _)| tier.udp.get(at));
        if let Some(Some(state)) = state {
            state.lose(sessions);
        }
    }

    /// QUIC connection ids that the listeners have learned, `most` of each at most.
    pub fn learned(&self, most: usize) -> Vec<udp::HandedIds> {
        udp::learned(&self.tier(), most, self.clock.now())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Further descriptors of its sockets, for the process that comes after this one.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn sockets(&self) -> io::Result<Vec<(Place, OwnedFd)>> {
        let inner = self.inner();
        let all = inner.bound.iter();
        let all = all.flat_map(|b| b.sockets.iter().map(|s| (b.place.clone(), s)));
        let copies = all.map(|(place, s)| Ok((place, s.try_clone()?)));
        let mut copies = copies.collect::<io::Result<Vec<_>>>()?;
        if let Some(xdp) = &inner.xdp {
            copies.extend(xdp.links()?);
        }
        Ok(copies)
    }

    /// Further descriptors of the kernel's maps that the process that comes after this one goes on from,
    /// with their names.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn maps(&self) -> io::Result<Vec<(Box<str>, OwnedFd)>> {
        let inner = self.inner();
        let maps = inner.xdp.as_ref().map(Forwarder::maps).transpose()?;
        Ok(maps.unwrap_or_default())
    }

    /// Goes on from the kernel's maps of the process before; to be called before it serves.
    pub fn inherit_maps(&self, maps: Vec<(Box<str>, OwnedFd)>) {
        if let Some(xdp) = self.inner().xdp.as_ref().filter(|_| !maps.is_empty()) {
            xdp.inherit(maps);
        }
    }

    /// The secret with which this process names backends in cookies.
    pub(super) fn own_secret(&self) -> Secret {
        self.inner().registry.choosers.own()
    }

    /// Another one; heeded as long as nobody is served.
    pub(super) fn set_own_secret(&self, secret: Secret) {
        let mut inner = self.inner();
        if inner.waiting.is_none() {
            return;
        }
        inner.registry.choosers.set_own(secret);
        drop(inner);
        let plan = self.tier().plan.clone();
        if let Err(error) = self.adopt(&plan) {
            tracing::warn!(%error, "clients' cookies of the process before bind them anew");
        }
    }

    /// Another process takes what comes in: connections that stand are served on, and end with their
    /// next answer.
    pub fn retire(&self) {
        let mut inner = self.inner();
        // The kernel's half belongs to the other process already.
        inner.xdp = None;
        inner.bound.iter_mut().for_each(|b| b.sockets.clear());
        for hand in &self.hands {
            let _ = hand.orders.send(Order::Retire);
        }
    }

    /// Works by another plan from the next request on. Connections live on; listeners that stay keep
    /// their sockets. When a new listener cannot be had, the old plan goes on.
    ///
    /// # Errors
    /// The first listener, or the first TLS file, that cannot be had.
    pub fn adopt(&self, plan: &Arc<Plan>) -> Result<(), AdoptError> {
        self.listen(plan, &mut sockets::nothing, false)
    }

    /// `before`: there is a process before, which has its sockets still.
    fn listen(
        &self,
        plan: &Arc<Plan>,
        inherited: &mut Inherited<'_>,
        before: bool,
    ) -> Result<(), AdoptError> {
        let mut inner = self.inner();
        let wanted: Vec<Place> = plan
            .listeners
            .iter()
            .filter(|l| l.xdp.is_none())
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
                let how = Wanted {
                    workers: self.hands.len(),
                    moves: plan.node.vips.contains(&place.address.ip()),
                    alone: !before && !self.has_port(&inner, place),
                };
                let mut ours = |place: &Place| {
                    let same = inner.bound.iter().find(|b| b.would_serve(place, &wanted));
                    let copies = same.and_then(|b| b.copies().ok()).unwrap_or_default();
                    match copies.is_empty() {
                        true => inherited(place),
                        false => copies,
                    }
                };
                let sockets = sockets::open(place, &how, &mut ours)?;
                fresh.push((place.clone(), sockets));
            }
        }
        let prepared = inner.vault.prepare(plan).map_err(AdoptError::Tls)?;
        match &inner.xdp {
            Some(xdp) => xdp.prepare(plan)?,
            None => inner.xdp = Forwarder::start(plan, &self.clock, inherited)?,
        }
        let doors = inner.vault.adopt(plan, prepared).map_err(AdoptError::Tls)?;
        let tier = inner
            .registry
            .resolve(plan.clone(), doors, self.clock.now());
        dial::check(plan);
        let tier = Arc::new(tier);
        self.tier.store(tier.clone());
        if let Some(xdp) = &inner.xdp {
            xdp.follow(&tier);
        }
        if plan.listeners.iter().all(|l| l.xdp.is_none()) {
            inner.xdp = None;
        }
        for (place, sockets) in fresh {
            let address = sockets.first().and_then(|s| s.local_addr().ok());
            let open = Arc::new(AtomicU32::new(0));
            let copies: io::Result<Vec<OwnedFd>> = sockets.iter().map(Listening::copy).collect();
            if let Err(error) = &copies {
                let name = &place.listener;
                tracing::error!(listener = %name, %error, "it cannot be passed to a new process");
            }
            // There may be more sockets than workers.
            let numbers = (0..self.hands.len()).cycle();
            for (nth, (number, socket)) in numbers.zip(sockets).enumerate() {
                let order = Order::Listen(Box::new(Listen {
                    place: place.clone(),
                    nth,
                    socket,
                    open: open.clone(),
                    sessions: Vec::new(),
                }));
                match &mut inner.waiting {
                    Some(waiting) => waiting.push((number, order)),
                    None => drop(self.hands[number].orders.send(order)),
                }
            }
            inner.bound.push(Bound {
                address: address.unwrap_or(place.address),
                place,
                open,
                sockets: copies.unwrap_or_default(),
            });
        }
        let (stay, leave) = std::mem::take(&mut inner.bound)
            .into_iter()
            .partition(|b| wanted.contains(&b.place));
        inner.bound = stay;
        for bound in leave {
            let port = (bound.address.port(), bound.place.is_datagram);
            inner.had.insert(port);
            let leaves = |o: &Order| matches!(o, Order::Listen(l) if l.place == bound.place);
            inner
                .waiting
                .iter_mut()
                .for_each(|w| w.retain(|(_, o)| !leaves(o)));
            for hand in &self.hands {
                let _ = hand.orders.send(Order::Leave(bound.place.clone()));
            }
        }
        Ok(())
    }

    /// Whether a socket of this process has the port of a place, at whatever address, or may have it still.
    fn has_port(&self, inner: &Inner, place: &Place) -> bool {
        let wanted = place.address;
        let same = |at: &SocketAddr| at.port() == wanted.port() && at.is_ipv4() == wanted.is_ipv4();
        let mut own = inner.bound.iter();
        own.any(|b| b.place.is_datagram == place.is_datagram && same(&b.address))
            || inner.had.contains(&(wanted.port(), place.is_datagram))
            || place.is_datagram && self.beside.datagrams.iter().any(same)
    }

    /// Where it listens: names of listeners with their addresses.
    pub fn addresses(&self) -> Vec<(Box<str>, SocketAddr)> {
        let inner = self.inner();
        let bound = inner.bound.iter();
        let mut all: Vec<_> = bound
            .map(|b| (b.place.listener.clone(), b.address))
            .collect();
        // No socket is behind these.
        let tier = self.tier();
        let in_kernel = tier.plan.listeners.iter().filter(|l| l.xdp.is_some());
        all.extend(in_kernel.flat_map(|l| l.bind.iter().map(|a| (l.name.clone(), *a))));
        all
    }

    /// How packets are forwarded in the kernel; `None` where no listener's are.
    pub fn xdp(&self) -> Option<Status> {
        let inner = self.inner();
        let status = inner.xdp.as_ref()?.status();
        status
            .inspect_err(|error| tracing::warn!(%error, "the kernel does not say what it forwards"))
            .ok()
    }

    /// Open connections of each listener's address; `None`: of those that other listeners handed over to
    /// it.
    pub fn open(&self) -> Vec<(Box<str>, Option<SocketAddr>, u32)> {
        use std::sync::atomic::Ordering::Relaxed;
        let inner = self.inner();
        let bound = inner.bound.iter();
        let bound = bound.map(|b| {
            let address = Some(b.address);
            (b.place.listener.clone(), address, b.open.load(Relaxed))
        });
        let tier = self.tier.load();
        let handed = tier.plan.listeners.iter().zip(&tier.handed);
        let targets = tier.plan.handed_to();
        let handed = handed.zip(targets).filter(|(_, is_target)| *is_target);
        bound
            .chain(handed.map(|((l, open), _)| (l.name.clone(), None, open.load(Relaxed))))
            .collect()
    }

    /// Takes up TLS files that have changed. Reads files: not for a thread that serves.
    pub fn look_at_files(&self) {
        let (listeners, upstreams) = {
            let inner = self.inner();
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
        let inner = self.inner();
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
            pool.glances.refill(tier.plan.node.clients.looks());
            if !pool.shared.is_empty() {
                let known: HashSet<u64> = tier.servers().map(|s| s.id).collect();
                pool.shared.sweep(|server| !known.contains(&server));
            }
            // Who waits for a server that an operator took out learns of it.
            let cuts: u64 = tier.servers().map(|s| s.cuts()).sum();
            if std::mem::replace(&mut cut, cuts) != cuts {
                pool.watches.wake_all();
            }
            pool.set_wall();
        }
    });
    let mut accepting: Vec<Listener> = Vec::new();
    while let Some(order) = told.recv().await {
        match order {
            Order::Listen(listen) => {
                let name = listen.place.listener.clone();
                match begin(&worker, *listen) {
                    Ok(listener) => accepting.push(listener),
                    Err(error) => {
                        tracing::error!(listener = %name, %error, "cannot take what comes in");
                    }
                }
            }
            Order::Leave(place) => accepting.retain(|listener| {
                if listener.place == place {
                    listener.task.abort();
                }
                listener.place != place
            }),
            Order::Drain(draining) => worker.set_draining(draining),
            Order::Retire => {
                worker.retire();
                // Those of datagrams go on for what backends still answer.
                accepting.retain(|listener| {
                    if !listener.place.is_datagram {
                        listener.task.abort();
                    }
                    listener.place.is_datagram
                });
            }
            Order::HandOver(most, to) => {
                for listener in &accepting {
                    let asked = udp::Asked {
                        place: listener.place.clone(),
                        nth: listener.nth,
                        most,
                        to: to.clone(),
                    };
                    // One that has ended has no sessions.
                    listener.asks.as_ref().map(|asks| asks.send(asked));
                }
            }
        }
    }
    sweeper.abort();
}

/// Takes what comes in on a socket.
fn begin(worker: &Rc<Worker>, listen: Listen) -> io::Result<Listener> {
    let name: Rc<str> = (*listen.place.listener).into();
    let (worker, open) = (worker.clone(), listen.open);
    let (task, asks) = match listen.socket {
        Listening::Stream(socket) => {
            let socket = tokio::net::TcpListener::from_std(socket)?;
            (spawn_local(accept(worker, name, socket, open)), None)
        }
        Listening::Datagram(socket) => {
            let (asks, asked) = unbounded_channel();
            let served = udp::Served {
                socket: tokio::net::UdpSocket::from_std(socket)?,
                open,
                sessions: listen.sessions,
                asked,
            };
            (spawn_local(udp::serve(worker, name, served)), Some(asks))
        }
    };
    Ok(Listener {
        place: listen.place,
        nth: listen.nth,
        task,
        asks,
    })
}

async fn accept(
    worker: Rc<Worker>,
    name: Rc<str>,
    listener: tokio::net::TcpListener,
    open: Arc<AtomicU32>,
) {
    let intake = Intake {
        bound: listener.local_addr().ok(),
        listener: name,
        open,
    };
    // Connections come in where the listener is bound, so that only those of a wildcard must be asked.
    let local = intake.bound.filter(|at| !at.ip().is_unspecified());
    loop {
        match listener.accept().await {
            Ok((tcp, source)) => {
                if let Some(local) = local.or_else(|| tcp.local_addr().ok()) {
                    connection::begin(&worker, &intake, tcp, source, local);
                }
            }
            Err(error) => {
                // Out of file descriptors, as a rule: those who wait stay in the queue.
                if worker.may_warn() {
                    tracing::warn!(listener = %intake.listener, %error, "cannot accept a connection");
                }
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}
