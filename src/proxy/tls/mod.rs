//! TLS on both sides of the proxy: certificates by name and their renewal, tickets, handshakes.

pub mod accept;
pub mod facts;
pub mod listener;
pub mod material;
pub(crate) mod metrics;
mod settings;
mod shelf;
pub mod tickets;
pub mod upstream;
pub mod vault;

pub use accept::{HandshakeError, accept};
pub use facts::{Agreed, Alpn};
pub use listener::ListenerTls;
pub use material::{Fault, Material};
pub use upstream::UpstreamTls;
pub use vault::Vault;
