//! The cache of responses: what [`crate::caching`] decides, with memory, waiting and bodies.
//!
//! [`look()`] says before a backend is asked whether that is needed; [`Ticket::settle`] takes what came of
//! it, answers, and stores it.

pub mod answer;
pub mod disk;
pub mod flight;
pub mod look;
pub mod metrics;
pub mod object;
pub mod record;
pub mod settle;
pub mod stats;
pub mod store;

pub use look::{Looked, look};
pub use settle::Ticket;
pub use store::Purge;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::caching::Rules;
use crate::time::Wall;

use disk::Disk;
use flight::Flights;
use object::Object;
use stats::CacheStats;
use store::Store;

/// A cache: its rules, and what it keeps.
#[derive(Clone)]
pub struct Cache {
    /// The rules of one configuration.
    pub rules: Arc<Rules>,
    /// What is kept, over configurations.
    pub memory: Arc<Memory>,
    /// What is kept on disk.
    pub disk: Option<Arc<Disk>>,
}

/// What a cache keeps for as long as some configuration names it.
pub struct Memory {
    /// Objects.
    pub store: Store,
    /// Fetches under way.
    pub flights: Arc<Flights>,
    /// What is counted.
    pub stats: CacheStats,
    /// Octets of bodies that are on their way into the store.
    coming: AtomicU64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({}, {:?})", self.rules.name, self.memory.store)
    }
}

impl Cache {
    /// A cache that keeps what `before` kept, when it is given. `dir`: where caches may write.
    pub fn new(rules: &Rules, dir: Option<&Path>, before: Option<&Cache>) -> Cache {
        let memory = match before {
            Some(before) => {
                before.memory.store.resize(rules.size);
                before.memory.clone()
            }
            None => Arc::new(Memory {
                store: Store::new(rules.size),
                flights: Arc::default(),
                stats: CacheStats::default(),
                coming: AtomicU64::new(0),
            }),
        };
        Cache {
            rules: Arc::new(rules.clone()),
            memory,
            disk: tier_on_disk(rules, dir, before),
        }
    }

    /// Stores an object; see [`Store::put`].
    fn keep(&self, url: &[u8], object: &Arc<Object>, epoch: u64, wall: Wall) {
        if !self.memory.store.put(url, object.clone(), epoch) {
            return;
        }
        stats::count(&self.memory.stats.stored);
        if let Some(disk) = &self.disk {
            disk.write(url, object, wall);
        }
    }

    /// Forgets all that is kept under a URL.
    fn invalidate(&self, url: &[u8]) {
        self.memory.store.invalidate(url);
        if let Some(disk) = &self.disk {
            disk.purge(&Purge::Url(url.to_vec()));
        }
    }

    /// Reserves room for a body that is on its way; `None` when bodies on their way take as much as the
    /// cache itself already.
    fn reserve(&self, octets: u64) -> Option<Room> {
        let mut room = Room {
            memory: self.memory.clone(),
            most: self.rules.size,
            octets: 0,
        };
        room.grow(octets).then_some(room)
    }

    /// Forgets what is meant; says how many objects.
    pub fn purge(&self, what: &Purge) -> u64 {
        let gone = self.memory.store.purge(what);
        if let Some(disk) = &self.disk {
            disk.purge(what);
        }
        self.memory.stats.purged.fetch_add(gone, Ordering::Relaxed);
        gone
    }
}

/// The tier on disk, as the rules want it. What cannot be had on disk is kept in memory alone.
fn tier_on_disk(rules: &Rules, dir: Option<&Path>, before: Option<&Cache>) -> Option<Arc<Disk>> {
    let most = rules.disk?;
    if let Some(disk) = before.and_then(|b| b.disk.clone()) {
        disk.resize(most);
        return Some(disk);
    }
    let dir = dir?.join(&*rules.name);
    match Disk::open(&dir, most) {
        Ok(disk) => Some(Arc::new(disk)),
        Err(error) => {
            let cache = &rules.name;
            tracing::error!(%cache, dir = %dir.display(), %error, "the cache cannot use the disk; it goes on in memory");
            None
        }
    }
}

/// The caches of a plan; those that were there before keep what they keep. `dir`: where they may write.
pub fn resolve(rules: &[Rules], dir: Option<&Path>, before: &[Cache]) -> Vec<Cache> {
    let old = |r: &Rules| before.iter().find(|c| c.rules.name == r.name);
    rules.iter().map(|r| Cache::new(r, dir, old(r))).collect()
}

/// Room for a body that is on its way into the store, given back when it is dropped.
struct Room {
    memory: Arc<Memory>,
    most: u64,
    octets: u64,
}

impl Room {
    /// Takes so much more; whether there was as much.
    fn grow(&mut self, octets: u64) -> bool {
        self.octets += octets;
        let before = self.memory.coming.fetch_add(octets, Ordering::AcqRel);
        before.saturating_add(octets) <= self.most
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.memory.coming.fetch_sub(self.octets, Ordering::AcqRel);
    }
}
