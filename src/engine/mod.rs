//! The answer engine: bytes of a query in, bytes of its answer out. The same function serves every
//! transport and explain. It knows nothing of the configuration's text, of sockets or of clocks.
//!
//! The stages of [`answer`](fn@answer): `guard` looks at the sender, `request` admits or refuses what
//! was read, `resolve` walks the zones and asks steering, `client` says who asks, `respond` fits it
//! all into the buffer, `signed` signs it, `denial` proves what is absent.

mod additional;
pub mod ahead;
pub mod answer;
mod chaos;
mod client;
mod denial;
mod dname;
mod drill;
pub mod explain;
pub mod explanation;
mod guard;
pub mod locate;
pub mod presign;
pub mod prospect;
mod request;
mod resolve;
mod respond;
pub mod sampled;
pub mod scratch;
mod service;
mod signed;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
pub mod transfer;
mod tsig;

pub use ahead::Ahead;
pub use answer::{Inbound, Reply, Transport, answer};
pub use explain::{ExplainClient, ExplainError, FullExplanation, explain, explain_in_full};
pub use explanation::{Answered, Explanation};
pub use locate::Whereabouts;
pub use presign::Presigner;
pub use prospect::{Answers, Prospect, prospect};
pub use scratch::Scratch;
