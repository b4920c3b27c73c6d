//! The operators' word as it is kept and passed on: records, their order in time, who wins, who
//! signed. What it means for endpoints of one snapshot is [`crate::health::Overrides`].

pub mod drill;
mod ledger;
mod mark;
mod record;
mod stamp;
mod text;
pub mod vouch;

pub use drill::{Drill, Effect, Reach};
pub use ledger::{Accepted, Held, InForce, Ledger, Quarantined, Standing, Turned};
pub use mark::Mark;
pub use record::{Class, Entry, Kind, Record, RecordError, ScopeKind, Subject};
pub use stamp::{MAX_AHEAD_MS, Stamp, StampClock};
pub use text::MAX_TEXT;
pub use vouch::{Signed, Vouch, VouchError};
