//! The access log of the proxy: lines made where the exchange ends, written by a thread of their own.

mod line;
mod writer;

pub use line::{Ending, Entry};
pub use writer::{LogWriter, Logs};
