//! The bus of a fleet: anti-entropy gossip (chitchat) between members, each message over QUIC with
//! mutual TLS.
//!
//! - [`merge`]: from what gossip holds to what is believed; pure.
//! - [`bus`]: [`GossipBus`], the [`StateBus`](super::StateBus) of a member.
//! - `task`: the supervised gossip task on its own thread.
//! - [`quic`], `link`, `hop`, [`frame`], [`wire`]: how messages travel.
//! - `ask`: questions to one member and their answers, over the same connections.
//! - [`memory`]: how they travel in tests and benchmarks on virtual time.
//!
//! Members reach each other at their advertised addresses in both directions; a member behind NAT is
//! not supported: such nodes push.

mod ask;
pub mod bus;
pub mod counters;
pub mod frame;
mod hop;
mod link;
pub mod memory;
pub mod merge;
pub mod quic;
mod rarely;
mod task;
pub mod wire;

pub use bus::{GossipBus, GossipOptions, RolesOf};
pub use counters::{GossipCounters, GossipEvent};
pub use merge::COMPLETE;

#[cfg(test)]
mod quic_tests;
#[cfg(test)]
mod tests;
