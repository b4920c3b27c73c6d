//! How sure a share is that was counted on samples: so that a gate does not pass on noise.
//!
//! A share p of n samples stands for one of more queries than these. Its standard error is
//! √(p (1 − p) / n); the interval that holds the share of all queries with a chance of 95 % is that of
//! Wilson, which is sound for few samples and for shares of 0, too. Samples that stand for unlike numbers
//! of queries count as fewer: n is (Σ w)² / Σ w².

/// Standard errors from the middle of a distribution to the end of what holds 95 % of it.
const Z: f64 = 1.959_963_984_540_054;

/// Samples below which a share is said to rest on few: its standard error is above 1.6 points at worst.
pub const FEW: f64 = 1000.0;

/// Samples of queries.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sampled {
    /// How many.
    pub samples: f64,
    /// The queries that they stand for.
    pub queries: f64,
    /// The sum of the squares of what each stands for.
    pub squares: f64,
}

impl Sampled {
    /// Adds others.
    pub fn add(&mut self, other: Sampled) {
        self.samples += other.samples;
        self.queries += other.queries;
        self.squares += other.squares;
    }

    /// This part of them, between 0 and 1.
    pub fn part(self, part: f64) -> Sampled {
        Sampled {
            samples: self.samples * part,
            queries: self.queries * part,
            squares: self.squares * part,
        }
    }

    /// How many samples of one weight say as much.
    fn effective(self) -> f64 {
        match self.squares > 0.0 {
            true => (self.queries * self.queries / self.squares).min(self.samples),
            false => 0.0,
        }
    }
}

/// How sure a share is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Certainty {
    /// Samples that it rests on.
    pub samples: f64,
    /// Its standard error; of no sample 1.
    pub error: f64,
    /// What the share of all queries is no more than, with a chance of 97.5 %.
    pub at_most: f64,
}

impl Certainty {
    /// Of a share; `possible`: some client might be counted in it. Where none might, whoever it is, the
    /// share is 0 for sure.
    pub fn of(share: f64, sampled: Sampled, possible: bool) -> Certainty {
        let n = sampled.effective();
        let samples = sampled.samples;
        if !possible && share == 0.0 {
            return Certainty {
                samples,
                error: 0.0,
                at_most: 0.0,
            };
        }
        if n <= 0.0 {
            return Certainty {
                samples,
                error: 1.0,
                at_most: 1.0,
            };
        }
        let variance = share * (1.0 - share) / n;
        let wide = Z * Z / n;
        let far = Z * (variance + wide / (4.0 * n)).sqrt();
        Certainty {
            samples,
            error: variance.sqrt(),
            at_most: ((share + wide / 2.0 + far) / (1.0 + wide)).clamp(share, 1.0),
        }
    }

    /// Whether it rests on few samples.
    pub fn is_weak(&self) -> bool {
        self.samples < FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::mix::nth;
    use proptest::prelude::*;

    fn plain(n: f64) -> Sampled {
        Sampled {
            samples: n,
            queries: n,
            squares: n,
        }
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        // Wilson's interval for 0 of 10 and for 10 of 16.
        let none = Certainty::of(0.0, plain(10.0), true);
        assert!((none.at_most - 0.2775).abs() < 1e-4, "{none:?}");
        let ten = Certainty::of(0.625, plain(16.0), true);
        assert!((ten.at_most - 0.8152).abs() < 5e-4, "{ten:?}");
        assert!((ten.error - 0.1210).abs() < 1e-4, "{ten:?}");
        // What cannot be is not possible after all, and what nobody counted may be anything.
        assert_eq!(Certainty::of(0.0, plain(10.0), false).at_most, 0.0);
        assert_eq!(Certainty::of(0.0, Sampled::default(), true).at_most, 1.0);
        assert!(Certainty::of(0.5, plain(999.0), true).is_weak());
        assert!(!Certainty::of(0.5, plain(1000.0), true).is_weak());
    }

    #[test]
    fn of_many_draws_few_are_beyond_the_bound() {
        // 400 times 60 queries of which 30 % would move: the bound is too low in 2.5 % of them, about.
        let beyond = (0..400_u64).filter(|round| {
            let draws = (0..60_u64).map(|i| nth(*round, i) as f64 / u64::MAX as f64);
            let share = draws.filter(|d| *d < 0.3).count() as f64 / 60.0;
            Certainty::of(share, plain(60.0), true).at_most < 0.3
        });
        assert!(beyond.count() <= 24);
    }

    proptest! {
        #[test]
        fn more_samples_are_surer_and_uneven_ones_are_fewer(
            share in 0.0..=1.0f64, n in 1.0..1e6f64, more in 1.0..100.0f64, heavy in 1.0..1000.0f64,
        ) {
            let few = Certainty::of(share, plain(n), true);
            let many = Certainty::of(share, plain(n * more), true);
            prop_assert!(few.at_most >= many.at_most - 1e-12 && many.at_most >= share);
            prop_assert!(few.error >= many.error - 1e-12);
            // The scale of weights says nothing; that one is heavier does.
            let scaled = Sampled { samples: n, queries: n * heavy, squares: n * heavy * heavy };
            prop_assert!((Certainty::of(share, scaled, true).at_most - few.at_most).abs() < 1e-6);
            let mut uneven = plain(n);
            uneven.add(Sampled { samples: 1.0, queries: heavy, squares: heavy * heavy });
            let bound = Certainty::of(share, uneven, true).at_most;
            prop_assert!(bound >= Certainty::of(share, plain(n + 1.0), true).at_most - 1e-12);
        }
    }
}
