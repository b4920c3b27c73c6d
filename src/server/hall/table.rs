//! Who is connected, and who makes room when a place is wanted. Knows no sockets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::time::Moment;

/// Why a connection had to make room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::server) enum Full {
    /// All places are taken.
    Listener,
    /// The newcomer's source has all that one source may have.
    Source,
}

/// The open connections of a listener.
#[derive(Debug)]
pub(in crate::server) struct Table {
    max: usize,
    max_per_source: usize,
    gauge: Arc<AtomicU64>,
    guests: Mutex<Guests>,
}

#[derive(Debug, Default)]
struct Guests {
    next: u64,
    by_id: HashMap<u64, Guest>,
    by_source: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Guest {
    source: IpAddr,
    activity: Arc<Activity>,
}

#[derive(Debug)]
struct Activity {
    /// Nanoseconds of the moment of the last whole query, or of the start.
    last: AtomicU64,
    evict: Notify,
}

/// A connection's place; leaving is dropping it.
#[derive(Debug)]
pub(in crate::server) struct Lease {
    table: Arc<Table>,
    id: u64,
    activity: Arc<Activity>,
}

impl Table {
    /// Room for `max` connections, `max_per_source` of one source; `gauge` follows the number.
    pub(in crate::server) fn new(
        max: usize,
        max_per_source: usize,
        gauge: Arc<AtomicU64>,
    ) -> Arc<Table> {
        Arc::new(Table {
            max,
            max_per_source,
            gauge,
            guests: Mutex::default(),
        })
    }

    /// Takes a place for a connection from `peer`. Where there is none left, the longest idle
    /// connection is told to go: of the same source, when that source has its share, else of all.
    /// With `many`, the source speaks for many clients and may have more than its share.
    pub(in crate::server) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        many: bool,
        now: Moment,
    ) -> (Lease, Option<Full>) {
        let source = source_of(peer);
        let mut guests = self.lock();
        let mut full = None;
        let own = guests.by_source.get(&source).copied().unwrap_or(0);
        if own >= self.max_per_source && !many {
            guests.evict(|guest| guest.source == source);
            full = Some(Full::Source);
        } else if guests.by_id.len() >= self.max {
            guests.evict(|_| true);
            full = Some(Full::Listener);
        }
        let id = guests.next;
        guests.next += 1;
        let activity = Arc::new(Activity {
            last: AtomicU64::new(now.0),
            evict: Notify::new(),
        });
        let guest = Guest {
            source,
            activity: activity.clone(),
        };
        guests.by_id.insert(id, guest);
        *guests.by_source.entry(source).or_default() += 1;
        drop(guests);
        self.gauge.fetch_add(1, Ordering::Relaxed);
        let lease = Lease {
            table: self.clone(),
            id,
            activity,
        };
        (lease, full)
    }

    /// Whether at least half of the places are taken, in all or by this source.
    pub(in crate::server) fn is_half_full(&self, peer: IpAddr) -> bool {
        let guests = self.lock();
        let own = guests.by_source.get(&source_of(peer));
        guests.by_id.len() * 2 >= self.max || own.copied().unwrap_or(0) * 2 >= self.max_per_source
    }

    /// Tells the longest idle connection to go; `false` when there is none.
    pub(in crate::server) fn evict_longest_idle(&self) -> bool {
        self.lock().evict(|_| true)
    }

    fn lock(&self) -> MutexGuard<'_, Guests> {
        // Nothing in here panics half-way; should it, the numbers are still usable.
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guests {
    /// Tells the longest idle of those to go, and frees its place at once. A scan: about as costly
    /// as the accept that caused it, and only when full.
    fn evict(&mut self, of: impl Fn(&Guest) -> bool) -> bool {
        let longest_idle = self
            .by_id
            .iter()
            .filter(|(_, guest)| of(guest))
            .min_by_key(|(id, guest)| (guest.activity.last.load(Ordering::Relaxed), **id))
            .map(|(id, _)| *id);
        let Some(guest) = longest_idle.and_then(|id| self.remove(id)) else {
            return false;
        };
        guest.activity.evict.notify_one();
        true
    }

    fn remove(&mut self, id: u64) -> Option<Guest> {
        let guest = self.by_id.remove(&id)?;
        if let Some(count) = self.by_source.get_mut(&guest.source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&guest.source);
            }
        }
        Some(guest)
    }
}

impl Lease {
    /// A whole query came at `now`. Anything less does not count, so that dawdlers go first.
    pub(in crate::server) fn touch(&self, now: Moment) {
        self.activity.last.store(now.0, Ordering::Relaxed);
    }

    /// Waits to be told to make room.
    pub(in crate::server) async fn evicted(&self) {
        self.activity.evict.notified().await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.table.lock().remove(self.id); // gone already when evicted
        self.table.gauge.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one source: an IPv4 address, or the IPv6 /64 that one host can fill at will.
fn source_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(secs: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(secs)
    }

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn told(lease: &Lease) -> bool {
        let mut waiting = Box::pin(lease.evicted());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        waiting.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn the_longest_idle_makes_room() {
        let gauge = Arc::new(AtomicU64::new(0));
        let table = Table::new(3, 3, gauge.clone());
        let (a, _) = table.admit(ip(1), false, at(0));
        let (b, _) = table.admit(ip(2), false, at(1));
        let (c, full) = table.admit(ip(3), false, at(2));
        assert_eq!(full, None);
        a.touch(at(3));
        let (d, full) = table.admit(ip(4), false, at(4));
        assert_eq!(full, Some(Full::Listener));
        assert_eq!([&a, &b, &c, &d].map(told), [false, true, false, false]);
        assert_eq!(gauge.load(Ordering::Relaxed), 4, "b has not left yet");
        drop(b);
        assert_eq!(gauge.load(Ordering::Relaxed), 3);
        drop((a, c, d));
        assert_eq!(gauge.load(Ordering::Relaxed), 0);
        assert!(table.lock().by_source.is_empty());
        assert!(!table.evict_longest_idle());
    }

    #[test]
    fn a_source_makes_room_for_itself() {
        let table = Table::new(10, 2, Arc::default());
        let (other, _) = table.admit(ip(9), false, at(0));
        let (a, _) = table.admit(ip(1), false, at(1));
        let (b, _) = table.admit(ip(1), false, at(2));
        let (c, full) = table.admit(ip(1), false, at(3));
        assert_eq!(full, Some(Full::Source));
        assert_eq!([&other, &a, &b, &c].map(told), [false, true, false, false]);
    }

    #[test]
    fn a_trusted_proxy_may_have_all_places() {
        let table = Table::new(3, 1, Arc::default());
        let leases: Vec<_> = (0..4).map(|i| table.admit(ip(1), true, at(i))).collect();
        let full: Vec<_> = leases.iter().map(|(_, full)| *full).collect();
        assert_eq!(full, [None, None, None, Some(Full::Listener)]);
        assert!(told(&leases[0].0));
        assert!(table.is_half_full(ip(2)));
        drop(leases);
        assert!(!table.is_half_full(ip(2)));
    }

    #[test]
    fn an_ipv6_host_is_its_64() {
        let table = Table::new(10, 1, Arc::default());
        let (a, _) = table.admit("2001:db8::1".parse().unwrap(), false, at(0));
        let (_b, full) = table.admit("2001:db8::ffff:2".parse().unwrap(), false, at(1));
        assert_eq!(full, Some(Full::Source));
        assert!(told(&a));
        let (_c, full) = table.admit("2001:db8:0:1::1".parse().unwrap(), false, at(2));
        assert_eq!(full, None);
    }
}
