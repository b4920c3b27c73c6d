//! Where orders about backends are taken: checked → in force → on the disk → in the audit record.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{record, xdp};
use crate::admin::backends::{BackendDesk, BackendStatus, BackendTaken, UpstreamStatus};
use crate::admin::desk::{AuditLine, Refusal};
use crate::admin::view::xdp::Xdp;
use crate::app::orders::Desk;
use crate::app::proxy::SharedCarrier;
use crate::app::store::{Store, Write};
use crate::balance::candidate::Candidate as _;
use crate::health::backend::Fault;
use crate::proxy::backend::upstream::{BackendReport, UpstreamReport};
use crate::time::{Clock, Moment};
use crate::traffic::orders::{BackendOrders, Given, Place, Refused, Wish, Word};

/// How long a disk may take.
const DISK: Duration = Duration::from_secs(5);

/// Takes orders about backends.
pub struct BackendBook {
    carrier: SharedCarrier,
    store: Store,
    audit: Arc<Desk>,
    node: String,
    clock: Arc<dyn Clock>,
    /// One order at a time.
    taking: tokio::sync::Mutex<()>,
    /// What the disk has.
    stored: Mutex<BackendOrders>,
}

impl BackendBook {
    /// A book that goes on with what the store has, which is in force already.
    pub fn new(
        carrier: SharedCarrier,
        store: Store,
        audit: Arc<Desk>,
        node: &str,
        clock: Arc<dyn Clock>,
    ) -> Arc<BackendBook> {
        let stored = carrier.as_ref().map(|c| c.orders()).unwrap_or_default();
        Arc::new(BackendBook {
            carrier,
            store,
            audit,
            node: node.to_owned(),
            clock,
            taking: tokio::sync::Mutex::default(),
            stored: Mutex::new(stored),
        })
    }

    /// Writes what differs from the disk.
    async fn write(&self, orders: BackendOrders) -> Result<(), String> {
        let mut rows = Vec::new();
        {
            let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            let gone = stored.0.keys().filter(|p| !orders.0.contains_key(p));
            rows.extend(gone.map(|p| (record::key(p), None)));
            let new = orders.0.iter().filter(|(p, o)| stored.0.get(p) != Some(o));
            rows.extend(new.map(|(p, o)| (record::key(p), Some(record::write(o)))));
            // The store writes later what it cannot write now.
            *stored = orders;
        }
        let write = Write {
            backends: rows,
            ..Write::default()
        };
        let written = tokio::time::timeout(DISK, self.store.write(write));
        let hangs = |_| Err("the disk has not taken it within 5 s".to_owned());
        written.await.unwrap_or_else(hangs)
    }
}

#[async_trait]
impl BackendDesk for BackendBook {
    fn status(&self) -> Option<Vec<UpstreamStatus>> {
        let carrier = self.carrier.as_ref()?;
        let orders = carrier.orders();
        let tier = carrier.proxy().tier();
        let now = self.clock.now();
        let reports = tier.upstreams.iter().map(|g| g.state.report(now));
        Some(reports.map(|r| upstream(r, &orders, now)).collect())
    }

    fn xdp(&self) -> Option<Xdp> {
        let carrier = self.carrier.as_ref()?;
        carrier.proxy().xdp().map(xdp::view)
    }

    async fn give(&self, place: Place, wish: Given<Wish>) -> Result<BackendTaken, Refusal> {
        let Some(carrier) = &self.carrier else {
            let why = "this node has no proxy: ask one with the role `proxy`".to_owned();
            return Err(Refusal::Unknown(why));
        };
        let _one = self.taking.lock().await;
        if self.store.rests() {
            // The new process has read the store already: it would not know the order.
            let why = "a new process is taking this node over; give the order again in a moment";
            return Err(Refusal::Failed(why.to_owned()));
        }
        let under_way = |place: &Place| {
            let tier = carrier.proxy().tier();
            let groups = tier.upstreams.iter();
            let group = groups.into_iter().find(|g| g.state.name == place.upstream);
            let found = group?.servers.iter().find(|b| b.name == place.backend);
            Some(found?.in_flight())
        };
        let before = under_way(&place);
        let orders = carrier
            .order(&place, &wish)
            .map_err(|refused| match refused {
                Refused::Unknown(detail) => Refusal::Unknown(detail),
                Refused::Conflict(rule) => Refusal::Breaks(vec![rule]),
                Refused::Invalid(detail) => Refusal::Invalid {
                    parameter: "backend",
                    detail,
                },
            })?;
        let said = format!("{} of {place}", wish.what);
        self.audit.note(AuditLine {
            at_ms: wish.at_ms,
            event: "backend".to_owned(),
            owner: wish.owner.to_string(),
            node: self.node.clone(),
            text: format!("{said}: {}", wish.reason),
        });
        let mut warnings = Vec::new();
        if let Err(why) = self.write(orders).await {
            warnings.push(format!(
                "in force, but it may not outlive this process: {why}"
            ));
        }
        let in_flight = under_way(&place).or(before).unwrap_or_default();
        Ok(BackendTaken {
            said,
            in_flight,
            warnings,
        })
    }
}

fn upstream(report: UpstreamReport, orders: &BackendOrders, now: Moment) -> UpstreamStatus {
    let (waited, refused, in_vain) = report.queue;
    let backends = report.backends.into_iter();
    UpstreamStatus {
        mode: report.mode.to_string(),
        mode_for: now.since(report.mode_since),
        circuit: report
            .circuit
            .map(|(state, since)| (state.to_string(), now.since(since))),
        queue: [u64::from(report.waiting), waited, refused, in_vain],
        retries_refused: report.retries_refused,
        max_ejected: report.max_ejected,
        panic_threshold: report.panic_percent,
        backends: backends
            .map(|b| backend(&report.name, b, orders, now))
            .collect(),
        name: report.name.into(),
    }
}

fn backend(
    upstream: &str,
    report: BackendReport,
    orders: &BackendOrders,
    now: Moment,
) -> BackendStatus {
    use std::sync::atomic::Ordering::Relaxed;
    let place = Place::new(upstream, &report.state.name);
    let order = orders.0.get(&place).cloned().unwrap_or_default();
    let counters = &report.state.counters;
    let faults = [
        Fault::Connect,
        Fault::Timeout,
        Fault::Reset,
        Fault::Gateway,
        Fault::Server,
    ];
    let condition = report.condition;
    BackendStatus {
        name: report.state.name.to_string(),
        address: report.state.address.to_string(),
        weight: report.state.configured_weight(),
        share: report.state.share(now),
        state: condition.standing.to_string(),
        cause: condition.cause.to_string(),
        since: now.since(condition.since),
        left: condition.until.map(|end| now.until(end)),
        used: report.used,
        presence: order.presence,
        word: order.word.filter(|_| report.word != Word::Serve),
        ordered_weight: order.weight,
        drain_left: report.drain_until.map(|end| now.until(end)),
        in_flight: report.state.in_flight(),
        max_connections: report.state.limit(),
        requests: counters.requests.load(Relaxed),
        retries: counters.retries.load(Relaxed),
        failed: faults.map(|f| counters.faults(f)),
        ejections: counters.ejections.load(Relaxed),
        failures: report.failures,
        last_probe: report.last_probe.map(|at| now.since(at)),
        last_error: report.last_error.map(|e| e.to_string()),
    }
}
