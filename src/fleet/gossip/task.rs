//! The gossip task: one chitchat after another, each a life of this node.
//!
//! chitchat ends on some socket errors and panics on some input of members; it is started anew then,
//! as another generation that tells everything again. Lives that end soon wait longer for the next,
//! so that a node in trouble does not fill everybody's digest with dead generations.

use std::sync::Arc;
use std::time::Duration;

use chitchat::transport::Transport;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, NodeState,
    ProtocolVersion, spawn_chitchat,
};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::fleet::bus::Key;

use super::bus::{Inner, Shared, Stop};
use super::counters::GossipEvent;
use super::merge::{COMPLETE, Heard, LEAVING, LifeId, Remark, STATE, Space};

/// Least time between two looks at what gossip brought: what changes meanwhile reaches readers at once.
const BATCH: Duration = Duration::from_millis(100);

/// Between two looks at who may say what.
const RECHECK: Duration = Duration::from_secs(5);

/// First wait before a new life; doubles with each that ends soon.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Longest wait before a new life: at most 60 of them in an hour, after which dead ones are forgotten.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A life that lasted so long was no early death.
const SETTLED: Duration = Duration::from_secs(300);

/// From so many lives in the digest on, messages become too long for all of them (chitchat: about
/// 500).
const DIGEST_ALARM: usize = 200;

/// Multiples of the mean gap between signs of life after which a node is taken for dead: about ten
/// seconds at the usual interval, far beyond what a lossy long-distance path costs.
const PHI: f64 = 20.0;

/// How long gossip remembers the dead. Readers remember their values for themselves.
const DEAD_GRACE: Duration = Duration::from_secs(3600);

/// How long a retired key is told. Whoever is away for longer is told everything anew.
const RETIRED_GRACE: Duration = Duration::from_secs(24 * 3600);

/// How a life ended.
enum Ended {
    Stopped,
    Overtaken(u64),
    Died(String),
}

/// Runs until stopped.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut generation: u64,
    transport: Arc<dyn Transport>,
    mut stopped: watch::Receiver<Stop>,
) {
    let mut wait = FIRST_WAIT;
    loop {
        let began = Instant::now();
        let life = tokio::spawn(live(
            shared.clone(),
            transport.clone(),
            generation,
            stopped.clone(),
        ));
        let why = match life.await {
            Ok(Ok(Ended::Stopped)) => return,
            Ok(Ok(Ended::Overtaken(next))) => {
                tracing::warn!(
                    node = shared.options.node,
                    generation,
                    next,
                    "the fleet remembers a later start of this node: its clock was ahead once; \
                     going on from there"
                );
                generation = next;
                shared.counters.count(GossipEvent::Respawn);
                shared.inner().reborn(&shared, generation);
                // Whoever makes it happen again and again gains nothing by it.
                tokio::select! {
                    () = sleep(FIRST_WAIT) => {}
                    () = told_to_stop(&mut stopped) => return,
                }
                continue;
            }
            Ok(Ok(Ended::Died(why))) => why,
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => error.to_string(),
        };
        if began.elapsed() >= SETTLED {
            wait = FIRST_WAIT;
        }
        shared.counters.count(GossipEvent::Respawn);
        tracing::error!(
            node = shared.options.node,
            why,
            again_in = ?wait,
            "gossip ended and will be started anew"
        );
        tokio::select! {
            () = sleep(wait) => {}
            () = told_to_stop(&mut stopped) => return,
        }
        wait = (2 * wait).min(LONGEST_WAIT);
        generation = generation.saturating_add(1);
        shared.inner().reborn(&shared, generation);
    }
}

/// One life of this node.
async fn live(
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    generation: u64,
    mut stopped: watch::Receiver<Stop>,
) -> anyhow::Result<Ended> {
    let options = &shared.options;
    let handle = spawn_chitchat(config(&shared, generation), Vec::new(), &*transport).await?;
    let mut ended = std::pin::pin!(handle.termination_watcher());
    let changed = Arc::new(Notify::new());
    let teller = changed.clone();
    let chitchat = handle.chitchat();
    let listener = chitchat
        .lock()
        .await
        .subscribe_event("", move |_| teller.notify_one());
    listener.forever();
    // Without changes only to feel who lives.
    let mut look = interval(options.interval.max(BATCH));
    let mut looked = Instant::now();
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut recheck = interval(RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = &mut ended => {
                let why = ended.err().map_or_else(|| "it stopped".to_owned(), |e| format!("{e:#}"));
                return Ok(Ended::Died(why));
            }
            () = told_to_stop(&mut stopped) => {
                if *stopped.borrow() != Stop::Hush {
                    leave(&handle).await;
                    sleep(2 * options.interval).await;
                }
                // It may have died meanwhile: it has ended either way.
                drop(handle.shutdown().await);
                return Ok(Ended::Stopped);
            }
            () = shared.wake.notified() => {
                tell(&shared, &mut *chitchat.lock().await);
            }
            _ = recheck.tick() => {
                let mut heard = Heard::default();
                let mut inner = shared.inner();
                inner.merge.recheck(options.clock.now(), &mut heard);
                inner.finish(&heard);
            }
            () = changed.notified() => look.reset_at((looked + BATCH).max(Instant::now())),
            _ = look.tick() => {
                looked = Instant::now();
                let mut chitchat = chitchat.lock().await;
                tell(&shared, &mut chitchat);
                if let Some(next) = listen(&shared, &chitchat, generation) {
                    return Ok(Ended::Overtaken(next));
                }
            }
        }
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<Stop>) {
    // An error means that the bus is gone, and with it whoever could say stop.
    drop(stopped.wait_for(|stop| *stop != Stop::No).await);
}

fn config(shared: &Shared, generation: u64) -> ChitchatConfig {
    let options = &shared.options;
    ChitchatConfig {
        chitchat_id: ChitchatId::new(options.node.as_str(), generation, options.advertise),
        cluster_id: options.cluster.clone(),
        gossip_interval: options.interval,
        listen_addr: options.advertise,
        seed_nodes: options.seeds.clone(),
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: PHI,
            sampling_window_size: 1000,
            max_interval: Duration::from_secs(10),
            initial_interval: options.interval,
            dead_node_grace_period: DEAD_GRACE,
        },
        marked_for_deletion_grace_period: RETIRED_GRACE,
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    }
}

/// Hands gossip what this node has to say, "that is all" last.
fn tell(shared: &Shared, chitchat: &mut Chitchat) {
    let mut inner = shared.inner();
    let Inner { own, dirty, .. } = &mut *inner;
    if dirty.is_empty() {
        return;
    }
    let state = chitchat.self_node_state();
    let last = |key: &&Key| key.as_str() == COMPLETE;
    let others = dirty.iter().filter(|key| !last(key));
    for key in others.chain(dirty.iter().filter(last)) {
        match own.get(key) {
            Some(value) => state.set(key.as_str(), value),
            // Not told for ever, so that retired keys do not pile up.
            None => state.set_with_ttl(key.as_str(), ""),
        }
    }
    dirty.clear();
}

async fn leave(handle: &ChitchatHandle) {
    let chitchat = handle.chitchat();
    chitchat.lock().await.self_node_state().set(STATE, LEAVING);
}

/// Takes what gossip brought. Returns the generation to go on with, when gossip remembers this node
/// under a higher one.
fn listen(shared: &Shared, chitchat: &Chitchat, generation: u64) -> Option<u64> {
    let now = shared.options.clock.now();
    let live: std::collections::BTreeSet<&ChitchatId> = chitchat.live_nodes().collect();
    let states = chitchat.node_states();
    let mut heard = Heard::default();
    let mut inner = shared.inner();
    inner.merge.begin();
    for (id, state) in states {
        let life = LifeId {
            generation: id.generation_id,
            address: id.gossip_advertise_addr,
        };
        let own = *id.node_id == *shared.options.node;
        // An earlier life of this process is no other node.
        if own && life.address == shared.options.advertise && life.generation < generation {
            continue;
        }
        let alive = live.contains(id);
        inner
            .merge
            .hear(&id.node_id, life, alive, state, now, &mut heard);
    }
    inner.merge.end();
    inner.finish(&heard);
    let next = inner.merge.overtaken(now);
    drop(inner);
    shared.counters.set_digest_entries(states.len());
    if states.len() > DIGEST_ALARM {
        alarm(shared, states.len());
    }
    for remark in heard.remarks {
        log(shared, &remark);
    }
    next
}

fn alarm(shared: &Shared, entries: usize) {
    if shared.rarely.due("digest").is_some() {
        tracing::error!(
            entries,
            limit = DIGEST_ALARM,
            "the fleet remembers too many starts of nodes: find the node that restarts over and \
             over, or let nodes push instead of being members"
        );
    }
}

fn log(shared: &Shared, remark: &Remark) {
    match remark {
        Remark::Duplicate(two) => {
            if let Some(times) = shared.rarely.due(&format!("duplicate {}", two.node)) {
                shared.counters.count(GossipEvent::Duplicate);
                tracing::error!(
                    node = %two.node,
                    believed = %two.believed.address,
                    ignored = %two.other.address,
                    times,
                    "two running nodes have the same name: the second one is not believed; stop one \
                     of them or give it another name"
                );
            }
        }
        Remark::Stranger(name, life) => {
            if let Some(times) = shared.rarely.due("stranger") {
                tracing::warn!(
                    node = name,
                    address = %life.address,
                    times,
                    "a node speaks that this configuration does not know: it is ignored"
                );
            }
        }
        Remark::Unaccepted(name, key, why) => {
            if let Some(times) = shared.rarely.due(&format!("unaccepted {name}")) {
                tracing::warn!(node = %name, key, why, times, "a key of a member is not accepted");
            }
        }
    }
}

impl Inner {
    /// Another life of this node: it tells everything anew.
    pub(super) fn reborn(&mut self, shared: &Shared, generation: u64) {
        self.merge.reborn(LifeId {
            generation,
            address: shared.options.advertise,
        });
        self.dirty = self.own.keys().cloned().collect();
    }
}

impl Space for NodeState {
    fn heartbeat(&self) -> u64 {
        NodeState::heartbeat(self).into()
    }

    fn version(&self) -> u64 {
        self.max_version()
    }

    fn collected(&self) -> u64 {
        self.last_gc_version()
    }

    fn get(&self, key: &str) -> Option<&str> {
        NodeState::get(self, key)
    }

    fn after(&self, version: u64, take: &mut dyn FnMut(&str, &str, u64)) {
        for (key, value) in self.key_values_including_deleted() {
            if value.version > version {
                take(key, &value.value, value.version);
            }
        }
    }
}
