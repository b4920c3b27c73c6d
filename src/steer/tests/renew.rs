//! From view to view: what is resolved for the changes alone is what resolving everything gives.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{Dice, NOW, World, random_override, random_time, random_verdict};
use crate::health::{Board, Overrides, Verdict};
use crate::steer::{Known, Live};
use crate::time::Moment;

impl World {
    fn known(&self) -> Known<'_> {
        Known {
            board: &self.board,
            measurements: &self.measurements,
            overrides: &self.overrides,
        }
    }

    fn resolved_at(&self, now: Moment) -> Live {
        Live::resolve(
            &self.steering,
            &self.board,
            &self.measurements,
            &self.overrides,
            now,
        )
    }

    /// One thing is otherwise than before, or many, or none.
    fn change(&mut self, d: &mut Dice) {
        let n = self.steering.endpoints.len();
        match d.below(8) {
            0 => self.shake(d),
            1 => {}
            2 | 3 => {
                let mut verdicts: Vec<Verdict> =
                    self.board.iter().map(|(_, v)| v.clone()).collect();
                let ill = 1 + d.below(6);
                verdicts[d.below(n)] = Verdict {
                    last_probe: d.one_in(2).then_some(NOW),
                    ..random_verdict(d, ill)
                };
                self.board = Board::new(verdicts);
            }
            4 if !self.measurements.sites.rows.is_empty() => {
                let rows = &mut self.measurements.sites.rows;
                let site = d.below(rows.len());
                rows[site].set(d.below(n), random_time(d, 2));
            }
            5 if !self.overrides.0.is_empty() => {
                let at = d.below(self.overrides.0.len());
                self.overrides.0.remove(at);
            }
            6 => self.overrides = Overrides::default(),
            _ => {
                let order = random_override(d, &self.steering);
                self.overrides.0.push(order);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn f7_what_changed_alone_leads_to_the_same_as_everything_anew(seed: u64) {
        let mut w = World::random(seed);
        let d = &mut Dice::new(!seed);
        let mut now = NOW;
        let mut live = w.resolved_at(now);
        for step in 0..12 {
            let (board, measurements) = (w.board.clone(), w.measurements.clone());
            let overrides = w.overrides.clone();
            w.change(d);
            // Orders end on the way.
            now = now + Duration::from_millis(d.below(9_000) as u64);
            let before = Known {
                board: &board,
                measurements: &measurements,
                overrides: &overrides,
            };
            live = live.renew(&w.steering, before, w.known(), now);
            prop_assert!(live == w.resolved_at(now), "step {}", step);
        }
    }
}

#[test]
fn an_endpoint_that_changes_touches_no_block_of_others() {
    let untouched = (0..1000)
        .filter(|seed| {
            let mut w = World::random(*seed);
            let live = w.resolved_at(NOW);
            let board = w.board.clone();
            let mut verdicts: Vec<Verdict> = board.iter().map(|(_, v)| v.clone()).collect();
            let serves = verdicts[0].state.serves();
            verdicts[0] = Verdict {
                state: if serves {
                    crate::health::State::Down
                } else {
                    crate::health::State::Up
                },
                ..verdicts[0].clone()
            };
            w.board = Board::new(verdicts);
            let before = Known {
                board: &board,
                ..w.known()
            };
            let next = live.renew(&w.steering, before, w.known(), NOW);
            let pool = w.steering.endpoints[0].pool;
            let users = w.steering.dense.users.of_pool(pool);
            for (i, (old, new)) in live.blocks.iter().zip(&next.blocks).enumerate() {
                let touched = users.iter().any(|g| g.index() / 2 == i);
                assert_eq!(!std::sync::Arc::ptr_eq(old, new), touched, "seed {seed}");
            }
            live.blocks.len() > 1 && users.is_empty()
        })
        .count();
    assert!(untouched > 0, "some world must show it");
}
