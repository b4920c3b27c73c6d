//! Layer 4: connections of any protocol, carried to a backend as they are.
//!
//! [`serve`](serve::serve) is the way of one connection: what stands before it (PROXY protocol, TLS), a
//! backend, a connection to that, and then [`relay`], which moves octets until both sides have ended.

mod ends;
pub mod enter;
pub mod flow;
pub mod hello;
pub mod pipes;
pub mod reach;
pub mod refuse;
pub mod relay;
pub mod sealed;
pub mod serve;
pub mod sides;
pub mod silence;
