//! W3C Trace Context, level 1: the fields `traceparent` and `tracestate`.

use crate::message::{Fields, Known};

use super::request_id::hex;

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

/// The content of a `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceParent {
    /// The trace.
    pub trace: u128,
    /// The caller within it.
    pub parent: u64,
    /// Whether the caller records it.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads a `traceparent` (section 3.2.2): lower-case hexadecimal, no id of zeros. A higher version
    /// than 00 may say more after what is read here.
    pub fn parse(text: &[u8]) -> Option<TraceParent> {
        let head = text.get(..55)?;
        if [head[2], head[35], head[52]] != [b'-'; 3] {
            return None;
        }
        let version = number(&head[..2])?;
        let whole = match version {
            0xff => false,
            0 => text.len() == 55,
            _ => text.len() == 55 || text[55] == b'-',
        };
        let trace = number(&head[3..35])?;
        let parent = number(&head[36..52])? as u64;
        let flags = number(&head[53..])?;
        (whole && trace != 0 && parent != 0).then_some(TraceParent {
            trace,
            parent,
            sampled: flags & 1 != 0,
        })
    }

    /// As a field's value.
    pub fn text(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&hex(self.trace));
        text[36..52].copy_from_slice(&hex(u128::from(self.parent))[16..]);
        text[54] = b'0' + u8::from(self.sampled);
        text
    }
}

fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |n, d| {
        let value = match d {
            b'0'..=b'9' => d - b'0',
            b'a'..=b'f' => d - b'a' + 10,
            _ => return None,
        };
        Some(n << 4 | u128::from(value))
    })
}

impl TraceContext {
    /// Whether [`TraceContext::apply`] uses its random words.
    pub fn starts(self) -> bool {
        matches!(self, TraceContext::Start(_))
    }

    /// Looks after the trace context of a request: afterwards it has a good one or none.
    pub fn apply(self, fields: &mut Fields, random: (u128, u64)) {
        if self == TraceContext::Pass {
            return;
        }
        let good = {
            let mut all = fields.all(Known::Traceparent);
            let only = all.next().filter(|_| all.next().is_none());
            only.and_then(TraceParent::parse).is_some()
        };
        if good {
            return;
        }
        // Without a parent the state belongs to nothing (section 3.3).
        fields.remove(Known::Traceparent);
        fields.remove(Known::Tracestate);
        if let TraceContext::Start(share) = self {
            let (trace, parent) = random;
            let begun = TraceParent {
                trace: trace.max(1),
                parent: parent.max(1),
                sampled: (trace & 0xffff_ffff) < u128::from(share),
            };
            fields.push_known(Known::Traceparent, &begun.text());
        }
    }
}
