//! On how many samples the flows of several nodes rest: told as text, and added up. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::words::{MOST_TEXT, packed, unpacked};
use crate::admin::flows::{NameSamples, SampledFacts};

/// Longest window, in seconds.
const DAY: u64 = 24 * 3600;

/// Samples as an answer: the time within which they were taken, then the names.
pub(super) fn of(sampled: &SampledFacts) -> Vec<u8> {
    let mut text = format!("{}\n", sampled.over.as_secs());
    for n in &sampled.names {
        let before = text.len();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {} {}", n.name, n.samples, n.queries, n.squares);
        if text.len() > MOST_TEXT {
            text.truncate(before);
            break;
        }
    }
    packed(&text)
}

/// Reads such an answer; what makes no sense counts for nothing.
pub(super) fn read(octets: &[u8]) -> Option<SampledFacts> {
    let text = unpacked(octets)?;
    let mut lines = text.lines();
    let over: u64 = lines.next()?.parse().ok()?;
    let names = lines.filter_map(|line| {
        let mut words = line.split(' ');
        let name = words.next().filter(|w| !w.contains(char::is_control))?;
        let mut sum = || {
            let n: f64 = words.next()?.parse().ok()?;
            (n > 0.0 && n < 1e30).then_some(n)
        };
        let one = NameSamples {
            name: name.to_owned(),
            samples: sum()?,
            queries: sum()?,
            squares: sum()?,
        };
        words.next().is_none().then_some(one)
    });
    Some(SampledFacts {
        names: names.collect(),
        over: Duration::from_secs(over.min(DAY)),
    })
}

/// All of them together.
pub(super) fn merge(all: impl IntoIterator<Item = SampledFacts>) -> SampledFacts {
    let mut sums: BTreeMap<String, NameSamples> = BTreeMap::new();
    let mut over = Duration::ZERO;
    for one in all {
        over = over.max(one.over);
        for n in one.names {
            match sums.get_mut(&n.name) {
                Some(sum) => {
                    sum.samples += n.samples;
                    sum.queries += n.queries;
                    sum.squares += n.squares;
                }
                None => drop(sums.insert(n.name.clone(), n)),
            }
        }
    }
    SampledFacts {
        names: sums.into_values().collect(),
        over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_name(name: &str, samples: f64) -> NameSamples {
        NameSamples {
            name: name.to_owned(),
            samples,
            queries: samples * 2.0,
            squares: samples * 4.0,
        }
    }

    #[test]
    fn what_nodes_tell_is_read_and_adds_up() {
        let one = SampledFacts {
            names: vec![of_name("a.x", 3.0), of_name("b.x", 1.5)],
            over: Duration::from_secs(60),
        };
        assert_eq!(read(&of(&one)), Some(one.clone()));
        let other = SampledFacts {
            names: vec![of_name("b.x", 1.0)],
            over: Duration::from_secs(600),
        };
        let both = merge([one, other]);
        assert_eq!(both.names, [of_name("a.x", 3.0), of_name("b.x", 2.5)]);
        assert_eq!(both.over.as_secs(), 600);
    }

    #[test]
    fn what_makes_no_sense_counts_for_nothing() {
        assert_eq!(read(b"x"), None);
        assert_eq!(read(&packed("x\n")), None);
        for line in [
            "a.x 1 1",
            "a.x 1 1 NaN",
            "a.x -1 1 1",
            "a.x 1 1 1 1",
            "a.x 1 inf 1",
        ] {
            let read = read(&packed(&format!("99999999\n{line}\n"))).unwrap();
            assert_eq!((read.names.len(), read.over.as_secs()), (0, DAY), "{line}");
        }
    }
}
