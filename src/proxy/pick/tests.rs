//! Choices of a whole upstream: groups, zones, backups, rooms, second tries.

use std::net::SocketAddr;

use super::*;
use crate::balance::mix::mix;
use crate::traffic::{Backend, HashKey};

/// A backend that is just what the test says.
#[derive(Clone, Copy, Debug)]
struct Plain {
    up: bool,
    room: bool,
    weight: u32,
    in_flight: u32,
}

const GOOD: Plain = Plain {
    up: true,
    room: true,
    weight: UNIT,
    in_flight: 0,
};

impl Candidate for Plain {
    fn eligible(&self, _: Moment) -> bool {
        self.up
    }

    fn serves_bound(&self, _: Moment) -> bool {
        self.up
    }

    fn weight(&self, _: Moment) -> u32 {
        self.weight
    }

    fn in_flight(&self) -> u32 {
        self.in_flight
    }

    fn has_room(&self) -> bool {
        self.room
    }

    fn ewma(&self, _: Moment) -> Duration {
        Duration::ZERO
    }
}

/// Backends named `a`, `b` …, each "zone" or "zone backup" or "".
fn upstream(algorithm: Algorithm, backends: &[&str]) -> Upstream {
    let address = SocketAddr::from(([127, 0, 0, 1], 80));
    let backend = |(i, said): (usize, &&str)| {
        let mut words = said.split(' ');
        let name = char::from(b'a' + i as u8).to_string();
        Backend {
            zone: words.next().filter(|z| !z.is_empty()).map(Into::into),
            backup: words.next() == Some("backup"),
            ..Backend::new(&name, address)
        }
    };
    Upstream {
        algorithm,
        zone_first: 50,
        backends: backends.iter().enumerate().map(backend).collect(),
        ..Upstream::default()
    }
}

fn ask(n: u64) -> Ask<'static> {
    Ask {
        now: Moment(1),
        random: mix(n + 1),
        hash: mix(n + 1),
        tried: &[],
    }
}

/// The places of so many choices.
fn places(picker: &Picker, backends: &[Plain], count: u64) -> Vec<usize> {
    let mut turns = Turns::new(picker, 0);
    let pick = |n| picker.pick(&mut turns, backends, &ask(n)).unwrap().place();
    (0..count).map(pick).collect()
}

fn algorithms() -> Vec<Algorithm> {
    let hashing = |method| Hashing {
        on: HashKey::Source,
        method,
        bound: None,
    };
    vec![
        Algorithm::RoundRobin,
        Algorithm::LeastConnections,
        Algorithm::LeastTime,
        Algorithm::TwoChoices,
        Algorithm::Random,
        Algorithm::Hash(hashing(HashMethod::Maglev)),
        Algorithm::Hash(hashing(HashMethod::Ring)),
        Algorithm::Hash(hashing(HashMethod::Modulo)),
    ]
}

#[test]
fn p4_whoever_is_down_gets_nothing_and_backups_serve_only_without_the_others() {
    for algorithm in algorithms() {
        let picker = Picker::new(
            &upstream(algorithm, &["", "", "", " backup", " backup"]),
            None,
        );
        let mut backends = [GOOD; 5];
        backends[1].up = false;
        let got = places(&picker, &backends, 200);
        assert!([0, 2].iter().all(|i| got.contains(i)), "{picker:?}");
        assert!(got.iter().all(|i| [0, 2].contains(i)), "{picker:?}");
        (backends[0].up, backends[2].weight) = (false, 0);
        let got = places(&picker, &backends, 200);
        assert!([3, 4].iter().all(|i| got.contains(i)), "{picker:?}");
        assert!(got.iter().all(|i| [3, 4].contains(i)), "{picker:?}");
        (backends[3].up, backends[4].up) = (false, false);
        let none = picker.pick(&mut Turns::new(&picker, 0), &backends, &ask(1));
        assert_eq!(none, Err(NoPick::Nobody));
    }
}

#[test]
fn p5_own_zone_first_while_enough_of_it_is_healthy() {
    for algorithm in algorithms() {
        let said = ["a", "b", "a", "", "a", "a backup"];
        let picker = Picker::new(&upstream(algorithm, &said), Some("a"));
        let mut backends = [GOOD; 6];
        let only = |backends: &[Plain], wanted: &[usize]| {
            let got = places(&picker, backends, 400);
            assert!(
                wanted.iter().all(|i| got.contains(i)),
                "{picker:?} {wanted:?}"
            );
            assert!(
                got.iter().all(|i| wanted.contains(i)),
                "{picker:?} {wanted:?}"
            );
        };
        only(&backends, &[0, 2, 4]);
        backends[0].up = false;
        only(&backends, &[2, 4]);
        // One of three is less than half.
        backends[2].up = false;
        only(&backends, &[1, 3, 4]);
        backends[4].up = false;
        only(&backends, &[1, 3]);
    }
}

#[test]
fn zones_that_tell_nothing_change_nothing() {
    for zone in [None, Some("c")] {
        let picker = Picker::new(&upstream(Algorithm::RoundRobin, &["a", "b"]), zone);
        assert_eq!(places(&picker, &[GOOD; 2], 4), [0, 1, 0, 1]);
    }
    let picker = Picker::new(&upstream(Algorithm::RoundRobin, &["a", "a"]), Some("a"));
    assert_eq!(picker.groups.len(), 1);
}

#[test]
fn full_backends_are_passed_over_but_not_for_a_backup() {
    let picker = Picker::new(&upstream(Algorithm::RoundRobin, &["", "", " backup"]), None);
    let mut backends = [GOOD; 3];
    backends[0].room = false;
    assert_eq!(places(&picker, &backends, 3), [1, 1, 1]);
    backends[1].room = false;
    let full = picker.pick(&mut Turns::new(&picker, 0), &backends, &ask(1));
    assert_eq!(full, Err(NoPick::Full));
    // Another zone has room.
    let picker = Picker::new(&upstream(Algorithm::RoundRobin, &["a", "b"]), Some("a"));
    let mut backends = [GOOD; 2];
    backends[0].room = false;
    assert_eq!(places(&picker, &backends, 2), [1, 1]);
}

#[test]
fn a_hash_names_one_even_when_it_is_full() {
    let hash = algorithms().pop().unwrap();
    let picker = Picker::new(&upstream(hash, &["", ""]), None);
    let full = [Plain {
        room: false,
        ..GOOD
    }; 2];
    let got = picker
        .pick(&mut Turns::new(&picker, 0), &full, &ask(1))
        .unwrap();
    assert!(matches!(got, Picked::Only(_)));
}

#[test]
fn a_second_try_goes_elsewhere_while_there_is_somebody_else() {
    for algorithm in algorithms() {
        let picker = Picker::new(&upstream(algorithm, &["", ""]), None);
        let mut turns = Turns::new(&picker, 0);
        for n in 0..50 {
            let one = picker
                .pick(&mut turns, &[GOOD; 2], &ask(n))
                .unwrap()
                .place();
            let tried = [one];
            let again = Ask {
                tried: &tried,
                ..ask(n + 100)
            };
            let two = picker.pick(&mut turns, &[GOOD; 2], &again).unwrap().place();
            assert_ne!(one, two);
            let tried = [one, two];
            let third = Ask {
                tried: &tried,
                ..again
            };
            assert!(picker.pick(&mut turns, &[GOOD; 2], &third).is_ok());
        }
    }
}

#[test]
fn p5_workers_begin_at_different_backends_and_go_their_own_rounds() {
    let picker = Arc::new(Picker::new(
        &upstream(Algorithm::RoundRobin, &["", "", ""]),
        None,
    ));
    let workers = [AllTurns::new(0), AllTurns::new(1)];
    let pick = |worker: &AllTurns| {
        worker.with(UpstreamId(7), &picker, |turns| {
            picker.pick(turns, &[GOOD; 3], &ask(1)).unwrap().place()
        })
    };
    let got: Vec<usize> = (0..6).map(|i| pick(&workers[i % 2])).collect();
    assert_eq!(got, [0, 1, 1, 2, 2, 0]);
    // A new picker is a new beginning.
    let other = Arc::new(Picker::new(
        &upstream(Algorithm::RoundRobin, &["", ""]),
        None,
    ));
    let first = workers[0].with(UpstreamId(7), &other, |turns| {
        other.pick(turns, &[GOOD; 2], &ask(1)).unwrap().place()
    });
    assert_eq!(first, 0);
}

#[test]
fn p5_a_thousand_backends_share_by_every_algorithm() {
    let said = vec![""; 1_000];
    for algorithm in algorithms() {
        let mut upstream = upstream(Algorithm::RoundRobin, &[]);
        upstream.algorithm = algorithm;
        upstream.backends = (0..said.len())
            .map(|i| Backend::new(&format!("b{i}"), SocketAddr::from(([127, 0, 0, 1], 80))))
            .collect();
        let picker = Picker::new(&upstream, None);
        let mut backends = vec![GOOD; said.len()];
        for dead in (0..said.len()).step_by(2) {
            backends[dead].up = false;
        }
        let got = places(&picker, &backends, 20_000);
        assert!(got.iter().all(|i| i % 2 == 1));
        let mut count = vec![0u32; said.len()];
        got.iter().for_each(|i| count[*i] += 1);
        // 40 each on average; a ring is the least even.
        let most = count.iter().max().unwrap();
        assert!(*most < 160, "{:?}: {most}", picker.algorithm);
    }
}
