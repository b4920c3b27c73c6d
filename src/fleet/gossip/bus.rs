//! [`GossipBus`]: the bus of a member.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chitchat::transport::Transport;
use tokio::sync::{Notify, mpsc, watch};

use crate::fleet::asking::{Answers, Asking, Unanswered};
use crate::fleet::bus::{BusError, BusView, Change, Key, Member, StateBus, Value, check_length};
use crate::fleet::credentials::Credentials;
use crate::fleet::readers::Readers;
use crate::time::Clock;

use super::ask::AnswerDesk;
use super::counters::{GossipCounters, GossipEvent};
use super::merge::{Heard, LifeId, Merge};
use super::quic::Quic;
use super::rarely::Rarely;
use super::task;

pub use super::merge::RolesOf;

/// What a member needs to know.
#[derive(Clone)]
pub struct GossipOptions {
    /// Its name in the configuration.
    pub node: String,
    /// The name of the cluster; messages of others are refused.
    pub cluster: String,
    /// Which life this is: milliseconds since 1970 at the start, and more than at any earlier start
    /// that is remembered. Should the clock have been ahead once, the bus notices from what others
    /// remember, and counts on from there.
    pub generation: u64,
    /// Where the others reach it.
    pub advertise: SocketAddr,
    /// Where it finds others: `address:port` or `name:port`, names looked up again each minute.
    pub seeds: Vec<String>,
    /// Between two rounds; in each it exchanges with three others.
    pub interval: Duration,
    /// What the configuration lets each node say; asked again as the configuration changes.
    pub roles_of: RolesOf,
    /// Of [`Owner::last_progress`](crate::fleet::Owner::last_progress).
    pub clock: Arc<dyn Clock>,
}

/// The bus of a member of the fleet. Publishing never waits; everything else happens on a thread of
/// its own. Dropping it stops the thread without a goodbye: see [`GossipBus::stop`].
pub struct GossipBus {
    shared: Arc<Shared>,
    thread: Mutex<Thread>,
}

/// How gossip shall end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// Not now.
    No,
    /// With a goodbye.
    Leave,
    /// Without a word: this node goes on in another process.
    Hush,
}

/// The thread that gossips, or has gossiped.
struct Thread {
    stop: watch::Sender<Stop>,
    ended: watch::Receiver<bool>,
    /// How single members are asked; `None` in memory.
    quic: Option<Quic>,
}

impl GossipBus {
    /// Starts a member on its own thread with a runtime of its own, over QUIC on `socket`. May be
    /// called within any runtime or none. An advertised port of 0 stands for the port of the socket.
    ///
    /// # Errors
    /// When the system gives no thread or no runtime, or the credentials do not suit QUIC.
    pub fn start(
        mut options: GossipOptions,
        socket: UdpSocket,
        credentials: Arc<dyn Credentials>,
        counters: Arc<GossipCounters>,
    ) -> io::Result<GossipBus> {
        if options.advertise.port() == 0 {
            options.advertise.set_port(socket.local_addr()?.port());
        }
        let generation = options.generation;
        let shared = Shared::new(options, counters);
        let thread = spawn(&shared, generation, socket, credentials)?;
        let thread = Mutex::new(thread);
        Ok(GossipBus { shared, thread })
    }

    /// Ends gossip without a goodbye: the node goes on in another process, and the others shall not
    /// notice. What is published from now on stays here until [`GossipBus::revive`].
    pub async fn hush(&self) {
        self.thread().stop.send_replace(Stop::Hush);
        self.stopped().await;
    }

    /// Gossips again after [`GossipBus::hush`], as another life that tells everything anew.
    ///
    /// # Errors
    /// As [`GossipBus::start`].
    pub fn revive(
        &self,
        generation: u64,
        socket: UdpSocket,
        credentials: Arc<dyn Credentials>,
    ) -> io::Result<()> {
        self.shared.inner().reborn(&self.shared, generation);
        *self.thread() = spawn(&self.shared, generation, socket, credentials)?;
        Ok(())
    }

    /// Starts a member within the runtime of the caller, for tests and benchmarks on virtual time.
    pub fn start_here(
        options: GossipOptions,
        counters: Arc<GossipCounters>,
        transport: Arc<dyn Transport>,
    ) -> GossipBus {
        let generation = options.generation;
        let shared = Shared::new(options, counters);
        let (thread, run) = gossip(&shared, generation, transport, None);
        drop(tokio::spawn(run));
        let thread = Mutex::new(thread);
        GossipBus { shared, thread }
    }

    fn thread(&self) -> MutexGuard<'_, Thread> {
        // Replaced whole.
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says goodbye: others learn within two rounds that this node leaves. Returns at once.
    pub fn stop(&self) {
        self.thread().stop.send_replace(Stop::Leave);
    }

    /// Waits until gossip has ended after [`GossipBus::stop`].
    pub async fn stopped(&self) {
        let mut ended = self.thread().ended.clone();
        // An error means that the task is gone, which is as good.
        drop(ended.wait_for(|ended| *ended).await);
    }

    /// What is counted.
    pub fn counters(&self) -> Arc<GossipCounters> {
        self.shared.counters.clone()
    }
}

/// Gossips on a thread of its own with a runtime of its own, over QUIC on `socket`.
fn spawn(
    shared: &Arc<Shared>,
    generation: u64,
    socket: UdpSocket,
    credentials: Arc<dyn Credentials>,
) -> io::Result<Thread> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let quic = {
        let _inside = runtime.enter();
        let options = &shared.options;
        let rarely = Arc::new(Rarely::new(options.clock.clone()));
        let (node, cluster) = (&options.node, &options.cluster);
        let counters = shared.counters.clone();
        let desk = shared.desk.clone();
        Quic::open(node, cluster, socket, credentials, counters, rarely, desk)?
    };
    let transport = Arc::new(quic.clone());
    let (thread, run) = gossip(shared, generation, transport, Some(quic));
    std::thread::Builder::new()
        .name("gossip".to_owned())
        .spawn(move || {
            runtime.block_on(run);
            // Lookups of names may still be under way.
            runtime.shutdown_background();
        })?;
    Ok(thread)
}

/// What gossips, and how it is ended.
fn gossip(
    shared: &Arc<Shared>,
    generation: u64,
    transport: Arc<dyn Transport>,
    quic: Option<Quic>,
) -> (Thread, impl Future<Output = ()> + Send + 'static) {
    let (stop, stopped) = watch::channel(Stop::No);
    let (end, ended) = watch::channel(false);
    let (shared, carrier) = (shared.clone(), quic.clone());
    let run = async move {
        task::run(shared, generation, transport, stopped).await;
        if let Some(carrier) = carrier {
            carrier.close().await;
        }
        end.send_replace(true);
    };
    (Thread { stop, ended, quic }, run)
}

/// How long a life must be still before another may take over: several times the longest gap between
/// two signs of life of a living member under loss.
fn silence(interval: Duration) -> Duration {
    (6 * interval).max(Duration::from_secs(3))
}

/// What the task and the users of the bus share.
pub(super) struct Shared {
    pub(super) options: GossipOptions,
    pub(super) counters: Arc<GossipCounters>,
    pub(super) rarely: Rarely,
    /// There is something to tell.
    pub(super) wake: Notify,
    /// What answers members, over all lives of the task.
    desk: Arc<AnswerDesk>,
    inner: Mutex<Inner>,
}

/// Behind the lock, which is held for no longer than a pass takes.
pub(super) struct Inner {
    pub(super) merge: Merge,
    /// What this node says, retired keys left out.
    pub(super) own: BTreeMap<Key, Value>,
    /// What of it gossip was not told yet.
    pub(super) dirty: BTreeSet<Key>,
    readers: Readers,
    pub(super) members: Arc<[Member]>,
}

impl Shared {
    fn new(options: GossipOptions, counters: Arc<GossipCounters>) -> Arc<Shared> {
        let life = LifeId {
            generation: options.generation,
            address: options.advertise,
        };
        let merge = Merge::new(
            options.node.as_str().into(),
            life,
            silence(options.interval),
            options.roles_of.clone(),
            counters.clone(),
        );
        let members = merge.members().into();
        Arc::new(Shared {
            rarely: Rarely::new(options.clock.clone()),
            options,
            counters,
            wake: Notify::new(),
            desk: Arc::default(),
            inner: Mutex::new(Inner {
                merge,
                own: BTreeMap::new(),
                dirty: BTreeSet::new(),
                readers: Readers::default(),
                members,
            }),
        })
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic of the gossip task must not take the readers with it; what it was merging is read
        // again after its restart.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: &Key, value: &str) {
        let now = self.options.clock.now();
        let mut inner = self.inner();
        let Some(change) = inner.merge.say(key, value, now) else {
            return;
        };
        if value.is_empty() {
            inner.own.remove(key);
        } else {
            inner.own.insert(key.clone(), change.value.clone());
        }
        inner.dirty.insert(key.clone());
        inner.readers.tell(std::slice::from_ref(&change));
        drop(inner);
        self.wake.notify_one();
    }
}

impl Inner {
    /// Tells the outcome of a pass, and who is there now.
    pub(super) fn finish(&mut self, heard: &Heard) {
        if !heard.changes.is_empty() {
            self.readers.tell(&heard.changes);
        }
        let members = self.merge.members();
        if *self.members != *members {
            self.members = members.into();
        }
    }
}

#[async_trait]
impl Asking for GossipBus {
    async fn ask(&self, node: &str, question: &str) -> Result<Vec<u8>, Unanswered> {
        let to = self.shared.inner().merge.address_of(node);
        let quic = self.thread().quic.clone();
        let answer = match (to, quic) {
            (Some(to), Some(quic)) => quic.ask(to, node, question).await,
            (None, _) => Err(Unanswered::NeverHeard),
            (_, None) => Err(Unanswered::Unreachable),
        };
        self.shared.counters.count(match answer {
            Ok(_) => GossipEvent::Answered,
            Err(_) => GossipEvent::Unanswered,
        });
        answer
    }

    fn answer_with(&self, answers: Arc<dyn Answers>) {
        self.shared.desk.open(answers);
    }
}

impl StateBus for GossipBus {
    fn publish(&self, key: &Key, value: &str) -> Result<(), BusError> {
        check_length(key, value)?;
        self.shared.put(key, value);
        Ok(())
    }

    fn retire(&self, key: &Key) {
        self.shared.put(key, "");
    }

    fn subscribe(&self, prefix: &str) -> mpsc::UnboundedReceiver<Change> {
        let mut inner = self.shared.inner();
        let view = inner.merge.view();
        inner.readers.add(prefix, &view)
    }

    fn view(&self) -> Arc<BusView> {
        self.shared.inner().merge.view()
    }

    fn members(&self) -> Arc<[Member]> {
        self.shared.inner().members.clone()
    }
}
