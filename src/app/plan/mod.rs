//! `plan`: compiles a configuration that is only asked about, and compares it with the one in force.

mod files;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::admin::flows::FlowDesk;
use crate::admin::plan::{PlanAsked, PlanDesk, PlanRefusal, Planned};
use crate::config::Report as Findings;
use crate::plan::{self, Report, Sampled, Traffic, Weigh};
use crate::snapshot::{Publisher, View};
use crate::time::{Clock, Moment};

use super::load::{Wanted, load_all};

/// Compares for the API, one at a time: it takes seconds of one core with a large configuration.
pub struct Planner {
    wanted: Wanted,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    flows: Arc<dyn FlowDesk>,
    one_at_a_time: Arc<Semaphore>,
}

impl Planner {
    /// A planner for the node that runs `wanted`.
    pub fn new(
        wanted: &Wanted,
        publisher: &Publisher,
        clock: &Arc<dyn Clock>,
        flows: Arc<dyn FlowDesk>,
    ) -> Arc<Planner> {
        Arc::new(Planner {
            wanted: wanted.clone(),
            publisher: publisher.clone(),
            clock: clock.clone(),
            flows,
            one_at_a_time: Arc::new(Semaphore::new(1)),
        })
    }
}

#[async_trait]
impl PlanDesk for Planner {
    async fn plan(&self, asked: PlanAsked) -> Result<Planned, PlanRefusal> {
        let one = self.one_at_a_time.clone().try_acquire_owned();
        let Ok(one) = one else {
            return Err(PlanRefusal::Busy);
        };
        let wanted = self.wanted.clone();
        let view = self.publisher.latest();
        let now = self.clock.now();
        let (traffic, missing) = match asked.by_addresses {
            true => Default::default(),
            false => traffic(&*self.flows).await,
        };
        let work = tokio::task::spawn_blocking(move || {
            // Held until the work ends, also when nobody waits for it any more.
            let _one = one;
            against_view(&wanted, &view, now, &traffic, &asked)
        });
        let planned = work
            .await
            .unwrap_or_else(|e| Err(PlanRefusal::Failed(format!("the plan itself failed: {e}"))));
        planned.map(|mut planned| {
            planned.warnings.extend(unheard(&missing));
            planned
        })
    }
}

/// The queries of the last day that came to the fleet, and the nodes whose queries are not among them.
async fn traffic(flows: &dyn FlowDesk) -> (Traffic, Vec<String>) {
    let mut traffic = Traffic::default();
    let found = flows.within(24, None).await;
    for flow in found.all {
        // What the table knows were names of a configuration.
        if let Ok(name) = flow.name.parse() {
            traffic.add(name, flow.network, flow.queries);
        }
    }
    let sampled = flows.sampled(24).await;
    traffic.over = sampled.over;
    for n in sampled.names {
        if let Ok(name) = n.name.parse() {
            let of = Sampled {
                samples: n.samples,
                queries: n.queries,
                squares: n.squares,
            };
            traffic.rests_on(name, of);
        }
    }
    (traffic, found.missing)
}

/// Says whose queries are not weighed.
fn unheard(missing: &[String]) -> Option<String> {
    (!missing.is_empty()).then(|| {
        format!(
            "warning: the queries of {} are not weighed: no answer from there within a second",
            missing.join(", ")
        )
    })
}

fn against_view(
    wanted: &Wanted,
    view: &View,
    now: Moment,
    traffic: &Traffic,
    asked: &PlanAsked,
) -> Result<Planned, PlanRefusal> {
    let (snapshot, warnings) = files::compile_given(wanted, &asked.files)?;
    let supposed = plan::suppose(view, snapshot, now);
    let weigh = match asked.by_addresses {
        true => Weigh::ByAddresses,
        false => Weigh::ByTraffic,
    };
    let mut report = plan::compare(view, &supposed.view, traffic, weigh, &mut |_, _| {});
    let endpoints = &supposed.view.snapshot.steering.endpoints;
    let assumed = supposed.assumed_up.iter();
    report.assumed_up = assumed
        .map(|e| endpoints[e.index()].name.to_string())
        .collect();
    Ok(Planned {
        report,
        generation: view.generation.0,
        warnings,
    })
}

/// Compares two configurations on the disk where everything is up, by addresses: what a pipeline does
/// that has no node to ask. `progress` is told how many names of all are compared.
///
/// # Errors
/// The findings of the first that is wrong.
pub fn against_config(
    old: &Path,
    new: &Path,
    now: Moment,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, Findings> {
    let view = |config: &Path| -> Result<View, Findings> {
        let wanted = Wanted {
            config: config.to_owned(),
            ..Wanted::default()
        };
        let loaded = load_all(&wanted)?;
        Ok(plan::all_up(loaded.compiled.snapshot, now))
    };
    let (old, new) = (view(old)?, view(new)?);
    Ok(plan::compare(
        &old,
        &new,
        &Traffic::default(),
        Weigh::ByAddresses,
        progress,
    ))
}
