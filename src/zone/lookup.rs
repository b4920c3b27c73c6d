//! Lookup: RFC 1034 section 4.3.2 with RFC 4592 (wildcards) and RFC 2308 (negative answers).

use crate::ids::NameId;

use super::RrSet;

/// What the zones hold for a name and type.
#[derive(Clone, Copy, Debug)]
pub enum Found<'z> {
    /// Static records.
    Answer(&'z RrSet),
    /// The steered name decides.
    Steered(NameId),
}
