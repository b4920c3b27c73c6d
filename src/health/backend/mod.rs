//! Health of the servers behind the proxy: what one proxy believes of each, and what follows.
//!
//! Three sources are kept apart and shown together in one [`Condition`]: the active verdict (probes, by
//! [`crate::health::RiseFall`]), the passive one (requests that failed, [`Passive`]) and the operator's
//! word, which lives elsewhere. [`group`] decides what follows for the whole upstream: how many may be
//! ejected, and what is done when too few are left. Everything is a value; time is an argument.

pub mod active;
pub mod budget;
pub mod circuit;
pub mod condition;
pub mod fault;
pub mod group;
pub mod outlier;
pub mod passive;
pub mod slow_start;
pub mod window;

pub use active::{Active, InitialState};
pub use budget::{BudgetRules, RetryBudget};
pub use circuit::{Admission, Circuit, CircuitRules, CircuitState};
pub use condition::{Condition, ConditionCause, Standing};
pub use fault::{Fault, FaultSet};
pub use group::{Census, Mode};
pub use outlier::{OutlierRules, Timing};
pub use passive::{Passive, PassiveRules};
pub use slow_start::SlowStart;
