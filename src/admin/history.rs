//! What the API needs of whoever keeps what happened; `app` implements it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{broadcast, watch};

use crate::history::fact::Verdict;
use crate::history::{Filter, Told};
use crate::snapshot::View;
use crate::time::Moment;

/// Knows what happened.
#[async_trait]
pub trait HistoryDesk: Send + Sync + 'static {
    /// Events, latest first.
    async fn page(&self, filter: Filter, limit: usize) -> Page;

    /// Events as they happen, after those up to a number.
    ///
    /// # Errors
    /// When too many listen.
    fn listen(&self, after: Option<u64>) -> Result<Listening, TooMany>;

    /// How the verdict on an endpoint changed, latest first.
    fn turns(&self, endpoint: &str, limit: usize) -> Vec<Turn>;

    /// How the verdicts on some endpoints changed from a time on, in milliseconds since 1970: of the record
    /// as long as it is kept, of memory where that cannot be read.
    async fn course(&self, endpoints: &[Arc<str>], since_ms: u64) -> Course;

    /// The view of another time, in milliseconds since 1970.
    async fn then(&self, at_ms: u64) -> Result<Then, NoThen>;

    /// The last event.
    fn last(&self) -> Option<Arc<Told>>;
}

/// Some events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Latest first.
    pub events: Vec<Arc<Told>>,
    /// The number below which to look for more; `None`: there are no more.
    pub next: Option<u64>,
    /// What is missing, and why.
    pub partial: Option<String>,
}

/// When a verdict came into force, in milliseconds since 1970, and the verdict.
pub type Turn = (u64, Arc<Verdict>);

/// How verdicts changed from a time on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Course {
    /// In the order of the endpoints that were asked for, earliest first; the first one may be from before
    /// that time: it was in force then.
    pub endpoints: Vec<Vec<Turn>>,
    /// From when on it tells, in milliseconds since 1970; `None`: nothing is recorded.
    pub begins_ms: Option<u64>,
    /// When nothing was recorded, in milliseconds since 1970.
    pub gaps: Vec<(u64, u64)>,
    /// What is missing, and why.
    pub partial: Option<String>,
}

/// So many streams are open already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany(pub usize);

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEnd {
    /// The reader left, or the node did.
    Left,
    /// The reader was too slow.
    Slow,
}

/// What somebody hears who listens.
pub struct Listening {
    /// What they missed, earliest first.
    pub missed: Vec<Arc<Told>>,
    /// Whether some of what they missed is not to be had any more.
    pub gap: bool,
    /// The number of the last event before what comes.
    pub last: u64,
    /// What happens.
    pub news: broadcast::Receiver<Arc<Told>>,
    /// The generation in force.
    pub generations: watch::Receiver<u64>,
    /// Turns true when streams shall end.
    pub closing: watch::Receiver<bool>,
    /// To be told at the end.
    pub ended: Box<dyn FnOnce(StreamEnd) + Send>,
}

/// The view of another time.
#[derive(Debug)]
pub struct Then {
    /// The view.
    pub view: Arc<View>,
    /// That time, as its moments are counted.
    pub now: Moment,
    /// What it is based on.
    pub based: Based,
}

/// What a view of another time is based on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Based {
    /// The time, in milliseconds since 1970.
    pub at_ms: u64,
    /// The configuration in force then.
    pub config: String,
    /// When something changed last before that, in milliseconds since 1970.
    pub changed_ms: u64,
    /// The view that had it first.
    pub generation: u64,
    /// Number of the last event up to then; 0: none.
    pub event: u64,
    /// What is not known of that time.
    pub missing: Vec<String>,
}

/// Why there is no view of a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoThen {
    /// That time is not recorded.
    Blank(String),
    /// It is, but not all that is needed is kept.
    Unknown(String),
    /// The record cannot be read now.
    Trouble(String),
}
