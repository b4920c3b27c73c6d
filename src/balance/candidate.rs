//! What a choice among servers needs to know of each.

use std::time::Duration;

use crate::time::Moment;

/// One configured unit of weight, in the units of [`Candidate::weight`]: fine enough for a server of
/// weight 1 to come back slowly.
pub const UNIT: u32 = 256;

/// One server that requests can be given to, as it is now. Whoever keeps the state of servers
/// implements it; asking must be cheap, since it happens per request.
pub trait Candidate {
    /// Whether it may get requests of clients that are bound to none: it is up, not ejected, not
    /// draining, and its circuit is closed.
    fn eligible(&self, now: Moment) -> bool;

    /// Whether it may get requests of clients that are bound to it: as [`Candidate::eligible`], but
    /// draining does not matter.
    fn serves_bound(&self, now: Moment) -> bool;

    /// Its share in [`UNIT`]s, at most 1,000,000 of them; less while it comes back slowly. 0 takes no
    /// new clients.
    fn weight(&self, now: Moment) -> u32;

    /// Requests under way to it, of all threads.
    fn in_flight(&self) -> u32;

    /// Whether it may have one more request under way.
    fn has_room(&self) -> bool;

    /// Its recent response time as a peak-sensitive moving average, faded by the time since it was
    /// last heard of (see [`crate::balance::peak_ewma`]); zero while nothing is known.
    fn ewma(&self, now: Moment) -> Duration;
}

impl<C: Candidate + ?Sized> Candidate for std::sync::Arc<C> {
    fn eligible(&self, now: Moment) -> bool {
        (**self).eligible(now)
    }

    fn serves_bound(&self, now: Moment) -> bool {
        (**self).serves_bound(now)
    }

    fn weight(&self, now: Moment) -> u32 {
        (**self).weight(now)
    }

    fn in_flight(&self) -> u32 {
        (**self).in_flight()
    }

    fn has_room(&self) -> bool {
        (**self).has_room()
    }

    fn ewma(&self, now: Moment) -> Duration {
        (**self).ewma(now)
    }
}

/// Several candidates as one algorithm sees them at one moment.
pub trait Candidates {
    /// How many there are, whether they may be chosen or not.
    fn len(&self) -> usize;

    /// The share of the `i`-th; 0: it must not be chosen.
    fn weight(&self, i: usize) -> u32;

    /// Requests under way to the `i`-th.
    fn in_flight(&self, i: usize) -> u32;

    /// The recent response time of the `i`-th; zero while nothing is known.
    fn ewma(&self, i: usize) -> Duration;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Candidates that are just numbers.

    use super::*;

    /// Weight, requests under way, response time.
    #[derive(Clone, Copy, PartialEq, Debug, Default)]
    pub(crate) struct One {
        pub(crate) weight: u32,
        pub(crate) in_flight: u32,
        pub(crate) ewma: Duration,
    }

    impl Candidates for [One] {
        fn len(&self) -> usize {
            <[One]>::len(self)
        }

        fn weight(&self, i: usize) -> u32 {
            self[i].weight
        }

        fn in_flight(&self, i: usize) -> u32 {
            self[i].in_flight
        }

        fn ewma(&self, i: usize) -> Duration {
            self[i].ewma
        }
    }

    /// Idle candidates of these weights.
    pub(crate) fn of_weights(weights: &[u32]) -> Vec<One> {
        let one = |w: &u32| One {
            weight: *w,
            ..One::default()
        };
        weights.iter().map(one).collect()
    }
}
