//! The caches of a node's proxy.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::caches::CacheFacts;

/// The caches.
#[derive(Debug, Serialize, ToSchema)]
pub struct Caches {
    caches: Vec<One>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = CacheNow)]
struct One {
    name: String,
    size_bytes: u64,
    used_bytes: u64,
    urls: u64,
    /// Requests, by how they were answered.
    requests: BTreeMap<&'static str, u64>,
}

impl Caches {
    /// As they are.
    pub fn of(facts: Vec<CacheFacts>) -> Caches {
        let one = |f: CacheFacts| One {
            name: f.name,
            size_bytes: f.size,
            used_bytes: f.used,
            urls: f.urls,
            requests: f.outcomes.into_iter().collect(),
        };
        Caches {
            caches: facts.into_iter().map(one).collect(),
        }
    }
}

/// What was purged.
#[derive(Debug, Serialize, ToSchema)]
pub struct Purged {
    /// The cache.
    pub cache: String,
    /// Responses that are gone from memory.
    pub purged: u64,
}
