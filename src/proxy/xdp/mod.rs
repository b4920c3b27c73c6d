//! The XDP data path: packets for virtual addresses are forwarded by a program in the kernel, to backends
//! of the same Ethernet segment that answer their clients directly.
//!
//! `works.rs` is what the kernel is told, [`forwarder`] the thread that tells it, `program/` what runs
//! there. Which backend a packet goes to is decided by the same tables as elsewhere (see `table.rs`).

mod flows;
pub mod forwarder;
mod group;
pub mod kernel;
pub mod layout;
pub mod metrics;
mod netlink;
mod places;
pub mod status;
mod table;
pub mod unable;
mod works;

#[cfg(test)]
mod tests;

pub use forwarder::Forwarder;
pub use status::Status;
pub use unable::XdpError;
