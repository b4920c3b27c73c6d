//! What others read of the samples beside the sums: those of the last seconds one by one, how many
//! there were, and how much each region was asked for by the hour.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;

use super::recent::Heard;
use super::samples::{self, Samples};
use super::{Flows, disk};
use crate::admin::flows::{NameSamples, SampledFacts};
use crate::engine::sampled::Seen;
use crate::plan::Sampled;
use crate::server::tap::Sample;
use crate::snapshot::{Snapshot, View};

/// What was asked of one region.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Asked {
    /// Answers within the last hour that sent clients there.
    pub now: f64,
    /// The most in an hour of the last day.
    pub most: f64,
}

impl Flows {
    /// Takes note of samples with what they say.
    pub(super) fn note(&self, view: &View, samples: &[Sample], found: &[(u32, Option<Seen>)]) {
        let now = self.clock.now();
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = samples.iter().zip(found.iter().map(|(_, seen)| seen));
            recent.note(&view.snapshot, now, seen);
        }
        let unix = self.unix();
        let names = &view.snapshot.steering.names;
        let mut table = self.table();
        let found = found
            .iter()
            .filter_map(|(weight, seen)| Some((weight, seen.as_ref()?)));
        let found: Vec<(Arc<str>, u32)> = found
            .map(|(weight, seen)| {
                let owner = names[seen.name.index()].owner.to_string();
                (table.text(&owner), *weight)
            })
            .collect();
        drop(table);
        let mut counts = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, weight) in found {
            counts.add(unix, &name, weight);
        }
    }

    /// The samples from the `number`-th on of the last seconds, and the number of the next.
    pub fn heard_since(&self, snapshot: &Arc<Snapshot>, number: u64) -> (Vec<Heard>, u64) {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.since(snapshot, number)
    }

    /// On how many samples the flows of the last `hours` rest, by name, and for how many seconds there
    /// were some.
    pub fn sampled(&self, hours: u64) -> (HashMap<Arc<str>, Sampled>, u64) {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.within(hours, self.unix())
    }

    /// The same, as others are told.
    pub fn sampled_facts(&self, hours: u64) -> SampledFacts {
        let (sums, seconds) = self.sampled(hours);
        let names = sums.into_iter().map(|(name, s)| NameSamples {
            name: name.to_string(),
            samples: s.samples,
            queries: s.queries,
            squares: s.squares,
        });
        SampledFacts {
            names: names.collect(),
            over: Duration::from_secs(seconds),
        }
    }

    /// How often clients who asked for one of `names` were sent to each region.
    pub fn asked(&self, names: &dyn Fn(&str) -> bool) -> BTreeMap<Box<str>, Asked> {
        let mut hours: BTreeMap<(Box<str>, u64), f64> = BTreeMap::new();
        for (hour, flow, queries) in self.table().entries() {
            if !flow.region.is_empty() && names(&flow.name) {
                *hours.entry(((*flow.region).into(), hour)).or_default() += queries;
            }
        }
        let mut out: BTreeMap<Box<str>, Asked> = BTreeMap::new();
        for ((region, _), queries) in hours {
            let asked = out.entry(region).or_default();
            asked.most = asked.most.max(queries);
        }
        for (flow, queries) in self.within(1) {
            if names(&flow.name)
                && let Some(asked) = out.get_mut(&*flow.region)
            {
                asked.now += queries;
            }
        }
        for asked in out.values_mut() {
            asked.most = asked.most.max(asked.now);
        }
        out
    }
}

/// The samples that were kept beside the file of flows; none where that cannot be read.
pub(super) fn load(flows: Option<&Path>) -> Samples {
    let text = flows.map(|f| std::fs::read_to_string(samples::path(f)));
    match text {
        Some(Ok(text)) => Samples::read(&text),
        Some(Err(e)) if e.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(error = %e, "on how many samples the flows rest cannot be read and is not known");
            Samples::default()
        }
        _ => Samples::default(),
    }
}

/// What writes them beside the file of flows.
pub(super) fn keep(
    flows: &Path,
    samples: &Mutex<Samples>,
) -> impl FnOnce() -> io::Result<()> + Send + 'static {
    let text = samples
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .text();
    let file = samples::path(flows);
    move || disk::save(&file, &text)
}
