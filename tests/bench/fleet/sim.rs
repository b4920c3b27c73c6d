//! A fleet in one process on virtual time: real members, a network of the imagination.
//!
//! Included by path in tests of the library too, so the product's types come from the parent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{GossipBus, GossipOptions, Key, MemoryNet, Roles, RuntimeClock, StateBus};

/// One-way delays between six regions in milliseconds, up to 240 ms of round trip.
const DELAYS: [[u64; 6]; 6] = [
    [1, 12, 40, 45, 90, 110],
    [12, 1, 35, 50, 85, 120],
    [40, 35, 1, 30, 75, 80],
    [45, 50, 30, 1, 60, 70],
    [90, 85, 75, 60, 1, 25],
    [110, 120, 80, 70, 25, 1],
];

/// Members, their keys and the network.
pub(crate) struct Sim {
    net: MemoryNet,
    members: Vec<GossipBus>,
    interval: Duration,
    loss: f64,
    keys: usize,
}

fn address(n: usize) -> SocketAddr {
    let n = u8::try_from(n).unwrap();
    SocketAddr::from(([10, 0, 0, n], 7946))
}

fn number(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(v4) => v4.ip().octets()[3].into(),
        SocketAddr::V6(_) => unreachable!("all addresses are IPv4"),
    }
}

/// Loses a share of messages and delays the others; two halves hear nothing of each other while cut.
fn fate(
    loss: f64,
    cut: bool,
) -> impl Fn(SocketAddr, SocketAddr) -> Option<Duration> + Send + Sync + 'static {
    let sequence = AtomicU64::new(0x9E37_79B9_7F4A_7C15);
    move |from, to| {
        let (from, to) = (number(from), number(to));
        if cut && from % 2 != to % 2 {
            return None;
        }
        let mut x = sequence.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "a share of messages")]
        let share = (x >> 11) as f64 / (1_u64 << 53) as f64;
        (share >= loss).then(|| Duration::from_millis(DELAYS[from % 6][to % 6]))
    }
}

impl Sim {
    /// So many members that own so many keys of 64 octets together; returns when all know all.
    pub(crate) async fn start(members: usize, keys: usize, interval: Duration, loss: f64) -> Sim {
        let mut sim = Sim {
            net: MemoryNet::new(fate(loss, false)),
            members: Vec::new(),
            interval,
            loss,
            keys,
        };
        for n in 0..members {
            sim.join();
            let share = keys / members + usize::from(n < keys % members);
            for k in 0..share {
                let value = format!("{k:064}");
                let key = Key::new(&format!("v/{k}")).unwrap();
                sim.members[n].publish(&key, &value).unwrap();
            }
        }
        sim.settle("the first load", Duration::from_secs(60)).await;
        sim
    }

    fn join(&mut self) {
        let n = self.members.len();
        let options = GossipOptions {
            node: format!("n{n}"),
            cluster: "sim".to_owned(),
            generation: 1,
            advertise: address(n),
            seeds: (0..3).map(|n| address(n).to_string()).collect(),
            interval: self.interval,
            roles_of: Arc::new(|_| {
                Some(Roles {
                    probe: true,
                    ..Roles::default()
                })
            }),
            clock: Arc::new(RuntimeClock::start()),
        };
        let transport = Arc::new(self.net.clone());
        let member = GossipBus::start_here(options, Arc::default(), transport);
        self.members.push(member);
    }

    /// A newcomer without a state; how long until it has all keys.
    pub(crate) async fn cold_join(&mut self) -> Duration {
        self.join();
        let start = Instant::now();
        while self.known_to(self.members.len() - 1) < self.keys {
            assert!(start.elapsed() < Duration::from_secs(120), "cold join");
            sleep(Duration::from_millis(50)).await;
        }
        start.elapsed()
    }

    fn known_to(&self, n: usize) -> usize {
        let view = self.members[n].view();
        view.owners.values().map(|owner| owner.keys.len()).sum()
    }

    /// Changes one key after another; how long each member took to learn each.
    pub(crate) async fn propagation(&self, trials: usize) -> Vec<Duration> {
        let mut took = Vec::new();
        let mut readers: Vec<_> = self.members.iter().map(|m| m.subscribe("v/0")).collect();
        for trial in 0..trials {
            // Rounds of members are not in step with the trials.
            sleep(Duration::from_millis(730 + 37 * (trial as u64 % 19))).await;
            for reader in &mut readers {
                while reader.try_recv().is_ok() {}
            }
            let writer = trial * 7 % self.members.len();
            let value = format!("trial {trial:058}");
            let start = Instant::now();
            let key = Key::new("v/0").unwrap();
            self.members[writer].publish(&key, &value).unwrap();
            let mut waits = tokio::task::JoinSet::new();
            for (n, mut reader) in readers.drain(..).enumerate() {
                let value = value.clone();
                waits.spawn(async move {
                    let heard = async {
                        while *reader.recv().await.expect("the bus lives").value != *value {}
                    };
                    let heard = timeout(Duration::from_secs(60), heard).await;
                    heard.expect("the change arrives");
                    (n, start.elapsed(), reader)
                });
            }
            let mut back = BTreeMap::new();
            while let Some(done) = waits.join_next().await {
                let (n, elapsed, reader) = done.unwrap();
                if n != writer {
                    took.push(elapsed);
                }
                back.insert(n, reader);
            }
            readers = back.into_values().collect();
        }
        took
    }

    /// Two halves cut apart for `cut`, each going on; how long after it until all views are equal.
    pub(crate) async fn partition(&self, cut: Duration) -> Duration {
        self.net.change(fate(self.loss, true));
        let end = Instant::now() + cut;
        let mut n = 0_usize;
        while Instant::now() < end {
            let writer = n % self.members.len();
            let key = Key::new(&format!("v/{}", n % 5)).unwrap();
            self.members[writer]
                .publish(&key, &format!("cut {n:060}"))
                .unwrap();
            n += 1;
            sleep(Duration::from_millis(200)).await;
        }
        // Nothing was lost on either side.
        for n in 0..self.members.len() {
            assert!(self.known_to(n) >= self.keys, "member {n} lost keys");
        }
        assert!(!self.equal(), "the halves heard of each other");
        self.net.change(fate(self.loss, false));
        self.settle("equal views", Duration::from_secs(60)).await
    }

    async fn settle(&self, what: &str, within: Duration) -> Duration {
        let start = Instant::now();
        while !((0..self.members.len()).all(|n| self.known_to(n) >= self.keys) && self.equal()) {
            assert!(start.elapsed() < within, "{what}: not within {within:?}");
            sleep(Duration::from_millis(50)).await;
        }
        start.elapsed()
    }

    fn equal(&self) -> bool {
        let first = self.members[0].view();
        self.members.iter().skip(1).all(|member| {
            let view = member.view();
            let pairs = first.owners.iter().zip(view.owners.iter());
            first.owners.len() == view.owners.len()
                && pairs
                    .into_iter()
                    .all(|((a, x), (b, y))| a == b && x.keys == y.keys)
        })
    }
}

/// The value below which so many percent lie.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
