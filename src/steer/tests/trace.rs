//! The trace never changes the decision, and reads well.

use proptest::prelude::*;

use super::world::{Dice, World};
use crate::steer::{NoTrace, Recorder, Step, decide};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn recorder_decides_as_no_trace_does(seed: u64) {
        let mut w = World::random(seed);
        let d = &mut Dice::new(!seed);
        for _ in 0..3 {
            let live = w.live();
            for _ in 0..10 {
                let ask = w.random_ask(d);
                let plain = decide(&w.steering, &live, &ask, &mut NoTrace);
                let mut recorder = Recorder::new(w.context());
                // Inside, the way gone again is compared with the published offer.
                prop_assert_eq!(plain, decide(&w.steering, &live, &ask, &mut recorder));
                prop_assert_eq!(plain, decide(&w.steering, &live, &ask, &mut Recorder::default()));
                for step in &recorder.steps {
                    let line = step.to_string();
                    prop_assert!(line.chars().count() <= 255 && !line.contains('\n'), "{}", line);
                }
                let ends = matches!(
                    recorder.steps.last(),
                    Some(Step::Scope { .. } | Step::NotOffered { .. })
                );
                prop_assert!(ends);
            }
            w.shake(d);
        }
    }
}
