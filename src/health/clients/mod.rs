//! How far clients are, as their own connections tell: the round-trip times that the kernel measures on
//! connections which clients make anyway, by client prefix.
//!
//! The way of a sample: the proxy looks at a connection ([`PathSample`]) → [`ClientTable`] finds the
//! client's prefix, /24 or /48 → [`ClientPath`] takes it in. A path forgets by the clock and two of the
//! same prefix merge in any order, so that tables of threads, of processes and of nodes can be put
//! together. [`ClientPath::distance`] is what steering may go by: how far the prefix is from where the
//! table stands.
//!
//! The way of a table to steering: each proxy tells the prefixes it knows best ([`ClientTable::best`],
//! [`PathWord`]) → every DNS node gathers them in [`FleetPaths`], by prefix and region → what stands for a
//! dwell is told to readers as [`ClientTimes`].

mod fleet;
#[cfg(test)]
mod fleet_tests;
mod path;
mod table;
#[cfg(test)]
mod tests;
mod times;

pub use fleet::{FleetPaths, PER_NODE, PathHeard, calendar};
pub use path::{ClientPath, PathSample, PathWord};
pub use table::{ClientTable, Order, prefix_of};
pub use times::{ClientPace, ClientTime, ClientTimes, ClientsOf};
