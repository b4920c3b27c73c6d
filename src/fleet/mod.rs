//! The fleet: what nodes tell each other, and how it gets there.
//!
//! Everything goes through [`StateBus`]. Each node writes only its own keys; everybody reads all. DNS
//! never waits for it.

pub mod asking;
pub mod bus;
pub mod credentials;
pub mod gossip;
pub mod identity;
pub mod listener;
pub mod local;
pub mod protocol;
pub mod push;
pub mod readers;
pub mod speaker;

pub use asking::{Answers, Asking, Unanswered};
pub use bus::{BusError, BusView, Change, Key, Member, Owner, StateBus, Value};
pub use credentials::{Credentials, Peer, Roles};
pub use identity::Identity;
pub use listener::Listener;
pub use local::LocalBus;
pub use readers::Readers;
pub use speaker::Speaker;
