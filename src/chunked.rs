//! A long list that versions share: a new version copies only the chunks that it changes.
//!
//! What is published ten times a second must not cost a copy of everything each time: with 100,000
//! endpoints a change of one touches one chunk, and the others are passed on as they are. Whether two
//! versions differ in a place is found by the same sharing.

use std::sync::Arc;

/// Items of a chunk: a change copies this many, a new version counts up one reference for each of them.
const CHUNK: usize = 128;

/// A list in shared chunks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunked<T> {
    chunks: Vec<Arc<[T]>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Chunked {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Chunked<T> {
    /// The item at `index`; `None` beyond the end.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The items in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|c| c.iter())
    }

    /// Puts `item` in the place of the one at `index`. The chunk is copied when another version
    /// shares it.
    ///
    /// # Panics
    /// Beyond the end.
    pub fn set(&mut self, index: usize, item: T)
    where
        T: Clone,
    {
        Arc::make_mut(&mut self.chunks[index / CHUNK])[index % CHUNK] = item;
    }

    /// The places where `self` and `other`, of the same length, differ by `eq`, ascending. Chunks
    /// that both share are not looked at.
    pub fn differing<'a>(
        &'a self,
        other: &'a Chunked<T>,
        eq: impl Fn(&T, &T) -> bool + 'a,
    ) -> impl Iterator<Item = usize> + 'a {
        let pairs = self.chunks.iter().zip(&other.chunks).enumerate();
        pairs
            .filter(|(_, (a, b))| !Arc::ptr_eq(a, b))
            .flat_map(|(n, (a, b))| {
                let items = a.iter().zip(b.iter()).enumerate();
                items.map(move |(i, both)| (n * CHUNK + i, both))
            })
            .filter(move |(_, (a, b))| !eq(a, b))
            .map(|(i, _)| i)
    }
}

impl<T> FromIterator<T> for Chunked<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let mut all = Chunked::default();
        loop {
            let chunk: Arc<[T]> = items.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return all;
            }
            all.len += chunk.len();
            all.chunks.push(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_change_leaves_other_versions_as_they_were_and_other_chunks_shared() {
        let old: Chunked<u32> = (0..1000).collect();
        let mut new = old.clone();
        new.set(500, 7);
        new.set(501, 8);
        assert_eq!(
            (old.get(500), new.get(500), new.get(1000)),
            (Some(&500), Some(&7), None)
        );
        assert_eq!(
            old.differing(&new, |a, b| a == b).collect::<Vec<_>>(),
            [500, 501]
        );
        let shared = old.chunks.iter().zip(&new.chunks);
        let shared = shared.filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, old.chunks.len() - 1);
    }

    proptest! {
        #[test]
        fn behaves_as_a_plain_list(
            len in 0usize..600,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        ) {
            let old: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let shared: Chunked<u8> = old.iter().copied().collect();
            let (mut plain, mut new) = (old.clone(), shared.clone());
            for (at, value) in changes.iter().filter(|_| len > 0) {
                let at = at.index(len);
                plain[at] = *value;
                new.set(at, *value);
            }
            prop_assert_eq!(new.len(), len);
            prop_assert_eq!(new.iter().copied().collect::<Vec<_>>(), plain.clone());
            prop_assert_eq!(shared.iter().copied().collect::<Vec<_>>(), old.clone());
            let differ: Vec<usize> = (0..len).filter(|i| old[*i] != plain[*i]).collect();
            prop_assert_eq!(shared.differing(&new, |a, b| a == b).collect::<Vec<_>>(), differ);
        }
    }
}
