//! What the configuration in force expects of its answers, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::snapshot::{Tried, View};

/// The expectations of the configuration in force, as they were tried when it was loaded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Expectations {
    /// The view's number.
    pub generation: u64,
    /// How many there are.
    pub total: usize,
    /// How many of them are broken: a configuration that breaks one is refused, so none is.
    pub broken: usize,
    /// Give it back as `after` for the next page; absent on the last one.
    pub next: Option<usize>,
    /// In the order of the files.
    pub expectations: Vec<Expectation>,
}

/// An expectation that was tried.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Expectation {
    /// Where it stands: `file:line:column`.
    pub place: String,
    /// What is asked.
    pub question: String,
    /// What is expected.
    pub wanted: String,
    /// What is answered.
    pub got: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why it is expected.
    pub because: Option<String>,
}

impl Expectations {
    /// So many of them after the first `after`.
    pub fn of(view: &View, after: usize, limit: usize) -> Expectations {
        let all = &view.snapshot.settings.expectations;
        let page = all.iter().skip(after).take(limit);
        let end = after.saturating_add(limit);
        Expectations {
            generation: view.generation.0,
            total: all.len(),
            broken: all.iter().filter(|t| !t.holds()).count(),
            next: (end < all.len()).then_some(end),
            expectations: page.map(Expectation::of).collect(),
        }
    }
}

impl Expectation {
    fn of(t: &Tried) -> Expectation {
        Expectation {
            place: t.place.to_string(),
            question: t.question.to_string(),
            wanted: t.wanted.to_string(),
            got: t.got.to_string(),
            holds: t.holds(),
            because: t.because.as_deref().map(str::to_owned),
        }
    }
}
