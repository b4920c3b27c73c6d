//! The memory of one cache: objects by URL, shared by all workers, bounded by what they weigh.
//!
//! Reading takes a lock of one part for the time of a look-up. Which object goes when room is needed is
//! quick_cache's affair (a variant of S3-FIFO): what is asked for once does not push out what is asked
//! for often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::{Cache as Table, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::message::RequestHead;
use crate::time::Moment;
use crate::traffic::compression::Coding;

use super::object::Object;

/// Objects of one URL at most: what varies more is not worth the memory, and looking through them takes
/// time.
pub const VARIANTS: usize = 64;

/// Parts of the table with a lock each; an object must fit into one part.
pub const PARTS: u64 = 8;

/// Locks for those who write.
const WRITERS: usize = 16;

/// Counters of what was purged; URLs share them by their hash.
const EPOCHS: usize = 4096;

/// For how long a URL whose response could not be stored is fetched without waiting for others.
const PASS: Duration = Duration::from_secs(10);

/// What is kept under one URL.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The objects, the newest last.
    pub objects: Vec<Arc<Object>>,
    /// Until then responses are expected not to be storable.
    pub pass_until: Option<Moment>,
}

impl Group {
    /// The object for a request.
    pub fn find(
        &self,
        request: &RequestHead,
        partition: &[u8],
        coding: Option<Coding>,
    ) -> Option<&Arc<Object>> {
        let mut newest_first = self.objects.iter().rev();
        newest_first.find(|o| o.variant.is_for(request, partition, coding))
    }
}

#[derive(Clone, Debug)]
struct Scales;

impl Weighter<Box<[u8]>, Arc<Group>> for Scales {
    fn weight(&self, url: &Box<[u8]>, group: &Arc<Group>) -> u64 {
        let objects: u64 = group.objects.iter().map(|o| o.weight()).sum();
        objects + url.len() as u64 + 128
    }
}

/// What is purged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purge {
    /// Everything.
    All,
    /// All that is kept under one URL, as [`crate::caching::KeyParts::url`] writes it.
    Url(Vec<u8>),
    /// All whose URL starts so: host, and the start of a path.
    Prefix(Vec<u8>),
    /// All that bears this label.
    Label(Vec<u8>),
}

impl Purge {
    /// Whether an object under a URL is meant.
    pub fn is_of(&self, url: &[u8], labels: &[Box<[u8]>]) -> bool {
        match self {
            Purge::All => true,
            Purge::Url(wanted) => url == wanted,
            Purge::Prefix(start) => url.starts_with(start),
            Purge::Label(label) => labels.iter().any(|l| **l == **label),
        }
    }
}

/// The memory of one cache.
pub struct Store {
    table: Table<Box<[u8]>, Arc<Group>, Scales>,
    writers: [Mutex<()>; WRITERS],
    epochs: Box<[AtomicU64]>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({} URLs, {} octets)", self.len(), self.weight())
    }
}

impl Store {
    /// An empty one of so many octets.
    pub fn new(size: u64) -> Store {
        // Part of the bookkeeping is sized by this guess: web objects of 16 KiB.
        let expected = usize::try_from(size >> 14).unwrap_or(usize::MAX).max(256);
        let options = OptionsBuilder::new()
            .shards(PARTS as usize)
            .estimated_items_capacity(expected)
            .weight_capacity(size)
            .build()
            .unwrap_or_else(|e| unreachable!("both capacities are given: {e}"));
        Store {
            table: Table::with_options(
                options,
                Scales,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            writers: Default::default(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Holds so many octets from now on.
    pub fn resize(&self, size: u64) {
        if self.table.capacity() != size {
            self.table.set_capacity(size);
        }
    }

    /// What is kept under a URL.
    pub fn get(&self, url: &[u8]) -> Option<Arc<Group>> {
        self.table.get(url)
    }

    /// Keeps an object in place of the one for the same requests. `epoch`: what [`Store::epoch`] was when
    /// the response was asked for; what was purged since does not come back.
    pub fn put(&self, url: &[u8], object: Arc<Object>, epoch: u64) -> bool {
        self.change(url, |group| {
            if self.epoch(url) != epoch {
                return false;
            }
            group.objects.retain(|o| o.variant != object.variant);
            if group.objects.len() >= VARIANTS {
                group.objects.remove(0);
            }
            group.objects.push(object);
            group.pass_until = None;
            true
        })
    }

    /// Remembers that the responses of a URL are not storable for now.
    pub fn pass(&self, url: &[u8], now: Moment) {
        self.change(url, |group| {
            group.pass_until = Some(now + PASS);
            true
        });
    }

    /// Forgets one object.
    pub fn remove(&self, url: &[u8], object: &Arc<Object>) {
        self.change(url, |group| {
            let before = group.objects.len();
            group.objects.retain(|o| !Arc::ptr_eq(o, object));
            group.objects.len() < before
        });
    }

    /// Changes what is under a URL, one writer at a time; `f` says whether it did.
    fn change(&self, url: &[u8], f: impl FnOnce(&mut Group) -> bool) -> bool {
        let writer = &self.writers[self.table.shard_index(url) % WRITERS];
        let _held = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut group = self
            .table
            .peek(url)
            .map(|g| (*g).clone())
            .unwrap_or_default();
        let changed = f(&mut group);
        if changed && group.objects.is_empty() && group.pass_until.is_none() {
            self.table.remove(url);
        } else if changed {
            self.table.insert(url.into(), Arc::new(group));
        }
        changed
    }

    /// Forgets all that is kept under a URL; responses that are under way are not kept either.
    pub fn invalidate(&self, url: &[u8]) -> u64 {
        self.counter(url).fetch_add(1, Ordering::AcqRel);
        let gone = self.table.remove(url);
        gone.map_or(0, |(_, group)| group.objects.len() as u64)
    }

    /// Forgets what is meant; says how many objects.
    pub fn purge(&self, what: &Purge) -> u64 {
        if let Purge::Url(url) = what {
            return self.invalidate(url);
        }
        for epoch in self.epochs.iter() {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
        let mut gone = 0;
        for (url, group) in self.table.iter() {
            let kept: Vec<_> = group
                .objects
                .iter()
                .filter(|o| !what.is_of(&url, &o.labels))
                .cloned()
                .collect();
            if kept.len() == group.objects.len() {
                continue;
            }
            gone += (group.objects.len() - kept.len()) as u64;
            self.change(&url, |group| {
                group.objects.retain(|o| !what.is_of(&url, &o.labels));
                true
            });
        }
        gone
    }

    /// Changes whenever something under the URL may have been purged.
    pub fn epoch(&self, url: &[u8]) -> u64 {
        self.counter(url).load(Ordering::Acquire)
    }

    fn counter(&self, url: &[u8]) -> &AtomicU64 {
        // FNV-1a: any spread will do, and no key is secret.
        let mix = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01B3);
        let hash = url.iter().fold(0xCBF2_9CE4_8422_2325, mix);
        &self.epochs[(hash % EPOCHS as u64) as usize]
    }

    /// Octets that are in use.
    pub fn weight(&self) -> u64 {
        self.table.weight()
    }

    /// URLs with something.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::caching::Terms;
    use crate::message::Fields;
    use crate::proxy::cache::object::Variant;

    fn object(partition: &str, octets: usize, label: &str) -> Arc<Object> {
        let body = Bytes::from(vec![b'x'; octets]);
        Arc::new(Object {
            status: 200,
            fields: Fields::new(),
            terms: Terms::default(),
            variant: Variant {
                partition: partition.as_bytes().into(),
                ..Variant::default()
            },
            tag: None,
            labels: [label.as_bytes().into()].into(),
            length: octets as u64,
            body: [body].into(),
        })
    }

    fn found(store: &Store, url: &str, partition: &str) -> Option<usize> {
        let group = store.get(url.as_bytes())?;
        let request = RequestHead::default();
        let object = group.find(&request, partition.as_bytes(), None)?;
        Some(object.length as usize)
    }

    #[test]
    fn an_object_takes_the_place_of_the_one_for_the_same_requests() {
        let store = Store::new(1 << 20);
        for (partition, octets) in [("a", 1), ("b", 2), ("a", 3)] {
            assert!(store.put(b"u", object(partition, octets, ""), store.epoch(b"u")));
        }
        assert_eq!(found(&store, "u", "a"), Some(3));
        assert_eq!(found(&store, "u", "b"), Some(2));
        assert_eq!(found(&store, "u", "c"), None);
        assert_eq!(store.len(), 1);
        let group = store.get(b"u").unwrap();
        store.remove(b"u", &group.objects[0]);
        assert_eq!(found(&store, "u", "b"), None);
    }

    #[test]
    fn it_holds_no_more_than_its_size() {
        let store = Store::new(1 << 20);
        for i in 0..2000 {
            let url = format!("u{i}");
            store.put(url.as_bytes(), object("", 4000, ""), 0);
        }
        assert!(store.weight() <= 1 << 20, "{store:?}");
        assert!(store.len() > 100, "{store:?}");
    }

    #[test]
    fn one_url_has_a_bounded_number_of_variants() {
        let store = Store::new(1 << 20);
        for i in 0..VARIANTS + 10 {
            store.put(b"u", object(&i.to_string(), 1, ""), 0);
        }
        assert_eq!(store.get(b"u").unwrap().objects.len(), VARIANTS);
        assert_eq!(found(&store, "u", "0"), None);
    }

    #[test]
    fn purging_by_url_prefix_label_and_all() {
        let store = Store::new(1 << 20);
        let fill = || {
            for (url, label) in [("h/a/1", "x"), ("h/a/2", "y"), ("h/b", "x")] {
                let epoch = store.epoch(url.as_bytes());
                store.put(url.as_bytes(), object("", 1, label), epoch);
            }
        };
        let left = || {
            let all = ["h/a/1", "h/a/2", "h/b"];
            all.into_iter()
                .filter(|u| found(&store, u, "").is_some())
                .collect::<Vec<_>>()
        };
        fill();
        assert_eq!(store.purge(&Purge::Url(b"h/a/1".to_vec())), 1);
        assert_eq!(left(), ["h/a/2", "h/b"]);
        fill();
        assert_eq!(store.purge(&Purge::Prefix(b"h/a/".to_vec())), 2);
        assert_eq!(left(), ["h/b"]);
        fill();
        assert_eq!(store.purge(&Purge::Label(b"x".to_vec())), 2);
        assert_eq!(left(), ["h/a/2"]);
        fill();
        assert_eq!(store.purge(&Purge::All), 3);
        assert!(left().is_empty());
    }

    #[test]
    fn what_was_asked_for_before_a_purge_is_not_kept_after_it() {
        let store = Store::new(1 << 20);
        let before = store.epoch(b"u");
        store.purge(&Purge::All);
        assert!(!store.put(b"u", object("", 1, ""), before));
        assert_eq!(found(&store, "u", ""), None);
    }

    #[test]
    fn a_url_that_cannot_be_stored_is_remembered_until_it_can() {
        let store = Store::new(1 << 20);
        store.pass(b"u", Moment::ZERO);
        assert_eq!(
            store.get(b"u").unwrap().pass_until,
            Some(Moment::ZERO + PASS)
        );
        store.put(b"u", object("", 1, ""), 0);
        assert_eq!(store.get(b"u").unwrap().pass_until, None);
    }
}
