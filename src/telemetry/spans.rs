//! Requests of the admin API as spans of traces (OpenTelemetry), for whoever exports them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Spans that wait at most; further ones are dropped and counted.
const WAITING: usize = 2048;

/// Which trace a request belongs to, as its sender says (W3C Trace Context).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The sender's span.
    pub span: [u8; 8],
    /// Whether the sender records it.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent` field; `None` where it is none of version 00 or of a later one that begins
    /// as that does.
    pub fn read(text: &str) -> Option<TraceParent> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = hex::<1>(version)?;
        let more = parts.next().is_some();
        if version == 0xff || (version == 0 && more) {
            return None;
        }
        let [flags] = hex::<1>(flags)?;
        let parent = TraceParent {
            trace: hex(trace)?,
            span: hex(span)?,
            sampled: flags & 1 == 1,
        };
        (parent.trace != [0; 16] && parent.span != [0; 8]).then_some(parent)
    }
}

/// So many octets in lower-case hex (W3C Trace Context section 3.2.2).
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    let mut octets = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}

/// A request that was answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Method.
    pub method: Box<str>,
    /// The pattern of its path.
    pub route: Box<str>,
    /// Status of the answer.
    pub status: u16,
    /// When it came, in milliseconds since 1970-01-01T00:00:00Z.
    pub began_ms: u64,
    /// How long its answer took.
    pub took: Duration,
    /// The trace that it belongs to; `None`: one of its own.
    pub parent: Option<TraceParent>,
}

/// Spans that wait to be exported. Nobody waits for it.
#[derive(Debug, Default)]
pub struct Spans {
    wanted: AtomicBool,
    waiting: Mutex<VecDeque<Span>>,
    dropped: AtomicU64,
}

impl Spans {
    /// From now on somebody fetches them.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Keeps a span, if anybody wants it and there is room.
    pub fn keep(&self, span: impl FnOnce() -> Span) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() < WAITING {
            waiting.push_back(span());
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those that wait.
    pub fn take(&self) -> Vec<Span> {
        self.waiting().drain(..).collect()
    }

    /// Spans that found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Span>> {
        // Whole spans only.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_parent_is_read_as_it_is_written() {
        let parent = TraceParent::read(GOOD).unwrap();
        assert_eq!((parent.trace[0], parent.span[7]), (0x4b, 0xb7));
        assert!(parent.sampled);
        assert!(
            !TraceParent::read(&GOOD.replace("-01", "-00"))
                .unwrap()
                .sampled
        );
        let later = GOOD.replacen("00", "01", 1) + "-more";
        assert!(TraceParent::read(&later).is_some());
    }

    #[test]
    fn what_is_no_trace_parent_is_none() {
        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            GOOD.replace("-01", ""),
            GOOD.replacen("00", "ff", 1),
            format!("{GOOD}-more"),
            GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("4bf9", "4bé9"),
        ] {
            assert_eq!(TraceParent::read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_are_kept_only_where_they_are_wanted_and_never_too_many() {
        let spans = Spans::default();
        let span = || Span {
            method: "GET".into(),
            route: "/v1/status".into(),
            status: 200,
            began_ms: 1,
            took: Duration::ZERO,
            parent: None,
        };
        spans.keep(span);
        assert!(spans.take().is_empty());
        spans.want();
        for _ in 0..WAITING + 3 {
            spans.keep(span);
        }
        assert_eq!((spans.dropped(), spans.take().len()), (3, WAITING));
        spans.keep(span);
        assert_eq!(spans.take().len(), 1);
    }
}
