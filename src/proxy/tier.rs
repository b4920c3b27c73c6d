//! The plan with what runs: all that one exchange needs, published together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::ids::{BackendId, UpstreamId};
use crate::traffic::{Listener, Plan, Upstream};

/// The plan, and the running state of what it names.
#[derive(Debug, Default)]
pub struct Tier {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// By [`UpstreamId`].
    pub upstreams: Vec<Group>,
}

/// The servers of an upstream.
#[derive(Debug, Default)]
pub struct Group {
    /// By [`BackendId`].
    pub servers: Vec<Arc<Server>>,
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
    pub fn resolve(&mut self, plan: Arc<Plan>) -> Tier {
        let mut kept = HashMap::new();
        let upstreams = plan.upstreams.iter().map(|upstream| {
            let servers = upstream.backends.iter().map(|backend| {
                let key = (upstream.name.clone(), backend.name.clone());
                let old = self.servers.get(&key);
                let same = old.filter(|s| s.address == backend.address).cloned();
                let server = same.unwrap_or_else(|| {
                    Arc::new(Server {
                        id: self.next.fetch_add(1, Ordering::Relaxed),
                        name: backend.name.clone(),
                        address: backend.address,
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
        Tier { plan, upstreams }
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
