//! How a node comes into the fleet: alone on an in-process bus, as a member that gossips, or as one that
//! pushes to members.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::compile::Node;
use crate::fleet::asking::AsksNobody;
use crate::fleet::gossip::{GossipBus, GossipCounters, GossipEvent, GossipOptions};
use crate::fleet::identity::{Identity, Material, Reason, Side};
use crate::fleet::push::{Ingest, IngestOptions, PushBus, PushOptions};
use crate::fleet::{Asking, LocalBus, StateBus};
use crate::overrides::{Vouch, vouch::Alone};
use crate::time::Clock;

use super::super::identity;
use super::super::run::RunError;
use super::super::takeover::{Kind, Sockets};

/// A node's end of the fleet.
pub struct Joined {
    /// What is told and heard.
    pub bus: Arc<dyn StateBus>,
    /// Who signs and checks orders.
    pub vouch: Arc<dyn Vouch>,
    /// The fleet's name; `None` for a node that is alone.
    pub cluster: Option<String>,
    /// The certificate; `None` for a node that is alone.
    pub identity: Option<Arc<Identity>>,
    /// Where other members reach it.
    pub address: Option<SocketAddr>,
    gossip: Option<Gossip>,
    clock: Arc<dyn Clock>,
}

/// What a member gossips with, and what it takes to begin again.
struct Gossip {
    bus: Arc<GossipBus>,
    socket: UdpSocket,
    credentials: Arc<Identity>,
    pushes: Option<Pushes>,
}

/// Where nodes push that are no members.
struct Pushes {
    ingest: Arc<Ingest>,
    listener: std::net::TcpListener,
    /// Dropped or true: those who push come elsewhere.
    stop: Mutex<watch::Sender<bool>>,
}

impl Pushes {
    fn serve(&self) -> io::Result<()> {
        let listener = TcpListener::from_std(self.listener.try_clone()?)?;
        let (stop, stopped) = watch::channel(false);
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = stop;
        tokio::spawn(self.ingest.clone().serve(listener, stopped));
        Ok(())
    }

    fn stop(&self) {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.send_replace(true);
    }
}

impl Joined {
    /// Joins as `node` says.
    ///
    /// # Errors
    /// When the address cannot be had or the identity cannot be used.
    pub fn new(
        node: &Node,
        material: Option<Material>,
        clock: &Arc<dyn Clock>,
        stopped: &watch::Receiver<bool>,
        sockets: &mut Sockets,
    ) -> Result<Joined, RunError> {
        let (Some(fleet), Some(material)) = (&node.fleet, material) else {
            return Ok(Joined {
                bus: Arc::new(LocalBus::new(&node.name, clock.clone())),
                vouch: Arc::new(Alone {
                    node: node.name.as_str().into(),
                }),
                cluster: None,
                identity: None,
                address: None,
                gossip: None,
                clock: clock.clone(),
            });
        };
        let other = |what: String| RunError::Other(what);
        let identity = identity::start(&node.name, fleet, material, clock.clone())
            .map_err(|e| other(format!("cannot use the identity of the fleet: {e}")))?;
        tokio::spawn(identity.clone().watch(stopped.clone()));
        let vouch: Arc<dyn Vouch> = identity.clone();
        let cluster = Some(fleet.cluster.clone());
        // More than at any earlier start, so that others know the newer of two lives.
        let generation = clock.wall().unix_ms(clock.now());
        let Some(listen) = fleet.listen else {
            let bus = PushBus::start(PushOptions {
                node: node.name.as_str().into(),
                generation,
                targets: fleet.push_to.clone(),
                credentials: identity.clone(),
                refusals: identity.refusals().clone(),
                clock: clock.clone(),
            });
            return Ok(Joined {
                bus: Arc::new(bus),
                vouch,
                cluster,
                identity: Some(identity),
                address: None,
                gossip: None,
                clock: clock.clone(),
            });
        };
        let cannot_listen = |e: io::Error| {
            other(format!(
                "cannot listen on {listen} for the fleet (UDP): {e}; choose another address with \
                 `fleet.listen` of the node"
            ))
        };
        let socket = sockets
            .one(Kind::Gossip, listen, UdpSocket::bind)
            .map_err(cannot_listen)?;
        let bound = socket.local_addr().unwrap_or(listen);
        let others = fleet.members.iter().filter(|m| m.name != node.name);
        let seeds = others.filter_map(|m| m.advertise.map(|a| a.to_string()));
        let roster = identity.clone();
        let options = GossipOptions {
            node: node.name.clone(),
            cluster: fleet.cluster.clone(),
            generation,
            advertise: fleet.advertise.unwrap_or(bound),
            seeds: seeds.collect(),
            interval: fleet.gossip_interval,
            roles_of: Arc::new(move |name| roster.roster().get(name).map(|(_, roles)| roles)),
            clock: clock.clone(),
        };
        let counters = Arc::new(GossipCounters::default());
        let again = socket.try_clone().map_err(cannot_listen)?;
        let gossip = GossipBus::start(options, socket, identity.clone(), counters)
            .map_err(|e| other(format!("cannot start gossip: {e}")))?;
        let gossip = Arc::new(gossip);
        let mut pushes = None;
        if let Some(address) = fleet.ingest {
            let ingest = Ingest::new(IngestOptions {
                credentials: identity.clone(),
                refusals: identity.refusals().clone(),
                bus: gossip.clone(),
                clock: clock.clone(),
            });
            let taking = Pushes {
                ingest,
                listener: listen_for_pushes(address, sockets)?,
                stop: Mutex::new(watch::channel(false).0),
            };
            taking
                .serve()
                .map_err(|e| cannot_take_pushes(address, &e))?;
            pushes = Some(taking);
        }
        Ok(Joined {
            bus: gossip.clone(),
            vouch,
            cluster,
            identity: Some(identity.clone()),
            address: Some(bound),
            gossip: Some(Gossip {
                bus: gossip,
                socket: again,
                credentials: identity,
                pushes,
            }),
            clock: clock.clone(),
        })
    }

    /// How other nodes are asked: by members only.
    pub fn asking(&self) -> Arc<dyn Asking> {
        match &self.gossip {
            Some(gossip) => gossip.bus.clone(),
            None => Arc::new(AsksNobody),
        }
    }

    /// Counts in the form of metrics: name, labels, value.
    pub fn metrics(&self) -> Box<super::desk::Metrics> {
        let gossip = self.gossip.as_ref().map(|g| g.bus.counters());
        let refusals = self.identity.as_ref().map(|i| i.refusals().clone());
        Box::new(move || {
            let mut all = Vec::new();
            for event in GossipEvent::ALL.iter().filter(|_| gossip.is_some()) {
                let (name, labels) = event.metric();
                let count = gossip.as_ref().map_or(0, |g| g.get(*event));
                all.push((name, labels.to_owned(), count));
            }
            if let Some(gossip) = &gossip {
                let entries = gossip.digest_entries();
                all.push(("tradewind_fleet_digest_entries", String::new(), entries));
            }
            for reason in Reason::ALL.iter().filter(|_| refusals.is_some()) {
                for (side, by) in [(Side::Here, "this node"), (Side::There, "the other end")] {
                    let count = refusals.as_ref().map_or(0, |r| r.count(side, *reason));
                    let labels = format!("reason=\"{}\",by=\"{by}\"", reason.word());
                    all.push(("tradewind_fleet_refusals_total", labels, count));
                }
            }
            all
        })
    }

    /// Leaves the fleet to another process of this node, without a goodbye: nobody shall take the node
    /// for lost. A node that only pushes goes on: whoever hears both goes by the newer one.
    pub async fn rest(&self) {
        if let Some(gossip) = &self.gossip {
            if let Some(pushes) = &gossip.pushes {
                pushes.stop();
            }
            gossip.bus.hush().await;
        }
    }

    /// Speaks for the node again after [`Joined::rest`].
    pub fn resume(&self) {
        let Some(gossip) = &self.gossip else {
            return;
        };
        let generation = self.clock.wall().unix_ms(self.clock.now());
        let credentials = gossip.credentials.clone();
        let begun = gossip
            .socket
            .try_clone()
            .and_then(|socket| gossip.bus.revive(generation, socket, credentials))
            .and_then(|()| gossip.pushes.as_ref().map_or(Ok(()), Pushes::serve));
        if let Err(error) = begun {
            tracing::error!(%error, "this node cannot come back into the fleet; restart it");
        }
    }

    /// Says goodbye and waits until it is said, or a second has passed.
    pub async fn leave(&self) {
        if let Some(gossip) = &self.gossip {
            gossip.bus.stop();
            let goodbye = gossip.bus.stopped();
            drop(tokio::time::timeout(std::time::Duration::from_secs(2), goodbye).await);
        }
    }
}

/// Listens where nodes push that cannot be members.
fn listen_for_pushes(
    address: SocketAddr,
    sockets: &mut Sockets,
) -> Result<std::net::TcpListener, RunError> {
    let bind = |address| {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let had = sockets.one(Kind::Ingest, address, bind);
    had.map_err(|e| cannot_take_pushes(address, &e))
}

fn cannot_take_pushes(address: SocketAddr, e: &io::Error) -> RunError {
    RunError::Other(format!(
        "cannot listen on {address} for nodes that push: {e}; choose another address with \
         `fleet.ingest` of the node"
    ))
}
