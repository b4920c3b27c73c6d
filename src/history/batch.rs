//! Facts that became so together, as one row of the store: from one published view to the next.

use super::fact::Fact;
use super::line::{Fields, Line};

/// Most facts of one batch; more of them go into several.
pub const MOST: usize = 512;

/// What became so at one time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// The view that had it first.
    pub generation: u64,
    /// The facts.
    pub facts: Vec<Fact>,
}

impl Batch {
    /// Its text in the store.
    pub fn text(&self) -> String {
        let mut text = Line::new("b")
            .plain(self.at_ms)
            .plain(self.generation)
            .end();
        for fact in &self.facts {
            text.push('\n');
            text.push_str(&fact.line());
        }
        text
    }

    /// Reads what [`Batch::text`] writes; `None`: it is no such text.
    pub fn read(text: &str) -> Option<Batch> {
        let mut lines = text.split('\n');
        let (at_ms, generation) = head(lines.next()?)?;
        Some(Batch {
            at_ms,
            generation,
            facts: lines.map(Fact::read).collect::<Option<_>>()?,
        })
    }

    /// Only when it was, of a batch's text.
    pub fn read_time(text: &str) -> Option<u64> {
        head(text.split('\n').next()?).map(|(at, _)| at)
    }
}

fn head(line: &str) -> Option<(u64, u64)> {
    let mut f = Fields::of(line);
    let word = f.word()?;
    let head = (f.plain()?, f.plain()?);
    f.end()?;
    (word == "b").then_some(head)
}
