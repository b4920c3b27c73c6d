//! Listeners with `protocol = "udp"`: datagrams to backends and their answers back.
//!
//! The kernel spreads clients over the workers' sockets by their addresses, always the same way, so each
//! worker keeps the sessions of its clients for itself ([`crate::traffic::udp::table`]) and nothing is locked.
//! A session has a connected socket of its own: that tells the answers of one client from those of another,
//! has the kernel route once, and brings in the news that nobody listens at the backend.

pub mod buffers;
pub mod choice;
pub mod counters;
pub mod handed;
pub mod handover;
pub mod metrics;
pub mod one_way;
pub mod ours;
pub mod ready;
pub mod relay;
pub mod serve;
pub mod session;
pub mod state;

pub use buffers::Buffers;
pub use counters::Traffic;
pub use handed::{Asked, Batch, Handed, HandedIds, Inheritance};
pub use handover::{learned, remember};
pub use serve::{Served, serve};
pub use state::{States, UdpState};
