//! The brake's memory: what automation took out lately, circle by circle (requirement F4).

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use crate::ids::EndpointId;
use crate::time::Moment;

use super::circles::Circles;

/// Removals within the window.
#[derive(Clone, Debug, Default)]
pub(super) struct Removals {
    /// When each endpoint left.
    left: HashMap<EndpointId, Moment>,
    /// By circle, oldest first.
    circles: HashMap<u32, Gone>,
}

/// What left one circle.
#[derive(Clone, Debug, Default)]
struct Gone {
    endpoints: VecDeque<(Moment, EndpointId)>,
    /// The sum of their weights.
    weight: u64,
}

impl Removals {
    pub(super) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Notes that an endpoint leaves.
    pub(super) fn note(&mut self, e: EndpointId, now: Moment, circles: &Circles) {
        self.take_back(e, circles);
        self.left.insert(e, now);
        for circle in circles.of(e) {
            let gone = self.circles.entry(*circle).or_default();
            gone.endpoints.push_back((now, e));
            gone.weight += circles.weight(e);
        }
    }

    /// Those that left a circle, oldest first.
    pub(super) fn of(&self, circle: u32) -> &VecDeque<(Moment, EndpointId)> {
        static NONE: VecDeque<(Moment, EndpointId)> = VecDeque::new();
        self.circles.get(&circle).map_or(&NONE, |g| &g.endpoints)
    }

    /// The sum of the weights of those that left a circle, `e` not among them.
    pub(super) fn weight_beside(&self, circle: u32, e: EndpointId, circles: &Circles) -> u64 {
        let all = self.circles.get(&circle).map_or(0, |g| g.weight);
        match self.left.contains_key(&e) {
            true => all - circles.weight(e),
            false => all,
        }
    }

    /// An endpoint did not leave after all; whether it had.
    pub(super) fn take_back(&mut self, e: EndpointId, circles: &Circles) -> bool {
        if self.left.remove(&e).is_none() {
            return false;
        }
        for circle in circles.of(e) {
            if let Some(gone) = self.circles.get_mut(circle) {
                gone.endpoints.retain(|(_, o)| *o != e);
                gone.weight -= circles.weight(e);
            }
        }
        true
    }

    /// Forgets what is older than `window`.
    pub(super) fn forget(&mut self, now: Moment, window: Duration, circles: &Circles) {
        let old = |at: &Moment| now.since(*at) >= window;
        let before = self.left.len();
        self.left.retain(|_, at| !old(at));
        if self.left.len() == before {
            return;
        }
        self.circles.retain(|_, gone| {
            while let Some((_, e)) = gone.endpoints.front().filter(|(at, _)| old(at)) {
                gone.weight -= circles.weight(*e);
                gone.endpoints.pop_front();
            }
            !gone.endpoints.is_empty()
        });
    }

    /// The same under other numbers.
    pub(super) fn moved(
        &self,
        to: &HashMap<EndpointId, EndpointId>,
        circles: &Circles,
    ) -> Removals {
        let mut left: Vec<(Moment, EndpointId)> = self
            .left
            .iter()
            .filter_map(|(e, at)| Some((*at, *to.get(e)?)))
            .collect();
        left.sort_unstable();
        let mut moved = Removals::default();
        for (at, e) in left {
            moved.note(e, at, circles);
        }
        moved
    }
}
