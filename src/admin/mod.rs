//! The admin API: what an operator asks over HTTP. It renders; it decides nothing itself.
//!
//! Bound to loopback by default; who asks from elsewhere must say who they are ([`gate`]). Every answer is
//! taken from one view.

pub mod audit;
pub mod backends;
pub mod caches;
pub mod console;
pub mod control;
pub mod desk;
pub mod drills;
pub mod etag;
pub mod fleet;
pub mod flows;
pub mod gate;
pub mod history;
pub mod listen;
mod meter;
pub mod metrics;
pub mod metrics_form;
mod metrics_paths;
mod metrics_state;
pub mod openapi;
pub mod plan;
pub mod problem;
pub mod ready;
pub mod route;
pub mod server;
pub mod state;
pub mod traffic;
pub mod view;

pub use backends::BackendDesk;
pub use control::{Control, ReloadOutcome};
pub use desk::OrderDesk;
pub use fleet::{FleetStatus, Life, MemberStatus};
pub use gate::Gate;
pub use listen::{Door, Tls};
pub use ready::{NotReady, ReadyDesk, serve_ready};
pub use server::serve;
pub use state::State;
