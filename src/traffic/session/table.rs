//! Sessions that are remembered: which backend a client was given. In bounded memory; the one that was
//! unused for the longest makes room.
//!
//! A table is made of buckets of a few places; a key belongs into one bucket, and is looked for in its
//! places only. Entries expire a fixed time after their last use, so the one that expires first is the
//! one that was unused for the longest.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::balance::mix::{hash_bytes, scale};
use crate::time::Moment;

/// Places of a bucket.
const WAYS: usize = 8;

/// Locks; the workers rarely meet at one.
const SHARDS: usize = 64;

/// What a client is known by: the first 128 bits of the SHA-256 of what it sent, so that nobody can
/// choose two that are alike, and every node knows it by the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key(pub u128);

impl Key {
    /// The key of a text.
    pub fn of_text(text: &[u8]) -> Key {
        Key::of(b't', text)
    }

    /// The key of an address; an IPv4 address in IPv6 form is the IPv4 address.
    pub fn of_address(address: IpAddr) -> Key {
        match address.to_canonical() {
            IpAddr::V4(v4) => Key::of(b'4', &v4.octets()),
            IpAddr::V6(v6) => Key::of(b'6', &v6.octets()),
        }
    }

    fn of(kind: u8, octets: &[u8]) -> Key {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(&[kind]);
        context.update(octets);
        let digest = context.finish();
        let (mut first, all) = ([0; 16], digest.as_ref());
        first.copy_from_slice(&all[..16]);
        Key(u128::from_be_bytes(first))
    }
}

/// What stands for a backend in a table: the same on every node, over restarts and changes of the list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag(pub u64);

impl Tag {
    /// The tag of a backend's name; never 0.
    pub fn of(name: &str) -> Tag {
        Tag(hash_bytes(name.as_bytes()).max(1))
    }
}

/// Where sessions are remembered.
pub trait StickyTable: Send + Sync + std::fmt::Debug {
    /// The backend of a client; its session is in use from `now` on.
    fn find(&self, key: Key, now: Moment) -> Option<Tag>;

    /// Remembers the backend of a client.
    fn bind(&self, key: Key, to: Tag, now: Moment);

    /// Sessions for the process that comes after this one, `most` at most; none where others remember them
    /// too.
    fn remembered(&self, most: usize, now: Moment) -> Vec<Remembered> {
        let _ = (most, now);
        Vec::new()
    }

    /// Takes in a session of the process before, unless its client is bound by now or there is no place
    /// for it.
    fn take_in(&self, session: &Remembered, now: Moment) {
        let _ = (session, now);
    }
}

/// A session as another process may know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// What its client is known by.
    pub key: Key,
    /// Its backend.
    pub tag: Tag,
    /// Until it expires.
    pub left: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u128,
    /// 0: nobody.
    tag: u64,
    expires: Moment,
}

const FREE: Entry = Entry {
    key: 0,
    tag: 0,
    expires: Moment::ZERO,
};

/// A table in this process's memory.
pub struct LocalTable {
    shards: Box<[Mutex<Box<[Entry]>>]>,
    buckets: u64,
    ttl: Duration,
    evicted: AtomicU64,
}

impl std::fmt::Debug for LocalTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalTable({} places)", self.places())
    }
}

impl LocalTable {
    /// A table of at least `entries` places, whose entries expire `ttl` after their last use.
    pub fn new(entries: usize, ttl: Duration) -> LocalTable {
        let buckets = entries.div_ceil(WAYS).max(1);
        let shards = SHARDS.min(buckets);
        let each = buckets.div_ceil(shards);
        let shard = |_| Mutex::new(vec![FREE; each * WAYS].into_boxed_slice());
        LocalTable {
            shards: (0..shards).map(shard).collect(),
            buckets: (shards * each) as u64,
            ttl,
            evicted: AtomicU64::new(0),
        }
    }

    /// Places for entries.
    pub fn places(&self) -> usize {
        self.buckets as usize * WAYS
    }

    /// Sessions so far that made room for others before they expired.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Sessions that have not expired.
    pub fn live(&self, now: Moment) -> usize {
        let of = |shard: &Mutex<Box<[Entry]>>| {
            let entries = lock(shard);
            let live = entries.iter().filter(|e| e.tag != 0 && e.expires > now);
            live.count()
        };
        self.shards.iter().map(of).sum()
    }

    fn with_bucket<T>(&self, key: Key, f: impl FnOnce(&mut [Entry]) -> T) -> T {
        let bucket = scale((key.0 >> 64) as u64, self.buckets) as usize;
        let shard = bucket % self.shards.len();
        let at = bucket / self.shards.len() * WAYS;
        f(&mut lock(&self.shards[shard])[at..at + WAYS])
    }
}

fn lock(shard: &Mutex<Box<[Entry]>>) -> MutexGuard<'_, Box<[Entry]>> {
    // Nothing that holds it can leave it half-done.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StickyTable for LocalTable {
    fn find(&self, key: Key, now: Moment) -> Option<Tag> {
        self.with_bucket(key, |bucket| {
            let mut entries = bucket.iter_mut();
            let entry = entries.find(|e| e.tag != 0 && e.key == key.0 && e.expires > now)?;
            entry.expires = now + self.ttl;
            Some(Tag(entry.tag))
        })
    }

    fn bind(&self, key: Key, to: Tag, now: Moment) {
        self.with_bucket(key, |bucket| {
            let own = bucket.iter().position(|e| e.tag != 0 && e.key == key.0);
            // A free place expired before all others.
            let oldest = || (0..WAYS).min_by_key(|i| bucket[*i].expires).unwrap_or(0);
            let at = own.unwrap_or_else(oldest);
            if own.is_none() && bucket[at].expires > now {
                self.evicted.fetch_add(1, Ordering::Relaxed);
            }
            bucket[at] = Entry {
                key: key.0,
                tag: to.0,
                expires: now + self.ttl,
            };
        });
    }

    fn remembered(&self, most: usize, now: Moment) -> Vec<Remembered> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let entries = lock(shard);
            let live = entries.iter().filter(|e| e.tag != 0 && e.expires > now);
            let room = most - all.len();
            all.extend(live.take(room).map(|e| Remembered {
                key: Key(e.key),
                tag: Tag(e.tag),
                left: now.until(e.expires),
            }));
        }
        all
    }

    fn take_in(&self, session: &Remembered, now: Moment) {
        let Remembered { key, tag, left } = *session;
        let expires = now + left.min(self.ttl);
        self.with_bucket(key, |bucket| {
            if bucket.iter().any(|e| e.tag != 0 && e.key == key.0) {
                return;
            }
            // A free place expired before all others.
            let oldest = bucket.iter_mut().min_by_key(|e| e.expires);
            if let Some(place) = oldest.filter(|e| e.expires < expires) {
                *place = Entry {
                    key: key.0,
                    tag: tag.0,
                    expires,
                };
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn p2_the_next_process_knows_what_this_one_remembers_and_what_it_bound_itself() {
        let ttl = Duration::from_secs(60);
        let at = |seconds| Moment::ZERO + Duration::from_secs(seconds);
        let (old, new) = (LocalTable::new(64, ttl), LocalTable::new(64, ttl));
        let key = |n: u8| Key::of_text(&[n]);
        for n in 1..4 {
            old.bind(key(n), Tag(n.into()), at(100 + u64::from(n)));
        }
        // Expired.
        old.bind(key(9), Tag(9), at(10));
        new.bind(key(2), Tag(7), at(5));
        let told = old.remembered(usize::MAX, at(110));
        assert_eq!(told.len(), 3);
        // Another process has a clock of its own.
        for session in &told {
            new.take_in(session, at(5));
        }
        assert_eq!(new.find(key(1), at(6)), Some(Tag(1)));
        assert_eq!(new.find(key(2), at(6)), Some(Tag(7)), "it is bound by now");
        assert_eq!(new.find(key(9), at(6)), None);
        assert_eq!(
            new.find(key(3), at(5 + 60)),
            None,
            "idling is not begun anew"
        );
        assert_eq!(old.remembered(2, at(110)).len(), 2);
        let full = LocalTable::new(8, ttl);
        for n in 10..200 {
            full.bind(key(n), Tag(1), at(50));
        }
        full.take_in(&told[0], at(10));
        assert_eq!(
            full.find(told[0].key, at(10)),
            None,
            "others were used later"
        );
    }

    const TTL: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(1_000 + seconds)
    }

    fn key(n: u64) -> Key {
        Key::of_text(&n.to_be_bytes())
    }

    #[test]
    fn a_session_lives_as_long_as_it_is_used() {
        let table = LocalTable::new(100, TTL);
        assert_eq!(table.find(key(1), at(0)), None);
        table.bind(key(1), Tag::of("a"), at(0));
        assert_eq!(table.find(key(1), at(59)), Some(Tag::of("a")));
        assert_eq!(table.find(key(1), at(118)), Some(Tag::of("a")));
        assert_eq!(table.find(key(1), at(178)), None);
        table.bind(key(1), Tag::of("a"), at(200));
        table.bind(key(1), Tag::of("b"), at(200));
        assert_eq!(table.find(key(1), at(201)), Some(Tag::of("b")));
        assert_eq!(table.live(at(201)), 1);
    }

    #[test]
    fn a_full_table_forgets_who_was_unused_for_the_longest() {
        let table = LocalTable::new(8, TTL);
        assert_eq!(table.places(), 8);
        for n in 0..8 {
            table.bind(key(n), Tag::of("a"), at(n));
        }
        table.find(key(0), at(9));
        table.bind(key(8), Tag::of("b"), at(10));
        assert_eq!(table.find(key(1), at(11)), None);
        assert_eq!(table.find(key(0), at(11)), Some(Tag::of("a")));
        assert_eq!(table.find(key(8), at(11)), Some(Tag::of("b")));
        assert_eq!(table.evicted(), 1);
    }

    #[test]
    fn nearly_all_of_half_a_table_is_kept() {
        let table = LocalTable::new(10_000, TTL);
        for n in 0..5_000 {
            table.bind(key(n), Tag(n + 1), at(0));
        }
        let kept = (0..5_000).filter(|n| table.find(key(*n), at(1)) == Some(Tag(n + 1)));
        assert!(kept.count() > 4_750);
    }

    #[test]
    fn keys_of_addresses_and_texts_differ() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(Key::of_address(v4), Key::of_address(mapped));
        assert_ne!(Key::of_address(v4), Key::of_text(&[192, 0, 2, 1]));
    }

    proptest! {
        /// It never says anything that was not the last word on the key.
        #[test]
        fn what_is_found_was_bound_last(
            steps in proptest::collection::vec((0u64..40, proptest::option::of(1u64..5), 0u64..30), 0..200)
        ) {
            let table = LocalTable::new(16, TTL);
            let mut last: HashMap<u64, (u64, Moment)> = HashMap::new();
            let mut now = at(0);
            for (k, bind, pause) in steps {
                now = now + Duration::from_secs(pause);
                match bind {
                    Some(tag) => {
                        table.bind(key(k), Tag(tag), now);
                        last.insert(k, (tag, now));
                    }
                    None => if let Some(found) = table.find(key(k), now) {
                        let (tag, used) = last[&k];
                        prop_assert_eq!(found, Tag(tag));
                        prop_assert!(now.since(used) < TTL);
                        last.insert(k, (tag, now));
                    }
                }
            }
        }
    }
}
