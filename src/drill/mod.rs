//! Drills: a failure or a drain for a set time, to see that what must take over does.
//!
//! Pure: what a drill is, the steps it goes through whoever drives it, how far traffic moved, and the
//! report. Its effect is an order with an end in the ledger of [`crate::overrides`], so that nothing
//! here has to work for it to stop.

pub mod answers;
pub mod charter;
pub mod course;
pub mod demand;
pub mod markdown;
pub mod report;
pub mod shift;

pub use answers::Answers;
pub use charter::Charter;
pub use course::{Course, End, Phase, State, Step};
pub use markdown::markdown;
pub use report::Report;
pub use shift::{Counts, Moved, moved};
