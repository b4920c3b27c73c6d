//! The samples of the last seconds, one by one: what a drill tells from how answers moved.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::sampled::Seen;
use crate::ids::{EndpointId, NameId};
use crate::net::Prefix;
use crate::server::tap::Sample;
use crate::snapshot::Snapshot;
use crate::time::Moment;

/// How long samples are remembered: what a drill looks back to, and time to be read.
const KEPT: Duration = Duration::from_secs(40);

/// Samples that are remembered at most; of more the oldest go.
const MOST: usize = 65_536;

/// A sample of a steered answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// When it was answered.
    pub at: Moment,
    /// For how many queries it stands.
    pub weight: u32,
    /// The steered name.
    pub name: NameId,
    /// The client network that decided, at most a /24 or /48.
    pub client: Prefix,
    /// The endpoints answered; none where the answer had none.
    pub endpoints: Box<[EndpointId]>,
}

/// The samples of the last seconds, of one configuration: names and endpoints of another are others.
#[derive(Debug, Default)]
pub struct Recent {
    snapshot: Option<Arc<Snapshot>>,
    heard: VecDeque<Heard>,
    /// How many were forgotten so far.
    gone: u64,
}

impl Recent {
    /// Takes in samples with what they say, as `snapshot` knows it; forgets what is old at `now`.
    pub(super) fn note<'s>(
        &mut self,
        snapshot: &Arc<Snapshot>,
        now: Moment,
        samples: impl Iterator<Item = (&'s Sample, &'s Option<Seen>)>,
    ) {
        self.turn_to(snapshot);
        for (sample, seen) in samples {
            let Some(seen) = seen else { continue };
            self.push(Heard {
                at: sample.at,
                weight: sample.weight,
                name: seen.name,
                client: seen.client,
                endpoints: seen.endpoints.as_slice().into(),
            });
        }
        let old = |h: &Heard| now.since(h.at) > KEPT;
        while self.heard.len() > MOST || self.heard.front().is_some_and(old) {
            self.heard.pop_front();
            self.gone += 1;
        }
    }

    fn push(&mut self, heard: Heard) {
        self.heard.push_back(heard);
    }

    /// Begins anew where the configuration is another.
    fn turn_to(&mut self, snapshot: &Arc<Snapshot>) {
        let same = self.snapshot.as_ref();
        if !same.is_some_and(|s| Arc::ptr_eq(s, snapshot)) {
            self.snapshot = Some(snapshot.clone());
            self.gone += self.heard.len() as u64;
            self.heard.clear();
        }
    }

    /// Those from the `number`-th on, counted since the start, of `snapshot`; and the number of the next.
    pub(super) fn since(&self, snapshot: &Arc<Snapshot>, number: u64) -> (Vec<Heard>, u64) {
        let next = self.gone + self.heard.len() as u64;
        let same = self.snapshot.as_ref();
        if !same.is_some_and(|s| Arc::ptr_eq(s, snapshot)) {
            return (Vec::new(), next);
        }
        let skipped = usize::try_from(number.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        (self.heard.iter().skip(skipped).cloned().collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::compile;
    use crate::config::load::load_texts;

    fn snapshot() -> Arc<Snapshot> {
        let zone = "$TTL 300\n@ SOA ns1 h 1 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n";
        let config = "version = 1\n[zones.\"x.test\"]\nfile = \"x.zone\"\n\
            [regions.eu]\nlatitude = 50\nlongitude = 8\n[pools.eu]\nregion = \"eu\"\n\
            endpoints = [{ name = \"eu-1\", address = \"203.0.113.1\" }]\n\
            [policies.p]\nstages = [{ weighted = {} }]\n\
            [names.\"www.x.test\"]\npools = [\"eu\"]\npolicy = \"p\"\n";
        let texts = vec![("t.toml".into(), config.as_bytes().to_vec())];
        let loaded = load_texts(texts, &mut |_| Ok(zone.as_bytes().to_vec()));
        let (compiled, _) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
        compiled.unwrap().snapshot
    }

    fn heard(second: u64) -> Heard {
        Heard {
            at: Moment::ZERO + Duration::from_secs(second),
            weight: 1,
            name: NameId::from_index(0),
            client: "192.0.2.0/24".parse().unwrap(),
            endpoints: [EndpointId::from_index(0)].into(),
        }
    }

    #[test]
    fn each_sample_is_read_once_and_old_ones_are_forgotten() {
        let snapshot = snapshot();
        let mut recent = Recent::default();
        recent.turn_to(&snapshot);
        recent.push(heard(1));
        recent.push(heard(30));
        let (all, next) = recent.since(&snapshot, 0);
        assert_eq!((all.len(), next), (2, 2));
        assert_eq!(recent.since(&snapshot, next), (vec![], 2));
        recent.push(heard(31));
        let at = |second| Moment::ZERO + Duration::from_secs(second);
        recent.note(&snapshot, at(60), std::iter::empty());
        // The first one is gone; the numbers of the others stay.
        assert_eq!(recent.since(&snapshot, 0).0.len(), 2);
        assert_eq!(recent.since(&snapshot, 2), (vec![heard(31)], 3));
        // What another configuration calls so is something else.
        let other = self::snapshot();
        assert_eq!(recent.since(&other, 0), (vec![], 3));
        recent.note(&other, at(60), std::iter::empty());
        assert_eq!(recent.since(&snapshot, 0), (vec![], 3));
    }
}
