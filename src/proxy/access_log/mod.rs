//! The access log of the proxy: lines made where the exchange ends, written by a thread of their own.

mod flow_line;
mod line;
mod writer;

pub use flow_line::{FlowLine, PathFacts};
pub use line::{Ending, Entry};
pub use writer::{LogWriter, Logs};
