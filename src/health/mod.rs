//! Health as pure logic on virtual time: observe → judge → board.

pub mod board;
pub mod monitor;
pub mod observation;
pub mod overrides;

pub use board::{Board, Cause, State, Verdict};
pub use monitor::{HttpCheck, Monitor, MonitorKind, TcpCheck};
pub use observation::{Failure, Observation, Outcome};
pub use overrides::{Override, OverrideKind, Overrides, Scope};
