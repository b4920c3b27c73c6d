//! What an upstream does about backends that fail or are full, as configured.

use std::sync::Arc;
use std::time::Duration;

use super::retry::RetryRules;
use crate::health::Monitor;
use crate::health::backend::{BudgetRules, CircuitRules, InitialState, PassiveRules, SlowStart};

/// What an upstream does about backends that fail or are full.
#[derive(Clone, PartialEq, Debug)]
pub struct Resilience {
    /// How backends are probed; `None`: they are not, and count as up.
    pub monitor: Option<Arc<Monitor>>,
    /// What counts until the first probe.
    pub initial: InitialState,
    /// When failed requests eject a backend; `None`: never.
    pub passive: Option<PassiveRules>,
    /// At layer 4: a connection that a backend closes so soon, without an octet, is a failed one; `None`:
    /// it is not.
    pub early_close: Option<Duration>,
    /// Never more than so many percent of the backends are ejected (requirement P4).
    pub max_ejected: u32,
    /// With less than so many percent of its backends left, all are used; 0: never.
    pub panic_percent: u32,
    /// How a backend that comes back gets its share.
    pub slow_start: Option<SlowStart>,
    /// Which requests are tried again.
    pub retries: RetryRules,
    /// How many retries there may be beside requests.
    pub budget: BudgetRules,
    /// When the upstream as a whole is left alone for a while.
    pub circuit: Option<CircuitRules>,
    /// Requests under way to all backends together; `None`: no bound.
    pub max_requests: Option<u32>,
    /// Requests under way to each backend that has no bound of its own; `None`: no bound.
    pub max_connections: Option<u32>,
    /// Where requests wait for a backend that is full.
    pub queue: QueueRules,
    /// How long what is under way to a drained backend may go on.
    pub drain_timeout: Duration,
    /// Whom a drained backend still gets.
    pub drain_sticky: DrainSticky,
}

impl Default for Resilience {
    fn default() -> Self {
        Resilience {
            monitor: None,
            initial: InitialState::default(),
            passive: Some(PassiveRules::default()),
            early_close: None,
            max_ejected: 50,
            panic_percent: 0,
            slow_start: None,
            retries: RetryRules::default(),
            budget: BudgetRules::default(),
            circuit: None,
            max_requests: None,
            max_connections: None,
            queue: QueueRules::default(),
            drain_timeout: Duration::from_secs(30),
            drain_sticky: DrainSticky::default(),
        }
    }
}

/// Where requests wait for a backend that is full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct QueueRules {
    /// How many may wait at once; 0: none waits.
    pub size: u32,
    /// How long one waits.
    pub timeout: Duration,
}

impl Default for QueueRules {
    /// 1,024 for 5 s.
    fn default() -> Self {
        QueueRules {
            size: 1024,
            timeout: Duration::from_secs(5),
        }
    }
}

/// What becomes of clients that are bound to a backend that is drained (requirement P6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum DrainSticky {
    /// They stay until the drain timeout is over.
    #[default]
    Keep,
    /// They move to another backend with their next request.
    Move,
}
