//! The judge as its users see it, on virtual time.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::monitor::tests::monitor;
use super::*;
use crate::ids::{EndpointId, MonitorId, TargetId};
use crate::time::Moment;

const NOW: Moment = Moment(1_000_000_000);
const MS: Duration = Duration::from_millis(1);

fn target(last: u8, monitor: u32, endpoints: &[u32]) -> ProbeTarget {
    ProbeTarget {
        addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        port: 80,
        monitor: MonitorId(monitor),
        endpoints: endpoints.iter().map(|e| EndpointId(*e)).collect(),
    }
}

/// Targets 0 and 1 on endpoints 0 and (1, 2); endpoint 3 has no monitor.
fn judge() -> Judge {
    Judge::new(
        &[monitor()],
        &[target(1, 0, &[0]), target(2, 0, &[1, 2])],
        4,
        NOW,
    )
}

fn pass(target: u32, rtt: Duration) -> Observation {
    Observation {
        target: TargetId(target),
        at: NOW,
        outcome: Outcome::Pass { rtt },
    }
}

fn fail(target: u32) -> Observation {
    fail_at(target, NOW)
}

fn fail_at(target: u32, at: Moment) -> Observation {
    let failure = Failure::Connect("Connection refused (os error 111)".to_owned());
    Observation {
        target: TargetId(target),
        at,
        outcome: Outcome::Fail(failure),
    }
}

/// What is believed where nobody else probes.
fn board_of(judge: &Judge) -> Board {
    let mut judge = judge.clone();
    Council::new(Default::default(), &mut judge, NOW).board(&judge)
}

fn states(judge: &Judge) -> Vec<State> {
    board_of(judge).iter().map(|(_, v)| v.state).collect()
}

const UNKNOWN: State = State::Unknown {
    counts_as_up: false,
};

#[test]
fn h1_the_first_round_is_over_when_every_target_has_a_result() {
    let mut j = judge();
    assert!(!j.first_round_done());
    assert_eq!(states(&j), [UNKNOWN, UNKNOWN, UNKNOWN, State::Up]);
    assert_eq!(board_of(&j).verdict(EndpointId(0)).cause, Cause::NotProbed);
    j.observe(&pass(0, MS));
    assert!(!j.first_round_done());
    j.observe(&fail(1));
    assert!(j.first_round_done());
    assert_eq!(states(&j), [State::Up, UNKNOWN, UNKNOWN, State::Up]);
    j.observe(&fail(1));
    j.observe(&fail(1));
    assert_eq!(states(&j), [State::Up, State::Down, State::Down, State::Up]);
}

#[test]
fn h1_without_targets_there_is_nothing_to_wait_for() {
    let j = Judge::new(&[], &[], 2, NOW);
    assert!(j.first_round_done());
    assert_eq!(*board_of(&j).verdict(EndpointId(1)), Verdict::unmonitored());
}

#[test]
fn h1_after_the_wait_the_unprobed_serve_and_are_shown_as_unknown() {
    let mut j = judge();
    j.observe(&fail(0));
    j.give_up_waiting(NOW + MS);
    let later = State::Unknown { counts_as_up: true };
    assert_eq!(
        states(&j),
        [UNKNOWN, later, later, State::Up],
        "a failed one is not let in"
    );
    assert_eq!(board_of(&j).verdict(EndpointId(1)).since, NOW + MS);
    assert!(j.first_round_done());
}

#[test]
fn a_verdict_carries_cause_time_and_last_error() {
    let mut j = judge();
    j.observe(&pass(0, MS));
    for s in 1..=3 {
        j.observe(&fail_at(0, NOW + Duration::from_secs(s)));
    }
    let board = board_of(&j);
    let v = board.verdict(EndpointId(0));
    let words = "connect failed: Connection refused (os error 111)";
    assert_eq!(v.state, State::Down);
    assert_eq!(v.cause, Cause::Failing(words.into()));
    assert_eq!(v.last_error.as_deref(), Some(words));
    assert_eq!(v.since, NOW + Duration::from_secs(3));
    assert_eq!(v.last_probe, Some(NOW + Duration::from_secs(3)));
    for _ in 0..5 {
        j.observe(&pass(0, MS));
    }
    let board = board_of(&j);
    let v = board.verdict(EndpointId(0));
    assert_eq!((v.state, &v.cause), (State::Up, &Cause::Passing));
    assert_eq!(
        v.last_error.as_deref(),
        Some(words),
        "the last error stays to be seen"
    );
}

#[test]
fn only_what_readers_see_is_a_change() {
    let mut j = judge();
    assert!(j.observe(&pass(0, MS * 100)), "unknown to up");
    assert!(!j.observe(&pass(0, MS * 100)), "nothing new");
    assert!(
        !j.observe(&pass(0, MS * 110)),
        "a round-trip time that hardly moved"
    );
    assert!(!j.observe(&pass(0, MS * 300)), "a spike");
    let news = (0..9).filter(|_| j.observe(&pass(0, MS * 300))).count();
    assert!(news > 0, "one that moved");
    assert!(j.observe(&fail(0)), "a failure counted");
    assert!(!j.observe(&pass(7, MS)), "a target of no configuration");
}

#[test]
fn measurements_are_per_endpoint_and_a_failed_check_on_a_live_connection_leaves_them() {
    let mut j = judge();
    j.observe(&pass(1, MS * 20));
    let unexpected = Failure::Unexpected("status 503, expected 200-299".to_owned());
    let http = Observation {
        target: TargetId(1),
        at: NOW,
        outcome: Outcome::Fail(unexpected),
    };
    j.observe(&http);
    assert_eq!(j.measurements(), [None, Some(MS * 20), Some(MS * 20), None]);
}

#[test]
fn h6_a_failed_connect_makes_an_endpoint_farther() {
    let mut j = judge();
    j.observe(&pass(0, MS * 20));
    j.observe(&pass(1, MS * 20));
    j.observe(&fail(0));
    j.observe(&pass(1, monitor().timeout));
    let rtt = j.measurements();
    assert!(rtt[0] >= rtt[1], "{rtt:?}");
}

#[test]
fn a_reload_keeps_what_is_known_of_targets_that_stay_the_same() {
    let mut j = judge();
    j.observe(&pass(0, MS * 5));
    for _ in 0..3 {
        j.observe(&fail(1));
    }
    // Monitors and targets change places; 192.0.2.3 is new; endpoint 3 gets 192.0.2.1.
    let other = Monitor {
        rise: 9,
        ..monitor()
    };
    let targets = [target(3, 1, &[0]), target(2, 1, &[1]), target(1, 1, &[3])];
    j.adopt(&[other, monitor()], &targets, 4, NOW);
    assert_eq!(states(&j), [UNKNOWN, State::Down, State::Up, State::Up]);
    assert_eq!(board_of(&j).verdict(EndpointId(3)).cause, Cause::Passing);
    assert_eq!(j.measurements()[3], Some(MS * 5));
    assert!(!j.first_round_done(), "the new one is awaited");
}

#[test]
fn h1_a_changed_monitor_judges_anew_without_taking_out_what_serves() {
    let mut j = Judge::new(
        &[monitor()],
        &[target(1, 0, &[0]), target(2, 0, &[1]), target(3, 0, &[2])],
        3,
        NOW,
    );
    j.observe(&pass(0, MS * 7));
    for _ in 0..3 {
        j.observe(&fail(1));
    }
    // The third was never probed; the fourth is new.
    let stricter = Monitor {
        fall: 4,
        ..monitor()
    };
    let targets: Vec<ProbeTarget> = (0..4).map(|n| target(n + 1, 0, &[n.into()])).collect();
    j.adopt(&[stricter], &targets, 4, NOW);
    let serves = State::Unknown { counts_as_up: true };
    assert_eq!(states(&j), [serves, UNKNOWN, UNKNOWN, UNKNOWN]);
    assert_eq!(board_of(&j).verdict(EndpointId(0)).cause, Cause::NotProbed);
    assert_eq!(j.measurements()[0], Some(MS * 7), "as far as before");
    assert!(!j.first_round_done(), "the others are awaited");
    // One that was down comes back with the first pass: the old check may have been the fault.
    j.observe(&pass(1, MS));
    assert_eq!(states(&j)[1], State::Up);
}

/// Counted rather than timed: every verdict is built anew each time, whatever was observed.
#[test]
fn f7_the_board_is_the_same_size_and_made_of_the_same_parts_whatever_fails() {
    let targets: Vec<ProbeTarget> = (0..200).map(|i| target(i as u8, 0, &[i])).collect();
    for failing in [0, 100, 200] {
        let mut j = Judge::new(&[monitor()], &targets, 200, NOW);
        for t in 0..200 {
            for _ in 0..3 {
                j.observe(&if t < failing { fail(t) } else { pass(t, MS) });
            }
        }
        let board = board_of(&j);
        assert_eq!(board.len(), 200);
        let down = board.iter().filter(|(_, v)| v.state == State::Down).count();
        assert_eq!(down, failing as usize);
        assert!(
            board
                .iter()
                .all(|(_, v)| v.steady_for.is_some() && v.last_probe.is_some())
        );
    }
}

proptest::proptest! {
    /// What probes, reloads and waiting do to a judge, in any order.
    #[test]
    fn f7_a_renewed_board_is_the_one_built_anew(
        steps in proptest::collection::vec((0u8..12, 0u32..3, 1u64..50), 0..60),
    ) {
        let mut j = judge();
        let mut council = Council::new(Default::default(), &mut j, NOW);
        let (mut shown, mut rtt) = (Board::default(), crate::chunked::Chunked::default());
        let mut now = NOW;
        for (what, target_id, ms) in steps {
            now = now + MS;
            match what {
                0..4 => drop(j.observe(&pass(target_id, MS * ms as u32))),
                4..8 => drop(j.observe(&fail_at(target_id, now))),
                8 => council.give_up_waiting(&mut j, now),
                9 => {
                    let targets = [target(2, 0, &[0, 3]), target(ms as u8, 0, &[1])];
                    let endpoints = 4 + ms as usize % 2;
                    let checks = (&[monitor()][..], &targets[..], endpoints);
                    council.adopt(Default::default(), &mut j, checks, now);
                }
                _ => {
                    council.renew(&mut j, &mut shown, &mut rtt, now);
                    proptest::prop_assert_eq!(&shown, &council.board(&j));
                    proptest::prop_assert_eq!(
                        rtt.iter().copied().collect::<Vec<_>>(),
                        j.measurements()
                    );
                }
            }
        }
    }
}
