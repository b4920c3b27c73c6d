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

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    seed: [u64; 2],
}

impl ConnectionIds {
    /// Room for about so many ids. `seed` is random: ids come from strangers.
    pub fn new(entries: usize, seed: [u64; 2]) -> ConnectionIds {
        let buckets = entries.div_ceil(WAYS).max(1).next_power_of_two();
        ConnectionIds {
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
            lengths: AtomicU32::new(0),
            seed,
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

    fn hash(&self, id: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.seed[0], self.seed[1]);
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
