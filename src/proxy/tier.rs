//! The plan with what runs: all that one exchange needs, published together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use hashbrown::HashMap;

use crate::health::clients::ClientTable;
use crate::ids::{CacheId, UpstreamId};
use crate::message::Name;
use crate::time::Moment;
use crate::traffic::access_log::LogFormat;
use crate::traffic::{Listener, Plan, Upstream};

use super::access_log::{LogWriter, Logs};
use super::backend::{self, UpstreamState};
use super::cache::{self, Cache};
use super::chooser::{Chooser, Choosers};
use super::features::Guards;
use super::layer4::{self, FlowTally};
use super::tally::Tally;
use super::tls::vault::Doors;
use super::tls::{ListenerTls, UpstreamTls};
use super::udp::{States, UdpState};

pub use super::backend::BackendState as Server;

/// The plan, and the running state of what it names.
#[derive(Debug, Default)]
pub struct Tier {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// By [`UpstreamId`].
    pub upstreams: Vec<Group>,
    /// Counters of limits.
    pub guards: Arc<Guards>,
    /// By [`CacheId`].
    pub caches: Vec<Cache>,
    /// By [`crate::ids::ListenerId`].
    pub listener_tallies: Vec<Arc<Tally>>,
    /// By [`crate::ids::RouteId`]; empty when there are more than [`ROUTES_COUNTED`].
    pub route_tallies: Vec<Arc<Tally>>,
    /// By [`crate::ids::ListenerId`]: of layer 4.
    pub flow_tallies: Vec<Arc<FlowTally>>,
    /// The way to client prefixes; `None`: nothing is remembered.
    pub clients: Option<Arc<ClientTable>>,
    /// By [`crate::ids::ListenerId`]; `None`: nothing is written down.
    pub logs: Vec<Option<Log>>,
    /// By [`crate::ids::ListenerId`]; `None`: it carries no datagrams.
    pub udp: Vec<Option<Arc<UdpState>>>,
    /// By [`crate::ids::ListenerId`], those that have any.
    listener_tls: Vec<Option<Arc<ListenerTls>>>,
    /// By [`crate::ids::ListenerId`]: open connections that other listeners handed over.
    pub handed: Vec<Arc<AtomicU32>>,
    /// Request fields that tell backends who a client is: what clients send in them is removed.
    pub reserved: Vec<Name>,
}

/// With more routes than this they are not counted one by one: a page of metrics that nobody can load
/// helps nobody.
pub const ROUTES_COUNTED: usize = 1000;

/// An access log.
#[derive(Clone, Debug)]
pub struct Log {
    /// What a line looks like.
    pub format: LogFormat,
    /// So many in 10,000 of what went well.
    pub sample: u32,
    /// Where the lines go.
    pub writer: Arc<LogWriter>,
}

/// The servers of an upstream.
#[derive(Debug)]
pub struct Group {
    /// What they share: health, circuit, queue, budget.
    pub state: Arc<UpstreamState>,
    /// By [`crate::ids::BackendId`].
    pub servers: Box<[Arc<Server>]>,
    /// How one of them is chosen.
    pub chooser: Arc<Chooser>,
    /// `None`: they are spoken to without TLS.
    pub tls: Option<Arc<UpstreamTls>>,
}

/// The servers of all plans so far: a reload finds those it keeps.
#[derive(Debug, Default)]
pub struct Registry {
    backends: backend::Registry,
    /// How backends are chosen.
    pub choosers: Choosers,
    guards: Arc<Guards>,
    caches: Vec<Cache>,
    listeners: HashMap<Box<str>, Arc<Tally>>,
    handed: HashMap<Box<str>, Arc<AtomicU32>>,
    routes: HashMap<Box<str>, Arc<Tally>>,
    flows: HashMap<Box<str>, Arc<FlowTally>>,
    clients: Option<Arc<ClientTable>>,
    /// Where access logs go.
    pub logs: Logs,
    udp: States,
    seed: u64,
}

/// The tallies of these names, those there were already among them.
fn tallies<'n, T>(
    names: impl Iterator<Item = &'n Box<str>>,
    old: &mut HashMap<Box<str>, Arc<T>>,
    new: impl Fn() -> T,
) -> Vec<Arc<T>> {
    let found: Vec<(Box<str>, Arc<T>)> = names
        .map(|name| {
            let kept = old.get(name).cloned();
            let tally = kept.unwrap_or_else(|| Arc::new(new()));
            (name.clone(), tally)
        })
        .collect();
    *old = found.iter().cloned().collect();
    found.into_iter().map(|(_, tally)| tally).collect()
}

impl Registry {
    /// No servers yet. `seed` is random.
    pub fn new(seed: u64) -> Registry {
        let words = [seed, seed.rotate_left(32) ^ 0x9E37_79B9_7F4A_7C15];
        Registry {
            guards: Arc::new(Guards::new(words)),
            seed,
            ..Registry::default()
        }
    }

    /// The tier of a plan; servers that no plan names any more are forgotten.
    pub fn resolve(&mut self, plan: Arc<Plan>, doors: Doors, now: Moment) -> Tier {
        let workers = plan.node.workers as usize;
        let tls = doors.upstreams.into_iter().chain(std::iter::repeat(None));
        let states = self.backends.adopt(&plan, now, workers).into_iter();
        let choosers = self.choosers.adopt(&plan).into_iter();
        let upstreams = states.zip(choosers).zip(tls);
        let upstreams = upstreams.map(|((members, chooser), tls)| Group {
            state: members.state,
            servers: members.backends,
            chooser,
            tls,
        });
        let upstreams = upstreams.collect();
        self.caches = cache::resolve(&plan.caches, plan.node.cache_dir.as_deref(), &self.caches);
        let names = plan.listeners.iter().map(|l| &l.name);
        let new = || Tally::new(workers);
        let listener_tallies = tallies(names.clone(), &mut self.listeners, new);
        let flow_tallies = tallies(names, &mut self.flows, || FlowTally::new(workers));
        self.clients = layer4::clients::adopt(self.clients.take(), &plan.node.clients);
        let routes = &plan.routes.list[..];
        let counted = if routes.len() > ROUTES_COUNTED {
            &[]
        } else {
            routes
        };
        let route_tallies = tallies(counted.iter().map(|r| &r.name), &mut self.routes, new);
        let logs = plan.listeners.iter().map(|l| {
            let log = l.access_log.as_ref()?;
            Some(Log {
                format: log.format,
                sample: log.sample,
                writer: self.logs.writer(&log.to)?,
            })
        });
        let logs = logs.collect();
        let auth = |l: &Listener| l.tls.as_ref()?.client.as_ref()?.subject_header.clone();
        let mut reserved: Vec<Name> = plan.listeners.iter().filter_map(auth).collect();
        reserved.sort();
        reserved.dedup();
        self.guards = Arc::new(self.guards.follow(&plan));
        let names = plan.listeners.iter().map(|l| l.name.clone());
        let known = std::mem::take(&mut self.handed);
        self.handed = names
            .map(|name| {
                let open = known.get(&name).cloned().unwrap_or_default();
                (name, open)
            })
            .collect();
        let of = |l: &Listener| self.handed.get(&l.name).cloned().unwrap_or_default();
        let handed = plan.listeners.iter().map(of).collect();
        Tier {
            handed,
            guards: self.guards.clone(),
            caches: self.caches.clone(),
            udp: self.udp.adopt(&plan, workers, self.seed),
            plan,
            upstreams,
            listener_tallies,
            route_tallies,
            flow_tallies,
            clients: self.clients.clone(),
            logs,
            listener_tls: doors.listeners,
            reserved,
        }
    }
}

impl Tier {
    /// An upstream's plan and its servers.
    pub fn upstream(&self, id: UpstreamId) -> (&Upstream, &Group) {
        (
            &self.plan.upstreams[id.index()],
            &self.upstreams[id.index()],
        )
    }

    /// All servers of all upstreams.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.upstreams.iter().flat_map(|group| &group.servers)
    }

    /// TLS of the listener at this place.
    pub fn listener_tls(&self, at: usize) -> Option<&Arc<ListenerTls>> {
        self.listener_tls.get(at)?.as_ref()
    }

    /// A cache.
    pub fn cache(&self, id: CacheId) -> &Cache {
        &self.caches[id.index()]
    }

    /// The listener called `name`.
    pub fn listener(&self, name: &str) -> Option<(usize, &Listener)> {
        let listeners = self.plan.listeners.iter().enumerate();
        listeners.into_iter().find(|(_, l)| &*l.name == name)
    }

    /// The listener that takes connections at this address.
    pub fn listener_at(&self, address: SocketAddr) -> Option<(usize, &Listener)> {
        let mut listeners = self.plan.listeners.iter().enumerate();
        listeners.find(|(_, l)| !l.protocol.is_datagram() && l.bind.contains(&address))
    }
}

impl Group {
    /// Where a server stands among them; `None`: it is one of another plan.
    pub fn place_of(&self, server: &Arc<Server>) -> Option<usize> {
        self.servers.iter().position(|s| Arc::ptr_eq(s, server))
    }
}
