//! Members on a network of the imagination and on virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::bus::{GossipBus, GossipOptions, RolesOf};
use super::counters::{GossipCounters, GossipEvent};
use super::memory::{MemoryNet, RuntimeClock};
use super::merge::COMPLETE;
use crate::fleet::bus::{BusView, Change, Key, MAX_VALUE, StateBus};
use crate::fleet::credentials::Roles;
use crate::fleet::local::LocalBus;

#[path = "../../../tests/bench/fleet/sim.rs"]
mod sim;

const ALL: Roles = Roles {
    dns: true,
    probe: true,
    proxy: true,
    admin: true,
};

const G: Duration = Duration::from_millis(500);

fn address(n: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(n).unwrap()], 7946))
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Any name that starts with `n` has all roles.
fn everybody() -> RolesOf {
    Arc::new(|name| name.starts_with('n').then_some(ALL))
}

fn options(n: usize, generation: u64) -> GossipOptions {
    GossipOptions {
        node: format!("n{n}"),
        cluster: "test".to_owned(),
        generation,
        advertise: address(n),
        seeds: vec![address(0).to_string(), address(1).to_string()],
        interval: G,
        roles_of: everybody(),
        clock: Arc::new(RuntimeClock::start()),
    }
}

fn member_with(net: &MemoryNet, options: GossipOptions) -> GossipBus {
    GossipBus::start_here(options, Arc::default(), Arc::new(net.clone()))
}

fn member(net: &MemoryNet, n: usize, generation: u64) -> GossipBus {
    member_with(net, options(n, generation))
}

fn calm() -> MemoryNet {
    MemoryNet::new(|_, _| Some(Duration::from_millis(20)))
}

/// Waits, on virtual time, until it holds.
async fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < within, "{what}: not within {within:?}");
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

fn value(bus: &dyn StateBus, owner: &str, key: &str) -> Option<String> {
    let view = bus.view();
    Some(view.owners.get(owner)?.keys.get(key)?.to_string())
}

fn plain(view: &BusView) -> BTreeMap<String, BTreeMap<String, String>> {
    let keys = |keys: &BTreeMap<Key, Arc<str>>| {
        keys.iter()
            .map(|(k, v)| (k.as_str().to_owned(), v.to_string()))
            .collect()
    };
    view.owners
        .iter()
        .map(|(name, owner)| (name.to_string(), keys(&owner.keys)))
        .collect()
}

/// What every bus promises. `writer` publishes; `reader` learns of it, and may be the same.
async fn contract(writer: &dyn StateBus, reader: &dyn StateBus, name: &str) {
    const WITHIN: Duration = Duration::from_secs(20);
    let mut all = reader.subscribe("");
    let mut votes = reader.subscribe("v/");

    // What is published is there, for its writer at once.
    writer.publish(&key("v/1"), "up").unwrap();
    assert_eq!(value(writer, name, "v/1").as_deref(), Some("up"));
    until("a value", WITHIN, || {
        value(reader, name, "v/1").as_deref() == Some("up")
    })
    .await;
    let first: Change = votes.recv().await.unwrap();
    assert_eq!((&*first.owner, first.key.as_str()), (name, "v/1"));
    assert_eq!(&*first.value, "up");

    // The same again is no change; another prefix is not told.
    writer.publish(&key("v/1"), "up").unwrap();
    writer.publish(&key("hb"), "7").unwrap();
    writer.publish(&key("v/1"), "down").unwrap();
    assert_eq!(&*votes.recv().await.unwrap().value, "down");

    // Retired keys are gone from the view and told as empty.
    writer.retire(&key("v/1"));
    let gone = votes.recv().await.unwrap();
    assert_eq!((gone.key.as_str(), &*gone.value), ("v/1", ""));
    until("retired", WITHIN, || value(reader, name, "v/1").is_none()).await;
    writer.retire(&key("v/1"));
    writer.retire(&key("v/never"));

    // The longest value arrives, the next longer one is refused, and later keys still flow.
    let long = "x".repeat(MAX_VALUE);
    writer.publish(&key("v/2"), &long).unwrap();
    let refused = writer.publish(&key("v/3"), &"x".repeat(MAX_VALUE + 1));
    let text = refused.unwrap_err().to_string();
    assert_eq!(text, "the value of `v/3` has 8193 octets; it may have 8192");
    writer.publish(&key("v/4"), "last").unwrap();
    until("later keys", WITHIN, || {
        value(reader, name, "v/4").as_deref() == Some("last")
    })
    .await;
    assert_eq!(value(reader, name, "v/2"), Some(long));
    assert_eq!(value(reader, name, "v/3"), None);

    // Keys that are none are refused before they reach any bus.
    for bad in ["", "ü/1", "a b", "v/\u{7f}", "v/\n", &"k".repeat(201)] {
        assert!(Key::new(bad).is_err(), "{bad:?}");
    }

    // Many quick changes: the last value wins and is told.
    for n in 0..500 {
        writer.publish(&key("v/5"), &n.to_string()).unwrap();
    }
    until("the last value", WITHIN, || {
        value(reader, name, "v/5").as_deref() == Some("499")
    })
    .await;
    let mut seen = BTreeMap::new();
    while let Ok(change) = all.try_recv() {
        seen.insert(change.key.as_str().to_owned(), change.value.to_string());
    }
    // Applied in order, what readers are told is what the view holds.
    seen.retain(|_, value| !value.is_empty());
    assert_eq!(plain(&reader.view())[name], seen);

    // A later reader gets all there is, and then the changes.
    let mut late = reader.subscribe("v/");
    let mut keys: Vec<String> = std::iter::from_fn(|| late.try_recv().ok())
        .map(|change| change.key.as_str().to_owned())
        .collect();
    keys.sort();
    assert_eq!(keys, ["v/2", "v/4", "v/5"]);
    writer.publish(&key("v/6"), "new").unwrap();
    assert_eq!(late.recv().await.unwrap().key.as_str(), "v/6");

    // A view that was taken does not change.
    let before = reader.view();
    let copy = plain(&before);
    writer.publish(&key("v/6"), "newer").unwrap();
    until("newer", WITHIN, || {
        value(reader, name, "v/6").as_deref() == Some("newer")
    })
    .await;
    assert_eq!(plain(&before), copy);

    // A reader that went away disturbs nobody.
    drop((votes, late));
    writer.publish(&key("v/6"), "newest").unwrap();
    until("newest", WITHIN, || {
        value(reader, name, "v/6").as_deref() == Some("newest")
    })
    .await;
    let own = writer.members().iter().filter(|m| m.own).count();
    assert_eq!(own, 1);
    assert!(reader.members().iter().any(|m| *m.node == *name && m.alive));
}

#[tokio::test(start_paused = true)]
async fn the_local_bus_keeps_the_contract() {
    let bus = LocalBus::new("n0", Arc::new(RuntimeClock::start()));
    contract(&bus, &bus, "n0").await;
}

#[tokio::test(start_paused = true)]
async fn the_gossip_bus_keeps_the_contract_for_the_node_itself() {
    let bus = member(&calm(), 0, 1);
    contract(&bus, &bus, "n0").await;
}

#[tokio::test(start_paused = true)]
async fn the_gossip_bus_keeps_the_contract_between_nodes() {
    let net = MemoryNet::new(|_, _| Some(Duration::from_millis(120)));
    let members: Vec<GossipBus> = (0..4).map(|n| member(&net, n, 1)).collect();
    contract(&members[3], &members[1], "n3").await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_old_values_stay_until_the_new_life_is_complete() {
    let net = calm();
    let reader = member(&net, 0, 1);
    let first = member(&net, 1, 10);
    first.publish(&key("v/1"), "up").unwrap();
    first.publish(&key("v/2"), "up").unwrap();
    first.publish(&key(COMPLETE), "1").unwrap();
    until("first life", Duration::from_secs(5), || {
        value(&reader, "n1", COMPLETE).is_some()
    })
    .await;
    let mut changes = reader.subscribe("v/");
    while changes.try_recv().is_ok() {}
    // It dies without a word.
    drop(first);
    net.break_socket(address(1));
    let second = member(&net, 1, 20);
    second.publish(&key("v/1"), "down").unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(value(&reader, "n1", "v/1").as_deref(), Some("up"));
    assert!(changes.try_recv().is_err());
    second.publish(&key(COMPLETE), "1").unwrap();
    let took = until("second life", Duration::from_secs(5), || {
        value(&reader, "n1", "v/1").as_deref() == Some("down")
    })
    .await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(value(&reader, "n1", "v/2"), None);
    assert_eq!(reader.view().owners["n1"].generation, 20);
    let told: BTreeMap<String, String> = std::iter::from_fn(|| changes.try_recv().ok())
        .map(|c| (c.key.as_str().to_owned(), c.value.to_string()))
        .collect();
    let expected = [("v/1", "down"), ("v/2", "")];
    assert_eq!(
        told,
        expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    );
    assert_eq!(reader.counters().get(GossipEvent::Duplicate), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_socket_ends_one_life_and_the_next_tells_everything_again() {
    let net = calm();
    let (reader, writer) = (member(&net, 0, 1), member(&net, 1, 10));
    for n in 0..50 {
        writer.publish(&key(&format!("v/{n}")), "up").unwrap();
    }
    writer.publish(&key(COMPLETE), "1").unwrap();
    until("all", Duration::from_secs(5), || {
        value(&reader, "n1", COMPLETE).is_some()
    })
    .await;
    net.break_socket(address(1));
    let counters = writer.counters();
    let took = until("respawned", Duration::from_secs(5), || {
        counters.get(GossipEvent::Respawn) == 1
    })
    .await;
    assert!(took <= Duration::from_secs(1), "{took:?}");
    // Published while there was no gossip: nothing is lost.
    writer.publish(&key("v/7"), "down").unwrap();
    until("again", Duration::from_secs(10), || {
        value(&reader, "n1", "v/7").as_deref() == Some("down")
    })
    .await;
    let view = reader.view();
    assert_eq!(view.owners["n1"].generation, 11);
    assert_eq!(view.owners["n1"].keys.len(), 51);
    assert_eq!(writer.view().owners["n1"].generation, 11);
}

#[tokio::test(start_paused = true)]
async fn a_second_node_with_a_name_is_counted_and_not_believed() {
    let net = calm();
    let reader = member(&net, 0, 1);
    let first = member(&net, 1, 10);
    first.publish(&key("v/1"), "up").unwrap();
    first.publish(&key(COMPLETE), "1").unwrap();
    until("the first", Duration::from_secs(5), || {
        value(&reader, "n1", COMPLETE).is_some()
    })
    .await;
    let mut twin = options(1, 20);
    twin.advertise = address(2);
    let twin = member_with(&net, twin);
    twin.publish(&key("v/1"), "down").unwrap();
    twin.publish(&key(COMPLETE), "1").unwrap();
    let counted = |bus: &GossipBus| bus.counters().get(GossipEvent::Duplicate);
    for _ in 0..1000 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(value(&reader, "n1", "v/1").as_deref(), Some("up"));
    }
    // Once per interval of a minute.
    assert_eq!(counted(&reader), 2);
    assert_eq!(counted(&first), 2);
    assert!(counted(&twin) >= 1);
}

#[tokio::test(start_paused = true)]
async fn what_roles_forbid_and_strangers_say_is_not_believed() {
    let net = calm();
    let counters: Arc<GossipCounters> = Arc::default();
    let mut mine = options(0, 1);
    let probe = Roles {
        probe: true,
        ..Roles::default()
    };
    mine.roles_of = Arc::new(move |name| match name {
        "n0" => Some(ALL),
        "n1" => Some(probe),
        _ => None,
    });
    let reader = GossipBus::start_here(mine, counters.clone(), Arc::new(net.clone()));
    let (agent, stranger) = (member(&net, 1, 1), member(&net, 2, 1));
    agent.publish(&key("ov/region/eu"), "disable").unwrap();
    agent.publish(&key("v/1"), "up").unwrap();
    agent.publish(&key("nobody/1"), "x").unwrap();
    stranger.publish(&key("v/1"), "down").unwrap();
    until("the vote", Duration::from_secs(5), || {
        value(&reader, "n1", "v/1").is_some()
    })
    .await;
    sleep(Duration::from_secs(20)).await;
    let view = plain(&reader.view());
    assert_eq!(view["n1"].len(), 1);
    assert!(!view.contains_key("n2"), "{view:?}");
    assert_eq!(counters.get(GossipEvent::Forbidden), 2);
    assert_eq!(counters.get(GossipEvent::Stranger), 1);
    assert!(!reader.members().iter().any(|m| &*m.node == "n2"));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_ahead_once_does_not_silence_a_node() {
    let net = calm();
    let reader = member(&net, 0, 1);
    let first = member(&net, 1, 1000);
    first.publish(&key("v/1"), "up").unwrap();
    first.publish(&key(COMPLETE), "1").unwrap();
    until("the first", Duration::from_secs(5), || {
        value(&reader, "n1", COMPLETE).is_some()
    })
    .await;
    drop(first);
    net.break_socket(address(1));
    sleep(Duration::from_secs(5)).await;
    let second = member(&net, 1, 500);
    second.publish(&key("v/1"), "down").unwrap();
    second.publish(&key(COMPLETE), "1").unwrap();
    until("the second", Duration::from_secs(30), || {
        value(&reader, "n1", "v/1").as_deref() == Some("down")
    })
    .await;
    assert_eq!(reader.view().owners["n1"].generation, 1001);
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_says_so_and_its_values_stay() {
    let net = calm();
    let (reader, writer) = (member(&net, 0, 1), member(&net, 1, 1));
    writer.publish(&key("v/1"), "up").unwrap();
    let alive = |bus: &GossipBus| bus.members().iter().any(|m| &*m.node == "n1" && m.alive);
    until("alive", Duration::from_secs(10), || {
        value(&reader, "n1", "v/1").is_some() && alive(&reader)
    })
    .await;
    writer.stop();
    let took = until("left", Duration::from_secs(5), || !alive(&reader)).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    writer.stopped().await;
    sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(value(&reader, "n1", "v/1").as_deref(), Some("up"));
}

#[tokio::test(start_paused = true)]
async fn long_absence_loses_no_value_and_invents_no_state() {
    let net = calm();
    let [reader, writer] = [0, 1].map(|n| {
        let mut slow = options(n, 1);
        slow.interval = Duration::from_secs(10);
        member_with(&net, slow)
    });
    for n in 0..300 {
        writer.publish(&key(&format!("v/{n}")), "up").unwrap();
    }
    until("all", Duration::from_secs(10), || {
        plain(&reader.view())
            .get("n1")
            .is_some_and(|k| k.len() == 300)
    })
    .await;
    // Cut off for longer than retired keys are told, so that gossip starts over afterwards.
    net.change(|_, _| None);
    writer.retire(&key("v/0"));
    writer.publish(&key("v/1"), "down").unwrap();
    let mut changes = reader.subscribe("v/");
    while changes.try_recv().is_ok() {}
    sleep(Duration::from_secs(25 * 3600)).await;
    net.change(|_, _| Some(Duration::from_millis(20)));
    until("the change", Duration::from_secs(600), || {
        value(&reader, "n1", "v/1").as_deref() == Some("down")
    })
    .await;
    sleep(Duration::from_secs(60)).await;
    // Only what was said: nothing of what gossip had to send again was seen to go away.
    let told: Vec<(String, String)> = std::iter::from_fn(|| changes.try_recv().ok())
        .map(|c| (c.key.as_str().to_owned(), c.value.to_string()))
        .collect();
    assert!(
        told.contains(&("v/1".to_owned(), "down".to_owned())),
        "{told:?}"
    );
    assert!(
        told.iter().all(|(key, _)| key == "v/1" || key == "v/0"),
        "{told:?}"
    );
    let keys = plain(&reader.view())["n1"].len();
    assert!(keys >= 299, "{keys}");
}

#[tokio::test(start_paused = true)]
async fn a_small_fleet_keeps_the_bounds_of_the_benchmark() {
    let mut sim = sim::Sim::start(10, 1000, G, 0.02).await;
    let mut took = sim.propagation(60).await;
    took.sort();
    let p99 = sim::percentile(&took, 99);
    let max = sim::percentile(&took, 100);
    assert!(p99 <= Duration::from_secs(2), "{p99:?}");
    assert!(max <= Duration::from_secs(3), "{max:?}");
    let heal = sim.partition(Duration::from_secs(30)).await;
    assert!(heal <= Duration::from_secs(5), "{heal:?}");
    let join = sim.cold_join().await;
    assert!(join <= Duration::from_secs(10), "{join:?}");
}
