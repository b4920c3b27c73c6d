//! Which place in the kernel's table each backend has.
//!
//! A flow remembers a place and its epoch. A backend that is no longer configured keeps its place until
//! the flows it has may be cut; the next who gets the place gets another epoch, so that old flows are not
//! taken for its own.

use hashbrown::HashMap;

use crate::time::Moment;

use super::layout::BACKENDS;

/// A place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Its number.
    pub(super) number: u16,
    /// How many have had it before, wrapping.
    pub(super) epoch: u16,
}

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    /// By the backend's id.
    taken: HashMap<u64, Place>,
    /// Those that are no longer configured, and until when they keep their flows.
    leaving: HashMap<u64, Moment>,
    free: Vec<u16>,
    epochs: Vec<u16>,
}

impl Default for Places {
    fn default() -> Places {
        Places {
            taken: HashMap::new(),
            leaving: HashMap::new(),
            // The lowest number is given first.
            free: (0..BACKENDS as u16).rev().collect(),
            epochs: vec![0; BACKENDS],
        }
    }
}

impl Places {
    /// The place of a backend, and whether it is a new one; `None` when all are taken.
    pub(super) fn take(&mut self, backend: u64) -> Option<(Place, bool)> {
        self.leaving.remove(&backend);
        if let Some(place) = self.taken.get(&backend) {
            return Some((*place, false));
        }
        let number = self.free.pop()?;
        let epoch = &mut self.epochs[usize::from(number)];
        *epoch = epoch.wrapping_add(1);
        let place = Place {
            number,
            epoch: *epoch,
        };
        self.taken.insert(backend, place);
        Some((place, true))
    }

    #[cfg(test)]
    fn of(&self, backend: u64) -> Option<Place> {
        self.taken.get(&backend).copied()
    }

    /// Who has a place but is not among `wanted` leaves; `until` says when. Gives those who begin to.
    pub(super) fn leave(
        &mut self,
        wanted: impl Fn(u64) -> bool,
        until: impl Fn(u64) -> Moment,
    ) -> Vec<Place> {
        let begin = |(id, place): (&u64, &Place)| {
            let leaves = !wanted(*id) && !self.leaving.contains_key(id);
            leaves.then_some((*id, *place))
        };
        let gone: Vec<(u64, Place)> = self.taken.iter().filter_map(begin).collect();
        for (id, _) in &gone {
            self.leaving.insert(*id, until(*id));
        }
        gone.into_iter().map(|(_, place)| place).collect()
    }

    /// Frees the places of those whose time is over.
    pub(super) fn settle(&mut self, now: Moment) -> Vec<Place> {
        let over = self.leaving.extract_if(|_, until| *until <= now);
        let over: Vec<u64> = over.map(|(id, _)| id).collect();
        let places = over.iter().filter_map(|id| self.taken.remove(id));
        let places: Vec<Place> = places.collect();
        self.free.extend(places.iter().map(|p| p.number));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_until_its_flows_may_be_cut_and_then_has_another_epoch() {
        let mut places = Places::default();
        let (one, new) = places.take(11).unwrap();
        assert!(new);
        assert_eq!(places.take(11), Some((one, false)));
        let (two, _) = places.take(12).unwrap();
        assert_ne!(one.number, two.number);
        let until = |_| Moment(100);
        assert_eq!(places.leave(|id| id == 12, until), [one]);
        assert_eq!(places.leave(|id| id == 12, until), [], "only once");
        assert_eq!(places.settle(Moment(99)), []);
        assert_eq!(places.of(11), Some(one));
        assert_eq!(places.settle(Moment(100)), [one]);
        assert_eq!(places.of(11), None);
        let (again, new) = places.take(13).unwrap();
        assert!(new && again.number == one.number && again.epoch != one.epoch);
    }

    #[test]
    fn who_comes_back_in_time_keeps_its_place() {
        let mut places = Places::default();
        let (one, _) = places.take(11).unwrap();
        places.leave(|_| false, |_| Moment(100));
        assert_eq!(places.take(11), Some((one, false)));
        assert_eq!(places.settle(Moment(200)), []);
    }

    #[test]
    fn there_are_only_so_many() {
        let mut places = Places::default();
        for id in 0..BACKENDS as u64 {
            assert!(places.take(id).is_some());
        }
        assert_eq!(places.take(u64::MAX), None);
    }
}
