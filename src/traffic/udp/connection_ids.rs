//! Which backend issued which QUIC connection id: learned from what backends send, shared by the threads of
//! a listener, in fixed memory.
//!
//! A client whose address changes (a NAT that forgot it, another network) goes on with the id that its
//! server gave it, and that id is all that still says where it belongs. So the ids that backends put into
//! packets with long headers are remembered. Only backends write here; what clients send is looked up only.
//!
//! An id lives in the bucket that its hash names, eight to a bucket. When all places are taken an id that no
//! client has come back with yet gives way first, the oldest first: handshakes that were begun in vain, by
//! whom ever, push out each other. Ids themselves are not kept, only 64 bits of a hash with a secret; that
//! two live ones agree in them is as good as impossible, and would cost one client its affinity.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

use super::quic::{Header, ID_LONGEST};
use crate::time::Moment;

/// Places of a bucket.
const WAYS: usize = 8;

/// One id.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// 0: free.
    hash: u64,
    backend: u64,
    seen: Moment,
    /// Whether a client has come with it.
    used: bool,
}

/// Ids and the backends that issued them.
#[derive(Debug)]
pub struct ConnectionIds {
    buckets: Box<[Mutex<[Entry; WAYS]>]>,
    /// Bit n: ids of n octets were issued.
    lengths: AtomicU32,
    /// Changes before the first id is learned, if at all: [`ConnectionIds::remember`].
    seed: [AtomicU64; 2],
}

/// An id as another process may know it: its hash, for [`Learned::seed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearnedId {
    /// With the secret.
    pub hash: u64,
    /// Who issued it.
    pub backend: u64,
    /// Since it was last issued or come with.
    pub silent: Duration,
    /// Whether a client has come with it.
    pub used: bool,
}

/// What is remembered, for another process.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Learned {
    /// The secret of the hashes.
    pub seed: [u64; 2],
    /// Bit n: ids of n octets were issued.
    pub lengths: u32,
    /// The ids.
    pub ids: Vec<LearnedId>,
}

impl ConnectionIds {
    /// Room for about so many ids. `seed` is random: ids come from strangers.
    pub fn new(entries: usize, seed: [u64; 2]) -> ConnectionIds {
        let buckets = entries.div_ceil(WAYS).max(1).next_power_of_two();
        ConnectionIds {
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
            lengths: AtomicU32::new(0),
            seed: seed.map(AtomicU64::new),
        }
    }

    /// How many ids there is room for.
    pub fn room(&self) -> usize {
        self.buckets.len() * WAYS
    }

    /// How many there are. Looks at all: for tests and metrics.
    pub fn len(&self) -> usize {
        let taken = |bucket: &Mutex<[Entry; WAYS]>| {
            let bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.iter().filter(|e| e.hash != 0).count()
        };
        self.buckets.iter().map(taken).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lengths.load(Ordering::Relaxed) == 0
    }

    fn seed(&self) -> [u64; 2] {
        [&self.seed[0], &self.seed[1]].map(|half| half.load(Ordering::Relaxed))
    }

    /// What is remembered, for another process: so many ids at most, those that clients came with first.
    /// `now` is the time of what was learned.
    pub fn learned(&self, most: usize, now: Moment) -> Learned {
        let mut ids = Vec::new();
        for used in [true, false] {
            for bucket in &self.buckets {
                let bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
                let some = bucket.iter().filter(|e| e.hash != 0 && e.used == used);
                let room = most - ids.len();
                ids.extend(some.take(room).map(|e| LearnedId {
                    hash: e.hash,
                    backend: e.backend,
                    silent: now.since(e.seen),
                    used: e.used,
                }));
            }
        }
        Learned {
            seed: self.seed(),
            lengths: self.lengths.load(Ordering::Relaxed),
            ids,
        }
    }

    /// Goes on with what another process learned, before anything is learned here: where something is,
    /// nothing changes. Says how many ids there was room for.
    pub fn remember(&self, learned: &Learned, now: Moment) -> usize {
        if !self.is_empty() {
            return 0;
        }
        for (half, value) in self.seed.iter().zip(learned.seed) {
            half.store(value, Ordering::Relaxed);
        }
        self.lengths.store(learned.lengths, Ordering::Relaxed);
        let mut taken = 0;
        for id in learned.ids.iter().filter(|id| id.hash != 0) {
            let mut bucket = self.bucket(id.hash);
            if let Some(place) = bucket.iter_mut().find(|e| e.hash == 0) {
                *place = Entry {
                    hash: id.hash,
                    backend: id.backend,
                    seen: now - id.silent,
                    used: id.used,
                };
                taken += 1;
            }
        }
        taken
    }

    fn hash(&self, id: &[u8]) -> u64 {
        let [one, two] = self.seed();
        let mut hasher = SipHasher13::new_with_keys(one, two);
        hasher.write(id);
        hasher.write_u8(id.len() as u8);
        // 0 marks a free place.
        hasher.finish().max(1)
    }

    fn bucket(&self, hash: u64) -> MutexGuard<'_, [Entry; WAYS]> {
        let at = (hash >> 32) as usize & (self.buckets.len() - 1);
        // Each step leaves it whole.
        self.buckets[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A backend sent a packet with this header.
    pub fn learn(&self, header: &Header<'_>, backend: u64, now: Moment) {
        let Some(id) = header.issued() else {
            return;
        };
        let length = 1 << id.len();
        if self.lengths.load(Ordering::Relaxed) & length == 0 {
            self.lengths.fetch_or(length, Ordering::Relaxed);
        }
        let hash = self.hash(id);
        let mut bucket = self.bucket(hash);
        let known = bucket.iter_mut().find(|e| e.hash == hash);
        if let Some(known) = known {
            known.used &= known.backend == backend;
            (known.backend, known.seen) = (backend, now);
            return;
        }
        // A free place was never seen nor used, so it is the first to give way.
        if let Some(place) = bucket.iter_mut().min_by_key(|e| (e.used, e.seen)) {
            *place = Entry {
                hash,
                backend,
                seen: now,
                used: false,
            };
        }
    }

    /// The backend that a client's packet with this header belongs to; `None` when nobody has issued its
    /// id, or that was long ago.
    pub fn find(&self, header: &Header<'_>, now: Moment) -> Option<u64> {
        match header {
            Header::Long { destination, .. } => self.look_up(destination, now),
            Header::Short { rest } => {
                let lengths = self.lengths.load(Ordering::Relaxed);
                (1..=ID_LONGEST)
                    .rev()
                    .filter(|n| lengths & 1 << n != 0)
                    .filter_map(|n| rest.get(..n))
                    .find_map(|id| self.look_up(id, now))
            }
        }
    }

    fn look_up(&self, id: &[u8], now: Moment) -> Option<u64> {
        if id.is_empty() || id.len() > ID_LONGEST {
            return None;
        }
        let hash = self.hash(id);
        let mut bucket = self.bucket(hash);
        let known = bucket.iter_mut().find(|e| e.hash == hash)?;
        (known.used, known.seen) = (true, now);
        Some(known.backend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::udp::quic::parse;

    fn at(n: u64) -> Moment {
        Moment(n)
    }

    fn long(source: &[u8]) -> Header<'_> {
        Header::Long {
            version: 1,
            destination: &[],
            source,
        }
    }

    fn short(id: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x40];
        packet.extend_from_slice(id);
        packet.extend_from_slice(&[0xAA; 30]);
        packet
    }

    fn ask(ids: &ConnectionIds, id: &[u8]) -> Option<u64> {
        ids.find(&parse(&short(id)).unwrap(), at(1))
    }

    #[test]
    fn p5_a_client_at_another_address_is_found_by_the_id_that_its_server_issued() {
        let ids = ConnectionIds::new(1000, [1, 2]);
        assert!(ids.is_empty());
        ids.learn(&long(&[1; 8]), 7, at(0));
        ids.learn(&long(&[2; 8]), 8, at(0));
        // Another implementation with longer ids.
        ids.learn(&long(&[1; 20]), 9, at(0));
        assert_eq!(ask(&ids, &[1; 8]), Some(7));
        assert_eq!(ask(&ids, &[2; 8]), Some(8));
        assert_eq!(ask(&ids, &[1; 20]), Some(9), "the longer id goes first");
        assert_eq!(ask(&ids, &[3; 8]), None);
        let handshake = Header::Long {
            version: 1,
            destination: &[2; 8],
            source: &[],
        };
        assert_eq!(ids.find(&handshake, at(1)), Some(8));
        assert_eq!(ids.find(&Header::Short { rest: &[1; 3] }, at(1)), None);
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn p2_another_process_goes_on_with_what_was_learned() {
        let ids = ConnectionIds::new(1000, [1, 2]);
        for n in 0..100_u64 {
            ids.learn(&long(&n.to_be_bytes()), n, at(n + 1));
        }
        ids.learn(&long(&[1; 20]), 900, at(101));
        assert_eq!(ask(&ids, &7_u64.to_be_bytes()), Some(7));
        let told = ids.learned(usize::MAX, at(200));
        assert_eq!(told.ids.len(), 101);
        assert!(told.ids[0].used && told.ids[0].backend == 7);
        assert_eq!(told.ids[1..].iter().filter(|id| id.used).count(), 0);
        let heir = ConnectionIds::new(1000, [3, 4]);
        assert_eq!(heir.remember(&told, at(1_000)), 101);
        for n in 0..100_u64 {
            assert_eq!(ask(&heir, &n.to_be_bytes()), Some(n));
        }
        assert_eq!(ask(&heir, &[1; 20]), Some(900));
        assert_eq!(ask(&heir, &[9; 8]), None);
        // Whoever has learned something has another secret by now.
        assert_eq!(heir.remember(&Learned::default(), at(1_000)), 0);
        assert_eq!(ask(&heir, &[1; 20]), Some(900));
        assert_eq!(ids.learned(5, at(200)).ids.len(), 5);
        let small = ConnectionIds::new(8, [3, 4]);
        assert_eq!(small.remember(&told, at(1_000)), 8);
    }

    #[test]
    fn an_id_that_another_backend_issues_is_that_ones() {
        let ids = ConnectionIds::new(1000, [1, 2]);
        ids.learn(&long(&[1; 8]), 7, at(0));
        ids.learn(&long(&[1; 8]), 8, at(1));
        assert_eq!(ask(&ids, &[1; 8]), Some(8));
        assert_eq!(ids.len(), 1);
    }

    #[test]
    fn s4_handshakes_in_vain_push_out_each_other_and_not_who_came_back() {
        let ids = ConnectionIds::new(64, [1, 2]);
        ids.learn(&long(b"friends!"), 1, at(0));
        assert_eq!(ask(&ids, b"friends!"), Some(1));
        for n in 0..10_000_u64 {
            ids.learn(&long(&n.to_be_bytes()), 2, at(n + 2));
        }
        assert_eq!(ids.room(), 64);
        assert!(ids.len() <= 64);
        assert_eq!(ask(&ids, b"friends!"), Some(1));
        assert_eq!(ask(&ids, &9_999_u64.to_be_bytes()), Some(2));
        assert_eq!(ask(&ids, &1_u64.to_be_bytes()), None);
    }
}
