//! Spans of traces (OpenTelemetry) that wait for whoever exports them.
//!
//! Who leaves something here never waits: the queue is bounded and has no lock on that side, and what
//! finds no room is dropped and counted. What it means in OpenTelemetry's words is worked out by the
//! exporter, so that a request pays for a few copies alone.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::TraceParent;

/// Requests of the admin API that wait at most.
const WAITING: usize = 2048;

/// On which side of a request a span stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It was asked.
    Server,
    /// It asked.
    Client,
}

/// An attribute's value.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    /// Octets that are no UTF-8 are replaced.
    fn from(text: &[u8]) -> Value {
        Value::Text(String::from_utf8_lossy(text).into_owned())
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

/// A span, as it is exported.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// Its trace.
    pub trace: u128,
    /// Its own id.
    pub id: u64,
    /// The span that it belongs to; `None`: the trace begins with it.
    pub parent: Option<u64>,
    /// The `tracestate` that came with it; may be empty.
    pub state: Box<str>,
    /// Its name.
    pub name: String,
    /// On which side it stands.
    pub kind: Kind,
    /// When it began, in nanoseconds since 1970-01-01T00:00:00Z.
    pub began_ns: u64,
    /// How long it took.
    pub took: Duration,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Whether it failed, as OpenTelemetry's conventions of HTTP have it.
    pub failed: bool,
}

/// Something that is one or more spans.
pub trait Spanned: Send {
    /// How many it is.
    fn count(&self) -> u64;

    /// Adds them to `out`; `random` gives random words.
    fn tell(&self, random: &mut dyn FnMut() -> u64, out: &mut Vec<Span>);
}

type Waiting = Box<dyn Spanned>;

/// What waits to be exported.
pub struct Spans {
    wanted: AtomicBool,
    into: SyncSender<Waiting>,
    /// For the exporter alone.
    out: Mutex<Receiver<Waiting>>,
    dropped: AtomicU64,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans")
            .field("wanted", &self.wanted)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl Default for Spans {
    /// Room for what the admin API leaves.
    fn default() -> Spans {
        Spans::new(WAITING)
    }
}

impl Spans {
    /// Room for so many.
    pub fn new(most: usize) -> Spans {
        let (into, out) = sync_channel(most);
        Spans {
            wanted: AtomicBool::new(false),
            into,
            out: Mutex::new(out),
            dropped: AtomicU64::new(0),
        }
    }

    /// From now on somebody fetches them.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody fetches them.
    pub fn wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Keeps it, if anybody wants it and there is room.
    pub fn keep(&self, spanned: Box<dyn Spanned>) {
        if !self.wanted() {
            return;
        }
        // Nobody sleeps on the other end, so there is nobody to be woken.
        if let Err(lost) = self.into.try_send(spanned) {
            let (std::sync::mpsc::TrySendError::Full(lost)
            | std::sync::mpsc::TrySendError::Disconnected(lost)) = lost;
            self.dropped.fetch_add(lost.count(), Ordering::Relaxed);
        }
    }

    /// At least `most` spans of those that wait, if there are so many, and few more.
    pub fn take(&self, most: usize, random: &mut dyn FnMut() -> u64) -> Vec<Span> {
        let waiting = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        while spans.len() < most
            && let Ok(spanned) = waiting.try_recv()
        {
            spanned.tell(random, &mut spans);
        }
        spans
    }

    /// Spans that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A request of the admin API that was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiSpan {
    /// Method.
    pub method: Box<str>,
    /// The pattern of its path.
    pub route: Box<str>,
    /// Status of the answer.
    pub status: u16,
    /// When it came, in nanoseconds since 1970-01-01T00:00:00Z.
    pub began_ns: u64,
    /// How long its answer took.
    pub took: Duration,
    /// The trace that it belongs to; `None`: one of its own.
    pub parent: Option<TraceParent>,
}

impl Spanned for ApiSpan {
    fn count(&self) -> u64 {
        1
    }

    fn tell(&self, random: &mut dyn FnMut() -> u64, out: &mut Vec<Span>) {
        let own = u128::from(random()) << 64 | u128::from(random());
        let mut attributes = vec![
            ("http.request.method", Value::from(&*self.method)),
            ("http.route", Value::from(&*self.route)),
            (
                "http.response.status_code",
                Value::from(u64::from(self.status)),
            ),
        ];
        let failed = self.status >= 500;
        if failed {
            attributes.push(("error.type", Value::Text(self.status.to_string())));
        }
        out.push(Span {
            trace: self.parent.map_or(own, |p| p.trace).max(1),
            id: random().max(1),
            parent: self.parent.map(|p| p.parent),
            state: Box::default(),
            name: format!("{} {}", self.method, self.route),
            kind: Kind::Server,
            began_ns: self.began_ns,
            took: self.took,
            attributes,
            failed,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(status: u16, parent: Option<TraceParent>) -> Box<ApiSpan> {
        Box::new(ApiSpan {
            method: "GET".into(),
            route: "/v1/status".into(),
            status,
            began_ns: 1,
            took: Duration::ZERO,
            parent,
        })
    }

    fn sevens() -> impl FnMut() -> u64 {
        || 7
    }

    #[test]
    fn spans_are_kept_only_where_they_are_wanted_and_never_too_many() {
        let spans = Spans::default();
        spans.keep(span(200, None));
        assert!(spans.take(9, &mut sevens()).is_empty());
        spans.want();
        for _ in 0..WAITING + 3 {
            spans.keep(span(200, None));
        }
        assert_eq!(spans.take(9, &mut sevens()).len(), 9, "no more at once");
        let rest = spans.take(usize::MAX, &mut sevens()).len();
        assert_eq!((spans.dropped(), rest), (3, WAITING - 9));
        spans.keep(span(200, None));
        assert_eq!(spans.take(9, &mut sevens()).len(), 1);
    }

    #[test]
    fn a_request_stays_in_the_trace_of_who_asked() {
        let parent = TraceParent {
            trace: 0xab,
            parent: 0xcd,
            sampled: true,
        };
        let mut told = Vec::new();
        span(200, Some(parent)).tell(&mut sevens(), &mut told);
        span(503, None).tell(&mut sevens(), &mut told);
        assert_eq!((told[0].trace, told[0].parent), (0xab, Some(0xcd)));
        assert_eq!(told[0].name, "GET /v1/status");
        assert!(!told[0].failed && told[1].failed);
        assert_eq!((told[1].trace, told[1].parent), (7 << 64 | 7, None));
        let error = ("error.type", Value::from("503"));
        assert!(told[1].attributes.contains(&error));
    }
}
