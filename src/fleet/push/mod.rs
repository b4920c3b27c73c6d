//! Nodes that are no members of the gossip push what they see: behind address translation, little
//! trusted, or beyond the number that gossip carries.
//!
//! [`PushBus`] is the node's end: it holds an HTTP/2 connection with mutual TLS to each of two or more DNS
//! nodes and writes [`frame`]s into one long request. [`Ingest`] is the other end: it tells the members
//! what came, in keys of its own ([`relay`]), and sends orders and news of nodes back. Readers turn the
//! relayed keys into words of the node itself with [`relay::Newest`].

mod channel;
pub mod client;
pub mod frame;
pub mod inbox;
pub mod outbox;
mod overheard;
mod register;
pub mod relay;
pub mod server;
mod session;

#[cfg(test)]
mod tests;

pub use client::{PushBus, PushOptions};
pub use relay::{Newest, Pushed, unwrap_pushed};
pub use server::{Ingest, IngestOptions};

use std::time::Duration;

use super::bus::MAX_VALUE;

/// Longest value that can be pushed, in octets: relayed, it comes with two numbers.
pub const MAX_PUSHED: usize = MAX_VALUE - 48;

/// Path of the request.
const PATH: &str = "/fleet/push";

/// Header of a refusal: the highest life of the node that is known.
const LIFE: &str = "tradewind-generation";

/// The application protocol of the connection (RFC 9113 section 3.2).
const ALPN: &[u8] = b"h2";

/// Either end says something at least this often.
const BEAT: Duration = Duration::from_secs(2);

/// An end that has said nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);

/// Longest wait for a TCP connection, a TLS handshake or the start of a request.
const PATIENCE: Duration = Duration::from_secs(5);
