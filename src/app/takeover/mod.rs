//! Binary takeover: a new process of the same node goes on where the running one is, and nothing that
//! clients asked is lost (requirements P2 and O5).
//!
//! The new process reads its configuration, asks the running one at `STATE/takeover.sock`, and gets all
//! its sockets as they are, with what waits in their queues. Then it gets what only one process can
//! have: the lock of the state directory, the store, the fleet. It does its first round of probes while
//! the old one still answers; then both read the same sockets for a moment, and the old one leaves.
//!
//! - [`message`]: what is said; [`giver`]: the old side as a machine; both pure.
//! - [`bag`]: sockets with their labels. [`link`]: how messages and sockets travel.
//! - [`old`], [`new`]: the two sides. [`durable`]: what is given up and taken back. [`leave`]: the end
//!   of the old one.
//! - [`sessions`]: sessions of datagrams on their way. [`kept`]: octets beside the sockets.
//! - [`host`]: what the node does for both. [`program`]: SIGUSR2. [`supervisor`]: what systemd is told.

pub mod bag;
pub mod durable;
pub mod giver;
pub mod host;
pub mod kept;
pub mod leave;
pub mod link;
pub mod message;
pub mod new;
pub mod old;
pub mod program;
pub mod sessions;
pub mod supervisor;

pub use bag::{Bag, Sockets};
pub use message::{Kind, Label};

/// What the socket is called at which takeovers are asked for.
pub fn door() -> Label {
    let nowhere = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    Label::new(Kind::Takeover, nowhere)
}
