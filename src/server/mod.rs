//! The DNS edge: sockets in, sockets out, and [`crate::engine::answer()`] between.
//!
//! UDP is served by plain threads, one socket each, in batches ([`udp`]); connections by tasks of the
//! runtime: TCP, TLS and HTTPS ([`tcp`], `https`), QUIC ([`quic`]), whose listeners keep their
//! bounds in a `hall`. All hand every message to the same engine through a [`desk`], which survives
//! a panic of the engine. Packets move behind [`crate::sys::packet::PacketIo`], so that another way to move
//! them can take its place.

pub mod desk;
pub mod hall;
mod https;
pub mod notify;
pub mod proxied;
pub mod quic;
pub mod tap;
pub mod tcp;
#[cfg(test)]
mod testkit;
pub mod tls;
pub mod udp;

pub use crate::sys::give_back_memory;
