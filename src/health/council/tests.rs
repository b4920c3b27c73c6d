//! Councils on virtual time: one node that hears three other vantages.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::super::monitor::tests::monitor;
use super::super::{
    Board, Cause, Failure, Guard, Judge, Observation, Opinion, Outcome, ProbeTarget, Says, State,
    Testimony, Vote, Weakness,
};
use super::*;
use crate::ids::{EndpointId, MonitorId, SiteId, TargetId};

const NOW: Moment = Moment(1_000_000_000_000);
const S: Duration = Duration::from_secs(1);

const UP: Vote = Vote {
    opinion: Opinion::Up,
    failures: 0,
};
const DOWN: Vote = Vote {
    opinion: Opinion::Down(Weakness::Connect),
    failures: 0,
};

/// Vantages `v0`, `v1` … each at a site of its own.
pub(super) fn rules(vantages: usize, own: Option<u32>) -> Rules {
    Rules {
        vantages: (0..vantages)
            .map(|v| Vantage {
                name: format!("v{v}").into(),
                site: SiteId::from_index(v),
            })
            .collect(),
        sites: (0..vantages)
            .map(|v| Site {
                region: format!("r{v}").into(),
                asn: None,
            })
            .collect(),
        own: own.map(VantageId),
        ..Rules::default()
    }
}

fn target(last: u8, endpoints: &[u32]) -> ProbeTarget {
    ProbeTarget {
        addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
        port: 80,
        monitor: MonitorId(0),
        endpoints: endpoints.iter().map(|e| EndpointId(*e)).collect(),
    }
}

fn key(last: u8) -> CheckKey {
    CheckKey::of(target(last, &[]).addr, 80, &monitor())
}

/// A node with its clock.
struct Node {
    judge: Judge,
    council: Council,
    now: Moment,
}

impl Node {
    /// Two targets, 192.0.2.1 and 192.0.2.2, of endpoints 0 and (1, 2).
    fn new(rules: Rules) -> Node {
        let targets = [target(1, &[0]), target(2, &[1, 2])];
        let mut judge = Judge::new(&[monitor()], &targets, 3, NOW);
        let council = Council::new(Arc::new(rules), &mut judge, NOW);
        Node {
            judge,
            council,
            now: NOW,
        }
    }

    fn says(&mut self, vantage: usize, says: Says) -> bool {
        let testimony = Testimony {
            vantage: format!("v{vantage}").into(),
            says,
        };
        self.council.hear(&testimony, self.now)
    }

    fn votes(&mut self, vantage: usize, votes: &[(u8, Vote)]) {
        let mut votes: Vec<_> = votes.iter().map(|(last, v)| (key(*last), *v)).collect();
        votes.sort_unstable_by_key(|(k, _)| *k);
        let votes = Says::Votes {
            chunk: 0,
            votes: votes.into(),
        };
        self.says(vantage, votes);
        self.says(vantage, Says::Alive { blind: false });
    }

    fn own(&mut self, target: u32, passed: bool) {
        let outcome = match passed {
            true => Outcome::Pass {
                rtt: Duration::from_millis(1),
            },
            false => Outcome::Fail(Failure::Connect("refused".to_owned())),
        };
        self.judge.observe(&Observation {
            target: TargetId(target),
            at: self.now,
            outcome,
        });
    }

    /// Time passes; who is named lives on.
    fn pass(&mut self, time: Duration, living: &[usize]) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + S);
            for v in living {
                self.says(*v, Says::Alive { blind: false });
            }
            if self.council.due().is_some_and(|at| at <= self.now) {
                self.council.settle(&mut self.judge, self.now);
            }
        }
    }

    fn board(&mut self) -> Board {
        self.council.settle(&mut self.judge, self.now);
        self.council.board(&self.judge)
    }

    fn state(&mut self, endpoint: u32) -> State {
        self.board().verdict(EndpointId(endpoint)).state
    }
}

#[test]
fn h3_one_that_lies_alone_moves_nothing_two_do() {
    let mut n = Node::new(rules(3, None));
    for v in 0..3 {
        n.votes(v, &[(1, UP), (2, UP)]);
    }
    assert_eq!(n.state(0), State::Up);
    n.votes(0, &[(1, DOWN), (2, DOWN)]);
    assert_eq!((n.state(0), n.state(2)), (State::Up, State::Up));
    n.votes(1, &[(1, DOWN), (2, UP)]);
    let board = n.board();
    let verdict = board.verdict(EndpointId(0));
    assert_eq!(verdict.state, State::Down);
    assert_eq!(
        verdict.cause,
        Cause::Failing("2 of 3 sites say down: connect failed".into())
    );
    assert_eq!(
        verdict.votes.as_deref(),
        Some(&[Some(DOWN), Some(DOWN), Some(UP)][..])
    );
    assert_eq!(n.state(1), State::Up);
    assert_eq!(n.council.strangers(), 0);
    assert!(!n.says(9, Says::Alive { blind: false }));
    assert_eq!(n.council.strangers(), 1, "v9 is no vantage");
}

#[test]
fn h3_votes_expire_and_expiry_is_not_down() {
    let mut n = Node::new(rules(3, None));
    for v in 0..3 {
        n.votes(v, &[(1, UP)]);
    }
    n.votes(0, &[(1, DOWN)]);
    assert_eq!(n.state(0), State::Up);
    // Two fall silent; their "up" counts for 30 seconds more, and then nobody takes it out at once.
    n.pass(S * 29, &[0]);
    assert_eq!(n.state(0), State::Up);
    n.pass(S * 25, &[0]);
    assert_eq!(
        n.state(0),
        State::Up,
        "the only voice left needs twice the evidence"
    );
    // fall 3 × interval 10 s after the others were no more.
    n.pass(S * 10, &[0]);
    assert_eq!(n.state(0), State::Down);
    let board = n.board();
    assert_eq!(
        board.vantages().iter().map(|v| v.worth).collect::<Vec<_>>(),
        [Worth::Valid, Worth::Expired, Worth::Expired]
    );
}

#[test]
fn h3_a_down_that_is_overdue_does_not_count() {
    let mut n = Node::new(rules(3, None));
    for v in 0..3 {
        n.votes(v, &[(1, UP)]);
    }
    assert_eq!(n.state(0), State::Up);
    n.votes(0, &[(1, DOWN)]);
    n.pass(S * 11, &[1, 2]);
    n.votes(1, &[(1, DOWN)]);
    assert_eq!(
        n.state(0),
        State::Up,
        "v0 may think otherwise by now: 1 of 2"
    );
    n.votes(0, &[(1, DOWN)]);
    assert_eq!(n.state(0), State::Down);
}

#[test]
fn h3_the_blind_have_no_vote() {
    let mut n = Node::new(rules(3, None));
    for v in 0..3 {
        n.votes(v, &[(1, UP)]);
    }
    n.votes(0, &[(1, DOWN)]);
    n.votes(1, &[(1, DOWN)]);
    n.says(1, Says::Alive { blind: true });
    assert_eq!(n.state(0), State::Up);
    n.says(1, Says::Alive { blind: false });
    assert_eq!(n.state(0), State::Down);
}

#[test]
fn h4_all_vantages_lost_the_last_verdicts_stay_and_are_stale() {
    let mut n = Node::new(rules(3, None));
    for v in 0..3 {
        n.votes(v, &[(1, UP), (2, DOWN)]);
    }
    assert_eq!((n.state(0), n.state(1)), (State::Up, State::Down));
    n.pass(S * 40, &[]);
    let board = n.board();
    for (endpoint, state) in [(0, State::Up), (1, State::Down)] {
        let v = board.verdict(EndpointId(endpoint));
        assert_eq!((v.state, v.stale), (state, true));
    }
    // They come back.
    for v in 0..3 {
        n.votes(v, &[(1, DOWN), (2, UP)]);
    }
    assert_eq!((n.state(0), n.state(1)), (State::Down, State::Up));
    assert!(!n.board().verdict(EndpointId(0)).stale);
}

#[test]
fn own_probes_alone_take_out_only_after_twice_the_time() {
    let mut n = Node::new(rules(3, Some(0)));
    n.own(0, true);
    assert_eq!(n.state(0), State::Up);
    for _ in 0..3 {
        n.own(0, false);
    }
    assert_eq!(n.state(0), State::Up);
    n.pass(S * 29, &[]);
    assert_eq!(n.state(0), State::Up);
    n.pass(S * 2, &[]);
    assert_eq!(n.state(0), State::Down);
    // Not where it is the only vantage there is.
    let mut n = Node::new(rules(1, Some(0)));
    n.own(0, true);
    for _ in 0..3 {
        n.own(0, false);
    }
    assert_eq!(n.state(0), State::Down);
}

#[test]
fn h1_the_first_round_is_over_with_the_first_votes() {
    let mut n = Node::new(rules(3, None));
    assert!(!n.council.first_round_done(&n.judge));
    n.votes(2, &[(1, UP)]);
    n.board();
    assert!(
        !n.council.first_round_done(&n.judge),
        "192.0.2.2 is awaited"
    );
    n.votes(1, &[(2, DOWN)]);
    assert_eq!((n.state(0), n.state(1)), (State::Up, State::Down));
    assert!(n.council.first_round_done(&n.judge));
    let mut n = Node::new(rules(3, None));
    n.council.give_up_waiting(&mut n.judge, n.now);
    assert_eq!(n.state(0), State::Unknown { counts_as_up: true });
    assert!(n.council.first_round_done(&n.judge));
}

#[test]
fn a_check_that_moves_to_another_chunk_is_not_lost() {
    let mut n = Node::new(rules(3, None));
    n.votes(0, &[(1, UP), (2, UP)]);
    let chunk = |chunk, votes: &[(CheckKey, Vote)]| Says::Votes {
        chunk,
        votes: votes.into(),
    };
    assert!(!n.says(0, chunk(1, &[(key(2), UP)])), "as before");
    assert!(
        !n.says(0, chunk(0, &[(key(1), UP)])),
        "the old place is silent"
    );
    assert_eq!(n.state(1), State::Up);
    assert!(n.says(0, chunk(1, &[])), "now nothing is known of it");
    let board = n.board();
    assert_eq!(
        board.verdict(EndpointId(1)).votes.as_deref(),
        Some(&[None; 3][..])
    );
    assert!(board.verdict(EndpointId(1)).stale);
}

#[test]
fn a_reload_keeps_verdicts_and_uses_votes_that_were_heard_before() {
    let mut n = Node::new(rules(3, None));
    for v in 0..3 {
        n.votes(v, &[(1, DOWN), (2, UP), (3, UP)]);
    }
    assert_eq!(n.state(0), State::Down);
    // 192.0.2.3 is new, 192.0.2.2 is gone, 192.0.2.1 has another endpoint.
    let targets = [target(3, &[0]), target(1, &[1])];
    let checks = (&[monitor()][..], &targets[..], 2);
    n.council
        .adopt(Arc::new(rules(3, None)), &mut n.judge, checks, n.now);
    assert_eq!((n.state(0), n.state(1)), (State::Up, State::Down));
}

/// Endpoints 0, 1 and 2 in one pool of one name.
fn guarded(failback: Failback, brake: Option<Brake>) -> Rules {
    let pool = PoolRule {
        region: 0,
        endpoints: (0..3).map(|e| (EndpointId(e), 1)).collect(),
        failback,
        relative: None,
    };
    let pools = [crate::ids::PoolId(0)];
    Rules {
        brake,
        circles: Circles::new(vec![pool], vec![pools[0]; 3], [pools.to_vec()].into_iter()),
        ..rules(1, Some(0))
    }
}

#[test]
fn f9_a_reload_does_not_end_a_failback() {
    let mut n = Node::new(guarded(Failback::Manual, None));
    n.own(0, true);
    for _ in 0..3 {
        n.own(0, false);
    }
    assert_eq!(n.state(0), State::Down);
    for _ in 0..5 {
        n.own(0, true);
    }
    let held = |n: &mut Node, e| n.board().verdict(EndpointId(e)).held;
    assert_eq!(held(&mut n, 0), Some(Guard::Manual));
    // 192.0.2.1 gives endpoint 1 its verdict now.
    let targets = [target(2, &[0]), target(1, &[1])];
    let checks = (&[monitor()][..], &targets[..], 3);
    let rules = Arc::new(guarded(Failback::Manual, None));
    n.council.adopt(rules, &mut n.judge, checks, n.now);
    assert_eq!(n.state(1), State::Down);
    assert_eq!(held(&mut n, 1), Some(Guard::Manual));
    let mut release = |e| {
        let ordered = |waits| (waits == EndpointId(e)).then_some(u64::MAX);
        n.council.release(ordered, Wall::default(), n.now)
    };
    assert_eq!(release(0), []);
    assert_eq!(release(1), [EndpointId(1)]);
    assert_eq!(release(1), [], "once");
    assert_eq!(n.state(1), State::Up);
}

/// Endpoint 0 goes down and comes back at `n.now`.
fn falls_and_returns(n: &mut Node) {
    for _ in 0..3 {
        n.own(0, false);
    }
    n.council.settle(&mut n.judge, n.now);
    for _ in 0..5 {
        n.own(0, true);
    }
    n.council.settle(&mut n.judge, n.now);
}

/// Orders a failback at `at`; the endpoints let in.
fn failback(n: &mut Node, wall: Wall, at: u64) -> Vec<EndpointId> {
    let ended = n.council.release(|_| Some(at), wall, n.now);
    n.council.settle(&mut n.judge, n.now);
    ended
}

#[test]
fn f9_a_failback_ends_what_began_before_it_and_nothing_later() {
    // The calendar says something else than the monotonic clock.
    let wall = Wall::new(NOW, Duration::from_secs(1_767_225_600));
    let mut n = Node::new(guarded(Failback::Manual, None));
    n.own(0, true);
    falls_and_returns(&mut n);
    let began = wall.unix_ms(n.now);
    assert_eq!(failback(&mut n, wall, began), [], "not before it");
    assert_eq!(n.state(0), State::Down);
    let order = began + 1;
    assert_eq!(failback(&mut n, wall, order), [EndpointId(0)]);
    assert_eq!(n.state(0), State::Up);
    // The order still stands when the endpoint falls again.
    n.pass(S * 3600, &[]);
    falls_and_returns(&mut n);
    assert_eq!(failback(&mut n, wall, order), []);
    assert_eq!(n.state(0), State::Down);
}

/// A restart a minute after a wait began; `fails`: a probe fails before the endpoint returns. Gives
/// who is let in by an order of just after the restart and by one of long after.
fn over_a_restart(fails: bool) -> [Vec<EndpointId>; 2] {
    let wall = Wall::new(NOW, Duration::from_secs(1_767_225_600));
    let mut n = Node::new(guarded(Failback::Manual, None));
    n.own(0, true);
    falls_and_returns(&mut n);
    let began = wall.unix_ms(n.now);
    n.pass(S * 60, &[]);
    let kept = n.council.remember(&mut n.judge, n.now, wall);
    assert_eq!(kept[0].waits_since_ms, Some(began));
    let mut again = Node::new(guarded(Failback::Manual, None));
    again.now = n.now + S;
    let unix = wall.unix(again.now);
    again.council.warm(&kept, &mut again.judge, again.now, unix);
    assert_eq!(again.state(0), State::Down);
    let order = wall.unix_ms(again.now) + 1;
    again.pass(S * 30, &[]);
    if fails {
        again.own(0, false);
    }
    for _ in 0..5 {
        again.own(0, true);
    }
    again.council.settle(&mut again.judge, again.now);
    let held = again.board().verdict(EndpointId(0)).held;
    assert_eq!(held, Some(Guard::Manual), "no order stands yet");
    let first = failback(&mut again, wall, order);
    let order = wall.unix_ms(again.now) + 1;
    let later = failback(&mut again, wall, order);
    [first, later]
}

#[test]
fn f9_a_wait_goes_on_over_a_restart_unless_a_probe_fails() {
    let e = vec![EndpointId(0)];
    assert_eq!(over_a_restart(false), [e.clone(), vec![]]);
    assert_eq!(over_a_restart(true), [vec![], e]);
}

#[test]
fn f4_the_brake_lets_one_go_and_then_seventy_percent_in_a_window() {
    let mut n = Node::new(guarded(Failback::Auto, Some(Brake::default())));
    for t in [0, 1] {
        n.own(t, true);
    }
    assert_eq!(n.state(0), State::Up);
    for _ in 0..3 {
        n.own(1, false);
    }
    // Both endpoints of 192.0.2.2: two of three are 66 %.
    assert_eq!((n.state(1), n.state(2)), (State::Down, State::Down));
    for _ in 0..3 {
        n.own(0, false);
    }
    let board = n.board();
    let verdict = board.verdict(EndpointId(0));
    assert_eq!(
        (verdict.state, verdict.held),
        (State::Up, Some(Guard::Brake))
    );
    assert_eq!(
        verdict.last_error.as_deref(),
        Some("connect failed: refused")
    );
    n.pass(S * 59, &[]);
    assert_eq!(n.state(0), State::Up);
    n.pass(S * 2, &[]);
    assert_eq!(n.state(0), State::Down);
}

#[test]
fn f4_one_that_comes_back_and_fails_again_is_gone_once() {
    let mut n = Node::new(guarded(Failback::Auto, Some(Brake::default())));
    for t in [0, 1] {
        n.own(t, true);
    }
    for round in 0..2 {
        for _ in 0..3 {
            n.own(1, false);
        }
        assert_eq!(n.state(1), State::Down, "round {round}");
        for _ in 0..5 {
            n.own(1, true);
        }
        // The second return within ten minutes takes twice the passes.
        assert_eq!(n.state(1) == State::Up, round == 0);
    }
}

/// Two endpoints of a pool and one of another: who is far slower than its peers fails, distance does
/// not matter.
#[test]
fn an_endpoint_far_slower_than_its_peers_is_down_and_comes_back() {
    let start = Moment(1_000_000_000_000);
    let pool = |region, endpoints: &[u32], relative| PoolRule {
        region,
        endpoints: endpoints.iter().map(|e| (EndpointId(*e), 1)).collect(),
        failback: Failback::Auto,
        relative,
    };
    let pools = vec![pool(0, &[0, 1], Some(4.0)), pool(1, &[2], Some(4.0))];
    let place = [0, 0, 1].map(crate::ids::PoolId).to_vec();
    let sets = [place.clone()].into_iter();
    let mut judge = Judge::new(
        &[monitor()],
        &[target(1, &[0]), target(2, &[1]), target(3, &[2])],
        3,
        start,
    );
    let rules = Rules {
        circles: Circles::new(pools, place, sets),
        ..rules(1, Some(0))
    };
    let mut council = Council::new(Arc::new(rules), &mut judge, start);
    let mut at = start;
    let mut see = |council: &mut Council, judge: &mut Judge, rtts: [u64; 3]| {
        for (t, ms) in rtts.into_iter().enumerate() {
            let observation = Observation {
                target: crate::ids::TargetId::from_index(t),
                at,
                outcome: Outcome::Pass {
                    rtt: Duration::from_millis(ms),
                },
            };
            council.observed(judge, &observation);
        }
        at = at + S * 10;
        council.settle(judge, at);
        let board = council.board(judge);
        [0, 1, 2].map(|e| board.verdict(EndpointId(e)).state)
    };
    let up = [State::Up; 3];
    for _ in 0..5 {
        assert_eq!(see(&mut council, &mut judge, [5, 8, 200]), up);
    }
    // 12 ms are more than twice as long, but no 10 ms more.
    for _ in 0..5 {
        assert_eq!(see(&mut council, &mut judge, [5, 14, 200]), up);
    }
    let mut seen = up;
    for _ in 0..3 {
        seen = see(&mut council, &mut judge, [5, 80, 200]);
    }
    assert_eq!(seen, [State::Up, State::Down, State::Up]);
    let board = council.board(&judge);
    let words = board.verdict(EndpointId(1)).last_error.clone();
    assert_eq!(
        words.as_deref(),
        Some("connected in 80 ms; the fastest of its pool takes 5 ms, and 20 ms are allowed")
    );
    for _ in 0..5 {
        seen = see(&mut council, &mut judge, [5, 8, 200]);
    }
    assert_eq!(seen, up);
}

proptest::proptest! {
    /// Whatever is heard and observed, in any order.
    #[test]
    fn f7_a_renewed_board_of_many_vantages_is_the_one_built_anew(
        steps in proptest::collection::vec((0u8..12, 0usize..4, 0u8..3, 0u32..2), 0..80),
        own in proptest::bool::ANY,
    ) {
        let mut n = Node::new(rules(3, own.then_some(0)));
        let (mut board, mut rtt) = (Board::default(), Chunked::default());
        for (what, vantage, vote, t) in steps {
            let vote = [UP, DOWN, Vote { opinion: Opinion::None, failures: 1 }][usize::from(vote)];
            match what {
                0..3 => n.votes(vantage, &[(1 + t as u8, vote)]),
                3 => n.votes(vantage, &[(1, vote), (2, vote)]),
                4..6 => n.own(t, vote == UP),
                6 => drop(n.says(vantage, Says::Alive { blind: vote == DOWN })),
                7 => n.pass(S * 9, &[vantage]),
                8 => n.pass(S * 25, &[]),
                9 => n.council.give_up_waiting(&mut n.judge, n.now),
                10 => {
                    let targets = [target(2, &[0, 2]), target(1 + vantage as u8, &[1])];
                    let checks = (&[monitor()][..], &targets[..], 3);
                    let rules = Arc::new(rules(2 + vantage % 2, own.then_some(0)));
                    n.council.adopt(rules, &mut n.judge, checks, n.now);
                }
                _ => {
                    n.council.renew(&mut n.judge, &mut board, &mut rtt, n.now);
                    proptest::prop_assert_eq!(&board, &n.council.board(&n.judge));
                }
            }
        }
    }
}
