//! Facts for property tests.

use std::sync::Arc;

use proptest::prelude::*;

use super::fact::{CAUSES, Fact, GUARDS, OPINIONS, Order, STATES, SiteTime, Verdict, Vote};

/// An endpoint that passes its checks is judged so, and nothing else is known of it.
pub(crate) fn judged(endpoint: &str, state: &'static str, since_ms: u64) -> Fact {
    Fact::Verdict {
        endpoint: endpoint.into(),
        verdict: Some(Arc::new(Verdict {
            state,
            cause: "passing",
            failure: None,
            since_ms,
            steady_ns: None,
            failures: 0,
            passes: 0,
            last_probe_ms: None,
            last_error: None,
            stale: false,
            held: None,
            held_until_ms: None,
            share: 100,
            votes: None,
        })),
    }
}

fn name() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec!["a", "b", "c-1", "with space", "-", "t\tn\n\\"]).prop_map(Arc::from)
}

fn verdict() -> impl Strategy<Value = Verdict> {
    (
        (
            prop::sample::select(STATES.to_vec()),
            prop::sample::select(CAUSES.to_vec()),
            prop::option::of(name()),
            any::<u64>(),
            prop::option::of(any::<u64>()),
        ),
        (
            any::<u32>(),
            any::<u32>(),
            prop::option::of(any::<u64>()),
            prop::option::of(name()),
            any::<bool>(),
        ),
        (
            prop::option::of(prop::sample::select(GUARDS.to_vec())),
            prop::option::of(any::<u64>()),
            0u8..=100,
            prop::option::of(prop::collection::vec(
                (name(), prop::sample::select(OPINIONS.to_vec()), any::<u8>()),
                0..4,
            )),
        ),
    )
        .prop_map(|(a, b, c)| Verdict {
            state: a.0,
            cause: a.1,
            failure: a.2,
            since_ms: a.3,
            steady_ns: a.4,
            failures: b.0,
            passes: b.1,
            last_probe_ms: b.2,
            last_error: b.3,
            stale: b.4,
            held: c.0,
            held_until_ms: c.1,
            share: c.2,
            votes: c.3.map(|votes| {
                let vote = |(vantage, opinion, failures)| Vote {
                    vantage,
                    opinion,
                    failures,
                };
                votes.into_iter().map(vote).collect()
            }),
        })
}

fn order() -> impl Strategy<Value = Order> {
    let kind = prop::sample::select(vec!["drain", "weight 5"]);
    let drill = prop::option::of(name());
    (
        kind,
        name(),
        name(),
        prop::option::of(any::<u64>()),
        name(),
        drill,
    )
        .prop_map(|(kind, owner, reason, expires_ms, stamp, drill)| Order {
            kind: kind.into(),
            owner,
            reason,
            expires_ms,
            stamp,
            drill,
        })
}

/// Any fact about one of a few things.
pub(super) fn fact() -> impl Strategy<Value = Fact> {
    let time = (name(), prop::option::of(any::<u64>()), any::<bool>());
    prop_oneof![
        4 => (name(), prop::option::of(verdict())).prop_map(|(endpoint, v)| Fact::Verdict {
            endpoint,
            verdict: v.map(Arc::new),
        }),
        2 => (name(), prop::collection::vec(time, 0..3)).prop_map(|(endpoint, times)| {
            let time = |(site, rtt_ns, moving)| SiteTime { site, rtt_ns, moving };
            Fact::Times { endpoint, times: times.into_iter().map(time).collect() }
        }),
        1 => (name(), prop::option::of((name(), prop::option::of(name())))).prop_map(
            |(node, now)| {
                let (worth, voice) = now.map_or((None, None), |(w, v)| (Some(w), v));
                Fact::Vantage { node, worth, voice }
            }
        ),
        1 => (name(), prop::option::of(order())).prop_map(|(subject, o)| Fact::Order {
            subject,
            order: o.map(Arc::new),
        }),
        1 => name().prop_map(|digest| Fact::Config { digest }),
    ]
}

proptest! {
    #[test]
    fn lines_are_read_as_they_were_written(facts in prop::collection::vec(fact(), 0..8), at in any::<u64>()) {
        use super::batch::Batch;
        let batch = Batch { at_ms: at, generation: 7, facts };
        let text = batch.text();
        prop_assert_eq!(Batch::read_time(&text), Some(at));
        prop_assert_eq!(Batch::read(&text), Some(batch));
    }

    #[test]
    fn no_bytes_make_reading_fail_otherwise_than_by_saying_so(text in ".{0,200}") {
        use super::batch::Batch;
        if let Some(batch) = Batch::read(&text) {
            prop_assert_eq!(Batch::read(&batch.text()), Some(batch));
        }
    }
}
