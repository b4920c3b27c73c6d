//! The plan with what runs: all that one exchange needs, published together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::ids::{BackendId, UpstreamId};
use crate::message::Name;
use crate::traffic::proxy_protocol::ProxyVersion;
use crate::traffic::{self, Listener, Plan, Upstream};

use super::tls::vault::Doors;
use super::tls::{ListenerTls, UpstreamTls};

/// The plan, and the running state of what it names.
#[derive(Debug, Default)]
pub struct Tier {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// By [`UpstreamId`].
    pub upstreams: Vec<Group>,
    /// By [`crate::ids::ListenerId`], those that have any.
    listener_tls: Vec<Option<Arc<ListenerTls>>>,
    /// Request fields that tell backends who a client is: what clients send in them is removed.
    pub reserved: Vec<Name>,
}

/// The servers of an upstream.
#[derive(Debug, Default)]
pub struct Group {
    /// By [`BackendId`].
    pub servers: Vec<Arc<Server>>,
}

/// How the servers of an upstream are spoken to: a connection that was begun otherwise is of no use.
#[derive(Clone, PartialEq, Debug)]
struct Way {
    http2: bool,
    tls: Option<Box<traffic::tls::UpstreamTls>>,
    told: Option<ProxyVersion>,
}

/// A server, for as long as it is in some plan at the same address.
#[derive(Debug)]
pub struct Server {
    /// Differs from every other server of this process.
    pub id: u64,
    /// Its name.
    pub name: Box<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// TLS with it; `None`: it is spoken to without.
    pub tls: Option<Arc<UpstreamTls>>,
    way: Arc<Way>,
    /// Requests under way, over all workers.
    pub in_flight: AtomicU32,
}

/// The servers of all plans so far: a reload finds those it keeps.
#[derive(Debug, Default)]
pub struct Registry {
    servers: HashMap<(Box<str>, Box<str>), Arc<Server>>,
    next: AtomicU64,
}

impl Registry {
    /// The tier of a plan; servers that no plan names any more are forgotten.
    pub fn resolve(&mut self, plan: Arc<Plan>, doors: Doors) -> Tier {
        let mut kept = HashMap::new();
        let tls = doors.upstreams.into_iter().chain(std::iter::repeat(None));
        let upstreams = plan.upstreams.iter().zip(tls).map(|(upstream, tls)| {
            let way = Arc::new(Way {
                http2: upstream.http2,
                tls: upstream.tls.clone(),
                told: upstream.proxy_protocol,
            });
            let servers = upstream.backends.iter().map(|backend| {
                let key = (upstream.name.clone(), backend.name.clone());
                let old = self.servers.get(&key);
                let same = old.filter(|s| s.address == backend.address && s.way == way);
                let same = same.cloned();
                let server = same.unwrap_or_else(|| {
                    Arc::new(Server {
                        id: self.next.fetch_add(1, Ordering::Relaxed),
                        name: backend.name.clone(),
                        address: backend.address,
                        tls: tls.clone(),
                        way: way.clone(),
                        in_flight: AtomicU32::new(0),
                    })
                });
                kept.insert(key, server.clone());
                server
            });
            Group {
                servers: servers.collect(),
            }
        });
        let upstreams = upstreams.collect();
        self.servers = kept;
        let auth = |l: &Listener| l.tls.as_ref()?.client.as_ref()?.subject_header.clone();
        let mut reserved: Vec<Name> = plan.listeners.iter().filter_map(auth).collect();
        reserved.dedup();
        Tier {
            plan,
            upstreams,
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

    /// TLS of the listener at this place.
    pub fn listener_tls(&self, at: usize) -> Option<&Arc<ListenerTls>> {
        self.listener_tls.get(at)?.as_ref()
    }

    /// The listener called `name`.
    pub fn listener(&self, name: &str) -> Option<(usize, &Listener)> {
        let listeners = self.plan.listeners.iter().enumerate();
        listeners.into_iter().find(|(_, l)| &*l.name == name)
    }
}

impl Group {
    /// One server.
    pub fn server(&self, id: BackendId) -> &Arc<Server> {
        &self.servers[id.index()]
    }
}
