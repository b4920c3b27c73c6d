//! The keeper: makes, stores, rolls and publishes the keys of signed zones.
//!
//! A thread of its own, since it waits for disks. Every change is on the disk before it is
//! published; when the disk fails, the zone goes on with the keys it has, and the roll-over waits.

mod lock;
mod parent;
mod record;
pub mod request;
pub mod store;
pub use crate::time::utc;
mod zone;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

pub use self::lock::{SharedLock, StateLock};
use self::store::{Store, StoreError};
use self::zone::{Kept, Rejected, Stepped};
use super::judge_loop::Order;
use crate::compile::SignedZone;
use crate::dns::name::WireName;
use crate::dnssec::rollover::{Change, DsPhase, Event, KeyState, awaits_parent, ds_seen};
use crate::dnssec::{Keys, ZoneKeys};
use crate::time::Clock;

/// The keeper looks for orders and due steps this often.
const LOOK: Duration = Duration::from_millis(500);

/// A step that could not be stored is tried again after so many seconds.
const RETRY: u64 = 10;

/// The parent is asked again after so many seconds at most, while something is awaited of it.
const ASK_PARENT: u64 = 60;

/// The keys of all signed zones.
#[derive(Debug)]
pub struct Keeper {
    /// `None`: then no zone is signed.
    state_dir: Option<PathBuf>,
    lock: SharedLock,
    zones: BTreeMap<WireName, Kept>,
    published: HashMap<WireName, Arc<ZoneKeys>>,
    generation: u64,
    /// What is wrong with each zone's keys, so that it is logged once.
    troubles: BTreeMap<WireName, String>,
    /// When the parent of each zone is asked again.
    ask_parent: HashMap<WireName, u64>,
    /// Orders that are carried out, but whose file cannot be deleted.
    undeletable: HashSet<PathBuf>,
    /// Number of `troubles`, for whoever counts them.
    trouble_count: Arc<AtomicU64>,
}

/// The keeper as the thread, reloads and commands share it.
pub type Shared = Arc<Mutex<Keeper>>;

/// Locks the keeper; a panic in one step must not end all further ones.
pub fn locked(keeper: &Shared) -> MutexGuard<'_, Keeper> {
    keeper.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// A keeper of the keys in a state directory, which is made and locked when the first zone is
    /// signed. `trouble_count` follows the number of zones whose keys cannot be kept.
    pub fn new(state_dir: Option<&Path>, trouble_count: Arc<AtomicU64>) -> Keeper {
        Keeper {
            state_dir: state_dir.map(Path::to_owned),
            lock: SharedLock::default(),
            zones: BTreeMap::new(),
            published: HashMap::new(),
            generation: 0,
            troubles: BTreeMap::new(),
            ask_parent: HashMap::new(),
            undeletable: HashSet::new(),
            trouble_count,
        }
    }

    /// Shares the lock of the state directory with others of this process.
    #[must_use]
    pub fn sharing(mut self, lock: SharedLock) -> Keeper {
        self.lock = lock;
        self
    }

    /// Takes over the zones of a configuration and gives their keys. On an error nothing has changed,
    /// except that keys made for a new zone may be on the disk.
    ///
    /// # Errors
    /// When the keys of a zone cannot be had. Without them it would be answered unsigned, which is
    /// bogus to validators once the parent has a DS.
    pub fn adopt(
        &mut self,
        signed: &[SignedZone],
        unsigned: &[WireName],
        now: u64,
    ) -> Result<Arc<Keys>, StoreError> {
        if let Some(dir) = &self.state_dir {
            warn_of_unsigned(&Store::new(dir), unsigned);
        }
        let (mut zones, mut published) = (BTreeMap::new(), HashMap::new());
        let mut troubles = BTreeMap::new();
        if !signed.is_empty() {
            let store = self.open()?;
            for zone in signed {
                let known = self.zones.get(&zone.apex).cloned();
                let mut kept = match known {
                    Some(kept) => Kept {
                        zone: zone.clone(),
                        ..kept
                    },
                    None => Kept::load(&store, zone)?,
                };
                let fresh = kept.state.live().next().is_none();
                // With keys to go on with, a full disk stops roll-overs, not the node.
                match kept.step(&store, now).and_then(told(&zone.apex)) {
                    Ok(()) => {}
                    Err(e) if fresh => return Err(e),
                    Err(e) => {
                        kept.due = Some(now + RETRY);
                        tracing::error!(zone = %zone.apex, "DNSSEC keys: {e}");
                        troubles.insert(zone.apex.clone(), e.0);
                    }
                }
                self.generation += 1;
                if let Some(keys) = kept.publish(&store, self.generation)? {
                    published.insert(zone.apex.clone(), Arc::new(keys));
                }
                zones.insert(zone.apex.clone(), kept);
            }
        }
        (self.zones, self.published, self.troubles) = (zones, published, troubles);
        self.count_troubles();
        Ok(self.keys())
    }

    /// Makes and locks the state directory, unless that is done.
    fn open(&mut self) -> Result<Store, StoreError> {
        let Some(dir) = &self.state_dir else {
            return Err(StoreError(
                "no `state-dir` to keep DNSSEC keys in; set it and restart the node".to_owned(),
            ));
        };
        self.lock.hold(dir)?;
        Ok(Store::new(dir))
    }

    /// The keys as they are now.
    fn keys(&self) -> Arc<Keys> {
        Arc::new(Keys {
            zones: self.published.clone(),
        })
    }

    fn count_troubles(&self) {
        let count = self.troubles.len() as u64;
        self.trouble_count.store(count, Ordering::Relaxed);
    }

    /// Does what is ordered and what is due; gives the keys when something of them changed.
    pub fn tick(&mut self, now: u64) -> Option<Arc<Keys>> {
        let dir = self.state_dir.clone()?;
        let mut changed = false;
        if !self.zones.is_empty() {
            for file in request::waiting(&dir) {
                changed |= self.carry_out(file, now);
            }
        }
        let due: Vec<WireName> = self
            .zones
            .iter()
            .filter(|(_, kept)| kept.due.is_some_and(|due| due <= now))
            .map(|(apex, _)| apex.clone())
            .collect();
        for apex in due {
            let done = self.change(&apex, now, |kept, store| {
                kept.step(store, now).map_err(Rejected::Store)
            });
            changed |= done == Done::Changed;
        }
        changed.then(|| self.keys())
    }

    /// Carries out the order in a file and deletes it: in this order, so that a crash between the two
    /// loses nothing. An order that comes twice is refused, since what it orders is under way.
    fn carry_out(&mut self, file: PathBuf, now: u64) -> bool {
        if self.undeletable.contains(&file) {
            return false;
        }
        let done = match request::read(&file) {
            Ok((apex, request)) => self.change(&apex, now, |kept, store| {
                kept.change(store, now, |state| request.apply(state, now))
            }),
            Err(e) => {
                tracing::error!(file = %file.display(), "is no DNSSEC order: {e}");
                Done::Nothing
            }
        };
        if done == Done::Failed {
            return false; // it waits until the disk takes it
        }
        if let Err(e) = std::fs::remove_file(&file) {
            tracing::error!(file = %file.display(), "cannot delete a DNSSEC order: {e}");
            self.undeletable.insert(file);
        }
        done == Done::Changed
    }

    /// Changes the state of a zone's keys and publishes what follows.
    fn change(
        &mut self,
        apex: &WireName,
        now: u64,
        change: impl FnOnce(&mut Kept, &Store) -> Result<Stepped, Rejected>,
    ) -> Done {
        let (Some(dir), Some(kept)) = (&self.state_dir, self.zones.get_mut(apex)) else {
            tracing::warn!(zone = %apex, "an order for a zone that is not signed here");
            return Done::Nothing;
        };
        let store = Store::new(dir);
        let mut done = Done::Nothing;
        let result = change(kept, &store).and_then(|stepped| {
            if !stepped.events.is_empty() {
                done = Done::Changed;
                self.generation += 1;
                let keys = kept.publish(&store, self.generation);
                match keys.map_err(Rejected::Store)? {
                    Some(keys) => self.published.insert(apex.clone(), Arc::new(keys)),
                    None => self.published.remove(apex),
                };
            }
            told(apex)(stepped).map_err(Rejected::Store)
        });
        match result {
            Ok(()) => {
                if self.troubles.remove(apex).is_some() {
                    tracing::info!(zone = %apex, "DNSSEC keys can be kept again");
                }
            }
            Err(Rejected::Order(refusal)) => {
                tracing::warn!(zone = %apex, "DNSSEC order refused: {refusal}");
            }
            Err(Rejected::Store(e)) => {
                if done == Done::Nothing {
                    done = Done::Failed;
                }
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
        self.count_troubles();
        done
    }

    /// The zones whose parent is to be asked now, and whom to ask.
    fn questions(&mut self, now: u64) -> Vec<(WireName, Vec<SocketAddr>)> {
        let mut list = Vec::new();
        for (apex, kept) in &self.zones {
            let policy = &kept.zone.policy;
            let unknown = kept.state.live().any(|k| k.ds_is_unknown());
            let asked = awaits_parent(&kept.state) || unknown;
            if policy.parent_check.is_empty() || !asked {
                continue;
            }
            let at = self.ask_parent.entry(apex.clone()).or_insert(now);
            if *at <= now {
                *at = now + policy.parent_ds_ttl.as_secs().clamp(1, ASK_PARENT);
                list.push((apex.clone(), policy.parent_check.clone()));
            }
        }
        list
    }

    /// Takes note of the DS sets that all the asked servers have.
    fn answered(
        &mut self,
        apex: &WireName,
        sets: &[Vec<parent::ParentDs>],
        now: u64,
    ) -> Option<Arc<Keys>> {
        let done = self.change(apex, now, |kept, store| {
            kept.change(store, now, |state| {
                let holders = |key: &KeyState| {
                    let is_of = |set: &&Vec<parent::ParentDs>| {
                        set.iter().any(|ds| ds.is_of(apex, &key.dnskey_rdata))
                    };
                    sets.iter().filter(is_of).count()
                };
                Ok(ds_seen(state, now, |key| match holders(key) {
                    0 => false,
                    all if all == sets.len() => true,
                    // They disagree: what was so, still is.
                    _ => !matches!(key.ds.phase, DsPhase::Hidden | DsPhase::Submitted),
                }))
            })
        });
        (done == Done::Changed).then(|| self.keys())
    }
}

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Done {
    /// Other keys are published.
    Changed,
    /// Nothing was to be done, or it is not allowed.
    Nothing,
    /// It could not be stored; nothing has happened.
    Failed,
}

/// Logs what a step did; its failure to make a key is an error.
fn told(apex: &WireName) -> impl Fn(Stepped) -> Result<(), StoreError> {
    move |stepped| {
        tell(apex, &stepped.events);
        stepped.failed.map_or(Ok(()), |e| Err(StoreError(e.0)))
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
        if event.change == Change::DsSubmitted {
            tracing::warn!(
                zone = %apex,
                "DNSSEC: give the parent the DS that `tradewind dnssec ds {apex}` prints, unless it \
                 follows CDS records"
            );
        }
    }
}

/// A zone that lost its `dnssec` while the parent has a DS is bogus to every validator.
fn warn_of_unsigned(store: &Store, unsigned: &[WireName]) {
    for apex in unsigned {
        let Ok(Some(state)) = store.load(apex) else {
            continue;
        };
        if state.may_have_ds() {
            tracing::error!(
                zone = %apex,
                "the zone is not signed any more, but its parent may still have a DS: validators \
                 then refuse all of it; set `dnssec = \"insecure\"` until `tradewind dnssec status` \
                 shows no key"
            );
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
    // Sent under the lock, so that a reload cannot overtake it with older keys. The loop that takes
    // orders never waits for the keeper. It is gone only when the node stops.
    let send = move |keys: Option<Arc<Keys>>| {
        if let Some(keys) = keys {
            let _ = orders.blocking_send(Order::Keys(keys));
        }
    };
    let run = move || {
        let ids = RandomState::new();
        while stop.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let now = || clock.wall().unix(clock.now());
            let questions = {
                let mut keeper = locked(&keeper);
                send(keeper.tick(now()));
                keeper.questions(now())
            };
            // Nobody waits for the keeper while it waits for others.
            for (apex, servers) in questions {
                let id = ids.hash_one((&apex, clock.now())) as u16;
                let ask = |server: &SocketAddr| {
                    parent::ask(*server, &apex, id).map_err(|e| format!("{server}: {e}"))
                };
                match servers.iter().map(ask).collect::<Result<Vec<_>, _>>() {
                    Ok(sets) => {
                        let mut keeper = locked(&keeper);
                        send(keeper.answered(&apex, &sets, now()));
                    }
                    Err(e) => tracing::warn!(zone = %apex, "cannot ask for the parent's DS: {e}"),
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("tradewind-keys".to_owned())
        .spawn(run)
}

#[cfg(test)]
mod tests;
