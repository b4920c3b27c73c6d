//! From the hash of a name to the place of its node.

use super::node::NodeAt;

/// A hash table of 8 octets per place, open addressing with linear probing, a third of it free: what
/// is probed lies in one cache line, nearly always.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    places: Box<[Place]>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// The low half of the hash; the high half says where to start.
    tag: u32,
    /// [`FREE`] or a node.
    at: u32,
}

const FREE: u32 = u32::MAX;

impl Index {
    /// The index of nodes by hash; each hash belongs to another name.
    pub(super) fn new(nodes: impl ExactSizeIterator<Item = (u64, NodeAt)>) -> Index {
        let room = nodes.len() + nodes.len() / 2 + 1;
        let mut places = vec![Place { tag: 0, at: FREE }; room];
        for (hash, at) in nodes {
            let mut i = start(hash, room);
            while places[i].at != FREE {
                i = next(i, room);
            }
            places[i] = Place {
                tag: hash as u32,
                at: at.0,
            };
        }
        Index {
            places: places.into(),
        }
    }

    /// Every node, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = NodeAt> + '_ {
        let taken = self.places.iter().filter(|p| p.at != FREE);
        taken.map(|p| NodeAt(p.at))
    }

    /// What `read` makes of the node with this hash; of another one it makes nothing.
    #[inline]
    pub(super) fn find<T>(&self, hash: u64, read: impl Fn(NodeAt) -> Option<T>) -> Option<T> {
        let room = self.places.len();
        if room == 0 {
            return None;
        }
        let mut i = start(hash, room);
        loop {
            let place = self.places[i];
            if place.at == FREE {
                return None;
            }
            if place.tag == hash as u32
                && let Some(found) = read(NodeAt(place.at))
            {
                return Some(found);
            }
            i = next(i, room);
        }
    }
}

/// Spreads the high half of the hash over the places.
#[inline]
fn start(hash: u64, room: usize) -> usize {
    ((u128::from(hash) * room as u128) >> 64) as usize
}

#[inline]
fn next(i: usize, room: usize) -> usize {
    if i + 1 == room { 0 } else { i + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_was_put_in(hashes in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..4, u64::MAX - 3..], 0..60), other in any::<u64>()) {
            let all = || hashes.iter().enumerate();
            let index = Index::new(all().map(|(i, h)| (*h, NodeAt(i as u32))));
            for (i, h) in all() {
                let i = NodeAt(i as u32);
                prop_assert_eq!(index.find(*h, |at| (at == i).then_some(at)), Some(i));
            }
            prop_assert_eq!(index.find(other, Some).is_some(), hashes.contains(&other));
            prop_assert_eq!(index.find(1 << 32, |_| None::<()>), None);
        }
    }
}
