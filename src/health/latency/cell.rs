//! One cell of the matrix: when does what a site measures of an endpoint become what counts?
//!
//! Two speeds. A value that moved far counts after [`DWELL`]; one that moved a little counts when a
//! slower average of it stayed on the same side for ten minutes. The first follows a changed route
//! within three minutes, the second keeps small differences true, and noise does neither: with 6 ms of
//! noise on 50 ms an order by these values changes about once an hour.

use std::time::Duration;

use crate::time::Moment;

use super::times::SiteTime;

/// A value that moved far must stay there so long before it counts; so nothing that counts changes
/// sooner than this after the first sign, which bounds the TTL (requirement T1).
pub const DWELL: Duration = Duration::from_secs(60);

/// A value that moved a little must stay there so long.
const SLOW_DWELL: Duration = Duration::from_secs(600);

/// Time constant of the slower average.
const SLOW_TAU: Duration = Duration::from_secs(600);

/// A value that nobody confirms is dropped after this time.
pub(super) const FORGET: Duration = Duration::from_secs(600);

/// Within this time of being dropped a value counts as moving: a dwell, and the time between two looks
/// at a cell.
const FADE: Duration = DWELL.saturating_add(super::matrix::SWEEP);

/// What is believed of one endpoint's distance from one site.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(in crate::health) struct Cell {
    /// What counts, in microseconds; also what is measured against where nothing counts any more.
    published: Option<f64>,
    /// Whether `published` counts.
    counts: bool,
    /// The newest value.
    latest: f64,
    /// The slower average.
    slow: f64,
    /// When `slow` was brought up to date, and how many seconds it rests on, at most [`SLOW_TAU`].
    at: Moment,
    rests_on: f64,
    /// When a vantage that is believed last had a value.
    heard: Option<Moment>,
    /// Since when the newest value is far off.
    far_since: Option<Moment>,
    /// Since when the slower average is off, and whether it is above.
    off_since: Option<(Moment, bool)>,
}

/// Whether a value is so far from what counts that it counts after [`DWELL`].
pub(super) fn is_far(value: f64, reference: f64) -> bool {
    (value - reference).abs() > 2.0 * ring(reference)
}

/// The width of a ring around a value, in microseconds: 5 ms or a tenth of it.
fn ring(value: f64) -> f64 {
    (value * 0.1).max(5_000.0)
}

impl Cell {
    /// Brings the cell to `now`, where the site's vantages that are believed say `latest`, the last of
    /// them at the moment with it; `None`: nobody is.
    pub(in crate::health) fn renew(&mut self, latest: Option<(Duration, Moment)>, now: Moment) {
        match latest {
            Some((rtt, said)) => {
                self.hear(rtt.as_secs_f64() * 1e6, now);
                self.heard = Some(said);
            }
            None => {
                // Frozen: what counts stands, and what was under way is off.
                self.far_since = None;
                self.off_since = None;
            }
        }
        if self.heard.is_some_and(|at| now.since(at) > FORGET) {
            self.counts = false;
        }
    }

    fn hear(&mut self, latest: f64, now: Moment) {
        let reference = match self.published {
            Some(p) if self.counts => p,
            _ => return self.begin(latest, now),
        };
        // The value heard before held until now.
        let passed = now.since(self.at).as_secs_f64();
        self.rests_on = (self.rests_on + passed).min(SLOW_TAU.as_secs_f64());
        self.slow += (passed / self.rests_on.max(passed).max(1e-9)) * (self.latest - self.slow);
        self.latest = latest;
        self.at = now;

        if is_far(latest, reference) {
            let since = *self.far_since.get_or_insert(now);
            if now.since(since) >= DWELL {
                return self.begin(latest, now);
            }
        } else {
            self.far_since = None;
        }
        let above = self.slow > reference;
        if (self.slow - reference).abs() > ring(reference) / 2.0 {
            let since = match self.off_since {
                Some((since, side)) if side == above => since,
                _ => now,
            };
            self.off_since = Some((since, above));
            if now.since(since) >= SLOW_DWELL {
                self.published = Some(self.slow);
                self.off_since = None;
            }
        } else {
            self.off_since = None;
        }
    }

    /// From here on `value` counts.
    fn begin(&mut self, value: f64, now: Moment) {
        *self = Cell {
            published: Some(value),
            counts: true,
            latest: value,
            slow: value,
            at: now,
            rests_on: super::matrix::SETTLED.as_secs_f64(),
            heard: self.heard,
            far_since: None,
            off_since: None,
        };
    }

    /// What counts, or counted last, in microseconds: what a vantage is measured against.
    pub(super) fn reference(&self) -> Option<f64> {
        self.published
    }

    /// Forgets what a vantage is measured against.
    pub(super) fn forget(&mut self) {
        *self = Cell::default();
    }

    /// Whether time alone may change it, so that it must be looked at again soon.
    pub(super) fn uneasy(&self) -> bool {
        let Some(p) = self.published.filter(|_| self.counts) else {
            return false;
        };
        self.far_since.is_some()
            || self.off_since.is_some()
            || (self.latest - p).abs() > ring(p) / 2.0
    }

    /// What readers are told at `now`.
    pub(in crate::health) fn told(&self, now: Moment) -> SiteTime {
        let micros = |us: f64| Duration::from_micros(us.round() as u64);
        let counts = self.published.filter(|_| self.counts);
        let soon = |since: Moment| now.since(since) + FADE >= SLOW_DWELL;
        let fades = self.heard.is_some_and(|at| now.since(at) + FADE >= FORGET);
        SiteTime {
            rtt: counts.map(micros),
            latest: self.heard.map(|_| micros(self.latest)),
            moving: counts.is_none()
                || (fades
                    || self.far_since.is_some()
                    || self.off_since.is_some_and(|(since, _)| soon(since))),
        }
    }
}
