//! Refining an order: stages split tiers, never merge them.

/// An ordered list of tiers of member indices; within a tier members are sorted. Members fenced out
/// are in no tier.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tiers(pub Vec<Vec<u16>>);
