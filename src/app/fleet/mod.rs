//! This node in the fleet: tells what its vantage sees, hands on what others say, and knows how they
//! are. Without it everything goes on: DNS never waits for the fleet.

mod desk;
mod join;
mod paths;
mod remember;
mod served;
mod sessions;
mod tasks;

pub use desk::FleetDesk;
pub use join::Joined;
pub use paths::share_paths;
pub use remember::remember;
pub use served::tell_served;
pub use sessions::{SharedSessions, share_sessions};
pub use tasks::{NO_VERDICT, NO_VERDICT_AFTER_TAKEOVER, listen, speak};
