//! Backends of an upstream on virtual time, and the queue over several threads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use proptest::prelude::*;

use super::queue::Wanted;
use super::upstream::Busy;
use super::*;
use crate::health::backend::{
    CircuitRules, Fault, InitialState, OutlierRules, PassiveRules, Standing,
};
use crate::health::{Failure, Monitor, MonitorKind, Outcome, TcpCheck};
use crate::traffic::retry::{BodySent, Failed, NoRetry, Try};
use crate::traffic::{Plan, QueueRules, Resilience, Upstream, Word};

const T0: Moment = Moment(1_000_000_000_000);
const S: Duration = Duration::from_secs(1);

fn monitor() -> Arc<Monitor> {
    Arc::new(Monitor {
        name: "m".into(),
        kind: MonitorKind::Tcp(TcpCheck::default()),
        interval: S,
        timeout: S / 2,
        rise: 2,
        fall: 2,
        jitter_percent: 0,
        port: None,
        source: Vec::new(),
        family: None,
        retries: 0,
    })
}

fn pass() -> Outcome {
    Outcome::Pass {
        rtt: Duration::from_millis(1),
    }
}

fn fail() -> Outcome {
    Outcome::Fail(Failure::Connect("refused".to_owned()))
}

/// Upstream `api` with backends `b0`, `b1` and so on.
fn upstream(count: u8, resilience: Resilience) -> Upstream {
    let backend = |n: u8| Backend::new(&format!("b{n}"), SocketAddr::from(([10, 0, 0, n + 1], 80)));
    Upstream {
        name: "api".into(),
        backends: (0..count).map(backend).collect(),
        resilience,
        ..Upstream::default()
    }
}

fn adopt(registry: &mut Registry, upstream: &Upstream, now: Moment) -> Members {
    let plan = Plan {
        upstreams: vec![upstream.clone()],
        ..Plan::default()
    };
    registry.adopt(&plan, now, 1).remove(0)
}

fn members(count: u8, resilience: Resilience) -> Members {
    adopt(&mut Registry::default(), &upstream(count, resilience), T0)
}

fn eligible(m: &Members, now: Moment) -> Vec<&str> {
    let backends = m.backends.iter().filter(|b| b.eligible(now));
    backends.map(|b| &*b.name).collect()
}

/// Three failures within 10 s eject for 10 s, at most half of them.
fn passive() -> Resilience {
    Resilience {
        passive: Some(PassiveRules {
            max_fails: 3,
            ..PassiveRules::default()
        }),
        ..Resilience::default()
    }
}

fn fail_often(m: &Members, at: usize, times: u32, now: Moment) {
    for _ in 0..times {
        m.backends[at].failed(Fault::Connect, now);
    }
}

#[test]
fn p4_failures_eject_within_max_fails_and_the_ejection_ends_by_itself() {
    let m = members(3, passive());
    fail_often(&m, 0, 2, T0);
    assert_eq!(eligible(&m, T0).len(), 3);
    fail_often(&m, 0, 1, T0);
    assert_eq!(eligible(&m, T0), ["b1", "b2"]);
    let report = m.state.report(T0);
    let condition = &report.backends[0].condition;
    assert_eq!(condition.standing, Standing::Ejected);
    assert_eq!(condition.until, Some(T0 + S * 10));
    assert!(!report.backends[0].used);
    assert_eq!(eligible(&m, T0 + S * 9), ["b1", "b2"]);
    // Nobody need tell it: whoever chooses finds it back.
    assert_eq!(eligible(&m, T0 + S * 10).len(), 3);
    // On probation one failure is enough.
    fail_often(&m, 0, 1, T0 + S * 10);
    assert_eq!(eligible(&m, T0 + S * 10), ["b1", "b2"]);
    let until = m.state.report(T0).backends[0].condition.until;
    assert_eq!(until, Some(T0 + S * 30));
    // The first success on probation ends it.
    assert_eq!(eligible(&m, T0 + S * 30).len(), 3);
    m.backends[0].answered(200, Duration::ZERO, T0 + S * 30);
    fail_often(&m, 0, 2, T0 + S * 30);
    assert_eq!(eligible(&m, T0 + S * 30).len(), 3);
}

#[test]
fn p4_never_more_than_max_ejected_are_ejected() {
    let m = members(5, passive());
    for at in 0..5 {
        fail_often(&m, at, 10, T0);
    }
    assert_eq!(eligible(&m, T0), ["b2", "b3", "b4"], "two of five are 40 %");
    // When one comes back, the next failure of another has room.
    let later = T0 + S * 10;
    assert_eq!(eligible(&m, later).len(), 5);
    fail_often(&m, 4, 3, later);
    assert_eq!(eligible(&m, later), ["b0", "b1", "b2", "b3"]);
    let alone = members(1, passive());
    fail_often(&alone, 0, 100, T0);
    assert_eq!(eligible(&alone, T0), ["b0"]);
}

proptest! {
    /// Whoever fails and answers when: the share of those that are ejected stays within the bound.
    #[test]
    fn p4_the_share_of_the_ejected_stays_within_the_bound(
        count in 1..9_u8, percent in 0..=100_u32,
        steps in proptest::collection::vec((0..9_usize, any::<bool>(), 0..3_000_u64), 1..200),
    ) {
        let m = members(count, Resilience { max_ejected: percent, ..passive() });
        let mut now = T0;
        for (at, ok, ms) in steps {
            now = now + Duration::from_millis(ms);
            let at = at % usize::from(count);
            prop_assert!(!eligible(&m, now).is_empty() || percent == 100);
            if ok { m.backends[at].answered(200, Duration::ZERO, now) } else { fail_often(&m, at, 1, now) }
            let out = m.state.report(now).backends.iter().filter(|b| !b.used).count();
            prop_assert!(out * 100 <= percent as usize * usize::from(count));
        }
    }
}

#[test]
fn p4_statuses_count_only_where_they_must() {
    let m = members(4, passive());
    for _ in 0..100 {
        m.backends[0].answered(503, Duration::ZERO, T0);
    }
    assert_eq!(eligible(&m, T0).len(), 4);
    let mut rules = passive();
    if let Some(p) = &mut rules.passive {
        p.counts = p.counts.with(Fault::Gateway);
    }
    let m = members(4, rules);
    for _ in 0..3 {
        m.backends[0].answered(500, Duration::ZERO, T0);
        m.backends[1].answered(503, Duration::ZERO, T0);
    }
    assert_eq!(eligible(&m, T0), ["b0", "b2", "b3"]);
}

#[test]
fn p4_probes_decide_who_is_used_and_unknown_ones_serve_only_while_nobody_is_known_to_be_up() {
    let rules = Resilience {
        monitor: Some(monitor()),
        ..Resilience::default()
    };
    let m = members(3, rules);
    let see = |name: &str, what: Outcome| m.state.observe(name, &what, &monitor(), T0);
    assert_eq!(
        eligible(&m, T0).len(),
        3,
        "no probe has ended: a start answers"
    );
    assert_eq!(m.state.mode(), Mode::Unproven);
    see("b0", pass());
    assert_eq!(eligible(&m, T0), ["b0"]);
    see("b1", fail());
    see("b1", fail());
    see("b2", pass());
    assert_eq!(eligible(&m, T0), ["b0", "b2"]);
    for name in ["b0", "b2"] {
        see(name, fail());
        see(name, fail());
    }
    assert_eq!(eligible(&m, T0), [""; 0], "all are down");
    assert_eq!(m.state.mode(), Mode::Nothing);
    let none = m.state.no_backend(T0);
    assert_eq!(none.why, Busy::NoBackend);
    assert_eq!(none.retry_after, S, "the next probe may pass");
    see("b1", pass());
    see("b1", pass());
    assert_eq!(eligible(&m, T0), ["b1"]);
}

#[test]
fn p4_below_the_panic_threshold_all_are_used_but_what_an_operator_took_out() {
    let rules = Resilience {
        monitor: Some(monitor()),
        panic_percent: 50,
        ..Resilience::default()
    };
    let mut up = upstream(4, rules);
    let mut registry = Registry::default();
    let m = adopt(&mut registry, &up, T0);
    for b in ["b0", "b1", "b2", "b3"] {
        m.state.observe(b, &pass(), &monitor(), T0);
    }
    for b in ["b0", "b1", "b2"] {
        m.state.observe(b, &fail(), &monitor(), T0);
        m.state.observe(b, &fail(), &monitor(), T0);
    }
    assert_eq!(m.state.mode(), Mode::Panic);
    assert_eq!(eligible(&m, T0).len(), 4);
    up.backends[0].word = Word::Disable;
    let m = adopt(&mut registry, &up, T0);
    assert_eq!(eligible(&m, T0), ["b1", "b2", "b3"]);
}

#[test]
fn p4_state_survives_reloads_and_a_new_backend_starts_unknown() {
    let rules = Resilience {
        monitor: Some(monitor()),
        ..passive()
    };
    let mut registry = Registry::default();
    let mut up = upstream(3, rules);
    let m = adopt(&mut registry, &up, T0);
    m.state.observe("b0", &pass(), &monitor(), T0);
    m.state.observe("b1", &pass(), &monitor(), T0);
    m.state.observe("b2", &fail(), &monitor(), T0);
    m.state.observe("b2", &fail(), &monitor(), T0);
    fail_often(&m, 1, 3, T0);
    let first = m.backends[0].clone();
    let taken = Permit::take(&first).unwrap();
    // A reload knows nothing newer.
    up.backends
        .push(Backend::new("b3", SocketAddr::from(([10, 0, 0, 4], 80))));
    up.backends[0].weight = 7;
    let again = adopt(&mut registry, &up, T0 + S);
    assert!(Arc::ptr_eq(&again.backends[0], &first));
    assert_eq!(again.backends[0].in_flight(), 1);
    assert_eq!(again.backends[0].weight(T0 + S), 7 * UNIT);
    assert_eq!(
        eligible(&again, T0 + S),
        ["b0"],
        "the new one waits for its probe"
    );
    assert_eq!(
        again.state.report(T0).backends[3].condition.standing,
        Standing::Unknown
    );
    // Another address is another server.
    up.backends[2].address = SocketAddr::from(([10, 0, 0, 99], 80));
    let other = adopt(&mut registry, &up, T0 + S);
    assert!(!Arc::ptr_eq(&other.backends[2], &again.backends[2]));
    assert_eq!(
        other.state.report(T0).backends[2].condition.standing,
        Standing::Unknown
    );
    // What is gone takes no more, and its places are given back all the same.
    up.backends.remove(0);
    let less = adopt(&mut registry, &up, T0 + S);
    assert!(!first.eligible(T0 + S));
    assert!(less.id_of(&first).is_none());
    drop(taken);
    assert_eq!(first.in_flight(), 0);
}

#[test]
fn p4_a_backend_without_a_probe_yet_is_what_the_configuration_says() {
    for (initial, used) in [
        (InitialState::Unknown, 3),
        (InitialState::Up, 3),
        (InitialState::Down, 0),
    ] {
        let rules = Resilience {
            monitor: Some(monitor()),
            initial,
            ..Resilience::default()
        };
        assert_eq!(eligible(&members(3, rules), T0).len(), used, "{initial:?}");
    }
}

#[test]
fn p4_a_latency_outlier_is_ejected_within_the_bound() {
    let outlier = OutlierRules {
        percent: 300,
        interval: S,
        min_requests: 10,
    };
    let rules = Resilience {
        passive: Some(PassiveRules {
            outlier: Some(outlier),
            ..PassiveRules::default()
        }),
        max_ejected: 34,
        ..Resilience::default()
    };
    let m = members(3, rules);
    m.state.settle(T0);
    for _ in 0..20 {
        m.backends[0].answered(200, Duration::from_millis(5), T0);
        m.backends[1].answered(200, Duration::from_millis(400), T0);
        m.backends[2].answered(200, Duration::from_millis(300), T0);
    }
    assert_eq!(eligible(&m, T0 + S / 2).len(), 3, "looked at once a second");
    assert_eq!(
        eligible(&m, T0 + S),
        ["b0", "b2"],
        "the slowest first, and one of three at most"
    );
    let cause = m.state.report(T0).backends[1].condition.cause.to_string();
    assert_eq!(cause, "took 400ms on average where its peers took 5ms");
    assert_eq!(eligible(&m, T0 + S * 11).len(), 3);
}

#[test]
fn p6_a_drained_backend_gets_no_new_clients_and_is_cut_when_its_time_is_over() {
    let mut registry = Registry::default();
    let mut up = upstream(2, Resilience::default());
    let m = adopt(&mut registry, &up, T0);
    let b = m.backends[0].clone();
    up.backends[0].word = Word::Drain;
    adopt(&mut registry, &up, T0);
    assert!(!b.eligible(T0) && b.serves_bound(T0));
    // A reload meanwhile does not begin the drain anew.
    adopt(&mut registry, &up, T0 + S * 20);
    assert!(!b.is_cut());
    m.state.settle_if_due(T0 + S * 29);
    assert!(!b.is_cut());
    m.state.settle_if_due(T0 + S * 30);
    assert!(b.is_cut() && !b.serves_bound(T0 + S * 30));
    up.backends[0].word = Word::Serve;
    adopt(&mut registry, &up, T0 + S * 40);
    assert!(b.eligible(T0 + S * 40) && !b.is_cut());
    // Disabled, it is cut at once.
    up.backends[0].word = Word::Disable;
    let m = adopt(&mut registry, &up, T0 + S * 50);
    m.state.settle_if_due(T0 + S * 50);
    assert!(b.is_cut() && !b.serves_bound(T0 + S * 50));
}

#[test]
fn p6_clients_bound_to_a_drained_backend_follow_drain_sticky() {
    for (sticky, stays) in [(DrainSticky::Keep, true), (DrainSticky::Move, false)] {
        let rules = Resilience {
            drain_sticky: sticky,
            ..Resilience::default()
        };
        let mut up = upstream(2, rules);
        up.backends[0].word = Word::Drain;
        let m = adopt(&mut Registry::default(), &up, T0);
        assert_eq!(m.backends[0].serves_bound(T0), stays, "{sticky:?}");
        assert!(m.backends[1].serves_bound(T0));
    }
}

#[test]
fn slow_start_begins_at_the_first_passing_check() {
    let rules = Resilience {
        monitor: Some(monitor()),
        slow_start: Some(SlowStart {
            ramp: S * 10,
            floor_percent: 10,
        }),
        ..Resilience::default()
    };
    let m = members(2, rules);
    let b = &m.backends[0];
    assert_eq!(b.weight(T0), UNIT);
    let later = T0 + S * 100;
    m.state.observe("b0", &pass(), &monitor(), later);
    assert_eq!(b.share(later), 100);
    assert_eq!(b.weight(later), UNIT / 10);
    assert_eq!(b.share(later + S * 5), 550);
    assert_eq!(b.weight(later + S * 10), UNIT);
    // Down and back: again.
    m.state.observe("b0", &fail(), &monitor(), later);
    m.state.observe("b0", &fail(), &monitor(), later);
    m.state.observe("b0", &pass(), &monitor(), later + S * 20);
    m.state.observe("b0", &pass(), &monitor(), later + S * 21);
    assert_eq!(b.share(later + S * 21), 100);
}

#[test]
fn a_circuit_opens_for_the_whole_upstream_and_a_bound_counts_what_is_under_way() {
    let rules = Resilience {
        circuit: Some(CircuitRules {
            min_requests: 4,
            trials: 1,
            ..CircuitRules::default()
        }),
        max_requests: Some(2),
        ..Resilience::default()
    };
    let m = members(2, rules);
    let one = m.state.admit(T0).unwrap();
    let _two = m.state.admit(T0).unwrap();
    assert_eq!(m.state.admit(T0).unwrap_err().why, Busy::TooMany);
    one.ended(None, Some(Fault::Connect), T0);
    drop(one);
    for _ in 0..3 {
        let admitted = m.state.admit(T0).unwrap();
        admitted.ended(Some(503), None, T0);
    }
    let refused = m.state.admit(T0).unwrap_err();
    assert_eq!(
        (refused.why, refused.retry_after),
        (Busy::CircuitOpen, S * 5)
    );
    let trial = m.state.admit(T0 + S * 5).unwrap();
    assert!(m.state.admit(T0 + S * 5).is_err());
    trial.ended(Some(200), None, T0 + S * 5);
    drop(trial);
    drop(m.state.admit(T0 + S * 5).unwrap());
    let free = members(1, Resilience::default());
    assert!(
        !free.state.admit(T0).unwrap().is_guarded(),
        "what is not configured costs nothing"
    );
}

#[test]
fn p1_the_budget_bounds_retries_of_the_whole_upstream() {
    let mut rules = Resilience::default();
    rules.budget.percent = 10;
    rules.budget.per_second = 0;
    let m = members(2, rules);
    for _ in 0..100 {
        m.backends[0].begin(false);
    }
    let t = Try {
        method: &crate::message::Method::Get,
        tries: 1,
        sent: false,
        body: BodySent::Untouched,
        failed: Failed::Connect,
    };
    let had = (0..50).filter(|_| m.state.may_retry(&t, None, T0).is_ok());
    assert_eq!(had.count(), 10);
    assert_eq!(m.state.may_retry(&t, None, T0), Err(NoRetry::Budget));
    assert_eq!(m.state.report(T0).retries_refused, 41);
}

fn limited(size: u32, timeout: Duration) -> Resilience {
    Resilience {
        max_connections: Some(1),
        queue: QueueRules { size, timeout },
        ..Resilience::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_backend_lets_wait_in_order_and_no_longer_than_configured() {
    let m = members(1, limited(2, S));
    let first = Permit::take(&m.backends[0]).unwrap();
    assert!(Permit::take(&m.backends[0]).is_none());
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let waiting = |n: u32| {
        let (m, order) = (m.clone(), order.clone());
        tokio::spawn(async move {
            let permit = m.state.wait(Wanted::Any, &m.backends).await?;
            order.lock().unwrap().push(n);
            tokio::time::sleep(S / 10).await;
            drop(permit);
            Ok::<_, Unavailable>(())
        })
    };
    let (one, two) = (waiting(1), waiting(2));
    tokio::task::yield_now().await;
    assert_eq!(m.state.report(T0).waiting, 2);
    let full = m.state.wait(Wanted::Any, &m.backends).await.unwrap_err();
    assert_eq!((full.why, full.retry_after), (Busy::QueueFull, S));
    drop(first);
    // Who comes now does not overtake those who wait.
    assert!(Permit::take(&m.backends[0]).is_none());
    one.await.unwrap().unwrap();
    two.await.unwrap().unwrap();
    assert_eq!(*order.lock().unwrap(), [1, 2]);
    assert_eq!(m.backends[0].in_flight(), 0);
    let _held = Permit::take(&m.backends[0]).unwrap();
    let late = m.state.wait(Wanted::Any, &m.backends).await.unwrap_err();
    assert_eq!(late.why, Busy::QueueTimeout);
    assert_eq!(m.state.report(T0).queue, (3, 1, 1));
    assert_eq!(m.state.report(T0).waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_hands_the_place_on() {
    let m = members(1, limited(10, S * 100));
    let held = Permit::take(&m.backends[0]).unwrap();
    let wait = |m: Members| {
        tokio::spawn(async move { m.state.wait(Wanted::Any, &m.backends).await.map(drop) })
    };
    let (gone, stays) = (wait(m.clone()), wait(m.clone()));
    tokio::task::yield_now().await;
    // Told of his place and gone in the same moment.
    drop(held);
    gone.abort();
    assert_eq!(stays.await.unwrap(), Ok(()));
    assert_eq!(m.backends[0].in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_backend_gets_no_other_and_a_drained_one_goes_to_its_own_only() {
    let mut registry = Registry::default();
    let mut up = upstream(2, limited(10, S));
    let m = adopt(&mut registry, &up, T0);
    let held: Vec<_> = m
        .backends
        .iter()
        .map(|b| Permit::take(b).unwrap())
        .collect();
    up.backends[1].word = Word::Drain;
    let m = adopt(&mut registry, &up, T0);
    let any = {
        let m = m.clone();
        tokio::spawn(async move { m.state.wait(Wanted::Any, &m.backends).await })
    };
    tokio::task::yield_now().await;
    let bound = {
        let m = m.clone();
        let wanted = Wanted::One(m.backends[1].clone());
        tokio::spawn(async move { m.state.wait(wanted, &m.backends).await })
    };
    tokio::task::yield_now().await;
    let mut held = held.into_iter();
    let (first, second) = (held.next(), held.next());
    drop(second);
    let permit = bound.await.unwrap().unwrap();
    assert_eq!(&*permit.backend().name, "b1");
    assert!(!any.is_finished());
    drop(first);
    assert_eq!(&*any.await.unwrap().unwrap().backend().name, "b0");
}

/// What is waited for cannot come any more: whoever waits is told at once, and not when his time is over.
#[tokio::test(start_paused = true)]
async fn p2_who_waits_at_what_a_reload_takes_away_is_told_at_once() {
    let long = S * 1_000;
    type Change = fn(&mut Upstream);
    let cases: [(&str, Change); 4] = [
        ("renamed", |up| up.name = "other".into()),
        ("removed", |up| drop(up.backends.remove(0))),
        ("disabled", |up| up.backends[0].word = Word::Disable),
        ("moved", |up| {
            up.backends[0].address = SocketAddr::from(([127, 0, 0, 9], 9));
        }),
    ];
    for (what, change) in cases {
        let mut registry = Registry::default();
        let mut up = upstream(2, limited(10, long));
        let m = adopt(&mut registry, &up, T0);
        let _held: Vec<_> = m.backends.iter().map(Permit::take).collect();
        let began = tokio::time::Instant::now();
        let wait = |wanted: Wanted| {
            let m = m.clone();
            tokio::spawn(async move { m.state.wait(wanted, &m.backends).await.map(drop) })
        };
        let one = wait(Wanted::One(m.backends[0].clone()));
        let other = wait(Wanted::One(m.backends[1].clone()));
        tokio::task::yield_now().await;
        assert_eq!(m.state.report(T0).waiting, 2);
        change(&mut up);
        adopt(&mut registry, &up, T0);
        assert_eq!(
            one.await.unwrap().unwrap_err().why,
            Busy::NoBackend,
            "{what}"
        );
        assert_eq!(began.elapsed(), Duration::ZERO, "{what}");
        // Who comes too late to be told does not wait either.
        let late = m
            .state
            .wait(Wanted::One(m.backends[0].clone()), &m.backends);
        assert_eq!(late.await.unwrap_err().why, Busy::NoBackend, "{what}");
        if what == "renamed" {
            assert_eq!(other.await.unwrap().unwrap_err().why, Busy::NoBackend);
            let any = m.state.wait(Wanted::Any, &m.backends);
            assert_eq!(any.await.unwrap_err().why, Busy::NoBackend);
            assert_eq!(began.elapsed(), Duration::ZERO);
        } else {
            assert!(!other.is_finished(), "{what}: the other backend stays");
            assert_eq!(m.state.report(T0).waiting, 1, "{what}");
        }
    }
}

/// The time to drain is over while somebody who is bound to the backend waits for it.
#[tokio::test(start_paused = true)]
async fn p6_who_waits_for_a_drained_backend_is_told_when_its_time_is_over() {
    let mut registry = Registry::default();
    let mut up = upstream(2, limited(10, S * 1_000));
    let m = adopt(&mut registry, &up, T0);
    let _held = Permit::take(&m.backends[0]);
    up.backends[0].word = Word::Drain;
    adopt(&mut registry, &up, T0);
    let waiting = {
        let m = m.clone();
        let wanted = Wanted::One(m.backends[0].clone());
        tokio::spawn(async move { m.state.wait(wanted, &m.backends).await.map(drop) })
    };
    tokio::task::yield_now().await;
    m.state.settle_if_due(T0 + S * 29);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    m.state.settle_if_due(T0 + S * 30);
    assert_eq!(waiting.await.unwrap().unwrap_err().why, Busy::NoBackend);
}

/// Workers are threads with a runtime each; a place given back on one wakes who waits on another.
#[test]
fn a_place_given_back_on_one_thread_wakes_who_waits_on_another() {
    let mut rules = limited(10_000, S * 60);
    rules.max_connections = Some(2);
    let m = members(2, rules);
    let most = AtomicUsize::new(0);
    let busy = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                let local = tokio::task::LocalSet::new();
                local.block_on(&runtime, async {
                    let one = || async {
                        for n in 0..100_usize {
                            let b = &m.backends[n % 2];
                            let permit = match Permit::take(b) {
                                Some(permit) => permit,
                                None => m.state.wait(Wanted::Any, &m.backends).await.unwrap(),
                            };
                            most.fetch_max(busy.fetch_add(1, SeqCst) + 1, SeqCst);
                            assert!(permit.backend().in_flight() <= 2);
                            tokio::task::yield_now().await;
                            busy.fetch_sub(1, SeqCst);
                            drop(permit);
                        }
                    };
                    tokio::join!(one(), one(), one(), one(), one());
                });
            });
        }
    });
    assert!(most.load(SeqCst) <= 4, "{most:?} of 4 places");
    assert_eq!(m.backends[0].in_flight() + m.backends[1].in_flight(), 0);
    assert_eq!(m.state.report(T0).waiting, 0);
}

#[test]
fn p2_a_backend_that_is_spoken_to_otherwise_gets_new_connections() {
    let mut registry = Registry::default();
    let resilience = Resilience {
        monitor: Some(monitor()),
        ..Resilience::default()
    };
    let mut plan = upstream(1, resilience);
    let id = |members: &Members| members.backends[0].id;
    let mut last = adopt(&mut registry, &plan, T0);
    for pass in [pass(), pass()] {
        last.state.observe("b0", &pass, &monitor(), T0);
    }
    let changes: [fn(&mut Upstream); 5] = [
        |u| u.http2 = true,
        |u| u.tls = Some(Box::new(tls(true))),
        |u| u.tls = Some(Box::new(tls(false))),
        |u| u.tls = None,
        |u| u.proxy_protocol = Some(crate::traffic::proxy_protocol::ProxyVersion::V1),
    ];
    for change in changes {
        change(&mut plan);
        let now = adopt(&mut registry, &plan, T0);
        assert_ne!(id(&now), id(&last));
        assert!(!last.backends[0].is_usable());
        // What probes know of the server still holds.
        assert!(now.backends[0].is_usable());
        assert_eq!(
            now.state.report(T0).backends[0].condition.standing,
            Standing::Up
        );
        let again = adopt(&mut registry, &plan, T0);
        assert_eq!(id(&again), id(&now), "nothing has changed");
        last = again;
    }
}

fn tls(verify: bool) -> crate::traffic::tls::UpstreamTls {
    crate::traffic::tls::UpstreamTls {
        verify,
        authorities: None,
        server_name: None,
        certificate: None,
        policy: crate::traffic::tls::TlsPolicy {
            min: crate::traffic::tls::TlsVersion::V12,
            max: crate::traffic::tls::TlsVersion::V13,
            ciphers: Vec::new(),
        },
        resumption: true,
    }
}
