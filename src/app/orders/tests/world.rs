//! A fleet in one process: nodes with desks, judge loops and stores of their own, over a bus that can
//! be cut, on a clock that is moved by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::app::judge_loop::{JudgeLoop, Kept, Order};
use crate::app::keeper::SharedLock;
use crate::app::orders::{Book, Desk, Tools};
use crate::app::store::{Running, Store};
use crate::fleet::{BusError, BusView, Change, Key, Member as Peer, Owner, Readers, StateBus};
use crate::geo::{Coordinates, GeoTable};
use crate::health::{OverrideKind, Scope};
use crate::ids::{EndpointId, PolicyId, PoolId, RegionId};
use crate::net::Family;
use crate::overrides::{Signed, Vouch, VouchError};
use crate::snapshot::{Publisher, Settings, Snapshot};
use crate::steer::{
    Chooser, Endpoint, LastResort, Member, NameInput, Policy, Pool, Region, Steering,
};
use crate::telemetry::OrderGauges;
use crate::time::{Clock, Moment, SimClock, Wall};
use crate::units::{Ttl, Weight};
use crate::zone::ZoneSet;

/// A configuration with these regions, each with a pool and an endpoint, and one name over all. The
/// endpoint of `eu` bears three times as much as that of `us`.
pub(super) fn world(regions: &[&str]) -> Arc<Snapshot> {
    let ids = || (0..regions.len()).map(PoolId::from_index);
    let geo = GeoTable::empty();
    let region = |name: &&str| Region {
        name: (*name).into(),
        coordinates: Coordinates::new(50.0, 8.0).unwrap(),
    };
    let pool = |(i, name): (usize, &&str)| Pool {
        name: (*name).into(),
        region: RegionId::from_index(i),
        endpoints: vec![EndpointId::from_index(i)],
        min_live: 1,
    };
    let endpoint = |(i, name): (usize, &&str)| Endpoint {
        name: format!("{name}-1").into(),
        pool: PoolId::from_index(i),
        address: Some(std::net::Ipv4Addr::new(192, 0, 2, i as u8).into()),
        cname: None,
        port: 80,
        weight: Weight(if *name == "eu" { 3 } else { 1 }),
        backup: false,
        enabled: true,
    };
    let members = ids().map(|pool| Member {
        pool,
        weight: Weight::ONE,
        priority: 0,
        backup: false,
    });
    let name = NameInput {
        owner: "www.gslb.test".parse().unwrap(),
        members: members.collect(),
        policy: PolicyId(0),
        families: vec![Family::V4],
        cname: false,
        ttl_min: Ttl::from_secs(5),
        ttl_max: Ttl::from_secs(30),
        last_resort: LastResort::AllEligible,
        answers: 1,
        ignore_ecs: false,
        https: None,
        aliases: Vec::new(),
    };
    let policy = Policy {
        name: "any".into(),
        stages: Vec::new(),
        chooser: Chooser::Weighted,
    };
    Arc::new(Snapshot {
        zones: ZoneSet::default(),
        steering: Steering::build(
            regions.iter().map(region).collect(),
            regions.iter().enumerate().map(pool).collect(),
            regions.iter().enumerate().map(endpoint).collect(),
            vec![policy],
            vec![name],
            &geo,
        ),
        geo,
        monitors: Vec::new(),
        targets: Vec::new(),
        target_of: vec![None; regions.len()],
        traffic: Arc::default(),
        settings: Settings::default(),
    })
}

/// The clock of one node: that of the fleet, with a calendar that can be set.
struct NodeClock {
    sim: Arc<SimClock>,
    /// Milliseconds that the calendar is ahead.
    ahead: AtomicU64,
}

impl Clock for NodeClock {
    fn now(&self) -> Moment {
        self.sim.now()
    }

    fn wall(&self) -> Wall {
        let now = self.now();
        let ms = self.sim.wall().unix_ms(now) + self.ahead.load(Ordering::Relaxed);
        Wall::new(now, Duration::from_millis(ms))
    }
}

/// Signs with a hash that only the tests take for a signature.
struct Seal(String);

fn seal(author: &str, bytes: &[u8]) -> Arc<[u8]> {
    let mut hasher = SipHasher13::new_with_keys(7, 7);
    hasher.write(author.as_bytes());
    hasher.write(bytes);
    hasher.finish().to_be_bytes().into()
}

impl Vouch for Seal {
    fn sign(&self, bytes: &[u8]) -> Option<Signed> {
        Some(Signed {
            certificate: self.0.as_bytes().into(),
            signature: seal(&self.0, bytes),
        })
    }

    fn check(
        &self,
        author: &str,
        bytes: &[u8],
        signed: Option<&Signed>,
        _unix_ms: u64,
    ) -> Result<(), VouchError> {
        match signed {
            Some(s)
                if &*s.certificate == author.as_bytes() && s.signature == seal(author, bytes) =>
            {
                Ok(())
            }
            _ => Err(VouchError(format!("`{author}` did not sign it"))),
        }
    }
}

/// What all buses share: each node's view of the others, and who can hear whom.
#[derive(Default)]
struct Hub {
    nodes: BTreeMap<Arc<str>, At>,
    cut: BTreeSet<(Arc<str>, Arc<str>)>,
}

#[derive(Default)]
struct At {
    alive: bool,
    generation: u64,
    view: BusView,
    readers: Readers,
}

impl Hub {
    fn hears(&self, a: &str, b: &str) -> bool {
        let alive = |n: &str| self.nodes.get(n).is_some_and(|at| at.alive);
        let cut = |a: &str, b: &str| self.cut.contains(&(a.into(), b.into()));
        alive(a) && alive(b) && !cut(a, b) && !cut(b, a)
    }

    /// `reader` learns what `owner` wrote, unless it knows as much.
    fn learn(&mut self, reader: &str, owner: &Arc<str>, from: &Owner, now: Moment) {
        let at = self.nodes.get_mut(reader).unwrap();
        let known = at.view.owners.get(owner).cloned();
        if known
            .as_ref()
            .is_some_and(|k| k.generation > from.generation)
        {
            return;
        }
        let was = known.map(|k| k.keys.clone()).unwrap_or_default();
        let gone = was.keys().filter(|k| !from.keys.contains_key(*k));
        let empty: Arc<str> = "".into();
        let changed = gone.map(|k| (k, &empty));
        let there = from.keys.iter().filter(|(k, v)| was.get(*k) != Some(v));
        let changes: Vec<Change> = changed
            .chain(there)
            .map(|(key, value)| Change {
                owner: owner.clone(),
                generation: from.generation,
                key: key.clone(),
                value: value.clone(),
            })
            .collect();
        let mut own = from.clone();
        own.last_progress = now;
        at.view.owners.insert(owner.clone(), Arc::new(own));
        at.readers.tell(&changes);
    }

    /// `reader` learns all that those it hears know.
    fn catch_up(&mut self, reader: &str, now: Moment) {
        let heard: Vec<(Arc<str>, Arc<Owner>)> = self
            .nodes
            .iter()
            .filter(|(name, _)| self.hears(reader, name))
            .flat_map(|(name, at)| {
                // Each says of itself what is true, of others what it knows.
                let of_others = at.view.owners.iter().filter(move |(o, _)| *o != name);
                let own = at.view.owners.get_key_value(name);
                own.into_iter().chain(of_others)
            })
            .map(|(owner, o)| (owner.clone(), o.clone()))
            .collect();
        for (owner, o) in heard {
            let known = self.nodes[reader].view.owners.get(&owner);
            let straight = self.hears(reader, &owner);
            let truth = self
                .nodes
                .get(&owner)
                .and_then(|at| at.view.owners.get(&owner));
            let o = if straight {
                truth.cloned().unwrap_or(o)
            } else {
                o
            };
            if &*owner != reader && (straight || known.is_none()) {
                self.learn(reader, &owner, &o, now);
            }
        }
    }
}

#[derive(Clone)]
struct Bus {
    node: Arc<str>,
    hub: Arc<Mutex<Hub>>,
    clock: Arc<SimClock>,
}

impl Bus {
    fn put(&self, key: &Key, value: &str) {
        let mut hub = self.hub.lock().unwrap();
        let now = self.clock.now();
        let at = &hub.nodes[&self.node];
        let mut own = at.view.owners.get(&self.node).map_or_else(
            || Owner {
                generation: at.generation,
                keys: BTreeMap::new(),
                last_progress: now,
            },
            |o| (**o).clone(),
        );
        match value {
            "" => drop(own.keys.remove(key)),
            value => drop(own.keys.insert(key.clone(), value.into())),
        }
        let all: Vec<Arc<str>> = hub.nodes.keys().cloned().collect();
        for node in all {
            if node == self.node || hub.hears(&self.node, &node) {
                hub.learn(&node, &self.node, &own, now);
            }
        }
    }
}

impl StateBus for Bus {
    fn publish(&self, key: &Key, value: &str) -> Result<(), BusError> {
        assert!(value.len() <= crate::fleet::bus::MAX_VALUE);
        self.put(key, value);
        Ok(())
    }

    fn retire(&self, key: &Key) {
        self.put(key, "");
    }

    fn subscribe(&self, prefix: &str) -> mpsc::UnboundedReceiver<Change> {
        let mut hub = self.hub.lock().unwrap();
        let at = hub.nodes.get_mut(&self.node).unwrap();
        at.readers.add(prefix, &at.view)
    }

    fn view(&self) -> Arc<BusView> {
        Arc::new(self.hub.lock().unwrap().nodes[&self.node].view.clone())
    }

    fn members(&self) -> Arc<[Peer]> {
        let hub = self.hub.lock().unwrap();
        let member = |(name, at): (&Arc<str>, &At)| Peer {
            node: name.clone(),
            generation: at.generation,
            alive: hub.hears(&self.node, name),
            own: *name == self.node,
        };
        hub.nodes.iter().map(member).collect()
    }
}

struct Node {
    desk: Arc<Desk>,
    publisher: Publisher,
    judge: mpsc::Sender<Order>,
    gauges: Arc<OrderGauges>,
    clock: Arc<NodeClock>,
    tasks: Vec<JoinHandle<()>>,
    storing: Option<Running>,
    _stop: watch::Sender<bool>,
    _reports: mpsc::Sender<crate::probe::Report>,
}

/// The fleet.
pub(super) struct Fleet {
    names: Vec<Arc<str>>,
    hub: Arc<Mutex<Hub>>,
    sim: Arc<SimClock>,
    nodes: BTreeMap<Arc<str>, Node>,
    dirs: BTreeMap<Arc<str>, TempDir>,
}

impl Fleet {
    pub(super) fn start(names: &[&str]) -> Fleet {
        let sim = Arc::new(SimClock::default());
        sim.advance(Duration::from_secs(1));
        let mut fleet = Fleet {
            names: names.iter().map(|n| (*n).into()).collect(),
            hub: Arc::default(),
            sim,
            nodes: BTreeMap::new(),
            dirs: BTreeMap::new(),
        };
        for name in names {
            fleet.restart_empty(name);
        }
        fleet
    }

    /// Starts a node from its store.
    pub(super) fn restart(&mut self, name: &str) {
        self.nodes.remove(name);
        let name: Arc<str> = name.into();
        let now = self.sim.now();
        {
            let mut hub = self.hub.lock().unwrap();
            let generation = hub.nodes.get(&name).map_or(0, |at| at.generation) + 1;
            let at = At {
                alive: true,
                generation,
                ..At::default()
            };
            hub.nodes.insert(name.clone(), at);
            hub.catch_up(&name, now);
        }
        let clock = Arc::new(NodeClock {
            sim: self.sim.clone(),
            ahead: AtomicU64::new(0),
        });
        let gauges: Arc<OrderGauges> = Arc::default();
        let dir = self.dirs[&name].path();
        let lock = SharedLock::default().hold(dir).unwrap();
        let (store, stored, storing) = Store::open(dir, lock, gauges.clone()).unwrap();
        let now_ms = clock.wall().unix_ms(now);
        let book = Book::load(&name, stored, now_ms);
        let (judge, wiring) = JudgeLoop::new(
            world(&["eu", "us"]),
            Arc::default(),
            clock.clone(),
            Duration::from_secs(5),
            Kept {
                standing: Arc::new(book.standing(now_ms)),
                ..Kept::default()
            },
        );
        let (orders, orders_rx) = mpsc::channel(8);
        let (reports, reports_rx) = mpsc::channel(8);
        let tools = Tools {
            node: name.clone(),
            peers: self.names.clone(),
            clock: clock.clone(),
            vouch: Arc::new(Seal(name.to_string())),
            bus: Arc::new(Bus {
                node: name.clone(),
                hub: self.hub.clone(),
                clock: self.sim.clone(),
            }),
            store,
            judge: orders.clone(),
            publisher: wiring.publisher.clone(),
            gauges: gauges.clone(),
        };
        let desk = Desk::new(tools, book);
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(judge.run(reports_rx, orders_rx)),
            tokio::spawn(desk.clone().run(stopped)),
        ];
        let node = Node {
            desk,
            publisher: wiring.publisher,
            judge: orders,
            gauges,
            clock,
            tasks,
            storing: Some(storing),
            _stop: stop,
            _reports: reports,
        };
        self.nodes.insert(name, node);
    }

    /// Starts a node with an empty disk.
    pub(super) fn restart_empty(&mut self, name: &str) {
        self.kill(name);
        self.dirs.insert(name.into(), tempfile::tempdir().unwrap());
        self.restart(name);
    }

    /// Ends a node; its disk stays.
    pub(super) fn kill(&mut self, name: &str) {
        if let Some(at) = self.hub.lock().unwrap().nodes.get_mut(name) {
            at.alive = false;
        }
        if let Some(mut node) = self.nodes.remove(name) {
            node.tasks.iter().for_each(JoinHandle::abort);
            node.storing.take().unwrap().end();
        }
    }

    pub(super) fn desk(&self, name: &str) -> Arc<Desk> {
        self.nodes[name].desk.clone()
    }

    pub(super) fn gauges(&self, name: &str) -> &OrderGauges {
        &self.nodes[name].gauges
    }

    /// The orders in the view that answers queries.
    pub(super) fn in_force(&self, name: &str) -> Vec<(Scope, OverrideKind)> {
        let node = &self.nodes[name];
        let (view, now) = (node.publisher.latest(), node.clock.now());
        let live = view.overrides.0.iter();
        live.filter(|o| o.expires.is_none_or(|end| end > now))
            .map(|o| (o.scope, o.kind))
            .collect()
    }

    /// Moves the clock, and lets every node see it.
    pub(super) async fn advance(&self, d: Duration) {
        self.look().await;
        self.sim.advance(d);
        self.look().await;
    }

    async fn look(&self) {
        for node in self.nodes.values() {
            node.desk.turn().await;
            node.desk.carry();
        }
    }

    /// Waits until something is so.
    pub(super) async fn settle(&self, what: &str, so: impl Fn(&Fleet) -> bool) {
        for _ in 0..1_000 {
            if so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within 10 s: {what}");
    }

    /// Sets the calendar of a node ahead.
    pub(super) fn set_calendar(&self, name: &str, ahead: Duration) {
        let ms = u64::try_from(ahead.as_millis()).unwrap();
        self.nodes[name].clock.ahead.store(ms, Ordering::Relaxed);
    }

    /// Cuts the fleet in two.
    pub(super) fn cut(&self, left: &[&str], right: &[&str]) {
        let mut hub = self.hub.lock().unwrap();
        for l in left {
            for r in right {
                hub.cut.insert(((*l).into(), (*r).into()));
            }
        }
    }

    /// Everybody hears everybody again.
    pub(super) fn heal(&self) {
        let mut hub = self.hub.lock().unwrap();
        hub.cut.clear();
        for node in &self.names {
            hub.catch_up(node, self.sim.now());
        }
    }

    /// Gossip forgets what a dead node told.
    pub(super) fn forget_space(&self, name: &str) {
        let mut hub = self.hub.lock().unwrap();
        for at in hub.nodes.values_mut() {
            at.view.owners.remove(name);
        }
    }

    /// The orders that a node tells.
    pub(super) fn told(&self, name: &str) -> Vec<(String, String)> {
        let hub = self.hub.lock().unwrap();
        let own = hub.nodes[name].view.owners.get(name);
        let keys = own.into_iter().flat_map(|o| &o.keys);
        keys.filter(|(k, _)| k.as_str().starts_with("ov/"))
            .map(|(k, v)| (k.as_str().to_owned(), v.to_string()))
            .collect()
    }

    /// Living nodes that tell an order which is not their own.
    pub(super) fn carriers(&self) -> Vec<String> {
        let carries = |name: &str| {
            let own = format!(".{name}");
            self.told(name).iter().any(|(k, _)| !k.ends_with(&own))
        };
        let living = self.nodes.keys().map(|n| n.to_string());
        living.filter(|n| carries(n)).collect()
    }

    /// A node tells something its desk knows nothing of.
    pub(super) fn whisper(&self, name: &str, key: &str, value: &str) {
        let bus = Bus {
            node: name.into(),
            hub: self.hub.clone(),
            clock: self.sim.clone(),
        };
        bus.publish(&Key::new(key).unwrap(), value).unwrap();
    }

    /// A node takes over another configuration.
    pub(super) async fn adopt(&self, name: &str, snapshot: Arc<Snapshot>) {
        let (done, adopted) = oneshot::channel();
        let order = Order::Adopt {
            snapshot,
            keys: Arc::default(),
            done,
        };
        self.nodes[name].judge.send(order).await.unwrap();
        adopted.await.unwrap();
    }
}
