//! All upstreams that run, by name: a reload finds those it keeps.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{BackendState, UpstreamState};
use crate::ids::BackendId;
use crate::time::Moment;
use crate::traffic::Plan;

/// The states of all upstreams.
#[derive(Debug, Default)]
pub struct Registry {
    upstreams: HashMap<Box<str>, Arc<UpstreamState>>,
    next: u64,
}

/// An upstream of one plan with its backends.
#[derive(Clone, Debug)]
pub struct Members {
    /// What its backends share.
    pub state: Arc<UpstreamState>,
    /// By [`BackendId`].
    pub backends: Box<[Arc<BackendState>]>,
}

impl Registry {
    /// Goes over to `plan`; gives its upstreams by [`crate::ids::UpstreamId`]. What is known of
    /// upstreams and backends of the same names is kept; a backend at another address is a new one.
    pub fn adopt(&mut self, plan: &Plan, now: Moment, workers: usize) -> Vec<Members> {
        let mut kept = HashMap::with_capacity(plan.upstreams.len());
        let mut all = Vec::with_capacity(plan.upstreams.len());
        for upstream in &plan.upstreams {
            let known = self.upstreams.remove(&upstream.name);
            let state = known.unwrap_or_else(|| UpstreamState::new(upstream, now));
            let next = &mut self.next;
            let backends = state.adopt(upstream, now, workers, || {
                *next += 1;
                *next
            });
            kept.insert(upstream.name.clone(), state.clone());
            all.push(Members {
                state,
                backends: backends.into(),
            });
        }
        for gone in std::mem::replace(&mut self.upstreams, kept).into_values() {
            gone.retire();
        }
        all
    }

    /// Every upstream.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<UpstreamState>> {
        self.upstreams.values()
    }

    /// One upstream.
    pub fn get(&self, name: &str) -> Option<&Arc<UpstreamState>> {
        self.upstreams.get(name)
    }
}

impl Members {
    /// One backend.
    pub fn backend(&self, id: BackendId) -> &Arc<BackendState> {
        &self.backends[id.index()]
    }

    /// The number of a backend in this plan.
    pub fn id_of(&self, backend: &Arc<BackendState>) -> Option<BackendId> {
        let at = self.backends.iter().position(|b| Arc::ptr_eq(b, backend));
        at.map(BackendId::from_index)
    }
}
