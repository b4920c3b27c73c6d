//! Messages: reading a query, writing an answer (RFC 1035 section 4).

pub mod build;
pub mod compress;
pub mod freshness;
pub mod parse;
pub mod serial;

pub use build::{Full, Header, MessageWriter, Owner, Section};
pub use freshness::freshness;
pub use parse::{Fault, NameBuf, Query, Question, parse};

/// Octets of the header.
pub const HEADER: usize = 12;

/// The bits of the header's second word (RFC 1035 section 4.1.1).
pub mod flags {
    /// This is a response.
    pub const QR: u16 = 0x8000;
    /// The four bits of the kind of query.
    pub const OPCODE: u16 = 0x7800;
    /// The answer is authoritative.
    pub const AA: u16 = 0x0400;
    /// The message was cut.
    pub const TC: u16 = 0x0200;
    /// Recursion is wanted; copied into the answer.
    pub const RD: u16 = 0x0100;
}
