//! Who the client is, and what the backend is told of it.
//!
//! The fields in which proxies tell who asked can be written by anybody. Only what the proxies that
//! the listener trusts have written is believed, from the right to the left ([`Reading::client`]); what
//! a stranger sent is taken out before the request goes on ([`Telling::write`]).

mod client;
mod element;
mod outgoing;
mod request_id;
mod trace;

pub use client::{Client, Reading, Said};
pub use element::{Element, elements};
pub use outgoing::{Hop, Tell, Telling};
pub use request_id::{is_request_id, request_id};
pub use trace::{Had, TraceContext};

#[cfg(test)]
mod tests;
