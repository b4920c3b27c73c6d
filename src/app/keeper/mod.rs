//! The keeper: makes, stores, rolls and publishes the keys of signed zones.
//!
//! A thread of its own, since it waits for disks. Every change is on the disk before it is
//! published; when the disk fails, the zone goes on with the keys it has, and the roll-over waits.

mod lock;
mod record;
pub mod store;
pub mod utc;
mod zone;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use self::lock::{Locked, StateLock, lock};
use self::store::{Store, StoreError};
use self::zone::Kept;
use super::judge_loop::Order;
use crate::compile::SignedZone;
use crate::dns::name::WireName;
use crate::dnssec::rollover::Event;
use crate::dnssec::{Keys, ZoneKeys};
use crate::time::Clock;

/// The keeper looks for orders and due steps this often.
const LOOK: Duration = Duration::from_millis(500);

/// A step that could not be stored is tried again after so many seconds.
const RETRY: u64 = 10;

/// The keys of all signed zones.
#[derive(Debug)]
pub struct Keeper {
    /// `None` without a state directory: then no zone is signed.
    store: Option<Store>,
    _lock: Option<StateLock>,
    zones: BTreeMap<WireName, Kept>,
    published: HashMap<WireName, Arc<ZoneKeys>>,
    generation: u64,
    /// What is wrong with each zone's keys, so that it is logged once.
    troubles: BTreeMap<WireName, String>,
}

/// The keeper as the thread, reloads and commands share it.
pub type Shared = Arc<Mutex<Keeper>>;

/// Locks the keeper; a panic in one step must not end all further ones.
pub fn locked(keeper: &Shared) -> MutexGuard<'_, Keeper> {
    keeper.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// A keeper of the keys in a state directory. It is made and locked when the first zone is signed.
    pub fn new(state_dir: Option<&Path>) -> Keeper {
        Keeper {
            store: state_dir.map(Store::new),
            _lock: None,
            zones: BTreeMap::new(),
            published: HashMap::new(),
            generation: 0,
            troubles: BTreeMap::new(),
        }
    }

    /// Takes over the zones of a configuration and gives their keys. On an error nothing has changed,
    /// except that keys made for a new zone may be on the disk.
    ///
    /// # Errors
    /// When the keys of a zone cannot be had. Without them it would be answered unsigned, which is
    /// bogus to validators once the parent has a DS.
    pub fn adopt(
        &mut self,
        state_dir: Option<&Path>,
        signed: &[SignedZone],
        now: u64,
    ) -> Result<Arc<Keys>, StoreError> {
        if signed.is_empty() {
            self.zones.clear();
            self.published.clear();
            return Ok(self.keys());
        }
        let (Some(store), Some(dir)) = (self.store.clone(), state_dir) else {
            return Err(StoreError(
                "no `state-dir` to keep DNSSEC keys in; set it and restart the node".to_owned(),
            ));
        };
        if self._lock.is_none() {
            store::make_private_dir(dir)?;
            self._lock = match lock(dir)? {
                Locked::Here(lock) => Some(lock),
                Locked::Elsewhere => {
                    return Err(StoreError(format!(
                        "state directory `{}` is in use by another process; give each node a \
                         `state-dir` of its own",
                        dir.display()
                    )));
                }
            };
        }
        let (mut zones, mut published) = (BTreeMap::new(), HashMap::new());
        let mut troubles = BTreeMap::new();
        for zone in signed {
            let known = self.zones.get(&zone.apex).cloned();
            let mut kept = match known {
                Some(mut kept) => {
                    kept.zone = zone.clone();
                    kept
                }
                None => Kept::load(&store, zone)?,
            };
            let fresh = kept.state.keys.is_empty();
            match kept.step(&store, now) {
                Ok(stepped) => {
                    tell(&zone.apex, &stepped.events);
                    if let Some(e) = stepped.failed {
                        if fresh {
                            return Err(StoreError(format!("zone `{}`: {e}", zone.apex)));
                        }
                        troubles.insert(zone.apex.clone(), e.0);
                    }
                }
                // With keys to go on with, a full disk stops roll-overs, not the node.
                Err(e) if fresh => return Err(e),
                Err(e) => {
                    kept.due = Some(now + RETRY);
                    troubles.insert(zone.apex.clone(), e.0);
                }
            }
            self.generation += 1;
            if let Some(keys) = kept.publish(&store, self.generation)? {
                published.insert(zone.apex.clone(), Arc::new(keys));
            }
            zones.insert(zone.apex.clone(), kept);
        }
        for (zone, e) in &troubles {
            tracing::error!(%zone, "DNSSEC keys: {e}");
        }
        (self.zones, self.published, self.troubles) = (zones, published, troubles);
        Ok(self.keys())
    }

    /// The keys as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::new(Keys {
            zones: self.published.clone(),
        })
    }

    /// Number of zones whose keys cannot be kept as they should.
    pub fn troubles(&self) -> usize {
        self.troubles.len()
    }

    /// Does what is due; gives the keys when something of them changed.
    pub fn tick(&mut self, now: u64) -> Option<Arc<Keys>> {
        let store = self.store.clone()?;
        let mut changed = false;
        for (apex, kept) in &mut self.zones {
            if kept.due.is_none_or(|due| due > now) {
                continue;
            }
            let result = kept.step(&store, now).and_then(|stepped| {
                tell(apex, &stepped.events);
                if !stepped.events.is_empty() {
                    self.generation += 1;
                    let keys = kept.publish(&store, self.generation)?;
                    match keys {
                        Some(keys) => self.published.insert(apex.clone(), Arc::new(keys)),
                        None => self.published.remove(apex),
                    };
                    changed = true;
                }
                stepped.failed.map_or(Ok(()), |e| Err(StoreError(e.0)))
            });
            match result {
                Ok(()) => {
                    if self.troubles.remove(apex).is_some() {
                        tracing::info!(zone = %apex, "DNSSEC keys can be kept again");
                    }
                }
                Err(e) => {
                    kept.due = Some(now + RETRY);
                    if self.troubles.get(apex) != Some(&e.0) {
                        tracing::error!(
                            zone = %apex,
                            "DNSSEC keys: {e}; the zone goes on with the keys it has"
                        );
                        self.troubles.insert(apex.clone(), e.0);
                    }
                }
            }
        }
        changed.then(|| self.keys())
    }
}

/// Logs what happened to the keys of a zone.
fn tell(apex: &WireName, events: &[Event]) {
    for event in events {
        if event.change.is_milestone() {
            tracing::info!(zone = %apex, "DNSSEC: {event}");
        } else {
            tracing::debug!(zone = %apex, "DNSSEC: {event}");
        }
    }
}

/// Starts the keeper's thread, which ends when the other end of `stop` is dropped.
///
/// # Errors
/// When the system has no thread to give.
pub fn spawn(
    keeper: Shared,
    clock: Arc<dyn Clock>,
    orders: Sender<Order>,
    stop: Receiver<()>,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let run = move || {
        while stop.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let now = clock.wall().unix(clock.now());
            let mut keeper = locked(&keeper);
            if let Some(keys) = keeper.tick(now) {
                // Sent under the lock, so that a reload cannot overtake it with older keys. The loop
                // that takes orders never waits for the keeper. It is gone only when the node stops.
                let _ = orders.blocking_send(Order::Keys(keys));
            }
        }
    };
    std::thread::Builder::new()
        .name("tradewind-keys".to_owned())
        .spawn(run)
}
