//! HTTP/1.1 on the wire (RFC 9112): octets to heads and back, without any input or output.
//!
//! Strict on purpose: two programs that read the same octets differently are what request smuggling is
//! made of, so whatever has two readings is refused, also where RFC 9112 lets a recipient be lenient.

pub mod chunked;
pub mod framing;
pub mod hop;
pub mod request;
pub mod response;
pub mod target;
pub mod write;

pub use chunked::{ChunkHead, Decoder, Step};
pub use framing::{BodyFraming, HeadRules, Parsed};
pub use request::{Refusal, RequestFraming, request};
pub use response::{AnswerKind, BadAnswer, ResponseFraming, response};
pub use write::{Persistence, write_interim, write_request, write_response};
