//! How verdicts changed over time, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::events::VerdictChange;
use crate::admin::history::{Course, Turn};
use crate::time::when;

/// How the verdicts on some endpoints and the votes behind them changed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VotesHistory {
    /// From when on it tells (RFC 3339): later than asked for where the record begins later; null: nothing
    /// is recorded.
    pub begins: Option<String>,
    /// Times of which nothing is recorded.
    pub gaps: Vec<Gap>,
    /// What is missing, and why; null: nothing is.
    pub partial: Option<String>,
    /// Those of the page, by name.
    pub endpoints: Vec<EndpointCourse>,
    /// Give it as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How the verdict on one of them changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointCourse {
    /// The endpoint.
    pub endpoint: String,
    /// Latest first; the earliest may be from before: it was in force when the time began.
    pub changes: Vec<VerdictChange>,
}

/// A time of which nothing is recorded: the node did not run, or its disk took nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HistoryGap)]
pub struct Gap {
    /// From (RFC 3339).
    pub from: String,
    /// Until (RFC 3339).
    pub until: String,
}

/// Gaps as shown.
pub fn gaps(course: &Course) -> Vec<Gap> {
    let all = course.gaps.iter().map(|(from, until)| Gap {
        from: when::show(*from),
        until: when::show(*until),
    });
    all.collect()
}

/// Changes as shown: the latest ones, latest first.
pub fn changes(turns: &[Turn], limit: usize) -> Vec<VerdictChange> {
    turns
        .iter()
        .rev()
        .take(limit)
        .map(VerdictChange::of)
        .collect()
}

impl VotesHistory {
    /// Of these endpoints, so many changes of each at most.
    pub fn of(
        course: &Course,
        endpoints: Vec<String>,
        limit: usize,
        next: Option<String>,
    ) -> VotesHistory {
        let all = endpoints.into_iter().zip(&course.endpoints);
        VotesHistory {
            begins: course.begins_ms.map(when::show),
            gaps: gaps(course),
            partial: course.partial.clone(),
            endpoints: all
                .map(|(endpoint, turns)| EndpointCourse {
                    endpoint,
                    changes: changes(turns, limit),
                })
                .collect(),
            next,
        }
    }
}
