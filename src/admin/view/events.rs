//! Events and changes of verdicts as shown.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::course::{self, Gap};
use crate::admin::history::{Based, Course, Page, Turn};
use crate::history::Told;
use crate::time::when;

/// Some events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Events {
    /// Latest first.
    pub events: Vec<LoggedEvent>,
    /// Give it back as `before=` for earlier ones; null: there are no more.
    pub next: Option<u64>,
    /// What is missing, and why; null: nothing is.
    pub partial: Option<String>,
}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LoggedEvent {
    /// Its number on this node; later events have higher ones.
    pub number: u64,
    /// When (RFC 3339).
    pub at: String,
    /// The node that noticed it.
    pub node: String,
    /// The view in force then.
    pub generation: u64,
    /// What kind, in one word.
    pub kind: String,
    /// `info`, `warning` or `error`.
    pub level: &'static str,
    /// What it is about.
    pub subject: String,
    /// In words.
    pub text: String,
    /// Particulars, by name; which there are depends on the kind.
    pub details: BTreeMap<String, String>,
}

impl From<&Told> for LoggedEvent {
    fn from(told: &Told) -> LoggedEvent {
        let detail = |(name, value): &(std::sync::Arc<str>, std::sync::Arc<str>)| {
            (name.to_string(), value.to_string())
        };
        LoggedEvent {
            number: told.number,
            at: when::show(told.at_ms),
            node: told.node.to_string(),
            generation: told.generation,
            kind: told.kind.to_string(),
            level: told.level.word(),
            subject: told.subject.to_string(),
            text: told.text.to_string(),
            details: told.details.iter().map(detail).collect(),
        }
    }
}

impl From<Page> for Events {
    fn from(page: Page) -> Events {
        Events {
            events: page
                .events
                .iter()
                .map(|e| LoggedEvent::from(&**e))
                .collect(),
            next: page.next,
            partial: page.partial,
        }
    }
}

/// How the verdict on an endpoint changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct EndpointHistory {
    /// The endpoint.
    pub endpoint: String,
    /// Latest first; with `since` the earliest may be from before: it was in force then.
    pub changes: Vec<VerdictChange>,
    /// With `since`: from when on it tells (RFC 3339), later than asked for where the record begins later;
    /// null otherwise.
    pub begins: Option<String>,
    /// With `since`: times of which nothing is recorded.
    pub gaps: Vec<Gap>,
    /// With `since`: what is missing, and why; null: nothing is.
    pub partial: Option<String>,
}

impl EndpointHistory {
    /// From a time on.
    pub fn of(endpoint: String, course: &Course, limit: usize) -> EndpointHistory {
        let turns = course.endpoints.first().map_or(&[][..], |t| t);
        EndpointHistory {
            endpoint,
            changes: course::changes(turns, limit),
            begins: course.begins_ms.map(when::show),
            gaps: course::gaps(course),
            partial: course.partial.clone(),
        }
    }

    /// What is in memory, latest first.
    pub fn remembered(endpoint: String, turns: &[Turn]) -> EndpointHistory {
        EndpointHistory {
            endpoint,
            changes: turns.iter().map(VerdictChange::of).collect(),
            begins: None,
            gaps: Vec::new(),
            partial: None,
        }
    }
}

/// A verdict that came into force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VerdictChange {
    /// When (RFC 3339).
    pub at: String,
    /// `up`, `down`, `awaited` (not probed yet) or `presumed` (not probed in time: counts as up).
    pub state: &'static str,
    /// `unmonitored`, `not-probed`, `passing` or `failing`.
    pub cause: &'static str,
    /// The failure, where one is known.
    pub error: Option<String>,
    /// Whether clients could be sent there as far as health goes.
    pub healthy: bool,
    /// Whether nobody who could say otherwise had a vote.
    pub stale: bool,
    /// Why it was not what votes said: `brake`, `suspect`, `hold`, `flapping`, `manual`, `not-served`.
    pub held: Option<&'static str>,
    /// Percent of its clients that it got.
    pub share: u8,
    /// Votes; empty where this node's own word is the verdict.
    pub votes: Vec<HistoricVote>,
}

/// What a vantage said.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoricVote {
    /// The node.
    pub vantage: String,
    /// `up`, `none`, or how it failed: `connect`, `timeout`, `tls`, `protocol`, `unexpected`.
    pub opinion: &'static str,
}

impl VerdictChange {
    /// A change as shown.
    pub fn of((at_ms, verdict): &Turn) -> VerdictChange {
        let votes = verdict.votes.iter().flat_map(|v| v.iter());
        let error = verdict.failure.as_ref().or(verdict.last_error.as_ref());
        VerdictChange {
            at: when::show(*at_ms),
            state: verdict.state,
            cause: verdict.cause,
            error: error.map(ToString::to_string),
            healthy: matches!(verdict.state, "up" | "presumed"),
            stale: verdict.stale,
            held: verdict.held,
            share: verdict.share,
            votes: votes
                .map(|v| HistoricVote {
                    vantage: v.vantage.to_string(),
                    opinion: v.opinion,
                })
                .collect(),
        }
    }
}

/// What an answer about another time is based on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BasedOn {
    /// The time that was asked for (RFC 3339).
    pub at: String,
    /// The digest of the configuration in force then.
    pub config: String,
    /// When something changed last before that (RFC 3339).
    pub changed: String,
    /// The view that had it first; heartbeats in between change nothing.
    pub generation: u64,
    /// Events up to this number had happened; 0: none that is kept.
    pub event: u64,
    /// What is not known of that time.
    pub missing: Vec<String>,
}

impl From<Based> for BasedOn {
    fn from(based: Based) -> BasedOn {
        BasedOn {
            at: when::show(based.at_ms),
            config: based.config,
            changed: when::show(based.changed_ms),
            generation: based.generation,
            event: based.event,
            missing: based.missing,
        }
    }
}

impl BasedOn {
    /// For people.
    pub fn line(&self) -> String {
        let mut line = format!(
            "As of {}: configuration {}, what was known since {} (generation {}), events up to number {}.",
            self.at, self.config, self.changed, self.generation, self.event
        );
        if !self.missing.is_empty() {
            line.push_str(" Not known: ");
            line.push_str(&self.missing.join("; "));
            line.push('.');
        }
        line
    }
}
