//! Connections open at once per source.
//!
//! Exact, and so with locks: it is asked once per connection, not per request. The table holds a number
//! per source that has a connection open, so it is as large as the number of open connections, which
//! the listener bounds.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use super::Prefixes;

/// Locks: threads that accept at the same moment seldom meet at one.
const SHARDS: usize = 16;

/// How many connections every source has open.
#[derive(Debug)]
pub struct Connections {
    shards: [Mutex<HashMap<u64, u32>>; SHARDS],
    prefixes: Prefixes,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Counted {
    of: Arc<Connections>,
    source: u64,
}

impl Connections {
    /// Nobody has a connection open. Sources that share a prefix are one.
    pub fn new(prefixes: Prefixes) -> Arc<Connections> {
        Arc::new(Connections {
            shards: Default::default(),
            prefixes,
        })
    }

    /// Counts a connection of `source`, unless it has `most` already.
    pub fn open(self: &Arc<Connections>, source: IpAddr, most: u32) -> Option<Counted> {
        let source = self.key(source.to_canonical());
        let mut shard = self.shard(source);
        let count = shard.entry(source).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(Counted {
            of: Arc::clone(self),
            source,
        })
    }

    /// How many sources have a connection open.
    pub fn sources(&self) -> usize {
        let all = self.shards.iter();
        all.map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// The families are told apart by the highest bit: no address of IPv6 that is routed begins with 1,
    /// but for link-local ones, which have it set as it is.
    fn key(&self, source: IpAddr) -> u64 {
        let prefix = self.prefixes.of(source);
        match source {
            IpAddr::V4(_) => prefix,
            IpAddr::V6(_) => prefix | 1 << 63,
        }
    }

    fn shard(&self, source: u64) -> std::sync::MutexGuard<'_, HashMap<u64, u32>> {
        let at = (source.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60) as usize % SHARDS;
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut shard = self.of.shard(self.source);
        if let Some(count) = shard.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_has_so_many_and_a_closed_one_makes_room() {
        let all = Connections::new(Prefixes::new(32, 64));
        let first = all.open(ip("192.0.2.1"), 2).unwrap();
        let _second = all.open(ip("::ffff:192.0.2.1"), 2).unwrap();
        assert!(all.open(ip("192.0.2.1"), 2).is_none());
        assert!(all.open(ip("192.0.2.2"), 2).is_some());
        drop(first);
        assert!(all.open(ip("192.0.2.1"), 2).is_some());
        assert_eq!(all.sources(), 1, "who has none open takes no room");
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        let all = Connections::new(Prefixes::new(32, 64));
        let _one = all.open(ip("2001:db8::1"), 1).unwrap();
        assert!(all.open(ip("2001:db8::2"), 1).is_none());
        assert!(all.open(ip("2001:db8:0:1::2"), 1).is_some());
    }

    #[test]
    fn threads_agree() {
        let all = Connections::new(Prefixes::new(32, 64));
        let had: usize = std::thread::scope(|scope| {
            let ask = || {
                let open = || all.open(ip("192.0.2.1"), 100);
                (0..1000).filter_map(|_| open()).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            let held: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            held.iter().map(Vec::len).sum()
        });
        assert_eq!(had, 100);
        assert_eq!(all.sources(), 0);
    }
}
