//! The queries of the last day, by name and client network.

use std::time::Duration;

use hashbrown::HashMap;

use super::certainty::Sampled;
use crate::dns::name::WireName;
use crate::net::Prefix;

/// How many queries came from where, for each steered name.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Traffic {
    networks: HashMap<WireName, HashMap<Prefix, f64>>,
    samples: HashMap<WireName, Sampled>,
    /// How long ago the first of them was seen.
    pub over: Duration,
}

impl Traffic {
    /// Says on how many samples the queries for a name rest.
    pub fn rests_on(&mut self, name: WireName, samples: Sampled) {
        self.samples.insert(name, samples);
    }

    /// On how many samples the queries for `name` rest, as far as it is known.
    pub fn sampled(&self, name: &WireName) -> Sampled {
        self.samples.get(name).copied().unwrap_or_default()
    }

    /// Adds queries of a client network for a name.
    pub fn add(&mut self, name: WireName, network: Prefix, queries: f64) {
        let networks = self.networks.entry(name).or_default();
        *networks.entry(network).or_default() += queries;
    }

    /// The networks that asked for `name`, in order; none where nobody did.
    pub fn of(&self, name: &WireName) -> Vec<(Prefix, f64)> {
        let networks = self.networks.get(name).into_iter().flatten();
        let mut all: Vec<(Prefix, f64)> = networks.map(|(p, q)| (*p, *q)).collect();
        all.sort_by_key(|(p, _)| *p);
        all
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }
}
