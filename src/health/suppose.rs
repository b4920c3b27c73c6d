//! Boards and times as they would be if something were otherwise, for questions that start with "if".

use std::time::Duration;

use crate::chunked::Chunked;
use crate::ids::{EndpointId, SiteId};

use super::board::{Board, Cause, State, Verdict};
use super::latency::{SiteTime, SiteTimes};

impl Verdict {
    /// This verdict if the endpoint passed its checks, and had served for a while: no result can bring it
    /// down within `steady_for`.
    #[must_use]
    pub fn if_up(&self, steady_for: Option<Duration>) -> Verdict {
        Verdict {
            state: State::Up,
            cause: match self.cause {
                Cause::Unmonitored => Cause::Unmonitored,
                _ => Cause::Passing,
            },
            steady_for,
            failures: 0,
            passes: 0,
            last_probe: self.last_probe.or(Some(self.since)),
            stale: false,
            held: None,
            share: 100,
            ..self.clone()
        }
    }

    /// This verdict if the endpoint failed its checks, and no result could bring it back within
    /// `steady_for`.
    #[must_use]
    pub fn if_down(&self, steady_for: Option<Duration>) -> Verdict {
        Verdict {
            state: State::Down,
            cause: Cause::Failing("supposed to be down".into()),
            steady_for,
            last_probe: self.last_probe.or(Some(self.since)),
            last_error: Some("supposed to be down".into()),
            held: None,
            share: 100,
            ..self.clone()
        }
    }
}

impl Board {
    /// This board with other verdicts on some endpoints of it.
    #[must_use]
    pub fn with(&self, verdicts: impl IntoIterator<Item = (EndpointId, Verdict)>) -> Board {
        let mut board = self.clone();
        for (endpoint, verdict) in verdicts {
            board.set(endpoint, verdict);
        }
        board
    }
}

impl SiteTimes {
    /// No time known from any of so many sites to any of so many endpoints.
    pub fn unknown(sites: usize, endpoints: usize) -> SiteTimes {
        let row: Chunked<SiteTime> = (0..endpoints).map(|_| SiteTime::default()).collect();
        SiteTimes {
            rows: vec![row; sites],
            ..SiteTimes::default()
        }
    }

    /// Puts a time that stands in the place of what a site says of an endpoint; nothing where the table
    /// does not reach.
    pub fn suppose(&mut self, site: SiteId, endpoint: EndpointId, rtt: Duration) {
        let row = self.rows.get_mut(site.index());
        if let Some(row) = row.filter(|r| endpoint.index() < r.len()) {
            row.set(endpoint.index(), SiteTime::still(rtt));
        }
    }
}
