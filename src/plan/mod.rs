//! What another configuration would change in answers.
//!
//! Two views are compared: the one in force, and the one that the new configuration would lead to
//! ([`suppose`](mod@suppose)). Both know for every address which order of pools it gets and what that
//! order offers now, so the shares are exact: the partitions of both are merged ([`walk`]), each piece
//! is weighed by its addresses or by the queries that came from there ([`traffic`]), and what the two
//! offer is compared ([`compare`](mod@compare)). Nothing here decides anything: the offers are those
//! that queries get.

pub mod certainty;
pub mod compare;
mod load;
mod moves;
pub mod report;
mod side;
pub mod suppose;
pub mod traffic;
pub mod walk;

pub use certainty::{Certainty, Sampled};
pub use compare::{Weigh, compare};
pub use report::{Basis, Example, Load, Move, NameChange, Place, Report};
pub use suppose::{Supposed, all_up, suppose};
pub use traffic::Traffic;
