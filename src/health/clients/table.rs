//! The paths to all prefixes that are known, at most so many.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::unsync::Cache;

use crate::net::Prefix;
use crate::time::Moment;

use super::path::{ClientPath, PathSample};

/// Locks at most: threads that look at connections at the same moment seldom meet at one.
const SHARDS: usize = 16;

/// A shard for fewer prefixes than this is not worth its lock.
const SHARD_LEAST: usize = 64;

/// The prefix that a client belongs to: /24, or /48 of IPv6.
pub fn prefix_of(client: IpAddr) -> Prefix {
    match client.to_canonical() {
        v4 @ IpAddr::V4(_) => Prefix::containing(v4, 24),
        v6 @ IpAddr::V6(_) => Prefix::containing(v6, 48),
    }
}

/// In which order prefixes are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// Most samples first.
    #[default]
    Samples,
    /// Farthest first, by the mean round-trip time.
    Rtt,
    /// Worst first, by the share of segments sent again.
    Retransmits,
    /// Newest first.
    Recent,
}

/// Paths by client prefix, shared by all threads. What is seldom seen gives way when it is full, and a
/// stream of prefixes that come once does not push out those that come again (S3-FIFO).
#[derive(Debug)]
pub struct ClientTable {
    shards: Box<[Mutex<Cache<Prefix, ClientPath>>]>,
    /// Chooses the shard: its seed is the process's own, so that no client can.
    hasher: hashbrown::DefaultHashBuilder,
    capacity: usize,
    samples: AtomicU64,
    fresh: AtomicU64,
}

impl ClientTable {
    /// A table of about `capacity` prefixes at most, at least one.
    pub fn new(capacity: usize) -> ClientTable {
        let capacity = capacity.max(1);
        let shards = (capacity / SHARD_LEAST).clamp(1, SHARDS);
        let each = capacity / shards;
        ClientTable {
            shards: (0..shards).map(|_| Mutex::new(Cache::new(each))).collect(),
            hasher: hashbrown::DefaultHashBuilder::default(),
            capacity,
            samples: AtomicU64::new(0),
            fresh: AtomicU64::new(0),
        }
    }

    /// Takes in what a connection of `client` says.
    pub fn note(&self, client: IpAddr, sample: &PathSample, now: Moment) {
        self.samples.fetch_add(1, Ordering::Relaxed);
        self.merge(prefix_of(client), &ClientPath::new(sample, now));
    }

    /// Takes in what another table knows of a prefix.
    pub fn merge(&self, prefix: Prefix, path: &ClientPath) {
        let mut shard = self.shard(&prefix);
        if let Some(mut known) = shard.get_mut(&prefix) {
            known.merge(path);
            return;
        }
        self.fresh.fetch_add(1, Ordering::Relaxed);
        shard.insert(prefix, *path);
    }

    /// What is known of a prefix.
    pub fn get(&self, prefix: &Prefix) -> Option<ClientPath> {
        // A look does not keep it from giving way.
        self.shard(prefix).peek(prefix).copied()
    }

    /// How far a client is from here; `None` where too little is known.
    pub fn distance(&self, client: IpAddr, now: Moment) -> Option<Duration> {
        self.get(&prefix_of(client))?.distance(now)
    }

    /// Prefixes that are known.
    pub fn len(&self) -> usize {
        (0..self.shards.len()).map(|at| self.lock(at).len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prefixes at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Samples that were taken in.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Prefixes that gave way to others.
    pub fn displaced(&self) -> u64 {
        let fresh = self.fresh.load(Ordering::Relaxed);
        fresh.saturating_sub(self.len() as u64)
    }

    /// The first `limit` prefixes in this order, and how many there are; `within`: only those inside it,
    /// or the one that holds it. One shard is held at a time, so what comes in meanwhile may be
    /// missing.
    pub fn first(
        &self,
        order: Order,
        within: Option<&Prefix>,
        limit: usize,
    ) -> (Vec<(Prefix, ClientPath)>, usize) {
        let wanted = |prefix: &Prefix| {
            within.is_none_or(|w| w.contains(prefix.addr()) || prefix.contains(w.addr()))
        };
        let mut found: Vec<(Prefix, ClientPath)> = Vec::new();
        let mut count = 0;
        for at in 0..self.shards.len() {
            {
                let shard = self.lock(at);
                let all = shard.iter().filter(|(prefix, _)| wanted(prefix));
                let before = found.len();
                found.extend(all.map(|(prefix, path)| (*prefix, *path)));
                count += found.len() - before;
            }
            // No more is kept than is asked for, and one shard.
            found.sort_unstable_by(|a, b| order.compare(a, b));
            found.truncate(limit);
        }
        (found, count)
    }

    /// The `limit` prefixes of which steering could make most: those with a distance that is not older than
    /// `expire`, most connections first.
    pub fn best(&self, limit: usize, expire: Duration, now: Moment) -> Vec<(Prefix, ClientPath)> {
        let mut found: Vec<(Prefix, ClientPath)> = Vec::new();
        for at in 0..self.shards.len() {
            {
                let shard = self.lock(at);
                let known = shard.iter().map(|(prefix, path)| (*prefix, *path));
                found.extend(known.filter(|(_, p)| p.distance_within(expire, now).is_some()));
            }
            found.sort_unstable_by(|a, b| {
                let most = b.1.connections().cmp(&a.1.connections());
                most.then_with(|| a.0.cmp(&b.0))
            });
            found.truncate(limit);
        }
        found
    }

    fn shard(&self, prefix: &Prefix) -> MutexGuard<'_, Cache<Prefix, ClientPath>> {
        use std::hash::BuildHasher as _;
        let hash = self.hasher.hash_one(prefix);
        self.lock((hash >> 48) as usize % self.shards.len())
    }

    fn lock(&self, at: usize) -> MutexGuard<'_, Cache<Prefix, ClientPath>> {
        let shard = self.shards[at].lock();
        shard.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    fn compare(self, a: &(Prefix, ClientPath), b: &(Prefix, ClientPath)) -> std::cmp::Ordering {
        let first = match self {
            Order::Samples => b.1.samples().cmp(&a.1.samples()),
            Order::Rtt => b.1.rtt().cmp(&a.1.rtt()),
            Order::Retransmits => {
                let (a, b) = (a.1.retransmit_share(), b.1.retransmit_share());
                b.total_cmp(&a)
            }
            Order::Recent => b.1.at().cmp(&a.1.at()),
        };
        first.then_with(|| a.0.cmp(&b.0))
    }
}
