//! Pushing over loopback sockets with real certificates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

use super::channel::body;
use super::frame::{Frame, VERSION};
use super::*;
use crate::app::clock::RealClock;
use crate::compile::PushTarget;
use crate::fleet::bus::{BusError, Key, StateBus};
use crate::fleet::credentials::{Credentials, SERVER_NAME};
use crate::fleet::identity::testing::World;
use crate::fleet::identity::{Authority, Identity, Reason, Side};
use crate::fleet::local::LocalBus;
use crate::time::Clock;

const ROSTER: &[(&str, &str)] = &[("dns1", "dns"), ("dns2", "dns"), ("nat1", "probe")];

/// A DNS node that takes pushes; dropping it closes all connections.
struct Taker {
    address: SocketAddr,
    identity: Arc<Identity>,
    bus: Arc<LocalBus>,
    ingest: Arc<Ingest>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Taker {
    async fn start(identity: &Arc<Identity>, address: &str) -> Taker {
        let listener = TcpListener::bind(address).await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(RealClock::start());
        let bus = Arc::new(LocalBus::new(identity.node(), clock.clone()));
        let ingest = Ingest::new(IngestOptions {
            credentials: identity.clone(),
            refusals: identity.refusals().clone(),
            bus: bus.clone(),
            clock,
        });
        let (stop, stopped) = watch::channel(false);
        Taker {
            address: listener.local_addr().unwrap(),
            identity: identity.clone(),
            bus,
            task: tokio::spawn(ingest.clone().serve(listener, stopped)),
            ingest,
            stop,
        }
    }

    /// Ends it, and frees its port.
    async fn end(self) -> String {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        self.address.to_string()
    }

    fn target(&self) -> PushTarget {
        PushTarget {
            name: self.identity.node().to_string(),
            address: self.address,
        }
    }

    /// What a reader of this node believes of a key of node `nat1`.
    fn believed(&self, key: &str) -> Option<String> {
        let view = self.bus.view();
        let own = view.owners.get(self.identity.node())?;
        let relayed = relay::relayed_key("nat1", &Key::new(key).unwrap())?;
        let value = own.keys.get(&relayed)?;
        let pushed = unwrap_pushed(&crate::fleet::Change {
            owner: "dns".into(),
            generation: 1,
            key: relayed,
            value: value.clone(),
        })?;
        Some(pushed.change.value.to_string())
    }

    fn refused(&self, side: Side, reason: Reason) -> u64 {
        self.identity.refusals().count(side, reason)
    }
}

fn bus(identity: &Arc<Identity>, generation: u64, takers: &[&Taker]) -> PushBus {
    PushBus::start(PushOptions {
        node: identity.node().clone(),
        generation,
        targets: takers.iter().map(|t| t.target()).collect(),
        credentials: identity.clone(),
        refusals: identity.refusals().clone(),
        clock: Arc::new(RealClock::start()),
    })
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Waits until something is so, at most half a minute.
async fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn what_is_pushed_reaches_every_taker_and_orders_come_back() {
    let world = World::new("one");
    let (dns1, dns2) = (
        Taker::start(&world.node("dns1", "dns", ROSTER), "127.0.0.1:0").await,
        Taker::start(&world.node("dns2", "dns", ROSTER), "127.0.0.1:0").await,
    );
    let nat1 = world.node("nat1", "probe", ROSTER);
    let agent = bus(&nat1, 5, &[&dns1, &dns2]);
    agent.publish(&key("v/1"), "before").unwrap();
    for taker in [&dns1, &dns2] {
        until("first", || {
            taker.believed("v/1").as_deref() == Some("before")
        })
        .await;
    }
    // Many changes of one key: the last one counts.
    for n in 0..1000 {
        agent.publish(&key("v/1"), &n.to_string()).unwrap();
    }
    agent.publish(&key("v/2"), "x").unwrap();
    agent.retire(&key("v/2"));
    for taker in [&dns1, &dns2] {
        until("last", || taker.believed("v/1").as_deref() == Some("999")).await;
        until("retired", || {
            taker.believed("v/2").is_none_or(|v| v.is_empty())
        })
        .await;
    }
    // Back come orders and news, not the votes of others.
    let mut orders = agent.subscribe("ov/");
    dns1.bus.publish(&key("v/9"), "not for agents").unwrap();
    dns1.bus.publish(&key("m/state"), "well").unwrap();
    for taker in [&dns1, &dns2] {
        taker.bus.publish(&key("ov/region/eu"), "drain").unwrap();
    }
    let order = tokio::time::timeout(Duration::from_secs(10), orders.recv()).await;
    assert_eq!(&*order.unwrap().unwrap().value, "drain");
    let has = |owner: &str, k: &str| {
        let view = agent.view();
        let owner = view.owners.get(owner);
        owner.is_some_and(|o| o.keys.contains_key(&key(k)))
    };
    until("news", || {
        has("dns1", "m/state") || has("dns2", "ov/region/eu")
    })
    .await;
    assert!(!has("dns1", "v/9"));
    assert!(has("nat1", "v/1"));
    let alive = |n: usize| agent.members()[n].alive;
    assert!(alive(0) && alive(1) && alive(2));
    assert_eq!((dns1.ingest.connected(), agent.connects()), (1, 2));
    // What cannot be pushed is said at once.
    let error = agent.publish(&key("v/1"), &"x".repeat(MAX_PUSHED + 1));
    assert!(matches!(error, Err(BusError::TooLongToPush { .. })));
    for reason in Reason::ALL {
        assert_eq!(nat1.refusals().count(Side::There, *reason), 0, "{reason:?}");
    }
}

#[tokio::test]
async fn a_taker_that_comes_back_is_told_everything_again() {
    let world = World::new("one");
    let of_dns1 = world.node("dns1", "dns", ROSTER);
    let dns1 = Taker::start(&of_dns1, "127.0.0.1:0").await;
    let nat1 = world.node("nat1", "probe", ROSTER);
    let agent = bus(&nat1, 5, &[&dns1]);
    agent.publish(&key("v/1"), "a").unwrap();
    agent.publish(&key("v/2"), "b").unwrap();
    until("first", || dns1.believed("v/2").as_deref() == Some("b")).await;
    let address = dns1.end().await;
    until("gone", || !agent.members()[1].alive).await;
    agent.publish(&key("v/1"), "c").unwrap();
    agent.retire(&key("v/2"));
    // Last known words stay in the agent's view.
    let dns1 = Taker::start(&of_dns1, &address).await;
    until("again", || dns1.believed("v/1").as_deref() == Some("c")).await;
    assert_eq!(dns1.believed("v/2"), None);
}

#[tokio::test]
async fn c9_a_role_writes_its_own_keys_only_and_both_ends_count_it() {
    let world = World::new("one");
    let dns1 = Taker::start(&world.node("dns1", "dns", ROSTER), "127.0.0.1:0").await;
    let nat1 = world.node("nat1", "probe", ROSTER);
    let agent = bus(&nat1, 5, &[&dns1]);
    for bad in ["ov/region/eu/drain", "px/dns2/v/1", "p/vip"] {
        agent.publish(&key(bad), "x").unwrap();
    }
    agent.publish(&key("v/1"), "good").unwrap();
    until("good", || dns1.believed("v/1").is_some()).await;
    assert_eq!(dns1.refused(Side::Here, Reason::KeyNotAllowed), 3);
    until("told", || {
        nat1.refusals().count(Side::There, Reason::KeyNotAllowed) == 3
    })
    .await;
    let view = dns1.bus.view();
    assert_eq!(view.owners["dns1"].keys.len(), 1);
}

#[tokio::test]
async fn c9_who_is_refused_hears_why() {
    let world = World::new("one");
    let dns1 = Taker::start(&world.node("dns1", "dns", ROSTER), "127.0.0.1:0").await;
    let there = |who: &Arc<Identity>, reason: Reason| {
        let refusals = who.refusals().clone();
        move || refusals.count(Side::There, reason) > 0
    };
    // Another authority, which the agent trusts besides.
    let other = World::new("one");
    let trusted = format!("{}{}", world.ca.certificate, other.ca.certificate);
    other.write(&other.ca, &trusted, "nat1", "probe", 365);
    let stranger = other.identity("nat1", "probe", ROSTER);
    let agent = bus(&stranger, 5, &[&dns1]);
    until("other CA", there(&stranger, Reason::OtherAuthority)).await;
    assert!(dns1.refused(Side::Here, Reason::OtherAuthority) > 0);
    assert_eq!(agent.connects(), 0);
    drop(agent);
    // Expired.
    world.write(&world.ca, &world.ca.certificate, "nat1", "probe", 1);
    let expired = world.identity("nat1", "probe", ROSTER);
    world.clock.advance(Duration::from_secs(2 * 86_400));
    let agent = bus(&expired, 5, &[&dns1]);
    until("expired", there(&expired, Reason::Expired)).await;
    assert!(dns1.refused(Side::Here, Reason::Expired) > 0);
    drop(agent);
    // A node that the configuration does not have.
    let unknown = world.node("nat9", "probe", ROSTER);
    let agent = bus(&unknown, 5, &[&dns1]);
    until("unknown", there(&unknown, Reason::UnknownNode)).await;
    assert!(dns1.refused(Side::Here, Reason::UnknownNode) > 0);
    drop(agent);
    // The agent finds another node than it was told.
    let nat1 = world.node("nat1", "probe", ROSTER);
    let target = PushTarget {
        name: "dns2".to_owned(),
        ..dns1.target()
    };
    let agent = PushBus::start(PushOptions {
        node: nat1.node().clone(),
        generation: 1,
        targets: vec![target],
        credentials: nat1.clone(),
        refusals: nat1.refusals().clone(),
        clock: Arc::new(RealClock::start()),
    });
    until("other node", || {
        nat1.refusals().count(Side::Here, Reason::UnknownNode) > 0
    })
    .await;
    assert_eq!(agent.connects(), 0);
    assert!(dns1.bus.view().owners.is_empty());
}

#[tokio::test]
async fn a_second_node_of_one_name_is_not_believed() {
    let world = World::new("one");
    let dns1 = Taker::start(&world.node("dns1", "dns", ROSTER), "127.0.0.1:0").await;
    let nat1 = world.node("nat1", "probe", ROSTER);
    let first = bus(&nat1, 5, &[&dns1]);
    first.publish(&key("v/1"), "first").unwrap();
    until("first", || dns1.believed("v/1").as_deref() == Some("first")).await;
    let second_identity = world.identity("nat1", "probe", ROSTER);
    let second = bus(&second_identity, 6, &[&dns1]);
    second.publish(&key("v/1"), "second").unwrap();
    until("refused", || {
        let refusals = second_identity.refusals();
        refusals.count(Side::There, Reason::DuplicateName) > 0
    })
    .await;
    assert!(dns1.refused(Side::Here, Reason::DuplicateName) > 0);
    assert_eq!(dns1.believed("v/1").as_deref(), Some("first"));
    drop(first);
    until("second", || {
        dns1.believed("v/1").as_deref() == Some("second")
    })
    .await;
    // A start with the clock gone back goes on as a later life.
    drop(second);
    let third = bus(&nat1, 2, &[&dns1]);
    third.publish(&key("v/1"), "third").unwrap();
    until("third", || dns1.believed("v/1").as_deref() == Some("third")).await;
    assert_eq!(third.members()[0].generation, 7);
}

#[tokio::test]
async fn c9_certificates_and_authorities_are_replaced_under_traffic() {
    let world = World::new("one");
    let of_dns1 = world.node("dns1", "dns", ROSTER);
    let mut dns1 = Taker::start(&of_dns1, "127.0.0.1:0").await;
    let dns2 = Taker::start(&world.node("dns2", "dns", ROSTER), "127.0.0.1:0").await;
    let nat1 = world.node("nat1", "probe", ROSTER);
    let agent = bus(&nat1, 5, &[&dns1, &dns2]);
    let mut heard = dns2.bus.subscribe("px/");
    let new_ca = Authority::make("one", world.now(), 3650).unwrap();
    let both = format!("{}{}", world.ca.certificate, new_ca.certificate);
    let mut count = 0u32;
    let steps = [
        (&world.ca, &world.ca.certificate),
        (&world.ca, &both),
        (&new_ca, &both),
        (&new_ca, &new_ca.certificate),
    ];
    for (ca, trusted) in steps {
        for (identity, has) in [(&of_dns1, "dns"), (&dns2.identity, "dns"), (&nat1, "probe")] {
            world.write(ca, trusted, identity.node(), has, 365);
            identity.look();
            count += 1;
            agent.publish(&key(&format!("v/{count}")), "x").unwrap();
            // One taker is new each time, so that there are new handshakes.
            let address = dns1.end().await;
            dns1 = Taker::start(&of_dns1, &address).await;
            until("all again", || {
                dns1.believed(&format!("v/{count}")).is_some()
            })
            .await;
        }
    }
    // The connection to the other taker has lasted, and missed nothing.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < count as usize {
        let change = tokio::time::timeout(Duration::from_secs(10), heard.recv()).await;
        seen.insert(change.unwrap().unwrap().key);
    }
    assert!(agent.connects() <= u64::from(count) + 2);
    for side in [Side::Here, Side::There] {
        for reason in Reason::ALL {
            for identity in [&of_dns1, &dns2.identity, &nat1] {
                assert_eq!(identity.refusals().count(side, *reason), 0, "{reason:?}");
            }
        }
    }
}

/// An HTTP/2 connection to a taker.
async fn http2(
    agent: &Identity,
    taker: &Taker,
) -> (
    hyper::client::conn::http2::SendRequest<super::channel::Outgoing>,
    tokio::task::JoinHandle<Result<(), hyper::Error>>,
) {
    let mut settings = (*agent.client()).clone();
    settings.alpn_protocols = vec![ALPN.to_vec()];
    let tcp = TcpStream::connect(taker.address).await.unwrap();
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let tls = TlsConnector::from(Arc::new(settings));
    let tls = tls.connect(name, tcp).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
            .await
            .unwrap();
    (sender, tokio::spawn(connection))
}

/// Pushes these octets, and then nothing; the status, and what came back until the other end closed it.
async fn push_octets(
    agent: &Identity,
    taker: &Taker,
    octets: Vec<u8>,
    ends: bool,
) -> (u16, String) {
    let (mut sender, driver) = http2(agent, taker).await;
    let (writer, outgoing) = body();
    writer.put(octets).await.unwrap();
    let writer = (!ends).then_some(writer);
    let request = hyper::Request::post(format!("https://{SERVER_NAME}{PATH}"));
    let response = sender.send_request(request.body(outgoing).unwrap()).await;
    let response = response.unwrap();
    let status = response.status().as_u16();
    let mut back = response.into_body();
    let mut said = Vec::new();
    while let Some(Ok(frame)) = back.frame().await {
        if let Ok(data) = frame.into_data() {
            said.extend(data);
        }
    }
    drop(writer);
    driver.abort();
    (status, String::from_utf8_lossy(&said).into_owned())
}

fn octets(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|f| f.write(&mut out));
    out
}

#[tokio::test]
async fn broken_pushes_end_and_are_counted_and_never_believed() {
    let world = World::new("one");
    let dns1 = Taker::start(&world.node("dns1", "dns", ROSTER), "127.0.0.1:0").await;
    let nat1 = world.node("nat1", "probe", ROSTER);
    let hello = |version: u8, generation: u64| Frame::Hello {
        version,
        generation,
    };
    let put = |seq: u64, value: &str| Frame::Put {
        seq,
        key: key("v/1"),
        value: value.into(),
    };
    let malformed = || dns1.refused(Side::Here, Reason::Malformed);
    // No hello, or one of another release.
    let (status, text) = push_octets(&nat1, &dns1, octets(&[put(1, "x")]), false).await;
    assert_eq!(
        (status, &*text),
        (400, "the push does not begin with a hello")
    );
    let (status, text) = push_octets(&nat1, &dns1, octets(&[hello(9, 1)]), false).await;
    assert!(status == 505 && text.contains("speaks version 9"), "{text}");
    assert_eq!(dns1.refused(Side::Here, Reason::UnknownVersion), 1);
    assert_eq!(malformed(), 1);
    // A frame that is too long, of an unknown kind, or said again.
    let good = octets(&[hello(VERSION, 1), put(1, "good")]);
    for (n, bad) in [
        u32::MAX.to_be_bytes().to_vec(),
        vec![0, 0, 0, 1, 99],
        vec![0, 0, 0, 2, 2, 0],
        octets(&[put(1, "again")]),
        octets(&[hello(VERSION, 1)]),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, _) = push_octets(&nat1, &dns1, [good.clone(), bad].concat(), false).await;
        assert_eq!((status, malformed()), (200, n as u64 + 2));
    }
    assert_eq!(dns1.believed("v/1").as_deref(), Some("good"));
    // One that is cut off is just an end.
    let mut cut = octets(&[hello(VERSION, 1), put(2, "cut off")]);
    cut.truncate(cut.len() - 3);
    let (status, _) = push_octets(&nat1, &dns1, cut, true).await;
    assert_eq!((status, malformed()), (200, 6));
    assert_eq!(dns1.believed("v/1").as_deref(), Some("good"));
    // Something else altogether.
    let (mut sender, _driver) = http2(&nat1, &dns1).await;
    let (_writer, outgoing) = body();
    let request = hyper::Request::get(format!("https://{SERVER_NAME}/"));
    let response = sender.send_request(request.body(outgoing).unwrap()).await;
    assert_eq!(response.unwrap().status(), 404);
    until("all gone", || dns1.ingest.connected() == 0).await;
}

#[tokio::test]
async fn a_slow_taker_holds_up_nobody_and_gets_the_newest_in_the_end() {
    let world = World::new("one");
    let of_dns1 = world.node("dns1", "dns", ROSTER);
    let dns2 = Taker::start(&world.node("dns2", "dns", ROSTER), "127.0.0.1:0").await;
    let nat1 = world.node("nat1", "probe", ROSTER);
    // It takes connections and never says anything.
    let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = stuck.local_addr().unwrap();
    let targets = vec![
        PushTarget {
            name: "dns1".to_owned(),
            address,
        },
        dns2.target(),
    ];
    let agent = PushBus::start(PushOptions {
        node: nat1.node().clone(),
        generation: 5,
        targets,
        credentials: nat1.clone(),
        refusals: nat1.refusals().clone(),
        clock: Arc::new(RealClock::start()),
    });
    // More than fits any buffer between both.
    let long = "x".repeat(4000);
    for n in 0..5000 {
        let value = format!("{n} {long}");
        agent
            .publish(&key(&format!("v/{}", n % 10)), &value)
            .unwrap();
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let last = |taker: &Taker| {
        let value = taker.believed("v/9");
        value.is_some_and(|v| v.starts_with("4999 "))
    };
    until("the other is up to date", || last(&dns2)).await;
    assert!(agent.is_flushed());
    drop(stuck);
    let dns1 = Taker::start(&of_dns1, &address.to_string()).await;
    until("the slow one as well", || last(&dns1)).await;
}
