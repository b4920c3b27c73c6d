//! The queries of the last day, by name and client network.

use hashbrown::HashMap;

use crate::dns::name::WireName;
use crate::net::Prefix;

/// How many queries came from where, for each steered name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Traffic(HashMap<WireName, HashMap<Prefix, f64>>);

impl Traffic {
    /// Adds queries of a client network for a name.
    pub fn add(&mut self, name: WireName, network: Prefix, queries: f64) {
        let networks = self.0.entry(name).or_default();
        *networks.entry(network).or_default() += queries;
    }

    /// The networks that asked for `name`, in order; none where nobody did.
    pub fn of(&self, name: &WireName) -> Vec<(Prefix, f64)> {
        let networks = self.0.get(name).into_iter().flatten();
        let mut all: Vec<(Prefix, f64)> = networks.map(|(p, q)| (*p, *q)).collect();
        all.sort_by_key(|(p, _)| *p);
        all
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
