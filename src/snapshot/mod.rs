//! The snapshot (compiled configuration), the view (snapshot, health, measurements, overrides) and
//! its publication in one swap.

pub mod drills;
pub mod expectations;
pub mod failover;
pub mod orders;
pub mod publish;
pub mod record;
pub mod suppose;
pub mod then;
pub mod transfer;
pub mod view;

pub use crate::health::ProbeTarget;
pub use expectations::Tried;
pub use publish::{Publisher, Reader};
pub use suppose::Supposed;
pub use transfer::{Delta, Packed, PackedRecord, Transfers, ZoneTransfer};
pub use view::{ChaosTexts, NodeFacts, Parts, Settings, Snapshot, View};
