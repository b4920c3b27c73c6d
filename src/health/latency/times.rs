//! What the matrix publishes: for each site how far every endpoint is, and how good its vantages are.

use std::sync::Arc;
use std::time::Duration;

use crate::chunked::Chunked;
use crate::ids::{EndpointId, SiteId};
use crate::time::Moment;

use super::row::Voice;

/// How far an endpoint is from a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SiteTime {
    /// What counts: it changes only after a dwell. `None` where nothing is known.
    pub rtt: Option<Duration>,
    /// The newest smoothed value, shown only.
    pub latest: Option<Duration>,
    /// Whether `rtt` may change within the next [`super::DWELL`]; also where a first value is awaited.
    pub moving: bool,
}

impl SiteTime {
    /// A value that stands.
    pub fn still(rtt: Duration) -> SiteTime {
        SiteTime {
            rtt: Some(rtt),
            latest: Some(rtt),
            moving: false,
        }
    }

    /// Whether `other` steers as this does.
    pub fn steers_as(&self, other: &SiteTime) -> bool {
        (self.rtt, self.moving) == (other.rtt, other.moving)
    }
}

/// A vantage at the time of a publication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VantageHeard {
    /// Whether it is believed, and why not.
    pub voice: Voice,
    /// When it was last heard.
    pub heard: Option<Moment>,
    /// How many checks it tells a time of.
    pub measured: u32,
}

/// What all sites say. Versions share what did not change.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SiteTimes {
    /// By [`SiteId`], then by [`EndpointId`].
    pub rows: Vec<Chunked<SiteTime>>,
    /// By [`crate::ids::VantageId`].
    pub vantages: Arc<[VantageHeard]>,
}

impl SiteTimes {
    /// The time from a site to an endpoint; nothing where the table does not reach.
    pub fn get(&self, site: SiteId, endpoint: EndpointId) -> SiteTime {
        let row = self.rows.get(site.index());
        row.and_then(|r| r.get(endpoint.index()))
            .copied()
            .unwrap_or_default()
    }

    /// Whether any site knows how far `endpoint` is, or will.
    pub fn reaches(&self, endpoint: EndpointId) -> bool {
        (0..self.rows.len()).any(|s| {
            let time = self.get(SiteId::from_index(s), endpoint);
            time.rtt.is_some() || time.moving
        })
    }

    /// Whether both have as many sites and endpoints.
    pub fn alike(&self, other: &SiteTimes) -> bool {
        let lens = |t: &SiteTimes| -> Vec<usize> { t.rows.iter().map(Chunked::len).collect() };
        lens(self) == lens(other)
    }

    /// The endpoints of which any site says something else that steers, in both of the same size;
    /// an endpoint may come once for each site.
    pub fn differing<'t>(&'t self, other: &'t SiteTimes) -> impl Iterator<Item = EndpointId> + 't {
        let pairs = self.rows.iter().zip(&other.rows);
        pairs
            .flat_map(|(a, b)| a.differing(b, SiteTime::steers_as))
            .map(EndpointId::from_index)
    }
}
