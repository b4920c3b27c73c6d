//! Signatures made so far, shared by all workers, bounded in number.
//!
//! Two segments: sets of names that exist, which are as many as the zones make them, and sets of
//! names that a client can make up (denials, wildcards), whose flood must not push the others out.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::DefaultHashBuilder;

use super::rrsig::Signatures;

/// Locks per segment, so that workers seldom meet at one.
const SHARDS: usize = 16;

/// Sets longer than this are signed each time: they would make the bound on the number of entries
/// none on memory.
const LONGEST: usize = 4_096;

/// Entries that may be passed over because they were asked for, before one goes anyway.
const CHANCES: usize = 8;

/// What becomes of new signatures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// Kept with those of names that exist.
    Lasting,
    /// Kept with those of names that clients make up.
    Passing,
    /// Not kept: the set will not come again.
    No,
}

/// The shared cache.
#[derive(Debug)]
pub struct SignatureCache {
    hasher: DefaultHashBuilder,
    lasting: Segment,
    passing: Segment,
}

impl Default for SignatureCache {
    fn default() -> Self {
        SignatureCache::new(Self::DEFAULT_ENTRIES)
    }
}

impl SignatureCache {
    /// Entries for names that exist, without another wish; about 500 octets each.
    pub const DEFAULT_ENTRIES: usize = 65_536;

    /// Room for `entries` sets of names that exist, and a quarter as many others.
    pub fn new(entries: usize) -> SignatureCache {
        SignatureCache {
            hasher: DefaultHashBuilder::default(),
            lasting: Segment::new(entries),
            passing: Segment::new(entries / 4),
        }
    }

    /// The hash of a key, the same in this cache for all workers.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The signatures of a set, whoever made them and however old they are.
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<Arc<Signatures>> {
        self.lasting
            .get(hash, key)
            .or_else(|| self.passing.get(hash, key))
    }

    /// Keeps signatures; those of the same set before are replaced.
    pub fn put(&self, hash: u64, made: &Arc<Signatures>, keep: Keep) {
        if made.key().0.len() > LONGEST {
            return;
        }
        match keep {
            Keep::Lasting => self.lasting.put(hash, made),
            Keep::Passing => self.passing.put(hash, made),
            Keep::No => {}
        }
    }

    /// Entries at most, of names that exist.
    pub fn room(&self) -> usize {
        self.lasting.room * SHARDS
    }

    /// Entries now, of names that exist and of others.
    pub fn len(&self) -> (usize, usize) {
        (self.lasting.len(), self.passing.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// The entries of names that exist which `pick` wants.
    pub fn lasting(&self, pick: impl Fn(&Signatures) -> bool) -> Vec<Arc<Signatures>> {
        let mut all = Vec::new();
        for shard in &self.lasting.shards {
            all.extend(read(shard).map.values().filter(|s| pick(s)).cloned());
        }
        all
    }
}

/// Hashes are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for octet in bytes {
            self.0 = self.0 << 8 | u64::from(*octet);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

#[derive(Debug, Default)]
struct Shard {
    map: HashMap<u64, Arc<Signatures>, BuildHasherDefault<AsIs>>,
    /// The keys of the map, each once, first in first out but for those asked for again.
    queue: VecDeque<u64>,
}

#[derive(Debug)]
struct Segment {
    shards: [RwLock<Shard>; SHARDS],
    /// Entries at most in each shard.
    room: usize,
}

impl Segment {
    fn new(entries: usize) -> Segment {
        Segment {
            shards: Default::default(),
            room: entries.div_ceil(SHARDS).max(1),
        }
    }

    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn get(&self, hash: u64, key: &[u8]) -> Option<Arc<Signatures>> {
        let shard = read(self.shard(hash));
        let found = shard.map.get(&hash)?;
        found.is_of(key).then(|| {
            found.ask();
            found.clone()
        })
    }

    fn put(&self, hash: u64, made: &Arc<Signatures>) {
        let mut shard = write(self.shard(hash));
        let Shard { map, queue } = &mut *shard;
        if map.insert(hash, made.clone()).is_some() {
            return;
        }
        queue.push_back(hash);
        let mut chances = CHANCES;
        while map.len() > self.room {
            let Some(oldest) = queue.pop_front() else {
                return;
            };
            let spare =
                chances > 0 && oldest != hash && map.get(&oldest).is_some_and(|s| s.was_asked());
            if spare {
                chances -= 1;
                queue.push_back(oldest);
            } else {
                map.remove(&oldest);
            }
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|s| read(s).map.len()).sum()
    }
}

/// A panic while the lock was held leaves a map that is whole: nothing here panics half way.
fn read(shard: &RwLock<Shard>) -> RwLockReadGuard<'_, Shard> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(shard: &RwLock<Shard>) -> RwLockWriteGuard<'_, Shard> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
