//! How far each endpoint is from each site where vantages stand: a matrix of round-trip times that
//! every node hears together, and from which a value is published only when it has moved for good.
//!
//! The way of a sample: [`super::SmoothedRtt`] of one vantage and check → [`LatencyMatrix`] hears all
//! vantages, leaves out those that are silent, blind or suspect, and takes the median of a site →
//! a cell publishes it after a dwell → [`SiteTimes`] in the view.

mod cell;
mod matrix;
mod row;
pub mod sites;
mod times;

pub(in crate::health) use cell::Cell;
pub use cell::DWELL;
pub use matrix::LatencyMatrix;
pub use row::Voice;
pub use sites::{SiteAt, Sites};
pub use times::{SiteTime, SiteTimes, VantageHeard};

#[cfg(test)]
mod tests;
