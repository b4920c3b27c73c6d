//! What the API needs of whoever has the proxy's caches; `app` implements it.

/// Has the caches of this node's proxy.
pub trait CacheDesk: Send + Sync + 'static {
    /// The caches, in the order of their names.
    fn caches(&self) -> Vec<CacheFacts>;

    /// Forgets what is meant in one cache; how many responses that were, or `None` when there is no such
    /// cache.
    fn purge(&self, cache: &str, what: &Purging) -> Option<u64>;
}

/// One cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheFacts {
    /// Its name.
    pub name: String,
    /// Octets that it may take in memory.
    pub size: u64,
    /// Octets that it takes.
    pub used: u64,
    /// URLs with something.
    pub urls: u64,
    /// How requests were answered: word and number.
    pub outcomes: Vec<(&'static str, u64)>,
}

/// What is to be forgotten.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Purging {
    /// Everything.
    All,
    /// One URL: its authority, and its path and query.
    Url(String, String),
    /// All URLs of an authority whose path and query begin so.
    Prefix(String, String),
    /// All that bears a label (`Cache-Tag`, `Surrogate-Key`).
    Tag(String),
}
