//! The answer engine: bytes of a query in, bytes of its answer out. The same function serves every
//! transport and explain. It knows nothing of the configuration's text, of sockets or of clocks.
//!
//! The stages of [`answer`](fn@answer): `request` admits or refuses what was read, `resolve` walks
//! the zones and asks steering, `client` says who asks, `respond` fits it all into the buffer.

pub mod answer;
mod client;
pub mod explain;
pub mod explanation;
pub mod locate;
mod request;
mod resolve;
mod respond;
pub mod scratch;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
pub mod transfer;
mod tsig;

pub use answer::{Inbound, Reply, Transport, answer};
pub use explain::{ExplainClient, ExplainError, explain};
pub use explanation::{Answered, Explanation};
pub use locate::Whereabouts;
pub use scratch::Scratch;
