//! Answers by region: which of a worker's counters belongs to which region.
//!
//! Workers count without locks, in arrays of a fixed length. A configuration that is loaded anew may
//! name its regions in another order, and counters must never change their meaning: so a region keeps
//! the place that its name had before, for as long as the process lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Regions counted apart at most; those beyond share the last place.
pub const PLACES: usize = 64;

/// What the regions beyond the last own place are counted as.
const OTHERS: &str = "(others)";

/// The places of a configuration's regions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RegionPlaces {
    /// By place: its region, also of regions that are not configured any more.
    names: Vec<Arc<str>>,
    /// By region of the configuration: its place.
    of: Vec<u8>,
}

impl RegionPlaces {
    /// Places for these regions, as the first configuration of a process has them.
    pub fn new<'n>(regions: impl IntoIterator<Item = &'n str>) -> RegionPlaces {
        RegionPlaces::default().with(regions)
    }

    /// The same places where names were known, and free ones for the others.
    #[must_use]
    pub fn with<'n>(&self, regions: impl IntoIterator<Item = &'n str>) -> RegionPlaces {
        let mut names = self.names.clone();
        let of = regions.into_iter().map(|region| {
            let at = names.iter().position(|n| **n == *region);
            let at = at.unwrap_or_else(|| {
                let free = names.len().min(PLACES - 1);
                if names.len() < PLACES {
                    names.push(match free {
                        f if f == PLACES - 1 => OTHERS.into(),
                        _ => region.into(),
                    });
                }
                free
            });
            // Below 64.
            at as u8
        });
        let of = of.collect();
        RegionPlaces { names, of }
    }

    /// The place of the region with this number; the last one where it has none.
    #[inline]
    pub fn place(&self, region: usize) -> usize {
        self.of
            .get(region)
            .map_or(PLACES - 1, |at| usize::from(*at))
    }

    /// Every region that has a place, with it.
    pub fn all(&self) -> impl Iterator<Item = (usize, &str)> {
        self.names
            .iter()
            .enumerate()
            .map(|(at, name)| (at, &**name))
    }
}

/// One worker's counters by place. Only that worker writes.
#[derive(Debug)]
pub struct RegionCounters([AtomicU64; PLACES]);

impl Default for RegionCounters {
    fn default() -> Self {
        RegionCounters(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl RegionCounters {
    /// Counts one. Call from the owning worker only.
    #[inline]
    pub fn count(&self, place: usize) {
        if let Some(c) = self.0.get(place) {
            c.store(c.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// The present value; from any thread.
    pub fn get(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, |c| c.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_keeps_its_place_over_reloads() {
        let first = RegionPlaces::new(["eu", "us", "ap"]);
        let second = first.with(["ap", "sa", "eu"]);
        assert_eq!([0, 1, 2].map(|r| first.place(r)), [0, 1, 2]);
        assert_eq!([0, 1, 2].map(|r| second.place(r)), [2, 3, 0]);
        let names: Vec<&str> = second.all().map(|(_, n)| n).collect();
        assert_eq!(
            names,
            ["eu", "us", "ap", "sa"],
            "us is counted no more and shown on"
        );
    }

    #[test]
    fn regions_without_a_place_of_their_own_share_the_last() {
        let many: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
        let places = RegionPlaces::new(many.iter().map(String::as_str));
        assert_eq!(places.place(62), 62);
        assert_eq!([63, 64, 99, 5000].map(|r| places.place(r)), [63; 4]);
        let names: Vec<&str> = places.all().map(|(_, n)| n).collect();
        assert_eq!((names.len(), names[62], names[63]), (64, "r62", OTHERS));
        let counters = RegionCounters::default();
        counters.count(places.place(99));
        counters.count(PLACES);
        assert_eq!(counters.get(63), 1);
    }
}
