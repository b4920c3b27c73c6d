//! What the API needs of whoever knows the audit record of the whole fleet; `app` implements it.

use async_trait::async_trait;

use super::desk::AuditLine;

/// Knows what all nodes wrote down.
#[async_trait]
pub trait AuditDesk: Send + Sync + 'static {
    /// The last lines of all nodes' records, latest first; with `node`, those of what happened there.
    /// Other nodes are waited for a second at most.
    async fn audit(&self, limit: usize, node: Option<&str>) -> Gathered<Recorded>;
}

/// What several nodes said.
#[derive(Clone, PartialEq, Debug)]
pub struct Gathered<T> {
    /// All of it.
    pub all: Vec<T>,
    /// The nodes that were asked and did not answer in time, by name.
    pub missing: Vec<String>,
}

impl<T> Gathered<T> {
    /// What one node said that asked nobody.
    pub fn alone(all: Vec<T>) -> Gathered<T> {
        Gathered {
            all,
            missing: Vec::new(),
        }
    }
}

/// A line, and in whose records it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recorded {
    /// The line, as the first of them wrote it.
    pub line: AuditLine,
    /// The nodes that wrote it, by name.
    pub records: Vec<String>,
}
