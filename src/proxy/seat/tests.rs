//! Shares of every algorithm among connections, through the choice that connections go through; sessions
//! of sources; places that are waited for.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::*;
use crate::proxy::stats::WorkerStats;
use crate::proxy::tier::Registry;
use crate::proxy::tls::vault::Doors;
use crate::time::SimClock;
use crate::traffic::session::{Binding, OnGone, Session};
use crate::traffic::{
    Algorithm, Backend, HashKey, HashMethod, Hashing, Plan, QueueRules, Transport, Tuple, Upstream,
    Word,
};

const S: Duration = Duration::from_secs(1);

/// One proxy with one worker and one upstream.
struct World {
    registry: RefCell<Registry>,
    shared: Arc<ArcSwap<Tier>>,
    worker: Rc<Worker>,
    clock: Arc<SimClock>,
}

impl World {
    fn new(upstream: Upstream, seed: u64) -> World {
        let clock = Arc::new(SimClock::default());
        clock.advance(S);
        let mut registry = Registry::new(seed);
        let tier = registry.resolve(
            plan(upstream),
            Doors::default(),
            crate::time::Clock::now(&*clock),
        );
        let shared = Arc::new(ArcSwap::from_pointee(tier));
        let stats = Arc::<WorkerStats>::default();
        let worker = Worker::new(shared.clone(), clock.clone(), stats, 0, seed);
        World {
            registry: RefCell::new(registry),
            shared,
            worker,
            clock,
        }
    }

    fn reload(&self, upstream: Upstream) {
        let now = self.worker.now();
        let mut registry = self.registry.borrow_mut();
        let tier = registry.resolve(plan(upstream), Doors::default(), now);
        self.shared.store(Arc::new(tier));
    }

    /// A place for a connection, as it is had at layer 4.
    async fn come(&self, tuple: Tuple) -> Result<Taken, NoSeat> {
        let tier = self.worker.tier();
        let id = UpstreamId(0);
        let (_, group) = tier.upstream(id);
        let now = self.worker.now();
        let sessions = group.chooser.sessions.as_ref();
        let bond = sessions.map_or_else(Bond::default, |s| {
            s.claim_connection(tuple.source.ip(), now)
        });
        let hash = group.chooser.picker.hash_connection(&tuple);
        Seat::new(&self.worker, group, id, hash, bond)
            .take(now)
            .await
    }

    async fn sit(&self, tuple: Tuple) -> Taken {
        self.come(tuple)
            .await
            .unwrap_or_else(|_| panic!("no place"))
    }

    /// Which backends so many connections of different clients get, one after the other; `held`: all
    /// stay open.
    async fn run(&self, count: u32, held: bool) -> Vec<usize> {
        let mut open = Vec::new();
        let mut got = Vec::new();
        for n in 0..count {
            let taken = self.sit(client(n)).await;
            got.push(taken.place);
            if held {
                open.push(taken);
            }
        }
        got
    }
}

fn plan(upstream: Upstream) -> Arc<Plan> {
    Arc::new(Plan {
        upstreams: vec![upstream],
        ..Plan::default()
    })
}

fn upstream(algorithm: Algorithm, weights: &[u32]) -> Upstream {
    let backend = |(i, weight): (usize, &u32)| Backend {
        weight: *weight,
        ..Backend::new(
            &format!("b{i}"),
            SocketAddr::from(([127, 0, 0, 1], 1000 + i as u16)),
        )
    };
    Upstream {
        name: "app".into(),
        algorithm,
        backends: weights.iter().enumerate().map(backend).collect(),
        ..Upstream::default()
    }
}

fn hashing(on: HashKey, method: HashMethod, bound: Option<f64>) -> Algorithm {
    Algorithm::Hash(Hashing { on, method, bound })
}

/// The connection of client `n` to one address.
fn client(n: u32) -> Tuple {
    tuple(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), 40_000)
}

fn tuple(source: IpAddr, port: u16) -> Tuple {
    Tuple {
        source: SocketAddr::new(source, port),
        destination: SocketAddr::from(([192, 0, 2, 80], 443)),
        transport: Transport::Tcp,
    }
}

fn counts(got: &[usize], n: usize) -> Vec<usize> {
    let of = |i| got.iter().filter(|g| **g == i).count();
    (0..n).map(of).collect()
}

fn assert_shares(got: &[usize], weights: &[u32], within: f64) {
    let sum: u32 = weights.iter().sum();
    let counts = counts(got, weights.len());
    for (count, weight) in counts.iter().zip(weights) {
        let share = *count as f64 / got.len() as f64;
        let due = f64::from(*weight) / f64::from(sum);
        assert!((share - due).abs() <= within, "{counts:?} by {weights:?}");
    }
}

#[tokio::test]
async fn p5_round_robin_gives_connections_in_the_exact_order_of_its_weights() {
    let world = World::new(upstream(Algorithm::RoundRobin, &[5, 1, 1]), 7);
    let got = world.run(14, false).await;
    assert_eq!(got, [0, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 2, 0, 0]);
}

#[tokio::test]
async fn p5_least_connections_fills_by_weight_and_never_gives_one_to_a_busier_backend() {
    let weights = [4, 2, 1, 1];
    let world = World::new(upstream(Algorithm::LeastConnections, &weights), 7);
    let tier = world.worker.tier();
    let servers = &tier.upstreams[0].servers;
    let mut open = Vec::new();
    for n in 0..400 {
        let load = |i: usize| {
            f64::from(crate::balance::Candidate::in_flight(&servers[i])) / f64::from(weights[i])
        };
        let before: Vec<f64> = (0..4).map(load).collect();
        let taken = world.sit(client(n)).await;
        let least = before.iter().copied().fold(f64::MAX, f64::min);
        let after = |i: usize| before[i] + 1.0 / f64::from(weights[i]);
        let best = (0..4).map(after).fold(f64::MAX, f64::min);
        let chosen = taken.place;
        assert!(
            before[chosen] <= least || after(chosen) <= best + 1e-9,
            "{before:?} but {chosen}"
        );
        open.push(taken);
    }
    let got: Vec<usize> = open.iter().map(|t| t.place).collect();
    assert_eq!(counts(&got, 4), [200, 100, 50, 50]);
}

#[tokio::test]
async fn p5_two_choices_keeps_open_connections_near_their_weights() {
    let weights = [3, 2, 1];
    let world = World::new(upstream(Algorithm::TwoChoices, &weights), 7);
    assert_shares(&world.run(3_000, true).await, &weights, 0.02);
}

#[tokio::test]
async fn p5_random_gives_connections_by_weight() {
    let weights = [5, 3, 2, 0];
    let world = World::new(upstream(Algorithm::Random, &weights), 7);
    assert_shares(&world.run(20_000, false).await, &weights, 0.015);
}

/// At layer 4 the time is that of connecting.
#[tokio::test]
async fn p5_least_time_prefers_the_backend_that_connects_sooner_and_starves_none() {
    let world = World::new(upstream(Algorithm::LeastTime, &[1, 1]), 7);
    let mut got = Vec::new();
    for n in 0..4_000 {
        let taken = world.sit(client(n)).await;
        let took = Duration::from_millis([2, 40][taken.place]);
        world.clock.advance(took);
        let server = taken.permit.backend();
        server.connected(took, world.worker.now());
        got.push(taken.place);
    }
    let counts = counts(&got, 2);
    assert!(counts[0] > 3_700, "{counts:?}");
    assert!(counts[1] > 20, "{counts:?}");
}

#[tokio::test]
async fn p5_a_hash_of_the_source_keeps_a_client_whatever_its_port() {
    for method in [HashMethod::Maglev, HashMethod::Ring, HashMethod::Modulo] {
        let weights = [3, 2, 1];
        let algorithm = hashing(HashKey::Source, method, None);
        let world = World::new(upstream(algorithm, &weights), 7);
        let first = world.run(6_000, false).await;
        let within = if method == HashMethod::Ring {
            0.1
        } else {
            0.03
        };
        assert_shares(&first, &weights, within);
        for n in 0..100 {
            let source = client(n).source.ip();
            for port in [1, 1_000, 65_535] {
                let taken = world.sit(tuple(source, port)).await;
                assert_eq!(taken.place, first[n as usize], "{method:?}");
            }
        }
    }
}

#[tokio::test]
async fn p5_a_hash_of_the_tuple_spreads_one_client_and_every_proxy_agrees() {
    for method in [HashMethod::Maglev, HashMethod::Ring, HashMethod::Modulo] {
        let weights = [3, 2, 1];
        let of = |seed| {
            let algorithm = hashing(HashKey::Tuple, method, None);
            World::new(upstream(algorithm, &weights), seed)
        };
        let (one, other) = (of(7), of(8));
        let mut got = Vec::new();
        for port in 1_000..7_000 {
            let tuple = tuple([198, 51, 100, 9].into(), port);
            let place = one.sit(tuple).await.place;
            assert_eq!(other.sit(tuple).await.place, place, "{method:?}");
            got.push(place);
        }
        let within = if method == HashMethod::Ring {
            0.1
        } else {
            0.03
        };
        assert_shares(&got, &weights, within);
    }
}

/// Consistent: who leaves moves its own share, and little more.
#[tokio::test]
async fn p5_a_backend_that_leaves_moves_its_own_connections() {
    for (method, more) in [(HashMethod::Maglev, 0.05), (HashMethod::Ring, 0.0)] {
        for on in [HashKey::Source, HashKey::Tuple] {
            let full = upstream(hashing(on, method, None), &[1; 5]);
            let world = World::new(full.clone(), 7);
            let before = world.run(5_000, false).await;
            let mut less = full;
            less.backends.remove(2);
            world.reload(less);
            let after = world.run(5_000, false).await;
            // Places behind the gap have moved up.
            let after: Vec<usize> = after.iter().map(|p| p + usize::from(*p >= 2)).collect();
            let moved = before.iter().zip(&after).filter(|(b, a)| b != a).count();
            let owned = before.iter().filter(|p| **p == 2).count();
            let share = (moved - owned) as f64 / before.len() as f64;
            assert!(share <= more, "{method:?}: {share} moved needlessly");
        }
    }
}

#[tokio::test]
async fn p5_bounded_loads_keep_one_busy_source_from_drowning_its_backend() {
    let algorithm = hashing(HashKey::Source, HashMethod::Maglev, Some(1.25));
    let world = World::new(upstream(algorithm, &[1; 4]), 7);
    let mut open = Vec::new();
    for port in 0..400 {
        open.push(world.sit(tuple([198, 51, 100, 9].into(), port + 1)).await);
    }
    let got: Vec<usize> = open.iter().map(|t| t.place).collect();
    let most = counts(&got, 4).into_iter().max().unwrap();
    assert!((100..=126).contains(&most), "{most}");
}

fn sticky(on_gone: OnGone) -> Session {
    Session {
        binding: Binding::Key(HashKey::Source),
        on_gone,
        entries: 1_000,
        ttl: S * 60,
        is_shared: false,
        secrets: Vec::new(),
    }
}

#[tokio::test]
async fn p6_a_source_stays_with_its_backend_while_it_drains_and_moves_when_it_is_gone() {
    let mut up = upstream(Algorithm::RoundRobin, &[1, 1, 1]);
    up.session = Some(sticky(OnGone::Reassign));
    let world = World::new(up.clone(), 7);
    let source = |n: u32, port| tuple(client(n).source.ip(), port);
    let mut homes = Vec::new();
    for n in 0..30 {
        homes.push(world.sit(source(n, 1)).await.place);
    }
    assert_eq!(counts(&homes, 3), [10, 10, 10]);
    up.backends[1].word = Word::Drain;
    world.reload(up.clone());
    for n in 0..30 {
        assert_eq!(world.sit(source(n, 2)).await.place, homes[n as usize]);
    }
    // New sources go elsewhere.
    for n in 30..60 {
        assert_ne!(world.sit(source(n, 1)).await.place, 1);
    }
    up.backends[1].word = Word::Disable;
    world.reload(up.clone());
    let mut moved = Vec::new();
    for n in 0..30 {
        let place = world.sit(source(n, 3)).await.place;
        match homes[n as usize] {
            1 => assert_ne!(place, 1),
            home => assert_eq!(place, home),
        }
        moved.push(place);
    }
    // The backend comes back, and who was moved stays moved.
    up.backends[1].word = Word::Serve;
    world.reload(up);
    for n in 0..30 {
        assert_eq!(world.sit(source(n, 4)).await.place, moved[n as usize]);
    }
}

/// P4: what failed it is not asked again while another is left.
#[tokio::test]
async fn p4_the_next_try_is_at_another_backend() {
    let world = World::new(upstream(Algorithm::RoundRobin, &[1, 1, 1]), 7);
    let tier = world.worker.tier();
    let (id, group) = (UpstreamId(0), &tier.upstreams[0]);
    let mut seat = Seat::new(&world.worker, group, id, 0, Bond::default());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let Ok(taken) = seat.take(world.worker.now()).await else {
            panic!("no place");
        };
        seat.avoid(taken.place);
        seen.push(taken.place);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
}

fn bounded(mut up: Upstream) -> Upstream {
    up.resilience.max_connections = Some(1);
    up.resilience.queue = QueueRules {
        size: 10,
        timeout: S * 1_000,
    };
    up
}

/// One that waits for a backend which is taken out is given another one.
#[tokio::test(start_paused = true)]
async fn p2_who_waits_for_a_backend_that_goes_is_given_another() {
    let algorithm = hashing(HashKey::Source, HashMethod::Maglev, None);
    let mut up = bounded(upstream(algorithm, &[1, 1]));
    let world = World::new(up.clone(), 7);
    let tuple = client(5);
    let first = world.sit(tuple).await;
    let began = tokio::time::Instant::now();
    let gone = first.place;
    let mut waiting = Box::pin(world.come(tuple));
    assert!(futures_now(&mut waiting).await.is_none());
    up.backends[gone].word = Word::Disable;
    world.reload(up);
    let Ok(taken) = waiting.await else {
        panic!("no place")
    };
    assert_ne!(taken.place, gone);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

async fn futures_now<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// All that it knows is gone, but the next plan has an upstream of the name.
#[tokio::test(start_paused = true)]
async fn p2_who_waits_while_all_backends_change_is_sent_on_to_the_next_plan() {
    let up = bounded(upstream(Algorithm::RoundRobin, &[1]));
    let world = World::new(up.clone(), 7);
    let old = world.worker.tier();
    let held = world.sit(client(1)).await;
    let mut waiting = Box::pin(world.come(client(2)));
    assert!(futures_now(&mut waiting).await.is_none());
    let mut next = up;
    next.backends[0].address.set_port(2);
    world.reload(next);
    // Any backend was good for it, and none of those it knows is left: a place at the new one is had.
    drop(held);
    let Err(NoSeat::Moved(permit)) = waiting.await else {
        panic!("not sent on")
    };
    let next = successor(&world.worker, &old, "app", permit.as_ref()).await;
    assert!(next.is_some_and(|(tier, _)| !Arc::ptr_eq(&tier, &old)));
    let none = successor(&world.worker, &old, "other", None).await;
    assert!(none.is_none());
}
