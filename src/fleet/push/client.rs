//! The bus of a node that pushes: its own keys go to every DNS node it pushes to, over one connection
//! each; orders and news of nodes come back.
//!
//! What comes back is believed of one connection at a time, and of another when that ends, so that
//! the view never goes back and forth between two nodes of which one is behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::frame::Frame;
use super::outbox::Outbox;
use super::relay::fits;
use super::session::{self, Ended};
use crate::compile::PushTarget;
use crate::fleet::bus::{BusError, BusView, Change, Key, Member, Owner, StateBus, Value};
use crate::fleet::credentials::Credentials;
use crate::fleet::identity::Refusals;
use crate::fleet::readers::Readers;
use crate::time::Clock;

/// Wait before a connection is tried again: grows twofold from the first to the second while none is
/// taken.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What a pushing node needs.
#[derive(Clone)]
pub struct PushOptions {
    /// This node.
    pub node: Arc<str>,
    /// Which life of it: grows with each start.
    pub generation: u64,
    /// Where to push.
    pub targets: Vec<PushTarget>,
    /// Who it is.
    pub credentials: Arc<dyn Credentials>,
    /// Where refusals are counted.
    pub refusals: Arc<Refusals>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The bus of a node that pushes. Dropping it ends all connections.
pub struct PushBus {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the connections share.
pub(super) struct Shared {
    pub(super) options: PushOptions,
    /// The last change of the own keys.
    pub(super) seq: watch::Sender<u64>,
    /// The life in force.
    pub(super) generation: watch::Sender<u64>,
    state: Mutex<State>,
    connects: AtomicU64,
}

/// Keys of other nodes: the owner's life and the value.
type Words = BTreeMap<(Arc<str>, Key), (u64, Value)>;

#[derive(Default)]
struct State {
    outbox: Outbox,
    /// By target: the last change sent on the connection there is.
    sent: Vec<Option<u64>>,
    /// By target: what came back on it.
    told: Vec<Words>,
    /// The target whose words are believed.
    source: Option<usize>,
    view: Arc<BusView>,
    readers: Readers,
}

impl PushBus {
    /// Starts pushing, on the runtime of the caller.
    pub fn start(options: PushOptions) -> PushBus {
        let count = options.targets.len();
        let shared = Arc::new(Shared {
            seq: watch::Sender::new(0),
            generation: watch::Sender::new(options.generation),
            state: Mutex::new(State {
                sent: vec![None; count],
                told: vec![Words::new(); count],
                ..State::default()
            }),
            options,
            connects: AtomicU64::new(0),
        });
        let tasks = (0..count)
            .map(|target| tokio::spawn(keep(shared.clone(), target)))
            .collect();
        PushBus { shared, tasks }
    }

    /// Connections so far that were taken by the other end.
    pub fn connects(&self) -> u64 {
        self.shared.connects.load(Ordering::Relaxed)
    }

    /// Whether every node that is connected has been sent all that was published.
    pub fn is_flushed(&self) -> bool {
        let state = self.shared.state();
        state
            .sent
            .iter()
            .flatten()
            .all(|s| *s == state.outbox.seq())
    }
}

impl Drop for PushBus {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Keeps a connection to one target for ever.
async fn keep(shared: Arc<Shared>, target: usize) {
    let mut wait = BACK_OFF.0;
    loop {
        let ended = session::run(&shared, target).await;
        if shared.disconnected(target) {
            wait = BACK_OFF.0;
        }
        let place = &shared.options.targets[target];
        match ended {
            // Said where it was refused, once in a while.
            Ended::Refused => {}
            Ended::Renamed => {
                wait = BACK_OFF.0;
                continue;
            }
            Ended::Failed(why) => {
                tracing::info!(node = place.name, address = %place.address, "push: {why}");
            }
        }
        tokio::time::sleep(jittered(wait)).await;
        wait = (wait * 2).min(BACK_OFF.1);
    }
}

/// Between half and one and a half of `wait`: nodes that lost the same server do not come back at once.
fn jittered(wait: Duration) -> Duration {
    let mut octet = [128];
    // Without randomness nodes come back together, which is no reason to stay away.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octet);
    wait / 2 + wait * u32::from(octet[0]) / 256
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can leave it half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The changes after `seq`, and the last change.
    pub(super) fn since(&self, seq: u64) -> (Vec<Frame>, u64) {
        let state = self.state();
        (state.outbox.since(seq), state.outbox.seq())
    }

    /// A target has taken the connection.
    pub(super) fn connected(&self, target: usize) {
        self.connects.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        state.sent[target] = Some(0);
        state.told[target].clear();
        if state.source.is_none() {
            state.source = Some(target);
        }
    }

    /// A target has been sent all changes up to `seq`.
    pub(super) fn sent(&self, target: usize, seq: u64) {
        let mut state = self.state();
        state.sent[target] = Some(seq);
        let heard = state.sent.iter().flatten().min().copied();
        state.outbox.bury(heard.unwrap_or(0));
    }

    /// The connection to a target has ended; whether it was taken at all.
    fn disconnected(&self, target: usize) -> bool {
        let mut state = self.state();
        let was_connected = state.sent[target].take().is_some();
        if state.source != Some(target) {
            return was_connected;
        }
        state.source = state.sent.iter().position(Option::is_some);
        if let Some(next) = state.source {
            let known = state.told[next].clone();
            for ((owner, key), (generation, value)) in known {
                self.believe(&mut state, &owner, generation, &key, &value);
            }
        }
        was_connected
    }

    /// A target told something of another node.
    pub(super) fn told(&self, target: usize, owner: &str, generation: u64, key: Key, value: Value) {
        if owner == &*self.options.node {
            return;
        }
        let mut state = self.state();
        let owner: Arc<str> = owner.into();
        if state.source == Some(target) {
            self.believe(&mut state, &owner, generation, &key, &value);
        }
        state.told[target].insert((owner, key), (generation, value));
    }

    /// Takes a change into the view and tells the readers.
    fn believe(
        &self,
        state: &mut State,
        owner: &Arc<str>,
        generation: u64,
        key: &Key,
        value: &Value,
    ) {
        let now = self.options.clock.now();
        let view = Arc::make_mut(&mut state.view);
        let entry = view.owners.entry(owner.clone()).or_insert_with(|| {
            Arc::new(Owner {
                generation,
                keys: BTreeMap::new(),
                last_progress: now,
            })
        });
        let entry = Arc::make_mut(entry);
        let known = entry.keys.get(key).map_or("", |v| v);
        if generation < entry.generation || (known == &**value && generation == entry.generation) {
            return;
        }
        entry.generation = generation;
        entry.last_progress = now;
        if value.is_empty() {
            entry.keys.remove(key);
        } else {
            entry.keys.insert(key.clone(), value.clone());
        }
        let change = Change {
            owner: owner.clone(),
            generation,
            key: key.clone(),
            value: value.clone(),
        };
        state.readers.tell(&[change]);
    }

    fn put(&self, key: &Key, value: &str) {
        let mut state = self.state();
        if !state.outbox.put(key, value) {
            return;
        }
        let generation = *self.generation.borrow();
        let node = self.options.node.clone();
        self.believe(&mut state, &node, generation, key, &value.into());
        self.seq.send_replace(state.outbox.seq());
    }
}

impl StateBus for PushBus {
    fn publish(&self, key: &Key, value: &str) -> Result<(), BusError> {
        if !fits(&self.shared.options.node, key, value.len()) {
            return Err(BusError::TooLongToPush {
                key: key.as_str().to_owned(),
                octets: value.len(),
            });
        }
        self.shared.put(key, value);
        Ok(())
    }

    fn retire(&self, key: &Key) {
        self.shared.put(key, "");
    }

    fn subscribe(&self, prefix: &str) -> mpsc::UnboundedReceiver<Change> {
        let mut state = self.shared.state();
        let view = state.view.clone();
        state.readers.add(prefix, &view)
    }

    fn view(&self) -> Arc<BusView> {
        self.shared.state().view.clone()
    }

    /// This node, and those it pushes to: alive when connected.
    fn members(&self) -> Arc<[Member]> {
        let state = self.shared.state();
        let life = |node: &str| state.view.owners.get(node).map_or(0, |o| o.generation);
        let own = Member {
            node: self.shared.options.node.clone(),
            generation: *self.shared.generation.borrow(),
            alive: true,
            own: true,
        };
        let targets = self.shared.options.targets.iter().zip(&state.sent);
        let targets = targets.map(|(target, sent)| Member {
            node: target.name.as_str().into(),
            generation: life(&target.name),
            alive: sent.is_some(),
            own: false,
        });
        std::iter::once(own).chain(targets).collect()
    }
}
