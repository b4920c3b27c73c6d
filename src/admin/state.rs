//! What handlers share, and what they return.

use std::sync::Arc;

use crate::snapshot::Publisher;
use crate::telemetry::Stats;
use crate::time::Clock;

use super::audit::AuditDesk;
use super::backends::BackendDesk;
use super::caches::CacheDesk;
use super::control::Control;
use super::desk::OrderDesk;
use super::drills::DrillDesk;
use super::flows::FlowDesk;
use super::gate::Gate;
use super::history::HistoryDesk;
use super::plan::PlanDesk;
use super::problem::Problem;
use super::ready::ReadyDesk;
use super::traffic::TrafficDesk;

/// What handlers need.
#[derive(Clone)]
pub struct State {
    /// Decides who may ask.
    pub gate: Arc<Gate>,
    /// Where the newest view is.
    pub publisher: Publisher,
    /// Counters.
    pub stats: Arc<Stats>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Orders.
    pub control: Arc<dyn Control>,
    /// Knows what all nodes wrote down.
    pub audit: Arc<dyn AuditDesk>,
    /// Takes operators' orders.
    pub orders: Arc<dyn OrderDesk>,
    /// Runs drills.
    pub drills: Arc<dyn DrillDesk>,
    /// The proxy's caches; `None` without the role `proxy`.
    pub caches: Option<Arc<dyn CacheDesk>>,
    /// Knows the proxy's traffic; `None` without the role `proxy`.
    pub traffic: Option<Arc<dyn TrafficDesk>>,
    /// Knows the proxy's backends.
    pub backends: Arc<dyn BackendDesk>,
    /// Knows which clients are sent where.
    pub flows: Arc<dyn FlowDesk>,
    /// Knows what happened.
    pub history: Arc<dyn HistoryDesk>,
    /// Compares configurations.
    pub plans: Arc<dyn PlanDesk>,
    /// Knows whether the node is ready.
    pub ready: Arc<dyn ReadyDesk>,
}

/// What handlers return.
pub type Answer<T> = Result<axum::Json<T>, Problem>;
