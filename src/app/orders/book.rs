//! The ledger with its clock, its audit record, and what this node has stored of whom.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::audit::{Audit, describe};
use crate::app::chronicle::Chronicle;
use crate::app::store::{Stored, Write};
use crate::overrides::{Accepted, Held, Ledger, Record, Stamp, StampClock, Standing};

/// Stamps of an author that this node says it has: those it got last.
const SEEN: usize = 32;

/// What this node did with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// It is on the disk, and in force where nothing later stands against it.
    Done,
    /// It is in force, but this node's disk does not take it.
    Unstored,
    /// It is kept but not believed.
    Quarantined,
}

impl Seen {
    /// What is put behind the stamp.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Seen::Done => "",
            Seen::Unstored => "!",
            Seen::Quarantined => "?",
        }
    }
}

/// What a node knows of orders.
#[derive(Debug)]
pub struct Book {
    pub(super) ledger: Ledger,
    pub(super) clock: StampClock,
    pub(super) audit: Audit,
    /// By author, the latest last.
    pub(super) seen: BTreeMap<Arc<str>, VecDeque<(Stamp, Seen)>>,
    /// What was in force when somebody last looked, to tell what expired.
    last: Standing,
}

impl Book {
    /// The book of `node` as it was stored.
    pub fn load(node: &str, stored: Stored, now_ms: u64) -> Book {
        let mut held = Vec::new();
        for (text, believed) in stored.orders {
            match Record::parse(&text) {
                Ok(record) => held.push(Held {
                    record: Arc::new(record),
                    believed,
                }),
                Err(e) => tracing::error!("an order in the store is passed over: {e}"),
            }
        }
        let mut clock = StampClock::new(node);
        let mut seen: BTreeMap<Arc<str>, VecDeque<_>> = BTreeMap::new();
        let ledger = Ledger::load(held, now_ms);
        for Held { record, believed } in ledger.records() {
            clock.see(&record.stamp, now_ms);
            let mark = if *believed {
                Seen::Done
            } else {
                Seen::Quarantined
            };
            let of = seen.entry(record.author().clone()).or_default();
            of.push_back((record.stamp.clone(), mark));
            of.drain(..of.len().saturating_sub(SEEN));
        }
        let last = ledger.standing(now_ms);
        if !last.0.is_empty() {
            tracing::info!(
                orders = last.0.len(),
                "operators' orders are in force again"
            );
        }
        Book {
            audit: Audit::load(stored.audit),
            last,
            ledger,
            clock,
            seen,
        }
    }

    /// Tells `chronicle` what becomes of orders.
    #[must_use]
    pub fn telling(mut self, chronicle: &Chronicle) -> Book {
        self.audit.chronicle = chronicle.clone();
        self
    }

    /// What is in force.
    pub fn standing(&self, now_ms: u64) -> Standing {
        self.ledger.standing(now_ms)
    }

    /// Takes in a record; `event` is what the audit record calls it. Says whether it was new, and
    /// whether it is believed.
    pub(super) fn accept(
        &mut self,
        record: &Arc<Record>,
        event: &str,
        now_ms: u64,
    ) -> Option<bool> {
        let accepted = self.ledger.accept(record.clone(), now_ms);
        let Accepted::New {
            ahead,
            lost,
            replaced,
        } = accepted
        else {
            return None;
        };
        self.clock.see(&record.stamp, now_ms);
        let audit = &mut self.audit;
        audit.note(now_ms, event, record, describe(record));
        if let Some(ahead) = ahead {
            tracing::error!(
                node = %record.author(),
                "an order has a time {} s ahead of this node's clock: it is kept but not in force; \
                 check both clocks, and give the order again or clear it",
                ahead / 1000
            );
            let text = format!("{} s ahead: {}", ahead / 1000, describe(record));
            audit.note(now_ms, "quarantined", record, text);
        }
        for (subject, winner) in lost {
            let text = format!(
                "{} (for {subject} the later order by {} on {} stands: {})",
                describe(record),
                winner.owner,
                winner.author(),
                describe(&winner)
            );
            audit.note(now_ms, "lost", record, text);
        }
        for (subject, old) in replaced {
            let text = format!(
                "{} (for {subject} the order by {} on {} stands now)",
                describe(&old),
                record.owner,
                record.author()
            );
            audit.note(now_ms, "replaced", &old, text);
        }
        // What this replaced has not expired.
        self.last = self.ledger.standing(now_ms);
        Some(ahead.is_none())
    }

    /// Notes what this node did with a record.
    pub(super) fn note_seen(&mut self, stamp: &Stamp, seen: Seen) {
        let of = self.seen.entry(stamp.node.clone()).or_default();
        of.retain(|(s, _)| s != stamp);
        of.push_back((stamp.clone(), seen));
        if of.len() > SEEN {
            of.pop_front();
        }
    }

    /// Does what time alone does; gives what to store of it, and whether anything came into force or
    /// ended.
    pub(super) fn turn(&mut self, now_ms: u64) -> (Option<Write>, bool) {
        let turned = self.ledger.turn(now_ms);
        let mut write = Write::default();
        for record in turned.believed {
            self.audit
                .note(now_ms, "believed", &record, describe(&record));
            self.note_seen(&record.stamp, Seen::Done);
            let stamp = record.stamp.to_string();
            write.orders.push((stamp, Some((record.text(), true))));
        }
        for stamp in turned.dropped {
            write.orders.push((stamp.to_string(), None));
        }
        let standing = self.ledger.standing(now_ms);
        let news = standing != self.last;
        if news {
            let mut told: Vec<&Stamp> = Vec::new();
            for gone in &self.last.0 {
                let stamp = &gone.record.stamp;
                if gone.record.has_expired(now_ms) && !told.contains(&stamp) {
                    told.push(stamp);
                    self.audit
                        .note(now_ms, "expired", &gone.record, describe(&gone.record));
                }
            }
            self.last = standing;
        }
        write.audit = self.audit.take_unstored();
        let any = !write.orders.is_empty() || !write.audit.is_empty();
        (any.then_some(write), news)
    }
}
