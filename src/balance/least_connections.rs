//! The fewest requests under way for its weight; among equals, smoothly in turn by weight, as nginx's
//! `least_conn` does.
//!
//! Up to [`MOST`] candidates are all compared. Beyond that it is [`super::two_choices`], which is as good
//! where many choose at once (Mitzenmacher 2001) and costs the same however many there are.

use super::candidate::Candidates;
use super::smooth::Smooth;
use super::two_choices::{TwoChoices, busier};

/// So many are all compared.
pub const MOST: usize = 256;

/// Whose turn it is among equals.
#[derive(Clone, Debug, Default)]
pub struct LeastConnections {
    among_equals: Smooth,
    many: TwoChoices,
}

impl LeastConnections {
    /// One that no other is less busy than.
    pub fn pick(&mut self, c: &(impl Candidates + ?Sized), random: u64) -> Option<usize> {
        if c.len() > MOST {
            return self.many.pick(c, random);
        }
        let open = (0..c.len()).filter(|i| c.weight(*i) > 0);
        // The loads move while they are looked at; each is read once.
        let mut least: Option<(u64, u64)> = None;
        let mut best = 0;
        let mut ties = 0;
        for i in open {
            let load = (u64::from(c.in_flight(i)), u64::from(c.weight(i)));
            match least {
                Some(l) if busier(load, l) => {}
                Some(l) if !busier(l, load) => ties += 1,
                _ => (least, best, ties) = (Some(load), i, 0),
            }
        }
        let least = least?;
        if ties == 0 {
            return Some(best);
        }
        let as_idle = |i: usize| {
            let load = (u64::from(c.in_flight(i)), u64::from(c.weight(i)));
            !busier(load, least)
        };
        Some(self.among_equals.pick_among(c, as_idle).unwrap_or(best))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::candidate::testing::{One, of_weights};
    use proptest::prelude::*;

    #[test]
    fn p5_idle_servers_take_turns_by_weight() {
        let all = of_weights(&[2, 1]);
        let mut least = LeastConnections::default();
        let order: Vec<_> = (0..6).filter_map(|_| least.pick(&all[..], 0)).collect();
        assert_eq!(order, [0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn p5_requests_under_way_settle_in_proportion_to_weight() {
        let mut all = of_weights(&[5, 3, 2]);
        let mut least = LeastConnections::default();
        for _ in 0..1_000 {
            let i = least.pick(&all[..], 0).unwrap();
            all[i].in_flight += 1;
        }
        let got: Vec<u32> = all.iter().map(|o| o.in_flight).collect();
        assert_eq!(got, [500, 300, 200]);
    }

    proptest! {
        #[test]
        fn p5_never_a_busier_one_than_another(
            loads in proptest::collection::vec((0u32..5, 0u32..50), 0..60),
            random: u64,
            before in 0usize..20,
        ) {
            let all: Vec<One> = loads
                .iter()
                .map(|(weight, in_flight)| One { weight: *weight, in_flight: *in_flight, ..One::default() })
                .collect();
            let mut least = LeastConnections::default();
            for _ in 0..before {
                least.pick(&all[..], random);
            }
            let got = least.pick(&all[..], random);
            prop_assert_eq!(got.is_some(), loads.iter().any(|(w, _)| *w > 0));
            if let Some(got) = got {
                let of = |i: usize| f64::from(loads[i].1) / f64::from(loads[i].0);
                prop_assert!(loads[got].0 > 0);
                for i in (0..loads.len()).filter(|i| loads[*i].0 > 0) {
                    prop_assert!(of(got) <= of(i));
                }
            }
        }
    }
}
