//! What happened: typed events, the same for the log, the record on the disk and the stream of the API.

pub mod event;

pub use event::{Event, Level, What};
