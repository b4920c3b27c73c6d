//! Start to end of a node: load, bind, probe a first round, serve, reload, stop.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::admin;
use crate::compile::{Compiled, Node};
use crate::config::load::kept;
use crate::config::spec::Role;
use crate::config::{ConfigDigest, Effective, Report};
use crate::fleet::identity::Material;
use crate::probe;
use crate::server::hall::{Service, TcpLimits};
use crate::server::proxied::Proxies;
use crate::server::tap::Taps;
use crate::server::tcp::Speech;
use crate::server::{self, notify, tcp, udp};
use crate::telemetry::stats::EncryptedConnections;
use crate::telemetry::{DnsCounters, OrderGauges, ProbeStats, Stats};
use crate::time::Clock;
use crate::units::Generation;

use super::admin::{Entrance, Files, Making};
use super::backends::{self, BackendBook};
use super::certificates::{Certificate, Certificates};
use super::chronicle;
use super::clock::RealClock;
use super::console;
use super::control::{Controller, Ordered};
use super::descriptors;
use super::drills;
use super::fleet::{self, FleetDesk, Joined, SharedSessions};
use super::fleetwide;
use super::flows;
use super::judge_loop::{JudgeLoop, Kept, Order};
use super::keeper::{Keeper, SharedLock};
use super::listeners::{self, EncryptedAddresses, QuicListeners};
use super::load::{Loaded, Wanted, load_all, log};
use super::orders::{Book, Desk, Tools};
use super::plan::Planner;
use super::presign::PresignThread;
use super::proxy;
use super::proxy_tls;
use super::readiness::Readiness;
use super::store::{self, Store, Stored, Verdicts};
use super::takeover::durable::Durable;
use super::takeover::host;
use super::takeover::leave::Leave;
use super::takeover::new::{self, Arrival};
use super::takeover::old::{self, Call, Gifts};
use super::takeover::program::Program;
use super::takeover::{Kind, Label, Sockets, supervisor};
use super::telemetry;
use crate::admin::Control as _;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Configuration, node and ports.
    pub wanted: Wanted,
    /// Listeners whose address this machine does not have (say, no IPv6) are left out with a
    /// warning instead of ending the start.
    pub skip_missing_addresses: bool,
    /// Take over from the running process of the same node.
    pub takeover: bool,
}

/// What is up, told once DNS is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The node.
    pub node: String,
    /// DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Encrypted DNS.
    pub encrypted: EncryptedAddresses,
    /// The proxy's listeners, by name.
    pub proxy: Vec<(Box<str>, SocketAddr)>,
    /// Admin API.
    pub admin: Option<SocketAddr>,
    /// Where other members of the fleet reach it, UDP.
    pub fleet: Option<SocketAddr>,
    /// The view in force.
    pub generation: Generation,
}

impl std::fmt::Display for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ready node={}", self.node)?;
        for (i, a) in self.dns.iter().enumerate() {
            write!(f, "{}{a}", if i > 0 { "," } else { " dns=" })?;
        }
        write!(f, "{}", self.encrypted)?;
        for (i, (name, a)) in self.proxy.iter().enumerate() {
            let before = if i == 0 { " proxy=" } else { "," };
            write!(f, "{before}{name}={a}")?;
        }
        if let Some(a) = self.admin {
            write!(f, " admin={a}")?;
        }
        if let Some(a) = self.fleet {
            write!(f, " fleet={a}")?;
        }
        write!(f, " generation={}", self.generation)
    }
}

/// Why a node could not start, or ended.
#[derive(Debug)]
pub enum RunError {
    /// The configuration is wrong.
    Config(Report),
    /// Something else: what, and what to do.
    Other(String),
}

/// What was read beside the configuration.
type Read = (
    Option<Certificate>,
    Option<Files>,
    Option<Material>,
    ConfigDigest,
    Arc<Effective>,
    kept::Files,
);

/// Runs a node until a signal or `stop` ends it. `ready` is called once DNS is served.
///
/// # Errors
/// When the configuration is wrong or a listener cannot be had.
pub fn run(options: Options, ready: impl FnOnce(&Ready)) -> Result<(), RunError> {
    let Loaded {
        mut compiled,
        certificate,
        admin,
        identity,
        warnings,
        digest,
        effective,
        files,
    } = load_all(&options.wanted).map_err(RunError::Config)?;
    let node = compiled
        .node
        .take()
        .ok_or_else(|| RunError::Other("no node given; say which with --node NAME".to_owned()))?;
    log(&warnings);
    // With the warnings go the texts they point into.
    drop(warnings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("tradewind-io")
        .enable_all()
        .build()
        .map_err(|e| RunError::Other(format!("cannot start the runtime: {e}")))?;
    let result = runtime.block_on(serve(
        options,
        node,
        compiled,
        (certificate, admin, identity, digest, effective, files),
        ready,
    ));
    // Probes in flight are not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn serve(
    options: Options,
    node: Node,
    compiled: Compiled,
    loaded: Read,
    ready: impl FnOnce(&Ready),
) -> Result<(), RunError> {
    // The old process is asked once the configuration is known to be right.
    let mut arrival = match options.takeover {
        true => new::ask(&node).await?,
        false => Arrival::default(),
    };
    let served = serve_after(&mut arrival, options, node, compiled, loaded, ready).await;
    if let Err(RunError::Other(why)) = &served {
        arrival.give_up(why).await;
    }
    served
}

async fn serve_after(
    arrival: &mut Arrival,
    options: Options,
    node: Node,
    compiled: Compiled,
    (certificate, admin_files, identity, digest, effective, files): Read,
    ready: impl FnOnce(&Ready),
) -> Result<(), RunError> {
    // As it is called now: later another file may have its name.
    let program = Program::of_this_process();
    let clock: Arc<dyn Clock> = Arc::new(RealClock::start());
    let (stop, stopped) = watch::channel(false);
    let (leave, left) = watch::channel(false);
    let mut sockets = Sockets {
        came: std::mem::take(&mut arrival.sockets),
        keeps: node.state_dir.is_some(),
        ..Sockets::default()
    };

    // Listeners first: a port that is taken must end the start before anything else runs.
    let skip = options.skip_missing_addresses;
    let (udp_sockets, tcp_listeners) = bind_dns(&node, skip, &mut sockets)?;
    let encrypted = listeners::bind(&node, skip, &mut sockets)?;
    let admin_listener = bind_admin(&node, &mut sockets)?;
    // From here on the old process goes on from memory.
    arrival.release().await?;

    // Keys are there before the first answer is.
    let key_troubles = Arc::new(AtomicU64::new(0));
    let lock = SharedLock::default();
    host::hold_state_dir(&node, &lock, arrival.began())?;
    let mut keeper =
        Keeper::new(node.state_dir.as_deref(), key_troubles.clone()).sharing(lock.clone());
    let now = clock.wall().unix(clock.now());
    let keys = keeper
        .adopt(&compiled.signed, &compiled.unsigned, now)
        .map_err(|e| RunError::Other(e.0))?;
    let keeper = Arc::new(Mutex::new(keeper));

    // The operators' orders are in force before the first answer is, too.
    let gauges = Arc::new(OrderGauges::default());
    let (order_store, mut stored, storing) = open_store(&node, &lock, &gauges)?;
    let now_ms = clock.wall().unix_ms(clock.now());
    let remembered = Verdicts::read(&stored.verdicts);
    let verdicts = Verdicts::with(&stored.verdicts);
    let traffic = &compiled.snapshot.traffic;
    let sessions = Arc::new(SharedSessions::default());
    let given = backends::read(&stored.backends);
    let came = (&mut sockets.came, arrival.began());
    let carrier = proxy::start(&node, traffic, given, &clock, &sessions, came)?;
    if let Some(carrier) = &carrier {
        if !arrival.is_takeover() {
            carrier.serve();
        }
        let watched = Arc::downgrade(carrier);
        tokio::spawn(proxy_tls::watch(watched, stopped.clone()));
    }
    let _backend_probes = carrier.as_ref().map(|c| c.probes().start(c, &clock));
    let drilled = std::mem::take(&mut stored.drills);
    let opened = chronicle::Opened::start(&node, &lock, &clock)
        .map_err(|e| RunError::Other(format!("cannot start the threads of the history: {e}")))?;
    let (history, chronicle) = (opened.running, opened.chronicle);
    chronicle.configured(&compiled.snapshot, chronicle::Kept::of(&digest, files));
    let book = Book::load(&node.name, stored, now_ms).telling(&chronicle);

    let (judge, wiring) = JudgeLoop::new(
        compiled.snapshot,
        keys,
        clock.clone(),
        node.first_round,
        Kept {
            standing: Arc::new(book.standing(now_ms)),
            remembered,
            generation: Generation(arrival.generation),
        },
    );
    let (orders, orders_rx) = mpsc::channel::<Order>(8);
    let (reports, reports_rx) = mpsc::channel(4096);
    let probe_stats: Arc<ProbeStats> = Arc::default();
    let prober = probe::spawn(
        wiring.plan.clone(),
        clock.clone(),
        reports,
        descriptors::for_probes(descriptors::raise()),
        probe_stats.clone(),
    );
    let judge = judge.telling(&chronicle);
    let judge_loop = tokio::spawn(judge.run(reports_rx, orders_rx));
    let certificates = certificate
        .filter(|_| encrypted.len() > 0)
        .map(|c| Certificates::new(c, clock.clone()));
    let joined = Joined::new(&node, identity, &clock, &stopped, &mut sockets)?;
    let joined = Arc::new(joined);
    let durable = Arc::new(Durable {
        state_dir: node.state_dir.clone(),
        lock: lock.clone(),
        keeper: keeper.clone(),
        storing,
        history,
        joined: joined.clone(),
        orders: orders.clone(),
        clock: clock.clone(),
        keeping: Mutex::default(),
    });
    durable.keep()?;
    tokio::spawn(chronicle::watch_members(
        joined.bus.clone(),
        chronicle.clone(),
        stopped.clone(),
    ));
    let desk = Arc::new(FleetDesk::new(&joined, clock.clone(), &node.name, &digest));
    tokio::spawn(fleet::listen(desk.clone(), orders.clone()));
    let no_verdict = match arrival.began() {
        true => fleet::NO_VERDICT_AFTER_TAKEOVER,
        false => fleet::NO_VERDICT,
    };
    tokio::spawn(fleet::speak(
        desk.clone(),
        orders.clone(),
        wiring.publisher.clone(),
        no_verdict,
    ));
    tokio::spawn(fleet::tell_served(
        desk.clone(),
        carrier.clone(),
        orders.clone(),
    ));
    tokio::spawn(fleet::share_paths(
        desk.clone(),
        carrier.clone(),
        wiring.publisher.clone(),
        orders.clone(),
    ));
    tokio::spawn(fleet::share_sessions(
        desk.clone(),
        sessions,
        wiring.publisher.clone(),
    ));
    tokio::spawn(fleet::remember(
        orders.clone(),
        (order_store.clone(), verdicts),
        clock.clone(),
    ));
    let tools = Tools {
        node: node.name.as_str().into(),
        peers: order_takers(&node),
        clock: clock.clone(),
        vouch: joined.vouch.clone(),
        bus: joined.bus.clone(),
        store: order_store.clone(),
        judge: orders.clone(),
        publisher: wiring.publisher.clone(),
        gauges: gauges.clone(),
    };
    let order_desk = Desk::new(tools, book);
    let backends = BackendBook::new(
        carrier.clone(),
        order_store,
        order_desk.clone(),
        &node.name,
        clock.clone(),
    );
    // A node that only probes or carries traffic may not speak of orders, and needs none.
    let takes_orders = !node.dns_listen.is_empty() || node.admin_listen.is_some();
    let order_task = takes_orders.then(|| tokio::spawn(order_desk.clone().run(stopped.clone())));
    let making = Making {
        node: &node,
        files: admin_files,
        desk: &order_desk,
        clock: &clock,
        chronicle: &chronicle,
        stopped: &stopped,
    };
    let entrance = Entrance::new(making).map_err(RunError::Other)?;
    let mut taps = Taps::default();
    let (flows, reading) = flows::start(
        &mut taps,
        &flows::Given {
            publisher: &wiring.publisher,
            clock: &clock,
            state_dir: node.state_dir.as_deref(),
            lock: &lock,
            stopped: &stopped,
        },
    );
    let beside = (&desk, &carrier, &flows);
    let drills = drills::start(&order_desk, beside, &chronicle, drilled, &stopped);
    let fleetwide = fleetwide::start(&fleetwide::Given {
        joined: &joined,
        fleet: &desk,
        orders: &order_desk,
        flows: &flows,
        publisher: &wiring.publisher,
        clock: &clock,
    });
    let query_log = telemetry::log_queries(&mut taps, &node, &clock, &stopped);
    let controller = Controller::new(Ordered {
        entrance: entrance.clone(),
        wanted: options.wanted.clone(),
        running: node.clone(),
        publisher: wiring.publisher.clone(),
        orders: orders.clone(),
        certificates: certificates.clone(),
        keeper,
        lock,
        fleet: desk,
        config: (digest.to_string(), effective),
        carrier: carrier.clone(),
        clock: clock.clone(),
        chronicle: chronicle.clone(),
    });

    // One set of counters per UDP worker, and one per listener of connections.
    let mut counters: Vec<Arc<DnsCounters>> = Vec::new();
    let tcp_connections = Arc::new(AtomicU64::new(0));
    let workers: Vec<(udp::Bound, Vec<Arc<DnsCounters>>)> = udp_sockets
        .into_iter()
        .map(|bound| {
            let own: Vec<_> = (0..bound.workers())
                .map(|_| Arc::new(DnsCounters::default()))
                .collect();
            counters.extend(own.iter().cloned());
            (bound, own)
        })
        .collect();
    let tcp_counters: Vec<Arc<DnsCounters>> = tcp_listeners
        .iter()
        .map(|_| Arc::new(DnsCounters::default()))
        .collect();
    counters.extend(tcp_counters.iter().cloned());
    let encrypted_counters: Vec<Arc<DnsCounters>> =
        (0..encrypted.len()).map(|_| Arc::default()).collect();
    counters.extend(encrypted_counters.iter().cloned());
    let notify_counters = Arc::new(DnsCounters::default());
    counters.push(notify_counters.clone());
    let encrypted_connections = EncryptedConnections::default();
    let not_after = certificates.as_ref().map(|c| c.not_after());
    let stats = Stats::new(counters, tcp_connections.clone())
        .with_encrypted(encrypted_connections.clone(), not_after)
        .with_key_troubles(key_troubles)
        .with_orders(gauges)
        .with_probes(probe_stats)
        .with_metrics(Some(durable.history.metrics()))
        .with_metrics(Some(flows.clone()))
        .with_metrics(Some(drills.clone()))
        .with_metrics(Some(entrance.gate()))
        .with_metrics(
            carrier
                .clone()
                .map(|c| c as Arc<dyn crate::telemetry::Metrics>),
        );
    let telling = telemetry::Given {
        node: &node,
        publisher: &wiring.publisher,
        controller: &controller,
        carrier: &carrier,
        clock: &clock,
        stopped: &stopped,
    };
    let stats = telemetry::complete(stats, query_log, &telling);

    // The API is up before DNS is, so that a long first round can be watched.
    let readiness = Readiness::new(carrier.clone(), backends.clone());
    let admin_addr = admin_listener.as_ref().and_then(|l| l.local_addr().ok());
    let mut alone = JoinSet::new();
    let serve_admin = admin_listener.map(|listener| {
        let state = admin::State {
            gate: entrance.gate(),
            publisher: wiring.publisher.clone(),
            stats: stats.clone(),
            clock: clock.clone(),
            control: controller.clone(),
            orders: order_desk,
            drills,
            caches: carrier
                .clone()
                .map(|c| c as Arc<dyn admin::caches::CacheDesk>),
            traffic: carrier
                .clone()
                .map(|c| c as Arc<dyn admin::traffic::TrafficDesk>),
            backends,
            plans: Planner::new(
                &options.wanted,
                &wiring.publisher,
                &clock,
                fleetwide.clone(),
            ),
            audit: fleetwide.clone(),
            flows: fleetwide,
            history: durable
                .history
                .desk(&wiring.publisher, &options.wanted, &left),
            ready: readiness.clone(),
        };
        let left = left.clone();
        async move {
            console::run(admin::serve(listener, state, entrance.door(), left)).await;
        }
    });
    // Of two processes of a node the old one shows how it is, as long as it serves.
    let admin_waits = match arrival.is_takeover() {
        true => serve_admin,
        false => {
            serve_admin.map(|admin| alone.spawn(admin));
            None
        }
    };

    let mut signals = Signals::new()?;
    let mut first_round = wiring.first_round_done.clone();
    tokio::select! {
        _ = first_round.wait_for(|done| *done) => {}
        () = signals.stop() => return Ok(()),
        ended = arrival.told_to_end() => return Err(ended),
    }

    let presigning = PresignThread::start(&wiring.publisher, &clock)
        .map_err(|e| RunError::Other(format!("cannot start the presigning thread: {e}")))?;
    let proxies = Proxies::new(node.proxies.iter().copied());
    let service = |counters, open| Service {
        publisher: wiring.publisher.clone(),
        clock: clock.clone(),
        counters,
        open,
        limits: TcpLimits {
            max_connections: node.tcp_max_connections,
            idle_timeout: node.tcp_idle_timeout,
            ..TcpLimits::default()
        },
        proxies: proxies.clone(),
        taps: taps.clone(),
        stopped: stopped.clone(),
        left: left.clone(),
    };
    let mut servers = Vec::new();
    let mut dns = Vec::new();
    for (bound, own) in workers {
        dns.push(bound.local_addr());
        let server = bound
            .behind(proxies.clone())
            .tapped(taps.clone())
            .start(&wiring.publisher, &clock, own)
            .map_err(|e| RunError::Other(format!("cannot start a DNS worker: {e}")))?;
        servers.push(server);
    }
    for (listener, own) in tcp_listeners.into_iter().zip(tcp_counters) {
        let listener = TcpListener::from_std(listener)
            .map_err(|e| RunError::Other(format!("cannot serve DNS over TCP: {e}")))?;
        let service = service(own, tcp_connections.clone());
        tokio::spawn(tcp::serve(listener, service, Speech::Tcp));
    }
    let encrypted_addresses = encrypted.addresses();
    let mut quic = QuicListeners::default();
    if let Some(certificates) = certificates {
        let own = encrypted_counters.into_iter();
        let identity = certificates.identity();
        quic = encrypted.start(&node, identity, &encrypted_connections, own, service)?;
        tokio::spawn(certificates.watch(stopped.clone()));
    }
    tokio::spawn(notify::run(
        wiring.publisher.clone(),
        clock.clone(),
        dns.clone(),
        notify_counters,
        stopped.clone(),
    ));
    // What reading the configuration took is free by now.
    server::give_back_memory();
    // Once both read, the old process leaves.
    let generation = Generation(arrival.serving(carrier.as_deref()).await?);
    arrival.count_on(&stats);
    let (gone_on, goes_on) = oneshot::channel();
    if generation > Generation::default()
        && orders.send(Order::GoOn(generation, gone_on)).await.is_ok()
    {
        // An error means that the loop has ended.
        drop(goes_on.await);
    }
    admin_waits.map(|admin| alone.spawn(admin));
    quic.start(&mut alone)?;
    readiness.serves();
    readiness.tell_in(node.state_dir.as_deref(), &stopped);
    let door = host::open_door(&node, &mut sockets);
    let (calls_to, mut calls) = mpsc::channel(4);
    let gifts = Gifts {
        node: node.name.clone(),
        sockets: host::sockets(sockets.kept, &carrier),
        generation: host::generation(&wiring.publisher),
        counts: host::counts(&wiring.publisher, &stats, &controller),
    };
    let counts = gifts.counts.clone();
    if let Some(door) = door {
        tokio::spawn(old::listen(door, gifts, calls_to, stopped.clone()));
    }
    let before = std::mem::take(arrival);
    let before = before
        .is_takeover()
        .then(|| tokio::spawn(before.follow(stats.clone())));
    // Sockets that the configuration does not name any more.
    drop(sockets.came);
    let up = Ready {
        node: node.name.clone(),
        dns,
        encrypted: encrypted_addresses,
        proxy: carrier.as_ref().map(|c| c.addresses()).unwrap_or_default(),
        admin: admin_addr,
        fleet: joined.address,
        generation: wiring.publisher.latest().generation,
    };
    tracing::info!("{up}");
    ready(&up);
    supervisor::ready(up.generation.0);

    let heir = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::Reload => {
                    tracing::info!("SIGHUP: reloading");
                    let controller = controller.clone();
                    // What went wrong is logged by the controller.
                    tokio::spawn(async move { drop(controller.reload().await) });
                }
                Told::Upgrade => host::upgrade(&node, &program),
                Told::Stop => break None,
            },
            Some(call) = calls.recv() => match call {
                Call::Release(done) => {
                    let _ = done.send(durable.rest().await);
                }
                Call::TakeBack(done) => {
                    durable.resume().await;
                    let _ = done.send(());
                }
                Call::HandOver(link) => break Some(link),
            },
        }
    };
    // Who asks now is another process's.
    drop(calls);
    if let Some(link) = heir {
        let encrypted = [&encrypted_connections.tls, &encrypted_connections.https];
        let open = encrypted.into_iter().chain([&tcp_connections]).cloned();
        let leaving = Leave {
            link,
            left: leave,
            udp: std::mem::take(&mut servers),
            alone,
            counts,
            generation: host::generation(&wiring.publisher),
            open: open.collect(),
            carrier: carrier.clone(),
            before,
            longest: wiring
                .publisher
                .latest()
                .snapshot
                .traffic
                .node
                .drain_timeout,
            deaf: false,
        };
        tokio::select! {
            () = leaving.run() => {}
            () = signals.stop() => {}
        }
        tracing::info!("all that was begun is finished");
    } else {
        tracing::info!("stopping");
        supervisor::stopping();
        // First of all: who sends traffic here shall send it elsewhere before connections end.
        readiness.leaves();
        // Others are told while DNS still answers.
        joined.leave().await;
        if let Some(carrier) = carrier {
            let end = async {
                readiness.left().await;
                carrier.drain().await;
            };
            tokio::select! {
                () = end => {}
                // Told twice: at once.
                () = signals.stop() => {}
            }
        }
        leave.send_replace(true);
        host::close_door(&node);
    }
    stop.send_replace(true);
    for server in servers {
        server.stop();
    }
    drop(presigning);
    prober.abort();
    judge_loop.abort();
    if let Some(task) = order_task {
        task.abort();
    }
    reading.end().await;
    // A step under way is finished and on the disk before the process ends.
    durable.end().await;
    Ok(())
}

/// The nodes that an order must reach, this one among them.
fn order_takers(node: &Node) -> Vec<Arc<str>> {
    let Some(fleet) = &node.fleet else {
        return vec![node.name.as_str().into()];
    };
    let takes = |roles: &[Role]| roles.contains(&Role::Dns) || roles.contains(&Role::Admin);
    let members = fleet.members.iter();
    members
        .filter(|m| !m.pushes && takes(&m.roles))
        .map(|m| m.name.as_str().into())
        .collect()
}

/// Opens the store of the state directory; without one, or where it cannot be had, there is none,
/// which never stops the start.
fn open_store(
    node: &Node,
    lock: &SharedLock,
    gauges: &Arc<OrderGauges>,
) -> Result<(Store, Stored, Option<store::Running>), RunError> {
    let Some(dir) = &node.state_dir else {
        return Ok((Store::none(), Stored::default(), None));
    };
    match lock.hold(dir) {
        Ok(held) => Store::open(dir, held, gauges.clone())
            .map(|(store, stored, running)| (store, stored, Some(running)))
            .map_err(|e| RunError::Other(format!("cannot start the thread of the store: {e}"))),
        Err(e) => {
            tracing::error!("{e}; operators' orders will not outlive this process");
            Ok((Store::none(), Stored::default(), None))
        }
    }
}

/// Binds every DNS address of the node for UDP and TCP on the same port.
fn bind_dns(
    node: &Node,
    skip_missing: bool,
    sockets: &mut Sockets,
) -> Result<(Vec<udp::Bound>, Vec<std::net::TcpListener>), RunError> {
    let mut udps = Vec::new();
    let mut tcps = Vec::new();
    for addr in &node.dns_listen {
        match bind_pair(*addr, node.dns_workers, sockets) {
            Ok((u, t)) => {
                udps.push(u);
                tcps.push(t);
            }
            Err(e) if skip_missing && is_missing(&e) => {
                tracing::warn!(%addr, "this machine does not have the address; not listening on it");
            }
            Err(e) => {
                let help = match e.kind() {
                    std::io::ErrorKind::AddrInUse => {
                        "another process has the port; choose another with --dns-port or stop it"
                    }
                    std::io::ErrorKind::PermissionDenied => {
                        "ports below 1024 need the capability CAP_NET_BIND_SERVICE"
                    }
                    _ => "check the address in `dns.listen` of the node",
                };
                return Err(RunError::Other(format!(
                    "cannot listen on {addr} for DNS: {e}; {help}"
                )));
            }
        }
    }
    if udps.is_empty() && !node.dns_listen.is_empty() {
        return Err(RunError::Other(
            "none of the DNS addresses could be had".to_owned(),
        ));
    }
    Ok((udps, tcps))
}

/// Whether the error says that this machine does not have the address, or not even its family.
pub(super) fn is_missing(e: &std::io::Error) -> bool {
    e.kind() == std::io::ErrorKind::AddrNotAvailable || e.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// UDP and TCP on one port. Where the port is 0, the one that UDP got may be taken for TCP, so it is
/// tried a few times.
fn bind_pair(
    addr: SocketAddr,
    workers: u32,
    sockets: &mut Sockets,
) -> std::io::Result<(udp::Bound, std::net::TcpListener)> {
    let (for_udp, for_tcp) = (
        Label::new(Kind::DnsUdp, addr),
        Label::new(Kind::DnsTcp, addr),
    );
    let came: Vec<_> = sockets.came.take(&for_udp);
    let mut came = Some(came.into_iter().map(Into::into).collect());
    let mut tries = if addr.port() == 0 { 16 } else { 1 };
    let (u, t) = loop {
        let u = udp::take_over(addr, came.take().unwrap_or_default(), workers as usize)?;
        if let Some(t) = sockets.came.take_one(&for_tcp) {
            break (u, std::net::TcpListener::from(t));
        }
        match tcp::bind(u.local_addr()) {
            Ok(t) => break (u, t),
            Err(e) if tries > 1 && e.kind() == std::io::ErrorKind::AddrInUse => tries -= 1,
            Err(e) => return Err(e),
        }
    };
    sockets.keep(&for_udp, u.sockets().iter())?;
    sockets.keep(&for_tcp, std::iter::once(&t))?;
    Ok((u, t))
}

fn bind_admin(node: &Node, sockets: &mut Sockets) -> Result<Option<TcpListener>, RunError> {
    let Some(addr) = node.admin_listen else {
        return Ok(None);
    };
    let bind = |addr| {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let bound = sockets.one(Kind::Admin, addr, bind);
    bound.and_then(TcpListener::from_std).map(Some).map_err(|e| {
        RunError::Other(format!(
            "cannot listen on {addr} for the admin API: {e}; choose another port with --admin-port \
             or `admin.listen` of the node"
        ))
    })
}

/// The signals that matter.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    upgrade: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Signals, RunError> {
        let of = |kind| {
            signal(kind).map_err(|e| RunError::Other(format!("cannot listen to signals: {e}")))
        };
        Ok(Signals {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
            upgrade: of(SignalKind::user_defined2())?,
        })
    }

    /// The next order.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
            _ = self.upgrade.recv() => Told::Upgrade,
        }
    }

    /// Returns when told to stop; there is nothing to reload before anything is served.
    async fn stop(&mut self) {
        while self.next().await != Told::Stop {}
    }
}

/// What a signal says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Stop,
    Reload,
    Upgrade,
}
