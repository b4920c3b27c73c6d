//! TLS on both sides of the proxy: certificates by name and their renewal, tickets, handshakes.

pub mod accept;
pub mod facts;
pub mod listener;
pub mod material;
mod settings;
mod shelf;
pub mod tickets;
pub mod upstream;

pub use accept::{HandshakeError, accept};
pub use facts::{Alpn, ClientCertificate, TlsFacts};
pub use listener::ListenerTls;
pub use material::{Fault, Material};
pub use upstream::UpstreamTls;
