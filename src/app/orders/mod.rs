//! The desk where operators' orders are taken, and where those of other nodes arrive.
//!
//! An order goes: checked against the rules → stamped and signed → on the disk → told to the fleet →
//! in force. What arrives from other nodes goes the same way from the disk on.

pub(in crate::app) mod assess;
pub(in crate::app) mod audit;
mod book;
mod give;
mod replays;
mod replicate;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

pub use self::book::Book;
pub(in crate::app) use self::give::unknown;
use self::replicate::Carried;
use super::drills::{Cleared, cleared};
use super::judge_loop::Order;
use super::store::{Store, Write};
use crate::admin::desk::{AuditLine, Listing, Made, OrderDesk, Refusal, Taken, WantedOrder};
use crate::fleet::{Change, StateBus};
use crate::overrides::{Standing, Subject, Vouch};
use crate::snapshot::Publisher;
use crate::telemetry::OrderGauges;
use crate::time::Clock;
use crate::units::Generation;

/// The desk looks at the calendar this often, which may have been set.
const LOOK: Duration = Duration::from_secs(1);

/// A calendar that differs by more than this from what ends were reckoned with, in milliseconds, is
/// reckoned with anew.
const DRIFT_MS: u64 = 250;

/// Most orders of other nodes that are taken in at once.
const BATCH: usize = 256;

/// What the desk works with.
pub struct Tools {
    /// This node.
    pub node: Arc<str>,
    /// Every node that orders must reach: those with role `dns` or `admin`, this one among them.
    pub peers: Vec<Arc<str>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Signs and checks.
    pub vouch: Arc<dyn Vouch>,
    /// Where orders are told.
    pub bus: Arc<dyn StateBus>,
    /// Where they outlive the process.
    pub store: Store,
    /// Where they come into force.
    pub judge: mpsc::Sender<Order>,
    /// The view in force.
    pub publisher: Publisher,
    /// What is counted.
    pub gauges: Arc<OrderGauges>,
}

/// The desk.
pub struct Desk {
    tools: Tools,
    book: Mutex<Book>,
    carried: Mutex<Carried>,
    /// One order at a time is taken, and one picture of all at a time sent to the judge loop.
    taking: tokio::sync::Mutex<()>,
    sending: tokio::sync::Mutex<Sent>,
}

/// What was last sent to the judge loop.
struct Sent {
    standing: Arc<Standing>,
    /// Milliseconds since 1970 at the start of the monotonic clock, as ends were reckoned with.
    calendar: u64,
}

impl Desk {
    /// A desk that goes on with `book`, whose orders in force the judge loop has already.
    pub fn new(tools: Tools, book: Book) -> Arc<Desk> {
        let now_ms = tools.clock.wall().unix_ms(tools.clock.now());
        let standing = Arc::new(book.ledger.standing(now_ms));
        let sent = Sent {
            standing,
            calendar: calendar(&*tools.clock),
        };
        let desk = Desk {
            tools,
            book: Mutex::new(book),
            carried: Mutex::default(),
            taking: tokio::sync::Mutex::default(),
            sending: tokio::sync::Mutex::new(sent),
        };
        desk.count(now_ms);
        Arc::new(desk)
    }

    /// Takes in what other nodes say and what time changes, until `stopped` turns true.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changes = self.tools.bus.subscribe("ov/");
        let mut told = true;
        self.show_seen();
        loop {
            self.turn().await;
            self.carry();
            let mut batch: Vec<Change> = Vec::new();
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                count = changes.recv_many(&mut batch, BATCH), if told => told = count > 0,
                () = tokio::time::sleep(self.rest()) => {}
            }
            if !batch.is_empty() {
                self.take_in(batch).await;
            }
        }
    }

    /// Appends a line to the audit record.
    pub fn note(&self, line: AuditLine) {
        let audit = {
            let mut book = self.book();
            book.audit.append(line);
            book.audit.take_unstored()
        };
        self.tools.store.write_later(Write {
            audit,
            ..Write::default()
        });
    }

    /// The last lines of this node's audit record that `is_wanted`, latest first.
    pub(in crate::app) fn audit_where(
        &self,
        limit: usize,
        is_wanted: impl Fn(&AuditLine) -> bool,
    ) -> Vec<AuditLine> {
        self.book().audit.last(limit, is_wanted)
    }

    /// What it works with.
    pub(in crate::app) fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What is in force.
    pub(in crate::app) fn standing(&self) -> Standing {
        let now_ms = self.now_ms();
        self.book().ledger.standing(now_ms)
    }

    /// Who took back the order about `subject` after `since_ms`, why and when.
    pub(in crate::app) fn cleared(&self, subject: &Subject, since_ms: u64) -> Option<Cleared> {
        let book = self.book();
        cleared(
            book.ledger.records().map(|held| &held.record),
            subject,
            since_ms,
        )
    }

    fn now_ms(&self) -> u64 {
        self.tools.clock.wall().unix_ms(self.tools.clock.now())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Each step leaves it whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the next thing that time changes.
    fn rest(&self) -> Duration {
        let now_ms = self.now_ms();
        let next = self.book().ledger.next_turn(now_ms);
        let left = next.map(|at| Duration::from_millis(at.saturating_sub(now_ms).max(1)));
        left.map_or(LOOK, |left| left.min(LOOK))
    }

    /// Does what is due: believes, lets expire, forgets.
    async fn turn(&self) {
        let now_ms = self.now_ms();
        let (write, news) = self.book().turn(now_ms);
        if let Some(write) = write {
            self.tools.store.write_later(write);
        }
        let drifted = {
            let sent = self.sending.lock().await;
            calendar(&*self.tools.clock).abs_diff(sent.calendar) > DRIFT_MS
        };
        if news || drifted {
            self.enforce(drifted).await;
        }
    }

    /// Sends what is in force to the judge loop, if it is other than before or `anyhow`; returns when
    /// the view has it.
    async fn enforce(&self, anyhow: bool) -> Generation {
        let mut sent = self.sending.lock().await;
        let now_ms = self.now_ms();
        let standing = Arc::new(self.book().ledger.standing(now_ms));
        self.count(now_ms);
        if *standing != *sent.standing || anyhow {
            sent.standing = standing.clone();
            sent.calendar = calendar(&*self.tools.clock);
            let (done, published) = oneshot::channel();
            // Either fails only when the server stops.
            let _ = self
                .tools
                .judge
                .send(Order::Overrides { standing, done })
                .await;
            if let Ok(generation) = published.await {
                return generation;
            }
        }
        self.tools.publisher.latest().generation
    }

    fn count(&self, now_ms: u64) {
        let (in_force, quarantined) = {
            let book = self.book();
            let standing = book.ledger.standing(now_ms).0.len();
            (standing, book.ledger.quarantined(now_ms).len())
        };
        let gauges = &self.tools.gauges;
        gauges.in_force.store(in_force as u64, Ordering::Relaxed);
        let quarantined = quarantined as u64;
        gauges.quarantined.store(quarantined, Ordering::Relaxed);
    }

    /// Writes what the audit record has new, and `orders`.
    async fn write(&self, orders: BTreeMap<String, (String, bool)>) -> Result<(), String> {
        let audit = self.book().audit.take_unstored();
        let write = Write {
            orders: orders.into_iter().map(|(k, v)| (k, Some(v))).collect(),
            audit,
            ..Write::default()
        };
        // A disk that hangs must not hold up an order.
        let written = tokio::time::timeout(LOOK * 5, self.tools.store.write(write));
        let hangs = |_| Err("the disk has not taken it within 5 s".to_owned());
        written.await.unwrap_or_else(hangs)
    }
}

#[async_trait]
impl OrderDesk for Desk {
    async fn give(&self, wanted: WantedOrder) -> Result<Taken, Refusal> {
        self.take(wanted).await
    }

    fn list(&self) -> Listing {
        let now_ms = self.now_ms();
        let book = self.book();
        Listing {
            now_ms,
            standing: book.ledger.standing(now_ms),
            quarantined: book.ledger.quarantined(now_ms),
            durable: self.tools.store.is_durable(),
        }
    }

    fn made_with(&self, key: &[u8; 16], within: Duration) -> Option<Made> {
        self.made(key, within)
    }
}

/// Milliseconds since 1970 at the start of the monotonic clock: moves only when the calendar is set.
fn calendar(clock: &dyn Clock) -> u64 {
    let now = clock.now();
    let ms = clock.wall().unix_ms(now);
    ms.saturating_sub(now.0 / 1_000_000)
}

#[cfg(test)]
mod tests;
