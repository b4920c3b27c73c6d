//! NOTIFY to secondaries (RFC 1996): at start, and whenever a zone's serial changes.
//!
//! One task looks for new versions and has one small task per secondary and zone under way, which sends
//! until it is answered. A newer version takes the place of one that is still being told.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::dns::name::WireName;
use crate::dns::tsig::TsigKey;
use crate::engine::transfer::notify::Notify;
use crate::engine::transfer::serial_of;
use crate::snapshot::{Publisher, Snapshot};
use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::Clock;

/// How often to look for a new version.
const LOOK: Duration = Duration::from_millis(250);

/// How long to wait for the answer to each try: four and a half minutes in all (RFC 1996 section 3.6
/// wants retries "with a reasonable timeout and backoff", and names 60 seconds).
const WAITS: [Duration; 8] = [
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(12),
    Duration::from_secs(24),
    Duration::from_secs(48),
    Duration::from_secs(60),
    Duration::from_secs(60),
    Duration::from_secs(60),
];

/// Who is told of what.
type Errand = (WireName, SocketAddr);

/// Tells secondaries until `stopped` holds `true` or its sender is gone. `own` are this node's DNS
/// addresses: a secondary expects NOTIFY from where it transfers. `counters` are this task's own.
pub async fn run(
    publisher: Publisher,
    clock: Arc<dyn Clock>,
    own: Vec<SocketAddr>,
    counters: Arc<DnsCounters>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut seen: Option<Arc<Snapshot>> = None;
    let mut told: HashMap<Errand, u32> = HashMap::new();
    let mut under_way: HashMap<Errand, AbortHandle> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        let snapshot = publisher.latest().snapshot.clone();
        if !seen.as_ref().is_some_and(|s| Arc::ptr_eq(s, &snapshot)) {
            let mut now_told = HashMap::new();
            for (errand, serial, key) in errands(&snapshot) {
                if told.get(&errand) != Some(&serial) {
                    let task = tell(snapshot.clone(), errand.clone(), key, clock.clone(), &own);
                    if let Some(old) = under_way.insert(errand.clone(), tasks.spawn(task)) {
                        old.abort();
                    }
                }
                now_told.insert(errand, serial);
            }
            under_way.retain(|errand, task| {
                let wanted = now_told.contains_key(errand);
                if !wanted {
                    task.abort();
                }
                wanted && !task.is_finished()
            });
            told = now_told;
            seen = Some(snapshot);
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            Some(done) = tasks.join_next() => match done {
                Ok(true) => counters.count(DnsEvent::NotifyTaken),
                Ok(false) => counters.count(DnsEvent::NotifyFailed),
                Err(_aborted) => {}
            },
            () = sleep(LOOK) => {}
        }
    }
}

/// All that are to be told: of which zone, its serial, the key's position.
fn errands(snapshot: &Snapshot) -> Vec<(Errand, u32, Option<usize>)> {
    let mut all = Vec::new();
    for zone in snapshot.zones.zones() {
        if let Some(rule) = snapshot.settings.transfers.zones.get(&zone.apex) {
            for to in &rule.notify {
                let errand = (zone.apex.clone(), *to);
                all.push((errand, serial_of(zone), rule.notify_key));
            }
        }
    }
    all
}

/// Sends until answered; whether the secondary took it.
fn tell(
    snapshot: Arc<Snapshot>,
    (apex, to): Errand,
    key: Option<usize>,
    clock: Arc<dyn Clock>,
    own: &[SocketAddr],
) -> impl Future<Output = bool> + use<> {
    let from = source(to, own);
    async move {
        let transfers = &snapshot.settings.transfers;
        let key = key.map(|k| &transfers.keys[k]);
        let zone = snapshot.zones.position(apex.as_bytes());
        let Some(zone) = zone.map(|z| &snapshot.zones.zones()[z]) else {
            return false;
        };
        let serial = serial_of(zone);
        let mut why = String::new();
        for wait in WAITS {
            let now = unix(&*clock);
            // The keys of the standard hasher are random: nobody can guess the ID.
            let id = RandomState::new().hash_one(now) as u16;
            let notify = Notify::new(zone, id, key, now);
            match timeout(wait, exchange(&notify, from, to, key, &*clock)).await {
                Ok(Ok(Ok(()))) => {
                    tracing::info!(zone = %apex, %serial, %to, "the secondary took the NOTIFY");
                    return true;
                }
                Ok(Ok(Err(refused))) => {
                    tracing::warn!(zone = %apex, %serial, %to, "the secondary does not take the NOTIFY: {refused}");
                    return false;
                }
                Ok(Err(error)) => {
                    // As a rule nobody listens there yet.
                    why = error.to_string();
                    sleep(wait).await;
                }
                Err(_elapsed) => why = format!("no answer within {wait:?}"),
            }
            tracing::debug!(zone = %apex, %serial, %to, "NOTIFY: {why}");
        }
        tracing::warn!(
            zone = %apex, %serial, %to, tries = WAITS.len(),
            "the secondary did not answer NOTIFY ({why}); it will find the change when the SOA's refresh time is over"
        );
        false
    }
}

/// One try: sends, and reads until an answer comes that belongs to it.
async fn exchange(
    notify: &Notify,
    from: SocketAddr,
    to: SocketAddr,
    key: Option<&TsigKey>,
    clock: &dyn Clock,
) -> io::Result<Result<(), String>> {
    let socket = UdpSocket::bind(from).await?;
    // Only this secondary's packets reach the socket.
    socket.connect(to).await?;
    socket.send(&notify.message).await?;
    let mut packet = [0; 4_096];
    loop {
        let len = socket.recv(&mut packet).await?;
        if let Some(answer) = notify.answered(&packet[..len], key, unix(clock)) {
            return Ok(answer);
        }
    }
}

fn unix(clock: &dyn Clock) -> u64 {
    clock.wall().unix(clock.now())
}

/// The address to send from: the first of ours of the same family, unless it stands for all.
fn source(to: SocketAddr, own: &[SocketAddr]) -> SocketAddr {
    let ip = own
        .iter()
        .map(SocketAddr::ip)
        .find(|ip| ip.is_ipv4() == to.is_ipv4() && !ip.is_unspecified());
    // From loopback only loopback can be reached.
    let ip = ip.filter(|ip| !ip.is_loopback() || to.ip().is_loopback());
    let any = if to.is_ipv4() {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    };
    SocketAddr::new(ip.unwrap_or(any), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_comes_from_where_the_zone_is_transferred() {
        let own = ["[::]:53", "127.0.0.1:53", "192.0.2.1:53"].map(|a| a.parse().unwrap());
        for (to, listen, want) in [
            ("127.0.0.1:54", &own[..], "127.0.0.1:0"),
            ("198.51.100.1:53", &own[2..], "192.0.2.1:0"),
            ("198.51.100.1:53", &own[..2], "0.0.0.0:0"),
            ("[2001:db8::1]:53", &own[..], "[::]:0"),
            ("[2001:db8::1]:53", &[], "[::]:0"),
        ] {
            assert_eq!(
                source(to.parse().unwrap(), listen),
                want.parse().unwrap(),
                "{to}"
            );
        }
    }
}
