//! Which of an upstream's options only one layer has a use for: requests, or connections of whose octets
//! nothing is known. Who uses the upstream is not known here.

use crate::config::Marked;
use crate::config::spec::OneLayer;

use super::reader::Reader;

/// Options that only requests have a use for.
const OF_REQUESTS: &[(&str, &str, &str)] = &[
    ("", "http2", "http2"),
    ("", "first-byte-timeout", "first-byte-timeout"),
    ("", "idle-timeout", "idle-timeout"),
    ("", "total-timeout", "total-timeout"),
    ("", "keep-alive-timeout", "keep-alive-timeout"),
    ("retries", "on-status", "retries.on-status"),
    ("retries", "undone-status", "retries.undone-status"),
    ("retries", "keep-body", "retries.keep-body"),
];

/// Options that only connections have a use for.
const OF_CONNECTIONS: &[(&str, &str, &str)] = &[("passive", "early-close", "passive.early-close")];

/// Options that datagrams have no use for: nothing waits, nothing is tried again, and whether somebody listens
/// is not known before an answer comes.
const OF_STREAMS: &[(&str, &str, &str)] = &[
    ("", "connect-timeout", "connect-timeout"),
    ("", "max-requests", "max-requests"),
    ("", "queue", "queue"),
    ("", "circuit", "circuit"),
    ("retries", "attempts", "retries.attempts"),
    ("retries", "on", "retries.on"),
    ("retries", "budget", "retries.budget"),
    ("retries", "min-per-second", "retries.min-per-second"),
    ("passive", "early-close", "passive.early-close"),
];

/// What the upstream sets of them, with their places.
pub(super) fn one_layer(r: &Reader<'_>) -> OneLayer {
    let set = |options: &[(&str, &str, &'static str)]| -> Vec<Marked<&'static str>> {
        let set = options.iter().filter_map(|(of, key, whole)| {
            let span = match *of {
                "" => r.has(key).then(|| r.span_of(key)),
                of => r.span_within(of, key),
            };
            Some(Marked::new(*whole, span?))
        });
        set.collect()
    };
    OneLayer {
        of_requests: set(OF_REQUESTS),
        of_connections: set(OF_CONNECTIONS),
        of_streams: set(OF_STREAMS),
        hash: r.span_within("hash", "on"),
        session: r.has("session").then(|| r.span_of("session")),
        passive: r.span_within("passive", "on"),
        circuit: r.span_within("circuit", "on"),
    }
}
