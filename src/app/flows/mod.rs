//! Which clients are sent where: reads the samples that the DNS threads leave, adds them up by hour,
//! and keeps the last day, over restarts too where there is a state directory.
//!
//! Each node knows the queries that came to it; what all of them know is put together by
//! `app::fleetwide`. Nothing here is waited for by DNS: a sample that finds
//! the queue full is dropped, and a disk that takes nothing costs the memory of the day after a
//! restart.

pub mod disk;
pub mod recent;
pub mod samples;
pub mod seen_by;
pub mod table;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use async_trait::async_trait;

use crate::admin::audit::Gathered;
use crate::admin::flows::{FlowDesk, FlowFacts, SampledFacts};
use crate::engine::sampled::{Index, Seen, seen};
use crate::geo::Code;
use crate::net::Prefix;
use crate::server::tap::{Inlet, Sample, TapCounters, Taps};
use crate::snapshot::{Publisher, Snapshot, View};
use crate::telemetry::{Metrics, Page};
use crate::time::Clock;

use super::keeper::SharedLock;
pub use table::{Flow, Table, condense, sort};

/// Samples that may wait to be read.
const WAITING: usize = 8192;

/// How often they are read.
const LOOK: Duration = Duration::from_millis(100);

/// How often the table is written to the disk.
const SAVE: Duration = Duration::from_secs(300);

/// How long the end of the node waits for the file.
const LAST_SAVE: Duration = Duration::from_secs(1);

const HOUR: u64 = 3600;

/// Knows the flows of the last day.
pub struct Flows {
    table: Mutex<Table>,
    samples: Mutex<samples::Samples>,
    recent: Mutex<recent::Recent>,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    counters: Arc<TapCounters>,
    /// Samples that were no steered answer.
    others: AtomicU64,
    file: Option<PathBuf>,
    /// Whether the last attempt to write the file failed.
    failing: AtomicU64,
}

/// What the task works with.
pub struct Given<'a> {
    /// Where views come from.
    pub publisher: &'a Publisher,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// The node's state directory.
    pub state_dir: Option<&'a std::path::Path>,
    /// Its lock.
    pub lock: &'a SharedLock,
    /// Turns true when the node ends.
    pub stopped: &'a watch::Receiver<bool>,
}

/// The task that reads samples.
#[derive(Debug)]
pub struct Reading(JoinHandle<()>);

impl Reading {
    /// Waits until the file is written for the last time; for a slow disk not long.
    pub async fn end(self) {
        drop(tokio::time::timeout(LAST_SAVE, self.0).await);
    }
}

/// Adds itself to those who are given samples, reads what was kept, and starts.
pub fn start(taps: &mut Taps, given: &Given<'_>) -> (Arc<Flows>, Reading) {
    let rate = given
        .publisher
        .latest()
        .snapshot
        .settings
        .samples_per_second;
    let inlet = taps.add(rate, WAITING);
    let file = given.state_dir.map(disk::path);
    let mut table = Table::default();
    if let Some(file) = &file {
        match disk::load(file, &mut table) {
            Ok(0) => {}
            Ok(bad) => tracing::warn!(
                file = %file.display(), bad,
                "lines of the file of flows make no sense and were left out"
            ),
            Err(error) => tracing::warn!(
                file = %file.display(), %error,
                "the file of flows cannot be read; flows begin anew"
            ),
        }
    }
    let flows = Arc::new(Flows {
        table: Mutex::new(table),
        samples: Mutex::new(seen_by::load(file.as_deref())),
        recent: Mutex::default(),
        publisher: given.publisher.clone(),
        clock: given.clock.clone(),
        counters: inlet.counters().clone(),
        others: AtomicU64::new(0),
        file,
        failing: AtomicU64::new(0),
    });
    let reading = tokio::spawn(watch(
        flows.clone(),
        inlet,
        given.lock.clone(),
        given.stopped.clone(),
    ));
    (flows, Reading(reading))
}

/// Reads samples and writes the file until the node ends.
async fn watch(
    flows: Arc<Flows>,
    inlet: Inlet,
    lock: SharedLock,
    mut stopped: watch::Receiver<bool>,
) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut index: (Option<Arc<Snapshot>>, Index) = Default::default();
    let mut saved = flows.clock.now();
    loop {
        let ends = tokio::select! {
            _ = look.tick() => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        let view = flows.publisher.latest();
        inlet.set_rate(view.snapshot.settings.samples_per_second);
        if index
            .0
            .as_ref()
            .is_none_or(|s| !Arc::ptr_eq(s, &view.snapshot))
        {
            index = (
                Some(view.snapshot.clone()),
                Index::of(&view.snapshot.steering),
            );
        }
        // As many as can wait: an endless stream must not keep the task from the rest.
        let samples: Vec<Sample> = inlet.waiting().take(WAITING).collect();
        if !samples.is_empty() {
            flows.add(&view, &index.1, &samples);
        }
        let now = flows.clock.now();
        if ends || now.since(saved) >= SAVE {
            saved = now;
            flows.save(&lock).await;
        }
        if ends {
            return;
        }
    }
}

impl Flows {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Numbers are whole whoever panicked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    fn unix(&self) -> u64 {
        self.clock.wall().unix(self.clock.now())
    }

    fn add(&self, view: &View, index: &Index, samples: &[Sample]) {
        let found: Vec<(u32, Option<Seen>)> = samples
            .iter()
            .map(|s| {
                let peer = s.peer.ip();
                (s.weight, seen(view, index, s.query(), s.answer(), peer))
            })
            .collect();
        self.note(view, samples, &found);
        let country = |network: Prefix| country_of(view, network.addr());
        let steering = &view.snapshot.steering;
        let hour = self.unix() / HOUR;
        let mut table = self.table();
        table.turn_to(hour);
        for (weight, seen) in found {
            let Some(seen) = seen else {
                self.others.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let name = table.text(&steering.names[seen.name.index()].owner.to_string());
            // Of several addresses each gets its part: any may be used.
            let part = f64::from(weight) / seen.endpoints.len().max(1) as f64;
            let mut to = |region: &str, pool: &str| {
                let flow = Flow {
                    name: name.clone(),
                    network: seen.client,
                    region: table.text(region),
                    pool: table.text(pool),
                };
                table.add(hour, flow, part, &country);
            };
            for e in &seen.endpoints {
                let pool = &steering.pools[steering.endpoints[e.index()].pool.index()];
                to(&steering.regions[pool.region.index()].name, &pool.name);
            }
            if seen.endpoints.is_empty() {
                to("", "");
            }
        }
    }

    /// What was seen within the last `hours`, the most first.
    pub fn within(&self, hours: u64) -> Vec<(Flow, f64)> {
        let unix = self.unix();
        let gone = (unix % HOUR) as f64 / HOUR as f64;
        self.table().window(hours, unix / HOUR, gone)
    }

    /// As [`Flows::within`], with at most so many networks, and as many sums by country of the others.
    pub fn told(&self, hours: u64, most: usize) -> Vec<(Flow, f64)> {
        let view = self.publisher.latest();
        let country = |network: Prefix| country_of(&view, network.addr());
        condense(self.within(hours), most, &country)
    }

    /// Writes the file, unless the directory is another process's by now.
    async fn save(&self, lock: &SharedLock) {
        let Some(file) = self.file.clone().filter(|_| !lock.is_left()) else {
            return;
        };
        let text = disk::text(&self.table());
        let beside = seen_by::keep(&file, &self.samples);
        let written =
            tokio::task::spawn_blocking(move || disk::save(&file, &text).and_then(|()| beside()))
                .await;
        let failed = !matches!(written, Ok(Ok(())));
        // Said once, and once when it is over.
        let before = self.failing.swap(u64::from(failed), Ordering::Relaxed) == 1;
        match written {
            Ok(Err(error)) if !before => tracing::warn!(
                %error, "flows cannot be written to the state directory; a restart would forget them"
            ),
            Ok(Ok(())) if before => {
                tracing::info!("flows are written to the state directory again")
            }
            _ => {}
        }
    }
}

/// The country of an address, where the view knows it.
fn country_of(view: &View, addr: IpAddr) -> Option<Code> {
    let geo = &view.snapshot.geo;
    geo.location(geo.locate(addr).id).country
}

/// Those of this node alone.
#[async_trait]
impl FlowDesk for Flows {
    async fn within(&self, hours: u64, _: Option<&str>) -> Gathered<FlowFacts> {
        let all = Flows::within(self, hours).into_iter();
        Gathered::alone(all.map(|(flow, queries)| facts(flow, queries)).collect())
    }

    async fn sampled(&self, hours: u64) -> SampledFacts {
        self.sampled_facts(hours)
    }
}

/// A flow as the API knows it.
pub fn facts(flow: Flow, queries: f64) -> FlowFacts {
    FlowFacts {
        name: flow.name.to_string(),
        network: flow.network,
        region: flow.region.to_string(),
        pool: flow.pool.to_string(),
        queries,
    }
}

impl Metrics for Flows {
    fn render(&self, page: &mut Page) {
        let (entries, lost) = {
            let table = self.table();
            (table.size(), table.lost())
        };
        let counters: [(&str, &str, u64); 4] = [
            (
                "tradewind_dns_samples_total",
                "Answers that were looked at to know which clients are sent where.",
                self.counters.taken.load(Ordering::Relaxed),
            ),
            (
                "tradewind_dns_samples_dropped_total",
                "Samples that were dropped because too many waited.",
                self.counters.dropped.load(Ordering::Relaxed),
            ),
            (
                "tradewind_dns_samples_not_steered_total",
                "Samples that were no answer of a steered name with addresses.",
                self.others.load(Ordering::Relaxed),
            ),
            (
                "tradewind_flows_lost_queries_total",
                "Queries that the table of flows had no room for, not even by country.",
                lost as u64,
            ),
        ];
        for (name, help, value) in counters {
            page.family(name, "counter", help);
            page.sample(name, "", value);
        }
        let gauges: [(&str, &str, u64); 2] = [
            (
                "tradewind_flows_entries",
                "Entries of the table of flows: client network, name and pool, by hour.",
                entries as u64,
            ),
            (
                "tradewind_flows_not_kept",
                "1: the flows could not be written to the state directory.",
                self.failing.load(Ordering::Relaxed),
            ),
        ];
        for (name, help, value) in gauges {
            page.family(name, "gauge", help);
            page.sample(name, "", value);
        }
    }
}
