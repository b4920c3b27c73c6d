//! How far the members are from a client, by the word of the sites that stand nearest to it.

use std::time::Duration;

use crate::ids::SiteId;

use super::nearest::SiteKey;
use super::word::Word;

/// In place of the round-trip time of a member that was never measured and serves nothing: it comes
/// last, and does not keep the others from being ordered by theirs.
pub const ABSENT: Duration = Duration::MAX;

/// What the sites that speak for a client see of the members.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// The sites.
    pub key: SiteKey,
    /// Round-trip time from a site to a member, as far as it is known.
    pub rtt: &'a dyn Fn(SiteId, u16) -> Option<Duration>,
    /// What the clients' own times say.
    pub(super) clients: Option<&'a Word>,
    /// Who measured a member's time, and what, in a trace; empty: nobody did.
    pub(super) measured: &'a dyn Fn(u16) -> String,
    /// What a site is called in a trace, and what is wrong with its vantages.
    pub label: &'a dyn Fn(SiteId) -> String,
}

impl Sight<'_> {
    /// Nobody sees anything.
    pub fn none() -> Sight<'static> {
        Sight {
            key: SiteKey::default(),
            rtt: &|_, _| None,
            clients: None,
            measured: &|_| String::new(),
            label: &|_| String::new(),
        }
    }

    /// Whose word counts about `tier`: of the sites that know every member of it the first, where
    /// it dominates or only two know them, or else all three. One that knows only some of them would
    /// compare what it sees with what another one sees.
    pub(super) fn believed(&self, tier: &[u16]) -> Believed {
        let knows = |s: &SiteId| {
            let mut absent = true;
            tier.iter().all(|m| {
                let rtt = (self.rtt)(*s, *m);
                absent &= rtt == Some(ABSENT);
                rtt.is_some()
            }) && !absent
        };
        let mut believed = Believed::default();
        for (at, site) in self.key.sites().iter().enumerate() {
            if !knows(site) {
                continue;
            }
            believed.add(*site);
            if at == 0 && self.key.is_dominated() {
                break;
            }
        }
        if believed.len == 2 {
            // Of two weights the larger one is more than half.
            believed.len = 1;
        }
        believed
    }

    /// The weighted median of what the believed sites say of a member.
    pub(super) fn estimate(&self, believed: &Believed, member: u16) -> Option<Duration> {
        let mut values = [None; super::nearest::MOST];
        for (value, site) in values.iter_mut().zip(believed.sites()) {
            *value = (self.rtt)(*site, member);
        }
        let values = &mut values[..believed.sites().len()];
        values.sort_unstable();
        values.get(values.len() / 2).copied().flatten()
    }
}

/// The sites whose word counts: none, one or three.
#[derive(Clone, Copy, Default)]
pub(super) struct Believed {
    sites: [SiteId; super::nearest::MOST],
    len: u8,
}

impl Believed {
    fn add(&mut self, site: SiteId) {
        self.sites[usize::from(self.len)] = site;
        self.len += 1;
    }

    /// The sites, nearest first.
    pub(super) fn sites(&self) -> &[SiteId] {
        &self.sites[..usize::from(self.len)]
    }
}

/// What counts as equally far: everything within a width, or a share of the smaller time where that is
/// more.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tolerance {
    /// The width.
    pub width: Duration,
    /// The share in percent.
    pub percent: u32,
}

impl Tolerance {
    /// The largest time, in seconds, that is as good as `best`.
    pub(super) fn limit(&self, best: f64) -> f64 {
        best + self
            .width
            .as_secs_f64()
            .max(best * f64::from(self.percent) / 100.0)
    }
}

impl std::fmt::Display for Tolerance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.width, self.percent) {
            (width, 0) => write!(f, "{width:?}"),
            (Duration::ZERO, percent) => write!(f, "{percent}%"),
            (width, percent) => write!(f, "{width:?} or {percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_tolerance_counts() {
        let ring = Tolerance {
            width: Duration::from_millis(5),
            percent: 10,
        };
        assert!((ring.limit(0.02) - 0.025).abs() < 1e-12);
        assert!((ring.limit(0.2) - 0.22).abs() < 1e-12);
        assert_eq!(ring.to_string(), "5ms or 10%");
    }
}
