//! The answer engine: bytes of a query in, bytes of its answer out. The same function serves every
//! transport and explain. It knows nothing of the configuration's text, of sockets or of clocks.

pub mod answer;
pub mod explain;
pub mod scratch;

pub use answer::{Inbound, Reply, Transport, answer};
pub use scratch::Scratch;
