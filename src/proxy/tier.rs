//! The plan with what runs: all that one exchange needs, published together.

use std::sync::Arc;

use crate::ids::UpstreamId;
use crate::time::Moment;
use crate::traffic::{Listener, Plan, Upstream};

use super::backend;

pub use super::backend::{BackendState as Server, Members as Group};

/// The plan, and the running state of what it names.
#[derive(Debug, Default)]
pub struct Tier {
    /// What is to be done.
    pub plan: Arc<Plan>,
    /// By [`UpstreamId`].
    pub upstreams: Vec<Group>,
}

/// The running state of all plans so far: a reload finds what it keeps.
#[derive(Debug, Default)]
pub struct Registry {
    backends: backend::Registry,
}

impl Registry {
    /// The tier of a plan, from now on; what no plan names any more is forgotten.
    pub fn resolve(&mut self, plan: Arc<Plan>, now: Moment) -> Tier {
        let upstreams = self.backends.adopt(&plan, now);
        Tier { plan, upstreams }
    }

    /// The upstreams in force.
    pub fn backends(&self) -> &backend::Registry {
        &self.backends
    }
}

impl Tier {
    /// An upstream's plan and its servers.
    pub fn upstream(&self, id: UpstreamId) -> (&Upstream, &Group) {
        (
            &self.plan.upstreams[id.index()],
            &self.upstreams[id.index()],
        )
    }

    /// The listener called `name`.
    pub fn listener(&self, name: &str) -> Option<(usize, &Listener)> {
        let listeners = self.plan.listeners.iter().enumerate();
        listeners.into_iter().find(|(_, l)| &*l.name == name)
    }
}
