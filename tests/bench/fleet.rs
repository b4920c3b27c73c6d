//! The fleet: 30 members with 10,000 keys, gossip each 500 ms, up to 240 ms of round trip, 2 % loss.
//!
//! `cargo bench --bench fleet` runs real members in one process on virtual time, so times are exact
//! whatever else the machine does: how long a change takes to reach every member, how long until all
//! views are equal after a partition of 30 s, how long a newcomer takes, and the memory of a member.
//! `-- --real` measures what virtual time cannot: traffic and CPU of idle members over QUIC on the
//! loopback interface, `-- --real --quick` of 8 members with 1,000 keys. Ends with lines
//! `fleet FIGURE VALUE`; fails when a bound is missed.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when something fails"
)]

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use tradewind::fleet::credentials::{Credentials, Peer, Roles, SERVER_NAME};
use tradewind::fleet::gossip::memory::{MemoryNet, RuntimeClock};
use tradewind::fleet::gossip::{GossipBus, GossipEvent, GossipOptions};
use tradewind::fleet::{Key, StateBus};

#[expect(dead_code, reason = "shared with tests, which use all of it")]
#[path = "../it/support/authority.rs"]
mod authority;
#[path = "fleet/sim.rs"]
mod sim;

use authority::{Authority, TestCredentials, until};
use sim::{Sim, percentile};

const MEMBERS: usize = 30;
const KEYS: usize = 10_000;
const INTERVAL: Duration = Duration::from_millis(500);

fn main() {
    let real = std::env::args().any(|a| a == "--real");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(!real)
        .build()
        .unwrap();
    let fine = runtime.block_on(if_real(real));
    assert!(fine, "a bound was missed");
}

async fn if_real(real: bool) -> bool {
    if real {
        over_quic().await
    } else {
        on_virtual_time().await
    }
}

/// Prints a figure beside its bound; whether it is kept.
fn figure(name: &str, value: f64, bound: f64, unit: &str) -> bool {
    println!("fleet {name} {value:.3} {unit} (bound {bound} {unit})");
    value <= bound
}

async fn on_virtual_time() -> bool {
    let before = resident();
    let mut sim = Sim::start(MEMBERS, KEYS, INTERVAL, 0.02).await;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let per_member = (resident() - before) as f64 / MEMBERS as f64 / (1024.0 * 1024.0);
    let mut took = sim.propagation(100).await;
    took.sort();
    let heal = sim.partition(Duration::from_secs(30)).await;
    let join = sim.cold_join().await;
    let seconds = |percent| percentile(&took, percent).as_secs_f64();
    [
        figure("propagation-p50", seconds(50), 1.0, "s"),
        figure("propagation-p99", seconds(99), 2.0, "s"),
        figure("propagation-max", seconds(100), 3.0, "s"),
        figure("equal-after-partition", heal.as_secs_f64(), 5.0, "s"),
        figure("cold-join", join.as_secs_f64(), 10.0, "s"),
        figure("memory-per-member", per_member, 20.0, "MiB"),
    ]
    .iter()
    .all(|fine| *fine)
}

/// Resident memory of this process in octets.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

/// CPU time of this process in seconds: user and system time of /proc/self/stat, in hundredths.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.map(|f| f.parse::<f64>().unwrap() / 100.0).sum()
}

async fn over_quic() -> bool {
    const IDLE: Duration = Duration::from_secs(30);
    let quick = std::env::args().any(|a| a == "--quick");
    let (count, keys) = if quick { (8, 1000) } else { (MEMBERS, KEYS) };
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let share_of = count as f64;
    let ca = Authority::new();
    let before = resident();
    let sockets: Vec<UdpSocket> = (0..count)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let addresses: Vec<_> = sockets.iter().map(|s| s.local_addr().unwrap()).collect();
    let members: Vec<GossipBus> = sockets
        .into_iter()
        .enumerate()
        .map(|(n, socket)| {
            let node = format!("n{n}");
            let credentials = TestCredentials::new(&[&ca], &ca.issue(&node), |_| true);
            let options = GossipOptions {
                node,
                cluster: "bench".to_owned(),
                generation: 1,
                advertise: addresses[n],
                seeds: addresses[..3].iter().map(ToString::to_string).collect(),
                interval: INTERVAL,
                roles_of: Arc::new(|_| {
                    Some(Roles {
                        probe: true,
                        ..Roles::default()
                    })
                }),
                clock: Arc::new(RuntimeClock::start()),
            };
            GossipBus::start(options, socket, credentials, Arc::default()).unwrap()
        })
        .collect();
    for (n, member) in members.iter().enumerate() {
        for k in 0..keys / count + usize::from(n < keys % count) {
            let key = Key::new(&format!("v/{k}")).unwrap();
            member.publish(&key, &format!("{k:064}")).unwrap();
        }
    }
    let known = |m: &GossipBus| -> usize { m.view().owners.values().map(|o| o.keys.len()).sum() };
    let load = until("all keys", Duration::from_secs(300), || {
        members.iter().all(|m| known(m) == keys)
    })
    .await;
    println!("all members know all keys after {load:?}");
    let sum = |event| -> u64 { members.iter().map(|m| m.counters().get(event)).sum() };
    // Until what the load left on its way is through.
    sleep(Duration::from_secs(5)).await;
    let (start, cpu_before) = (Instant::now(), cpu());
    let (wire, messages) = (sum(GossipEvent::WireOut), sum(GossipEvent::OctetsOut));
    sleep(IDLE).await;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = |octets: u64| octets as f64 / start.elapsed().as_secs_f64() / share_of / 1000.0;
    let wire = rate(sum(GossipEvent::WireOut) - wire);
    let messages = rate(sum(GossipEvent::OctetsOut) - messages);
    let share = (cpu() - cpu_before) / start.elapsed().as_secs_f64() / share_of * 100.0;
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let memory = (resident() - before) as f64 / share_of / (1024.0 * 1024.0);
    for event in GossipEvent::ALL {
        println!("  {event:?}: {}", sum(*event));
    }
    println!("fleet idle-messages {messages:.3} kB/s");
    [
        figure("idle-traffic", wire, 5.0, "kB/s"),
        figure("idle-cpu", share, 0.5, "% of a core"),
        figure("memory-per-member-quic", memory, 20.0, "MiB"),
    ]
    .iter()
    .all(|fine| *fine)
}
