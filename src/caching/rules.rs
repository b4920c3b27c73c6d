//! What an operator settles of one cache.

use std::time::Duration;

use super::key::KeyParts;

/// One cache: `[caches.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Its name.
    pub name: Box<str>,
    /// Octets in memory, fields and bookkeeping included.
    pub size: u64,
    /// The longest body that is kept, in octets.
    pub max_object: u64,
    /// Octets on disk; `None`: nothing is kept there.
    pub disk: Option<u64>,
    /// How long a response is fresh that says nothing of it; zero: it is not stored for that.
    pub default_ttl: Duration,
    /// The longest a response is fresh that only says when it was changed last (RFC 9111 section
    /// 4.2.2); zero: it is never fresh for that.
    pub heuristic_ttl: Duration,
    /// How long a stale response serves while it is fetched anew, where the response says nothing of it.
    pub stale_while_revalidate: Duration,
    /// How long a stale response serves when the upstream fails, where the response says nothing of it.
    pub stale_if_error: Duration,
    /// How long a request waits for another one that fetches the same; zero: it does not.
    pub wait: Duration,
    /// Whether responses that set cookies are stored.
    pub store_set_cookie: bool,
    /// Whether a client's `Cache-Control` is obeyed; `only-if-cached` always is.
    pub client_directives: bool,
    /// What of a request tells responses apart.
    pub key: KeyParts,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            name: Box::default(),
            size: 64 << 20,
            max_object: 4 << 20,
            disk: None,
            default_ttl: Duration::ZERO,
            heuristic_ttl: Duration::from_secs(86_400),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            wait: Duration::from_secs(5),
            store_set_cookie: false,
            client_directives: true,
            key: KeyParts::default(),
        }
    }
}
