//! The one decision function.

use super::{Ask, Decision, Live, Steering, Trace};

/// Decides what to answer to `ask`.
pub fn decide<T: Trace>(
    _steering: &Steering,
    _live: &Live,
    _ask: &Ask,
    _trace: &mut T,
) -> Decision {
    Decision {
        chosen: super::Chosen::NoData,
        ttl: crate::units::Ttl::ZERO,
        scope: crate::units::ScopeLen(0),
        standing: super::decision::Standing::Normal,
        overridden: false,
    }
}
