//! What is written down: every change, and who was refused.
//!
//! A change is always told. Refusals are told at a bounded rate, so that strangers cannot push what
//! matters out of the record; those that were not told are counted, and the next line says how many.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};

use super::limits::bucket;
use super::refused::Refused;
use super::{Peer, Who};
use crate::limit::KeyedRates;
use crate::telemetry::Page;
use crate::time::Moment;

/// Refusals of strangers that are told in an hour, and of those who are known.
const STRANGERS: u32 = 60;
const KNOWN: u32 = 240;

const HOUR: Duration = Duration::from_secs(3_600);

/// Characters of a path that are told.
const SHOWN: usize = 200;

/// A line for the audit record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noted {
    /// `changed`, `refused`, `signed-in` or `signed-out`.
    pub event: &'static str,
    /// Who, as far as known.
    pub who: String,
    /// What, how and from where. Never anything secret.
    pub text: String,
}

/// Keeps the audit record; `app` implements it.
pub trait Auditor: Send + Sync + 'static {
    /// Appends a line. Never waits.
    fn note(&self, line: Noted);
}

/// What a handler says of the change that it made, for the audit record: a part of its response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told(pub String);

/// Writes down, and counts.
pub(super) struct Record {
    auditor: Arc<dyn Auditor>,
    strangers: KeyedRates,
    known: KeyedRates,
    /// Refusals that were not told since the last that was.
    untold: AtomicU64,
    refused: [AtomicU64; Refused::WORDS.len()],
    changes: AtomicU64,
}

/// A request, as far as it is told.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    method: Method,
    path: String,
    source: IpAddr,
}

impl Asked {
    /// Without the query, which may hold anything.
    pub(super) fn new(method: &Method, uri: &Uri, peer: &Peer) -> Asked {
        Asked {
            method: method.clone(),
            path: uri.path().chars().take(SHOWN).collect(),
            source: peer.address,
        }
    }
}

impl Record {
    pub(super) fn new(auditor: Arc<dyn Auditor>) -> Record {
        // One key, and so one line of the table.
        let rates = |amount| KeyedRates::new(bucket(amount, HOUR), 0);
        Record {
            auditor,
            strangers: rates(STRANGERS),
            known: rates(KNOWN),
            untold: AtomicU64::new(0),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            changes: AtomicU64::new(0),
        }
    }

    /// A change that was made.
    pub(super) fn changed(
        &self,
        who: &Who,
        asked: &Asked,
        status: StatusCode,
        told: Option<&Told>,
    ) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let what = told.map_or_else(String::new, |t| format!(": {}", t.0));
        self.auditor.note(Noted {
            event: "changed",
            who: who.name.to_string(),
            text: format!(
                "{} {} -> {}{what} ({}, by {} from {})",
                asked.method,
                asked.path,
                status.as_u16(),
                who.role.word(),
                who.by.word(),
                asked.source
            ),
        });
    }

    /// Somebody signed in or out.
    pub(super) fn signed(&self, who: &Who, peer: &Peer, is_in: bool) {
        self.auditor.note(Noted {
            event: if is_in { "signed-in" } else { "signed-out" },
            who: who.name.to_string(),
            text: format!("{}, from {}", who.role.word(), peer.address),
        });
    }

    /// Somebody was refused.
    pub(super) fn refused(&self, refused: &Refused, asked: &Asked, now: Moment) {
        let at = Refused::WORDS.iter().position(|w| *w == refused.word());
        let at = at.unwrap_or(Refused::WORDS.len() - 1);
        self.refused[at].fetch_add(1, Ordering::Relaxed);
        let rates = match refused.name() {
            Some(_) => &self.known,
            None => &self.strangers,
        };
        if !rates.take(1, now).granted {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let untold = match self.untold.swap(0, Ordering::Relaxed) {
            0 => String::new(),
            n => format!("; {n} more before were not written down"),
        };
        let name = refused.name().map_or("unknown", |n| &**n);
        self.auditor.note(Noted {
            event: "refused",
            who: name.to_owned(),
            text: format!(
                "{} {} from {}: {}{untold}",
                asked.method,
                asked.path,
                asked.source,
                refused.detail()
            ),
        });
    }

    pub(super) fn metrics(&self, page: &mut Page) {
        let name = "tradewind_admin_refused_total";
        page.family(
            name,
            "counter",
            "Requests to the admin API that were refused.",
        );
        for (word, count) in Refused::WORDS.iter().zip(&self.refused) {
            let labels = format!("reason=\"{word}\"");
            page.sample(name, &labels, count.load(Ordering::Relaxed));
        }
        let name = "tradewind_admin_changes_total";
        page.family(
            name,
            "counter",
            "Changes that were made through the admin API.",
        );
        page.sample(name, "", self.changes.load(Ordering::Relaxed));
    }
}
