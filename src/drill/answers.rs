//! How DNS answers moved: what nodes saw of the answers to the names of a drill, second by second, and
//! what follows from it.
//!
//! All numbers are estimates from samples that were each taken with a known chance, in hundredths of an
//! answer: one with two addresses is half an answer for each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::shift::Moved;

/// Seconds after a change that are kept one by one.
pub const SECONDS: usize = 60;

/// Regions that are told one by one; of more those that come later are added up.
pub const REGIONS: usize = 16;

/// Where answers of further regions are added up.
pub const OTHERS: &str = "(others)";

/// Answers with no endpoint are counted under this.
pub const NOWHERE: &str = "(none)";

/// Hundredths of an answer.
pub const WHOLE: u64 = 100;

/// Fewer samples than this say nothing of a share, neither before the drill nor in a step of it.
pub const ENOUGH: u64 = 20;

/// A share is taken over at least so many seconds, as that of the proxies' traffic is.
const SMOOTH: usize = 3;

/// When an answer was given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum When {
    /// In the half minute before the drill.
    Before,
    /// While it ran.
    During,
    /// After its end.
    After,
}

impl When {
    /// All of them, in order.
    pub const ALL: [When; 3] = [When::Before, When::During, When::After];
}

/// Second by second after a change.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Series {
    /// Answers, in hundredths.
    pub all: Vec<u32>,
    /// Of these, such as name what the drill takes away.
    pub there: Vec<u32>,
    /// Samples.
    pub samples: Vec<u32>,
}

impl Series {
    fn add(&mut self, second: u64, all: u64, there: u64) {
        let Some(at) = usize::try_from(second).ok().filter(|s| *s < SECONDS) else {
            return;
        };
        for (list, more) in [
            (&mut self.all, all),
            (&mut self.there, there),
            (&mut self.samples, 1),
        ] {
            if list.len() <= at {
                list.resize(at + 1, 0);
            }
            list[at] = list[at].saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
        }
    }

    fn plus(&mut self, other: &Series) {
        let lists = [
            (&mut self.all, &other.all),
            (&mut self.there, &other.there),
            (&mut self.samples, &other.samples),
        ];
        for (sums, more) in lists {
            if sums.len() < more.len() {
                sums.resize(more.len(), 0);
            }
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = sum.saturating_add(*more);
            }
        }
    }

    /// The share of answers that name what the drill takes away, in the seconds up to each at whose end
    /// there is enough to tell.
    fn shares(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let sum = |list: &[u32]| list.iter().map(|n| u64::from(*n)).sum::<u64>();
        (0..self.all.len()).filter_map(move |at| {
            let end = at + 1;
            // As few seconds as say enough: of little traffic more of them.
            let widths = SMOOTH.min(end)..=end;
            let from = widths
                .map(|width| end - width)
                .find(|from| sum(&self.samples[*from..end]) >= ENOUGH)?;
            let (all, there) = (sum(&self.all[from..end]), sum(&self.there[from..end]));
            (all > 0).then(|| (end, there as f64 / all as f64))
        })
    }

    fn reached(&self, so: impl Fn(f64) -> bool) -> Option<Duration> {
        let first = self.shares().find(|(_, share)| so(*share));
        first.map(|(end, _)| Duration::from_secs(end as u64))
    }
}

/// What one node saw, or all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Answers by region, before, during and after, in hundredths.
    pub regions: BTreeMap<Box<str>, [u64; 3]>,
    /// Such as name what the drill takes away, likewise.
    pub there: [u64; 3],
    /// Samples, likewise.
    pub samples: [u64; 3],
    /// After the beginning.
    pub away: Series,
    /// After the end.
    pub back: Series,
}

/// An answer that was sampled.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer<'a> {
    /// When; after the beginning and the end in which second, counted from 0.
    pub when: (When, u64),
    /// For how many answers it stands.
    pub weight: u32,
    /// The regions of its endpoints, and whether the drill takes each away; none where it has none.
    pub to: &'a [(&'a str, bool)],
}

impl Tally {
    /// Adds an answer.
    pub fn add(&mut self, answer: &Answer<'_>) {
        let (when, second) = answer.when;
        let all = u64::from(answer.weight) * WHOLE;
        let each = all / answer.to.len().max(1) as u64;
        let mut there = 0;
        for (region, away) in answer.to {
            self.count(region, when, each);
            if *away {
                there += each;
            }
        }
        if answer.to.is_empty() {
            self.count(NOWHERE, when, all);
        }
        let at = when as usize;
        self.there[at] = self.there[at].saturating_add(there);
        self.samples[at] += 1;
        match when {
            When::Before => {}
            When::During => self.away.add(second, all, there),
            When::After => self.back.add(second, all, there),
        }
    }

    fn count(&mut self, region: &str, when: When, hundredths: u64) {
        let full = self.regions.len() >= REGIONS && !self.regions.contains_key(region);
        let region = if full { OTHERS } else { region };
        let sums = self.regions.entry(region.into()).or_default();
        let sum = &mut sums[when as usize];
        *sum = sum.saturating_add(hundredths);
    }

    /// Adds what another node saw.
    pub fn plus(&mut self, other: &Tally) {
        for (region, sums) in &other.regions {
            for (when, sum) in When::ALL.into_iter().zip(sums) {
                self.count(region, when, *sum);
            }
        }
        for at in 0..3 {
            self.there[at] = self.there[at].saturating_add(other.there[at]);
            self.samples[at] = self.samples[at].saturating_add(other.samples[at]);
        }
        self.away.plus(&other.away);
        self.back.plus(&other.back);
    }

    /// Answers in all.
    pub fn answers(&self, when: When) -> f64 {
        let sums = self.regions.values().map(|s| s[when as usize]);
        sums.sum::<u64>() as f64 / WHOLE as f64
    }

    /// The share of each region, where there were answers.
    pub fn shares(&self, when: When) -> Option<Vec<(&str, f64)>> {
        let all = self.answers(when);
        let share = |sum: u64| sum as f64 / WHOLE as f64 / all;
        let each = self.regions.iter();
        let each = each.map(|(region, sums)| (&**region, share(sums[when as usize])));
        (all > 0.0).then(|| each.collect())
    }

    /// The share of answers before the drill that named what it takes away.
    fn before(&self) -> Option<f64> {
        let at = When::Before as usize;
        let enough = self.samples[at] >= ENOUGH && self.there[at] > 0;
        enough.then(|| self.there[at] as f64 / WHOLE as f64 / self.answers(When::Before))
    }

    /// When answers had moved away; `None`: there were too few to tell, or none that could move.
    pub fn away(&self) -> Option<Moved> {
        let before = self.before()?;
        let falls = |part: f64| {
            let left = before * (1.0 - part) + f64::EPSILON;
            self.away.reached(|share| share <= left)
        };
        Some(Moved {
            half: falls(0.5),
            ninety: falls(0.9),
            ninety_nine: falls(0.99),
        })
    }

    /// When they had come back.
    pub fn back(&self) -> Option<Moved> {
        let before = self.before()?;
        let rises = |part: f64| {
            let wanted = before * part - f64::EPSILON;
            self.back.reached(|share| share >= wanted)
        };
        Some(Moved {
            half: rises(0.5),
            ninety: rises(0.9),
            ninety_nine: rises(0.99),
        })
    }

    /// The same without seconds: what is told where there is no room for all.
    pub fn without_seconds(&self) -> Tally {
        Tally {
            away: Series::default(),
            back: Series::default(),
            ..self.clone()
        }
    }
}

/// What a report says of answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Answers {
    /// Only who asks for the label is concerned: nothing moves.
    Label,
    /// Samples do not tell so small a network from its neighbours.
    TooFine,
    /// No node saw a query for its names, from who is concerned.
    NotAsked,
    /// What nodes saw.
    Seen {
        /// The nodes.
        nodes: Vec<String>,
        /// All of them together.
        tally: Box<Tally>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EU: &[(&str, bool)] = &[("eu", true)];
    const US: &[(&str, bool)] = &[("us", false)];
    const NONE: &[(&str, bool)] = &[];

    /// When, in which second, of which weight and to which regions.
    type One = (When, u64, u32, &'static [(&'static str, bool)]);

    fn of(answers: &[One]) -> Tally {
        let mut tally = Tally::default();
        for (when, second, weight, to) in answers {
            tally.add(&Answer {
                when: (*when, *second),
                weight: *weight,
                to,
            });
        }
        tally
    }

    fn times(n: usize, one: One) -> Tally {
        of(&vec![one; n])
    }

    fn joined(all: &[Tally]) -> Tally {
        let mut sum = Tally::default();
        for one in all {
            sum.plus(one);
        }
        sum
    }

    #[test]
    fn shares_and_times_follow_from_what_was_seen() {
        let mut all = vec![
            times(60, (When::Before, 0, 10, EU)),
            times(20, (When::Before, 0, 10, US)),
        ];
        for second in 0..20 {
            // Half of it has moved after 5 s, all of it after 10 s.
            let there = match second {
                0..5 => 20,
                5..10 => 8,
                _ => 0,
            };
            all.push(times(there, (When::During, second, 1, EU)));
            all.push(times(30 - there, (When::During, second, 1, US)));
            all.push(times(
                30,
                (When::After, second, 1, if second < 4 { US } else { EU }),
            ));
        }
        let tally = joined(&all);
        assert_eq!(tally.answers(When::Before), 800.0);
        assert_eq!(tally.samples, [80, 600, 600]);
        let shares = tally.shares(When::Before).unwrap();
        assert_eq!(shares, [("eu", 0.75), ("us", 0.25)]);
        let s = |n| Some(Duration::from_secs(n));
        let away = tally.away().unwrap();
        assert_eq!(
            (away.half, away.ninety, away.ninety_nine),
            (s(8), s(13), s(13))
        );
        assert_eq!(tally.back().unwrap().half, s(6));
        assert_eq!(tally.without_seconds().away().unwrap(), Moved::default());
    }

    #[test]
    fn too_little_says_nothing_rather_than_a_number() {
        let few = times(19, (When::Before, 0, 1, EU));
        assert_eq!(few.away(), None);
        assert!(few.shares(When::During).is_none());
        // Nobody was sent to what the drill takes away: nothing can move.
        assert_eq!(times(50, (When::Before, 0, 1, US)).away(), None);
        // A single answer elsewhere is no sign that all went there.
        let chance = joined(&[
            times(50, (When::Before, 0, 1, EU)),
            times(3, (When::During, 2, 1, US)),
        ]);
        assert_eq!(chance.away(), Some(Moved::default()));
    }

    #[test]
    fn an_answer_of_several_addresses_is_shared_and_one_of_none_is_told() {
        let both: &[(&str, bool)] = &[("eu", true), ("us", false)];
        let tally = of(&[(When::Before, 0, 3, both), (When::Before, 0, 1, NONE)]);
        let shares = tally.shares(When::Before).unwrap();
        assert_eq!(shares, [(NOWHERE, 0.25), ("eu", 0.375), ("us", 0.375)]);
        assert_eq!(tally.there[0], 150);
    }

    proptest! {
        #[test]
        fn what_nodes_saw_adds_up_whatever_came_first(
            seen in prop::collection::vec((0..3usize, 0..90u64, 1..9u32, 0..40u32), 0..300),
            cut in 0..300usize,
        ) {
            let names: Vec<String> = (0..40).map(|n| format!("r{n:02}")).collect();
            let add = |part: &[(usize, u64, u32, u32)]| {
                let mut tally = Tally::default();
                for (when, second, weight, region) in part {
                    let to = [(names[*region as usize].as_str(), region % 3 == 0)];
                    tally.add(&Answer { when: (When::ALL[*when], *second), weight: *weight, to: &to });
                }
                tally
            };
            let (a, b) = seen.split_at(cut.min(seen.len()));
            let mut sum = add(a);
            sum.plus(&add(b));
            let whole = add(&seen);
            prop_assert_eq!(sum.there, whole.there);
            prop_assert_eq!(&sum.away, &whole.away);
            for when in When::ALL {
                prop_assert_eq!(sum.answers(when), whole.answers(when));
            }
            prop_assert!(sum.regions.len() <= REGIONS + 1);
            prop_assert!(sum.away.all.len() <= SECONDS);
            if let Some(m) = sum.away() {
                for pair in [m.half, m.ninety, m.ninety_nine].windows(2) {
                    prop_assert!(pair[0].is_some() || pair[1].is_none());
                    if let (Some(x), Some(y)) = (pair[0], pair[1]) {
                        prop_assert!(x <= y);
                    }
                }
            }
        }
    }
}
