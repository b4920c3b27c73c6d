//! All zones of the node in one index.

/// All zones.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {}
