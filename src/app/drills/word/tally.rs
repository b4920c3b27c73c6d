//! What a node saw of DNS answers, as it is written.

use serde::{Deserialize, Serialize};

use crate::drill::answers::{REGIONS, SECONDS, Series, Tally};

/// Longest name of a region that is read, in octets.
const LONGEST: usize = 256;

/// A tally as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    regions: Vec<(String, [u64; 3])>,
    there: [u64; 3],
    samples: [u64; 3],
    #[serde(default, skip_serializing_if = "is_empty")]
    away: [Vec<u32>; 3],
    #[serde(default, skip_serializing_if = "is_empty")]
    back: [Vec<u32>; 3],
}

fn is_empty(lists: &[Vec<u32>; 3]) -> bool {
    lists.iter().all(Vec::is_empty)
}

impl Written {
    pub(super) fn of(tally: &Tally) -> Written {
        let lists = |s: &Series| [s.all.clone(), s.there.clone(), s.samples.clone()];
        Written {
            regions: tally
                .regions
                .iter()
                .map(|(r, n)| (r.to_string(), *n))
                .collect(),
            there: tally.there,
            samples: tally.samples,
            away: lists(&tally.away),
            back: lists(&tally.back),
        }
    }

    /// `None`: it is none.
    pub(super) fn tally(self) -> Option<Tally> {
        let series = |[all, there, samples]: [Vec<u32>; 3]| {
            let alike = all.len() == there.len() && all.len() == samples.len();
            (alike && all.len() <= SECONDS).then_some(Series {
                all,
                there,
                samples,
            })
        };
        let fits = self.regions.len() <= REGIONS + 1
            && self.regions.iter().all(|(r, _)| r.len() <= LONGEST);
        fits.then_some(())?;
        Some(Tally {
            regions: self
                .regions
                .into_iter()
                .map(|(r, n)| (r.into(), n))
                .collect(),
            there: self.there,
            samples: self.samples,
            away: series(self.away)?,
            back: series(self.back)?,
        })
    }
}
