//! The slots of an upstream's Maglev table, as they are while some of its backends cannot serve.
//!
//! A slot is asked as the hash of a request would be, of the same [`Picker`] that the other data paths
//! ask: with all backends up, a tuple has the same backend on every path and every node. The slots of a
//! backend that is out are shared among the others and come back to it; no other slot moves.

use std::time::Duration;

use crate::balance::Candidate;
use crate::proxy::pick::{Ask, Picker, Turns};
use crate::time::Moment;

use super::layout::{NOBODY, SLOTS};

/// A backend as it was when it was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// Whether new flows may go to it.
    pub(super) eligible: bool,
    /// Its share, in [`crate::balance::candidate::UNIT`]s.
    pub(super) weight: u32,
}

impl Candidate for Seen {
    fn eligible(&self, _now: Moment) -> bool {
        self.eligible
    }

    fn serves_bound(&self, _now: Moment) -> bool {
        self.eligible
    }

    fn weight(&self, _now: Moment) -> u32 {
        self.weight
    }

    // What is under way is known to the backends only.
    fn in_flight(&self) -> u32 {
        0
    }

    fn has_room(&self) -> bool {
        true
    }

    fn ewma(&self, _now: Moment) -> Duration {
        Duration::ZERO
    }
}

/// The slots: for each the number in `places` of the backend that `picker` names, or [`NOBODY`].
pub(super) fn fill(picker: &Picker, seen: &[Seen], places: &[u16]) -> Vec<u16> {
    let mut turns = Turns::new(picker, 0);
    let slot = |slot: usize| {
        let ask = Ask {
            now: Moment(0),
            random: 0,
            hash: slot as u64,
            tried: &[],
        };
        let picked = picker.pick(&mut turns, seen, &ask);
        picked.map_or(NOBODY, |picked| places[picked.place()])
    };
    (0..SLOTS).map(slot).collect()
}

/// How many slots differ.
pub(super) fn moved(before: &[u16], after: &[u16]) -> usize {
    let differ = before.iter().zip(after).filter(|(a, b)| a != b);
    differ.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::UNIT;
    use crate::balance::mix::mix;
    use crate::traffic::{Algorithm, Backend, HashKey, HashMethod, Hashing, Upstream};

    fn upstream(backends: &[(&str, u32, bool)]) -> Upstream {
        let backend = |(name, weight, backup): &(&str, u32, bool)| Backend {
            weight: *weight,
            backup: *backup,
            ..Backend::new(name, "10.0.0.1:80".parse().unwrap())
        };
        Upstream {
            name: "u".into(),
            backends: backends.iter().map(backend).collect(),
            algorithm: Algorithm::Hash(Hashing {
                on: HashKey::Source,
                method: HashMethod::Maglev,
                bound: None,
            }),
            ..Upstream::default()
        }
    }

    fn seen(upstream: &Upstream, out: &[usize]) -> Vec<Seen> {
        let one = |(i, b): (usize, &Backend)| Seen {
            eligible: !out.contains(&i),
            weight: b.weight * UNIT,
        };
        upstream.backends.iter().enumerate().map(one).collect()
    }

    #[test]
    fn p5_a_slot_has_the_backend_that_other_proxies_choose_for_the_hash() {
        let upstream = upstream(&[("a", 1, false), ("b", 2, false), ("c", 1, false)]);
        let picker = Picker::new(&upstream, None);
        let seen = seen(&upstream, &[]);
        let slots = fill(&picker, &seen, &[7, 8, 9]);
        for key in 0..1_000 {
            let hash = mix(key);
            let ask = Ask {
                now: Moment(0),
                random: 0,
                hash,
                tried: &[],
            };
            let picked = picker.pick(&mut Turns::new(&picker, 0), &seen, &ask);
            let slot = slots[(hash % SLOTS as u64) as usize];
            assert_eq!(usize::from(slot), 7 + picked.unwrap().place());
        }
        let share = slots.iter().filter(|s| **s == 8).count();
        assert!((32_000..33_500).contains(&share), "{share}");
    }

    #[test]
    fn p5_only_the_slots_of_who_goes_down_move_and_they_come_back() {
        let upstream = upstream(&[("a", 1, false), ("b", 1, false), ("c", 1, false)]);
        let picker = Picker::new(&upstream, None);
        let all = fill(&picker, &seen(&upstream, &[]), &[0, 1, 2]);
        let without = fill(&picker, &seen(&upstream, &[1]), &[0, 1, 2]);
        let own = all.iter().filter(|s| **s == 1).count();
        assert_eq!(moved(&all, &without), own);
        assert!(!without.contains(&1));
        // Both others get about half of them.
        let gained = |who: u16| {
            let both = all.iter().zip(&without);
            both.filter(|(a, b)| **a == 1 && **b == who).count()
        };
        assert!(gained(0).abs_diff(gained(2)) < own / 20);
        assert_eq!(fill(&picker, &seen(&upstream, &[]), &[0, 1, 2]), all);
    }

    #[test]
    fn backups_serve_when_no_other_can_and_nobody_when_none_is_left() {
        let upstream = upstream(&[("a", 1, false), ("z", 1, true)]);
        let picker = Picker::new(&upstream, None);
        let of = |out: &[usize]| fill(&picker, &seen(&upstream, out), &[4, 5]);
        assert!(of(&[]).iter().all(|s| *s == 4));
        assert!(of(&[0]).iter().all(|s| *s == 5));
        assert!(of(&[0, 1]).iter().all(|s| *s == NOBODY));
    }
}
