//! The application: the only place that starts tasks, reads the real clock and listens to signals.

pub mod admin;
pub mod backends;
pub mod caches;
pub mod certificates;
pub mod chronicle;
pub mod clock;
mod console;
pub mod control;
mod descriptors;
pub mod drills;
pub mod fleet;
mod fleetwide;
pub mod flows;
pub mod identity;
pub mod judge_loop;
pub mod keeper;
mod limits;
pub mod listeners;
pub mod load;
pub mod orders;
pub mod plan;
pub mod presign;
pub mod proxy;
mod proxy_tls;
pub mod readiness;
pub mod run;
pub mod store;
pub mod takeover;
mod telemetry;
mod traffic;
mod unable;

pub use run::{Options, Ready, RunError, run};
