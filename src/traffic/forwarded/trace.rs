//! W3C Trace Context, level 1: the fields `traceparent` and `tracestate`.

use crate::message::{Fields, Known};
use crate::telemetry::TraceParent;
use crate::telemetry::trace_context::is_trace_state;

/// What is done with the trace context of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TraceContext {
    /// It is handed on as it came, whatever it is.
    #[default]
    Pass,
    /// One that is malformed is taken out.
    Check,
    /// As `Check`; a request without one gets a new one, of which this share is marked as sampled:
    /// 0 (none) to 2³² (all).
    Start(u64),
}

/// What a request had when [`TraceContext::apply`] looked at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Had {
    /// Nobody looked, or it had none that is good and got none.
    Nothing,
    /// This, which it keeps.
    Context(TraceParent),
    /// None that is good; it got this.
    Begun(TraceParent),
}

impl TraceContext {
    /// Whether [`TraceContext::apply`] uses its random words.
    pub fn starts(self) -> bool {
        matches!(self, TraceContext::Start(_))
    }

    /// Looks after the trace context of a request: afterwards it has a good one or none.
    pub fn apply(self, fields: &mut Fields, random: (u128, u64)) -> Had {
        if self == TraceContext::Pass {
            return Had::Nothing;
        }
        let came = {
            let mut all = fields.all(Known::Traceparent);
            let only = all.next().filter(|_| all.next().is_none());
            only.and_then(TraceParent::parse)
        };
        // Without a parent the state belongs to nothing; one that cannot be read says nothing about the
        // parent (section 3.3).
        if fields.has(Known::Tracestate)
            && (came.is_none() || !is_trace_state(fields.all(Known::Tracestate)))
        {
            fields.remove(Known::Tracestate);
        }
        if let Some(came) = came {
            return Had::Context(came);
        }
        fields.remove(Known::Traceparent);
        let TraceContext::Start(share) = self else {
            return Had::Nothing;
        };
        let (trace, parent) = random;
        let begun = TraceParent {
            trace: trace.max(1),
            parent: parent.max(1),
            sampled: (trace & 0xffff_ffff) < u128::from(share),
        };
        fields.push_known(Known::Traceparent, &begun.text());
        Had::Begun(begun)
    }
}
