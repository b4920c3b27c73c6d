//! Composites: the combination by itself, and as a judge sees it.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::super::monitor::tests::monitor;
use super::*;
use crate::health::{
    Board, Cause, Council, Failure, Judge, Observation, Outcome, ProbeTarget, worst_case_detection,
};
use crate::ids::{EndpointId, MonitorId, TargetId};
use crate::net::Family;
use crate::time::Moment;

const NOW: Moment = Moment(1_000_000_000);
const UNKNOWN: State = State::Unknown {
    counts_as_up: false,
};

fn states() -> impl Strategy<Value = Vec<State>> {
    let state = prop_oneof![
        Just(State::Up),
        Just(State::Down),
        any::<bool>().prop_map(|counts_as_up| State::Unknown { counts_as_up }),
    ];
    proptest::collection::vec(state, 1..7)
}

fn needs() -> impl Strategy<Value = Need> {
    prop_oneof![
        Just(Need::All),
        Just(Need::Any),
        (1..8_u32).prop_map(Need::AtLeast)
    ]
}

proptest! {
    /// Decided if and only if every way in which the unknown parts may turn out decides the same.
    #[test]
    fn decided_when_no_unknown_part_could_change_it(parts in states(), need in needs()) {
        let unknown: Vec<usize> = (0..parts.len())
            .filter(|i| matches!(parts[*i], State::Unknown { .. }))
            .collect();
        let mut outcomes = std::collections::BTreeSet::new();
        for ways in 0..1_u32 << unknown.len() {
            let mut up: Vec<bool> = parts.iter().map(|s| *s == State::Up).collect();
            for (bit, i) in unknown.iter().enumerate() {
                up[*i] = ways & (1 << bit) != 0;
            }
            let count = up.iter().filter(|up| **up).count();
            outcomes.insert(match need {
                Need::All => count == up.len(),
                Need::Any => count > 0,
                Need::AtLeast(n) => count >= n as usize,
            });
        }
        let all_agree = (outcomes.len() == 1).then(|| outcomes.contains(&true));
        prop_assert_eq!(need.combine(parts), all_agree);
    }

    /// A part that gets better never makes the whole worse.
    #[test]
    fn better_parts_never_make_it_worse(parts in states(), need in needs(), at in any::<prop::sample::Index>()) {
        let rank = |decided: Option<bool>| decided.map_or(1, |up| if up { 2 } else { 0 });
        let mut better = parts.clone();
        let part = at.get(&better.clone()).to_owned();
        let i = at.index(parts.len());
        better[i] = if part == State::Down { UNKNOWN } else { State::Up };
        prop_assert!(rank(need.combine(better)) >= rank(need.combine(parts)));
    }
}

fn part(name: &str) -> Monitor {
    Monitor {
        name: name.into(),
        rise: 2,
        fall: 2,
        ..monitor()
    }
}

fn whole(name: &str, need: Need, parts: &[&Monitor]) -> Monitor {
    CompositeCheck {
        need,
        parts: parts.iter().map(|p| Arc::new((*p).clone())).collect(),
    }
    .into_monitor(name.into(), None)
}

/// Targets 0, 1, 2 are the parts `a`, `b`, `c`; 3 is "`c` or two of `a`, `b`" of endpoint 0, and 4 the
/// "two of".
fn judge() -> (Judge, Vec<Monitor>, Vec<ProbeTarget>) {
    let (a, b, c) = (part("a"), part("b"), part("c"));
    let two = whole("two", Need::AtLeast(2), &[&a, &b]);
    let any = whole("any", Need::Any, &[&c, &two]);
    let monitors = vec![a, b, c, any, two];
    let targets: Vec<ProbeTarget> = (0..5)
        .map(|n| ProbeTarget {
            addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 80,
            monitor: MonitorId(n),
            endpoints: if n == 3 {
                vec![EndpointId(0)]
            } else {
                Vec::new()
            },
        })
        .collect();
    (Judge::new(&monitors, &targets, 1, NOW), monitors, targets)
}

fn see(judge: &mut Judge, target: u32, outcome: Outcome) -> bool {
    judge.observe(&Observation {
        target: TargetId(target),
        at: NOW,
        outcome,
    })
}

fn pass(judge: &mut Judge, target: u32) -> bool {
    let rtt = Duration::from_millis(u64::from(target) + 1);
    see(judge, target, Outcome::Pass { rtt })
}

fn fail(judge: &mut Judge, target: u32) -> bool {
    see(
        judge,
        target,
        Outcome::Fail(Failure::Connect("refused".into())),
    )
}

/// What is believed where nobody else probes.
fn board_of(judge: &Judge) -> Board {
    let mut judge = judge.clone();
    Council::new(Default::default(), &mut judge, NOW).board(&judge)
}

fn state(judge: &Judge) -> State {
    board_of(judge).verdict(EndpointId(0)).state
}

#[test]
fn a_composite_follows_its_parts_at_once() {
    let (mut judge, ..) = judge();
    assert_eq!(state(&judge), UNKNOWN);
    assert!(pass(&mut judge, 2));
    assert_eq!(state(&judge), State::Up, "one is enough");
    pass(&mut judge, 0);
    pass(&mut judge, 1);
    // `fall` of the part counts, and nothing on top of it.
    fail(&mut judge, 2);
    fail(&mut judge, 2);
    assert_eq!(state(&judge), State::Up, "two of two stand in for it");
    fail(&mut judge, 1);
    assert_eq!(state(&judge), State::Up);
    assert!(fail(&mut judge, 1));
    assert_eq!(state(&judge), State::Down);
    let verdict = board_of(&judge).verdict(EndpointId(0)).clone();
    assert_eq!(
        verdict.cause,
        Cause::Failing("0 of 2 parts up, 1 needed; `c`: connect failed: refused".into())
    );
    pass(&mut judge, 2);
    assert_eq!(state(&judge), State::Down);
    pass(&mut judge, 2);
    assert_eq!(state(&judge), State::Up, "`rise` of the part");
    assert_eq!(
        board_of(&judge).verdict(EndpointId(0)).cause,
        Cause::Passing
    );
}

#[test]
fn renewal_says_what_a_whole_board_says() {
    let (mut judge, ..) = judge();
    let (mut board, mut rtt) = Default::default();
    let mut council = Council::new(Default::default(), &mut judge, NOW);
    council.renew(&mut judge, &mut board, &mut rtt, NOW);
    let mut x = 7_u32;
    for _ in 0..500 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let target = (x >> 8) % 3;
        if x >> 31 == 0 {
            pass(&mut judge, target);
        } else {
            fail(&mut judge, target);
        }
        council.renew(&mut judge, &mut board, &mut rtt, NOW);
        assert_eq!(board, council.board(&judge));
        assert_eq!(
            rtt.iter().copied().collect::<Vec<_>>(),
            judge.measurements()
        );
    }
}

#[test]
fn the_distance_is_that_of_the_first_part_that_has_one() {
    let (mut judge, ..) = judge();
    pass(&mut judge, 0);
    pass(&mut judge, 1);
    assert_eq!(judge.measurements(), [Some(Duration::from_millis(1))]);
    pass(&mut judge, 2);
    assert_eq!(judge.measurements(), [Some(Duration::from_millis(3))]);
}

#[test]
fn t1_a_composite_is_as_steady_as_its_least_steady_part() {
    let (mut judge, ..) = judge();
    for target in 0..3 {
        pass(&mut judge, target);
    }
    let steady = |judge: &Judge| board_of(judge).verdict(EndpointId(0)).steady_for;
    // Two failures with an interval of 10 s, less jitter and timeout.
    assert_eq!(steady(&judge), Some(Duration::from_secs(10 - 1 - 2)));
    fail(&mut judge, 1);
    assert_eq!(steady(&judge), Some(Duration::ZERO));
}

#[test]
fn h1_waiting_ends_for_composites_as_for_their_parts() {
    let (mut judge, ..) = judge();
    assert!(!judge.first_round_done());
    fail(&mut judge, 2);
    judge.give_up_waiting(NOW);
    // `c` speaks against it, `a` and `b` were never asked: they stand in.
    assert_eq!(state(&judge), State::Unknown { counts_as_up: true });

    let (mut judge, ..) = self::judge();
    fail(&mut judge, 2);
    fail(&mut judge, 1);
    fail(&mut judge, 0);
    assert!(judge.first_round_done(), "all parts were asked");
    judge.give_up_waiting(NOW);
    assert_eq!(
        state(&judge),
        UNKNOWN,
        "all that is known speaks against it"
    );
}

#[test]
fn a_part_that_cannot_be_run_has_no_say() {
    let (mut judge, ..) = judge();
    let unable = Failure::Unable("no right".into());
    see(&mut judge, 2, Outcome::Fail(unable.clone()));
    see(&mut judge, 2, Outcome::Fail(unable));
    assert_eq!(state(&judge), UNKNOWN);
    judge.give_up_waiting(NOW);
    assert!(state(&judge).serves());
    for _ in 0..2 {
        fail(&mut judge, 0);
    }
    assert!(state(&judge).serves(), "nobody knows `c`");
}

/// A vantage that cannot look any more must not vote for ever.
#[test]
fn what_was_seen_expires_when_nothing_can_be_seen_any_more() {
    let (mut judge, monitors, _) = judge();
    let at = |judge: &mut Judge, target: u32, late: Duration, outcome: Outcome| {
        judge.observe(&Observation {
            target: TargetId(target),
            at: NOW + late,
            outcome,
        })
    };
    let unable = || Outcome::Fail(Failure::Unable("no right".into()));
    pass(&mut judge, 2);
    let bound = worst_case_detection(&monitors[2]);
    at(&mut judge, 2, bound, unable());
    assert_eq!(state(&judge), State::Up);
    assert!(at(&mut judge, 2, bound * 2, unable()));
    assert_eq!(state(&judge), State::Unknown { counts_as_up: true });
    assert_eq!(
        judge.vote(TargetId(3)).map(|v| v.opinion),
        Some(crate::health::Opinion::None),
        "the composite has no opinion either"
    );
    // What was out stays out.
    let (mut judge, ..) = self::judge();
    for target in [0, 1, 2, 0, 1, 2] {
        fail(&mut judge, target);
    }
    assert_eq!(state(&judge), State::Down);
    for target in 0..3 {
        at(&mut judge, target, bound * 2, unable());
    }
    judge.give_up_waiting(NOW + bound * 2);
    assert_eq!(state(&judge), UNKNOWN);
    assert!(at(
        &mut judge,
        2,
        bound * 3,
        Outcome::Pass {
            rtt: Duration::ZERO
        }
    ));
    assert_eq!(state(&judge), State::Up);
}

#[test]
fn only_what_gives_a_verdict_is_told_to_others() {
    let (mut judge, monitors, _) = judge();
    // As many as a distance needs before it is told.
    for _ in 0..3 {
        pass(&mut judge, 2);
    }
    let word = judge.word(false);
    let key = crate::health::CheckKey::of(IpAddr::V4(Ipv4Addr::LOCALHOST), 80, &monitors[3]);
    let told: Vec<_> = word.votes.iter().map(|(k, v)| (*k, v.opinion)).collect();
    assert_eq!(told, [(key, crate::health::Opinion::Up)]);
    assert_eq!(word.rtts, [(key, Duration::from_millis(3))]);
}

#[test]
fn a_reload_keeps_what_is_believed_of_composites_and_parts() {
    let (mut judge, mut monitors, targets) = judge();
    pass(&mut judge, 2);
    judge.adopt(&monitors, &targets, 1, NOW);
    assert_eq!(state(&judge), State::Up);
    // Another `fall` of a part makes the part and both composites other checks; what served goes on.
    fail(&mut judge, 0);
    monitors[0].fall = 9;
    let parts: Vec<&Monitor> = monitors[..2].iter().collect();
    monitors[4] = whole("two", Need::AtLeast(2), &parts);
    let parts = [&monitors[2], &monitors[4]].map(Clone::clone);
    monitors[3] = whole("any", Need::Any, &[&parts[0], &parts[1]]);
    judge.adopt(&monitors, &targets, 1, NOW);
    assert!(state(&judge).serves());
    fail(&mut judge, 2);
    fail(&mut judge, 2);
    for _ in 0..2 {
        fail(&mut judge, 1);
    }
    assert_eq!(state(&judge), State::Down);
}

#[test]
fn a_part_for_the_other_family_has_no_say() {
    let mut four = part("four");
    four.family = Some(Family::V4);
    let both = part("both");
    let all = whole("all", Need::All, &[&four, &both]);
    assert!(all.probes("::1".parse().unwrap()));
    assert!(!whole("w", Need::Any, &[&four]).probes("::1".parse().unwrap()));
    let target = |addr: &str, monitor, endpoints: &[u32]| ProbeTarget {
        addr: addr.parse().unwrap(),
        port: 80,
        monitor: MonitorId(monitor),
        endpoints: endpoints.iter().map(|e| EndpointId(*e)).collect(),
    };
    let targets = [target("::1", 1, &[]), target("::1", 2, &[0])];
    let mut judge = Judge::new(&[four, both, all], &targets, 1, NOW);
    pass(&mut judge, 0);
    assert_eq!(state(&judge), State::Up);
}

#[test]
fn o11_a_composite_takes_as_long_as_its_slowest_part() {
    let (a, mut b) = (part("a"), part("b"));
    b.interval *= 3;
    let all = whole("all", Need::All, &[&a, &b]);
    assert_eq!(worst_case_detection(&all), worst_case_detection(&b));
    assert_eq!(all.interval, b.interval);
}
