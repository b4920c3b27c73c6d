//! What happened: typed events, the same for the log, the record on the disk and the stream of the API;
//! and the record from which the state at a time is told again.
//!
//! Pure: `crate::snapshot::record` turns views into facts and back, `app::chronicle` has the disk.

pub mod batch;
pub mod event;
pub mod fact;
pub mod journal;
mod line;
pub mod replay;
pub mod segments;
pub mod told;

#[cfg(test)]
pub(crate) mod testing;

pub use batch::Batch;
pub use event::{Event, KINDS, Level, What};
pub use fact::Fact;
pub use journal::{Bounds, Journal, Row};
pub use replay::State;
pub use segments::{Blank, Segment};
pub use told::{Filter, Told};
