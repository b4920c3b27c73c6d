//! The state at one time: what all facts up to then say together.
//!
//! The record is a sequence of segments. Each begins with a checkpoint, which says everything, and goes
//! on with what changed; so a state is one segment read from its start, and the oldest segments can be
//! thrown away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::Batch;
use super::fact::{Fact, Order, SiteTime, Verdict};

/// What a vantage is worth, and what it says of itself, each in one word.
type Standing = (Arc<str>, Option<Arc<str>>);

/// Everything that facts can speak of, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// Verdicts by endpoint.
    pub verdicts: BTreeMap<Arc<str>, Arc<Verdict>>,
    /// Round-trip times by endpoint.
    pub times: BTreeMap<Arc<str>, Arc<[SiteTime]>>,
    /// Vantages: worth and voice, each in one word.
    pub vantages: BTreeMap<Arc<str>, Standing>,
    /// Orders in force by subject.
    pub orders: BTreeMap<Arc<str>, Arc<Order>>,
    /// The digest of the configuration in force; empty: not known.
    pub config: Arc<str>,
    /// When the last of these became so, in milliseconds since 1970; 0: nothing did.
    pub at_ms: u64,
    /// The view that had it first.
    pub generation: u64,
}

impl State {
    /// Takes in what became so.
    pub fn apply(&mut self, batch: &Batch) {
        self.at_ms = batch.at_ms;
        self.generation = batch.generation;
        for fact in &batch.facts {
            self.learn(fact);
        }
    }

    fn learn(&mut self, fact: &Fact) {
        match fact {
            Fact::Verdict { endpoint, verdict } => match verdict {
                Some(v) => drop(self.verdicts.insert(endpoint.clone(), v.clone())),
                None => drop(self.verdicts.remove(endpoint)),
            },
            Fact::Times { endpoint, times } => match times.is_empty() {
                false => drop(self.times.insert(endpoint.clone(), times.clone())),
                true => drop(self.times.remove(endpoint)),
            },
            Fact::Vantage { node, worth, voice } => match worth {
                Some(worth) => {
                    let now = (worth.clone(), voice.clone());
                    self.vantages.insert(node.clone(), now);
                }
                None => drop(self.vantages.remove(node)),
            },
            Fact::Order { subject, order } => match order {
                Some(o) => drop(self.orders.insert(subject.clone(), o.clone())),
                None => drop(self.orders.remove(subject)),
            },
            Fact::Config { digest } => self.config = digest.clone(),
        }
    }

    /// What a checkpoint says of it: applied to nothing, it is this state again.
    pub fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::with_capacity(self.verdicts.len() + self.times.len() + 16);
        if !self.config.is_empty() {
            facts.push(Fact::Config {
                digest: self.config.clone(),
            });
        }
        facts.extend(
            self.vantages
                .iter()
                .map(|(node, (worth, voice))| Fact::Vantage {
                    node: node.clone(),
                    worth: Some(worth.clone()),
                    voice: voice.clone(),
                }),
        );
        facts.extend(self.orders.iter().map(|(subject, order)| Fact::Order {
            subject: subject.clone(),
            order: Some(order.clone()),
        }));
        facts.extend(
            self.verdicts
                .iter()
                .map(|(endpoint, verdict)| Fact::Verdict {
                    endpoint: endpoint.clone(),
                    verdict: Some(verdict.clone()),
                }),
        );
        facts.extend(self.times.iter().map(|(endpoint, times)| Fact::Times {
            endpoint: endpoint.clone(),
            times: times.clone(),
        }));
        facts
    }
}
