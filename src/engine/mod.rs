//! The answer engine: bytes of a query in, bytes of its answer out. The same function serves every
//! transport and explain. It knows nothing of the configuration's text, of sockets or of clocks.
//!
//! The stages of [`answer`](fn@answer): `request` admits or refuses what was read, `resolve` walks
//! the zones and asks steering, `client` says who asks, `respond` fits it all into the buffer,
//! `signed` signs it, `denial` proves what is absent.

pub mod ahead;
pub mod answer;
mod client;
mod denial;
pub mod explain;
pub mod explanation;
pub mod locate;
mod request;
mod resolve;
mod respond;
pub mod scratch;
mod signed;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

pub use ahead::Ahead;
pub use answer::{Inbound, Reply, Transport, answer};
pub use explain::{ExplainClient, ExplainError, explain};
pub use explanation::{Answered, Explanation};
pub use locate::Whereabouts;
pub use scratch::Scratch;
