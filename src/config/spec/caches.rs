//! `[caches.NAME]`

use crate::caching::Rules;
use crate::config::Marked;

/// `[caches.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct CacheSpec {
    /// Table key.
    pub name: Marked<String>,
    /// What it says.
    pub rules: Rules,
    /// `disk`, with its place.
    pub disk: Option<Marked<u64>>,
}
