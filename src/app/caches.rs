//! The admin API's access to the proxy's caches.

use crate::admin::caches::{CacheDesk, CacheFacts, Purging};
use crate::proxy::cache::{Cache, Purge};

use super::proxy::Carrier;

impl CacheDesk for Carrier {
    fn caches(&self) -> Vec<CacheFacts> {
        let tier = self.proxy().tier();
        let facts = |cache: &Cache| CacheFacts {
            name: cache.rules.name.to_string(),
            size: cache.rules.size,
            used: cache.memory.store.weight(),
            urls: cache.memory.store.len() as u64,
            outcomes: cache.memory.stats.outcomes().to_vec(),
        };
        tier.caches.iter().map(facts).collect()
    }

    fn purge(&self, cache: &str, what: &Purging) -> Option<u64> {
        let tier = self.proxy().tier();
        let cache = tier.caches.iter().find(|c| &*c.rules.name == cache)?;
        let what = match what {
            Purging::All => Purge::All,
            Purging::Tag(tag) => Purge::Label(tag.as_bytes().to_vec()),
            Purging::Prefix(authority, start) => {
                Purge::Prefix([authority.as_bytes(), start.as_bytes()].concat())
            }
            Purging::Url(authority, target) => {
                let mut url = Vec::new();
                let key = &cache.rules.key;
                key.url(authority.as_bytes(), target.as_bytes(), &mut url);
                Purge::Url(url)
            }
        };
        let gone = cache.purge(&what);
        tracing::info!(cache = %cache.rules.name, gone, ?what, "purged by order");
        Some(gone)
    }
}
