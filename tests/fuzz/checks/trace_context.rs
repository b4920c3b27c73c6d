//! The trace context that anybody may send: `traceparent` on the first line, a `tracestate` on each of
//! those behind it.

use tradewind::message::{Fields, Known};
use tradewind::telemetry::TraceParent;
use tradewind::telemetry::trace_context::is_trace_state;
use tradewind::traffic::forwarded::{Had, TraceContext};

/// What is read can be written and read again; what is handed on is good, whatever came.
pub fn check(data: &[u8]) {
    let mut lines = data.split(|b| *b == b'\n');
    let parent = lines.next().unwrap_or_default();
    let states: Vec<&[u8]> = lines.collect();
    let read = TraceParent::parse(parent);
    if let Some(it) = read {
        assert_eq!(TraceParent::parse(&it.text()), Some(it));
        assert!(it.trace != 0 && it.parent != 0);
        assert!(parent.len() >= 55 && parent[..55].is_ascii());
    }
    let good = is_trace_state(states.iter().copied());
    if good {
        // One list is as good as the fields that it came in.
        assert!(is_trace_state([&states.join(&b',')[..]]));
    }
    for mode in [TraceContext::Check, TraceContext::Start(1 << 32)] {
        let mut fields = Fields::new();
        fields.push_known(Known::Traceparent, parent);
        for state in &states {
            fields.push_known(Known::Tracestate, state);
        }
        let had = mode.apply(&mut fields, (1, 2));
        let kept = fields.get(Known::Traceparent);
        match (had, read) {
            (Had::Context(it), Some(came)) => assert!(it == came && kept == Some(parent)),
            (Had::Begun(it), None) => assert_eq!(kept, Some(&it.text()[..])),
            (Had::Nothing, None) => assert_eq!(kept, None),
            other => panic!("{other:?}"),
        }
        let state = fields.has(Known::Tracestate);
        assert_eq!(state, read.is_some() && good && !states.is_empty());
    }
}
