//! On how many samples the flows rest: by hour and name, over restarts too. What is not known of is
//! not counted, so that nobody takes a number for surer than it is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;

use super::table::HOURS;
use crate::plan::Sampled;

/// The file in the state directory.
const FILE: &str = "flow-samples.txt";

/// The first line: what this is, and in which form.
const HEAD: &str = "tradewind flow samples 1";

/// Names of an hour that are counted at most; of more the samples are not known.
const MOST: usize = 8192;

#[derive(Debug, Default)]
struct Hour {
    /// Hours since 1970-01-01T00:00:00Z.
    number: u64,
    /// Seconds since 1970-01-01T00:00:00Z of its first sample.
    first: u64,
    names: HashMap<Arc<str>, Sampled>,
}

/// The samples of the last day.
#[derive(Debug, Default)]
pub struct Samples {
    /// The oldest first.
    hours: Vec<Hour>,
}

impl Samples {
    /// Adds a sample of `name` that stands for `weight` queries, at a second since 1970. What is later than
    /// the next hour is forgotten: a calendar that was ahead must not keep out what is seen now.
    pub fn add(&mut self, unix: u64, name: &Arc<str>, weight: u32) {
        let hour = unix / 3600;
        self.hours.retain(|h| h.number <= hour + 1);
        let weight = f64::from(weight);
        let one = Sampled {
            samples: 1.0,
            queries: weight,
            squares: weight * weight,
        };
        self.put(hour, unix, name, one);
    }

    fn put(&mut self, number: u64, first: u64, name: &Arc<str>, some: Sampled) {
        let newest = self.hours.last().map_or(0, |h| h.number);
        if number + HOURS <= newest {
            return;
        }
        let at = match self.hours.binary_search_by_key(&number, |h| h.number) {
            Ok(at) => at,
            Err(at) => {
                let hour = Hour {
                    number,
                    first,
                    ..Hour::default()
                };
                self.hours.insert(at, hour);
                at
            }
        };
        let hour = &mut self.hours[at];
        hour.first = hour.first.min(first);
        if hour.names.len() < MOST || hour.names.contains_key(name) {
            hour.names.entry(name.clone()).or_default().add(some);
        }
        let newest = self.hours.last().map_or(0, |h| h.number);
        self.hours.retain(|h| h.number + HOURS > newest);
    }

    /// The samples of the last `hours` before a second since 1970, by name, and for how many seconds
    /// there were some. Of the hour that lies half within, the part counts.
    pub fn within(&self, hours: u64, unix: u64) -> (HashMap<Arc<str>, Sampled>, u64) {
        let (hour, gone) = (unix / 3600, (unix % 3600) as f64 / 3600.0);
        let begins = hour.saturating_sub(hours);
        let mut sums: HashMap<Arc<str>, Sampled> = HashMap::new();
        let mut first = unix;
        for h in &self.hours {
            if !(begins..=hour).contains(&h.number) {
                continue;
            }
            first = first.min(h.first);
            let part = if h.number == begins { 1.0 - gone } else { 1.0 };
            for (name, some) in &h.names {
                sums.entry(name.clone()).or_default().add(some.part(part));
            }
        }
        (sums, (unix - first).min(hours * 3600))
    }

    /// As text, to be kept.
    pub fn text(&self) -> String {
        let mut out = format!("{HEAD}\n");
        for hour in &self.hours {
            for (name, s) in &hour.names {
                // Writing to a String cannot fail.
                let _ = writeln!(
                    out,
                    "{} {} {name} {} {} {}",
                    hour.number, hour.first, s.samples, s.queries, s.squares
                );
            }
        }
        out
    }

    /// Reads such a text; lines that make no sense count for nothing.
    pub fn read(text: &str) -> Samples {
        let mut samples = Samples::default();
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return samples;
        }
        for line in lines {
            if let Some((number, first, name, some)) = entry(line) {
                samples.put(number, first, &name.into(), some);
            }
        }
        samples
    }
}

fn entry(line: &str) -> Option<(u64, u64, &str, Sampled)> {
    let mut words = line.split(' ');
    let number: u64 = words.next()?.parse().ok()?;
    let first: u64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let mut sum = || {
        let n: f64 = words.next()?.parse().ok()?;
        (n.is_finite() && n > 0.0).then_some(n)
    };
    let some = Sampled {
        samples: sum()?,
        queries: sum()?,
        squares: sum()?,
    };
    let fits = words.next().is_none() && first / 3600 == number;
    fits.then_some((number, first, name, some))
}

/// Where the file is, beside that of the flows.
pub fn path(flows: &Path) -> PathBuf {
    flows.with_file_name(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_counted_by_hour_and_kept() {
        let (www, api): (Arc<str>, Arc<str>) = ("www.x.".into(), "api.x.".into());
        let mut samples = Samples::default();
        let hour = 500_000;
        let unix = hour * 3600 + 1800;
        // Half an hour of the first hour of the day is over.
        samples.add((hour - 24) * 3600 + 600, &www, 1);
        for _ in 0..3 {
            samples.add(unix - 60, &www, 2);
        }
        samples.add(unix, &api, 10);
        let (sums, over) = samples.within(24, unix);
        assert_eq!(
            sums[&www],
            Sampled {
                samples: 3.5,
                queries: 6.5,
                squares: 12.5
            }
        );
        assert_eq!(sums[&api].squares, 100.0);
        assert_eq!(over, 24 * 3600, "a day at most");
        let again = Samples::read(&samples.text());
        assert_eq!(again.within(24, unix), (sums, over));
        let (sums, over) = again.within(1, unix);
        assert_eq!((sums[&www].samples, over), (3.0, 60));
        // A day later there is nothing left.
        let mut later = again;
        later.add(unix + 26 * 3600, &api, 1);
        assert_eq!(later.within(24, unix + 26 * 3600).0.len(), 1);
        assert_eq!(later.hours.len(), 1);
    }

    #[test]
    fn a_calendar_that_was_ahead_keeps_nothing_out() {
        let www: Arc<str> = "www.x.".into();
        let mut samples = Samples::default();
        samples.add(900 * 3600, &www, 1);
        samples.add(100 * 3600, &www, 2);
        let (sums, over) = samples.within(24, 100 * 3600);
        assert_eq!((sums[&www].queries, over), (2.0, 0));
    }

    #[test]
    fn what_makes_no_sense_counts_for_nothing() {
        let good = "500000 1800000001 www.x. 3 6 12";
        let text = |line: &str| format!("{HEAD}\n{good}\n{line}\n");
        for line in [
            "",
            "500000 1800000001 www.x. 3 6",
            "500000 1800000001 www.x. 3 6 NaN",
            "500000 1800000001 www.x. -3 6 12",
            "500000 1800000001 www.x. 3 6 12 9",
            "500000 1 www.x. 3 6 12",
        ] {
            assert_eq!(
                Samples::read(&text(line)).text(),
                text(good).replace(&format!("{good}\n{good}"), good),
                "{line}"
            );
        }
        assert!(Samples::read("else").hours.is_empty());
    }
}
