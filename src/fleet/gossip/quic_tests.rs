//! Members over QUIC on the loopback interface: who is let in, what is refused, what is counted.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use tokio::time::sleep;

use super::bus::{GossipBus, GossipOptions};
use super::counters::GossipEvent;
use super::frame::frame;
use super::memory::RuntimeClock;
use super::quic::ALPN;
use crate::fleet::asking::{Answers, Asking, MAX_ANSWER, Unanswered};
use crate::fleet::bus::{Key, StateBus};
use crate::fleet::credentials::{Credentials, Peer, Roles, SERVER_NAME};

#[path = "../../../tests/it/support/authority.rs"]
mod authority;

use authority::{Authority, Leaf, TestCredentials, until};

const G: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(20);

fn known(name: &str) -> bool {
    name.starts_with('n')
}

struct Node {
    bus: GossipBus,
    address: SocketAddr,
    credentials: Arc<TestCredentials>,
}

impl Node {
    fn start(name: &str, roots: &[&Authority], leaf: &Leaf, seeds: &[SocketAddr]) -> Node {
        Node::start_in("test", name, roots, leaf, seeds)
    }

    fn start_in(
        cluster: &str,
        name: &str,
        roots: &[&Authority],
        leaf: &Leaf,
        seeds: &[SocketAddr],
    ) -> Node {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let options = GossipOptions {
            node: name.to_owned(),
            cluster: cluster.to_owned(),
            generation: 1,
            advertise: address,
            seeds: seeds.iter().map(ToString::to_string).collect(),
            interval: G,
            roles_of: Arc::new(|name| {
                let roles = Roles {
                    probe: true,
                    ..Roles::default()
                };
                known(name).then_some(roles)
            }),
            clock: Arc::new(RuntimeClock::start()),
        };
        let credentials = TestCredentials::new(roots, leaf, known);
        let bus = GossipBus::start(options, socket, credentials.clone(), Arc::default()).unwrap();
        Node {
            bus,
            address,
            credentials,
        }
    }

    fn say(&self, key: &str, value: &str) {
        self.bus.publish(&Key::new(key).unwrap(), value).unwrap();
    }

    fn hears(&self, owner: &str, key: &str, value: &str) -> bool {
        let view = self.bus.view();
        let heard = view.owners.get(owner).and_then(|o| o.keys.get(key));
        heard.is_some_and(|v| **v == *value)
    }

    fn count(&self, event: GossipEvent) -> u64 {
        self.bus.counters().get(event)
    }
}

#[tokio::test]
async fn members_hear_each_other_and_say_goodbye() {
    let ca = Authority::new();
    let a = Node::start("n1", &[&ca], &ca.issue("n1"), &[]);
    let b = Node::start("n2", &[&ca], &ca.issue("n2"), &[a.address]);
    let c = Node::start("n3", &[&ca], &ca.issue("n3"), &[a.address]);
    let big = "x".repeat(8192);
    for n in 0..100 {
        b.say(&format!("v/{n}"), &big);
    }
    c.say("v/1", "up");
    until("both", SOON, || {
        c.hears("n2", "v/99", &big) && b.hears("n3", "v/1", "up") && a.hears("n3", "v/1", "up")
    })
    .await;
    assert_eq!(a.count(GossipEvent::RefusedTls), 0);
    assert!(a.count(GossipEvent::Received) > 0 && a.count(GossipEvent::WireIn) > 0);
    b.bus.stop();
    until("b has left", SOON, || {
        let members = a.bus.members();
        members.iter().any(|m| &*m.node == "n2" && !m.alive)
    })
    .await;
    tokio::time::timeout(SOON, b.bus.stopped()).await.unwrap();
    assert!(a.hears("n2", "v/99", &big));
}

#[tokio::test]
async fn another_authority_an_expired_certificate_and_a_stranger_are_refused_on_both_ends() {
    let (ca, other) = (Authority::new(), Authority::new());
    let a = Node::start("n1", &[&ca], &ca.issue("n1"), &[]);
    a.say("v/1", "up");
    let seeds = [a.address];
    let foreign = Node::start("n2", &[&ca, &other], &other.issue("n2"), &seeds);
    let expired = Node::start("n3", &[&ca], &ca.issue_until("n3", 2020), &seeds);
    let unknown = Node::start("x4", &[&ca], &ca.issue("x4"), &seeds);
    let distrusts = Node::start("n5", &[&other], &ca.issue("n5"), &seeds);
    for node in [&foreign, &expired, &unknown, &distrusts] {
        node.say("v/1", "down");
    }
    for node in [&foreign, &expired, &unknown] {
        until("it learns it", SOON, || {
            node.count(GossipEvent::RefusedUs) > 0
        })
        .await;
    }
    until("it refuses", SOON, || {
        distrusts.count(GossipEvent::RefusedTls) > 0
    })
    .await;
    until("it is told", SOON, || a.count(GossipEvent::RefusedUs) > 0).await;
    until("a counts", SOON, || {
        a.count(GossipEvent::RefusedTls) >= 2 && a.count(GossipEvent::RefusedPeer) >= 1
    })
    .await;
    // A member is let in meanwhile, and nothing of the others was believed.
    let good = Node::start("n6", &[&ca], &ca.issue("n6"), &seeds);
    good.say("v/1", "up");
    until("the good one", SOON, || {
        a.hears("n6", "v/1", "up") && good.hears("n1", "v/1", "up")
    })
    .await;
    let owners: Vec<_> = a.bus.view().owners.keys().cloned().collect();
    assert_eq!(owners, ["n1".into(), "n6".into()]);
    for node in [&foreign, &expired, &unknown, &distrusts] {
        assert!(!node.hears("n1", "v/1", "up"));
    }
}

/// Answers with who asked and what, with so many octets, late, or not at all.
struct Parrot;

impl Answers for Parrot {
    fn answer(&self, asker: &Peer, question: &str) -> Option<Vec<u8>> {
        match question.split_once(' ') {
            Some(("say", what)) => Some(format!("{} {what}", asker.node).into_bytes()),
            Some(("octets", n)) => Some(vec![7; n.parse().unwrap()]),
            Some(("late", ms)) => {
                std::thread::park_timeout(Duration::from_millis(ms.parse().unwrap()));
                Some(Vec::new())
            }
            _ => None,
        }
    }
}

#[tokio::test]
async fn a_member_asks_another_and_gets_one_answer_or_none() {
    let ca = Authority::new();
    let a = Arc::new(Node::start("n1", &[&ca], &ca.issue("n1"), &[]));
    let b = Node::start("n2", &[&ca], &ca.issue("n2"), &[a.address]);
    a.say("v/1", "up");
    b.say("v/1", "up");
    until("both", SOON, || {
        a.hears("n2", "v/1", "up") && b.hears("n1", "v/1", "up")
    })
    .await;
    // Before somebody answers there, nobody does.
    assert_eq!(a.bus.ask("n2", "say hello").await, Err(Unanswered::Silent));
    a.bus.answer_with(Arc::new(Parrot));
    b.bus.answer_with(Arc::new(Parrot));
    assert_eq!(a.bus.ask("n2", "say hello").await.unwrap(), b"n1 hello");
    assert_eq!(b.bus.ask("n1", "say you").await.unwrap(), b"n2 you");
    let long = format!("octets {MAX_ANSWER}");
    assert_eq!(a.bus.ask("n2", &long).await.unwrap().len(), MAX_ANSWER);
    let too_long = format!("octets {}", MAX_ANSWER + 1);
    for unanswered in ["?", "what", too_long.as_str()] {
        assert_eq!(a.bus.ask("n2", unanswered).await, Err(Unanswered::Silent));
    }
    assert_eq!(a.bus.ask("n3", "say x").await, Err(Unanswered::NeverHeard));
    // More at a time than are answered at a time, and than streams that may be open.
    let mut all = tokio::task::JoinSet::new();
    for n in 0..40 {
        let a = a.clone();
        all.spawn(async move { a.bus.ask("n2", &format!("say {n}")).await.unwrap() });
    }
    let mut told = all.join_all().await;
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 40);
    // Too long a question is counted there, and answered by nobody.
    let before = b.count(GossipEvent::BadFrame);
    let asked = a.bus.ask("n2", &"x".repeat(10_000)).await;
    assert_eq!(asked, Err(Unanswered::Unreachable));
    until("counted", SOON, || b.count(GossipEvent::BadFrame) > before).await;
    assert!(b.count(GossipEvent::AnswerGiven) >= 42);
    assert!(a.count(GossipEvent::Answered) >= 42 && a.count(GossipEvent::Unanswered) >= 6);
}

#[tokio::test]
async fn whoever_gives_a_question_up_waits_no_longer_and_gossip_goes_on() {
    let ca = Authority::new();
    let a = Node::start("n1", &[&ca], &ca.issue("n1"), &[]);
    let b = Node::start("n2", &[&ca], &ca.issue("n2"), &[a.address]);
    b.bus.answer_with(Arc::new(Parrot));
    b.say("v/1", "up");
    until("heard", SOON, || a.hears("n2", "v/1", "up")).await;
    // All rooms and streams of it are taken by questions that nobody waits for.
    for _ in 0..20 {
        let asked = a.bus.ask("n2", "late 500");
        let given_up = tokio::time::timeout(Duration::from_millis(20), asked).await;
        assert!(given_up.is_err());
    }
    b.say("v/1", "down");
    until("still heard", SOON, || a.hears("n2", "v/1", "down")).await;
    // What was given up makes room again.
    let asked = tokio::time::timeout(SOON, a.bus.ask("n2", "say again")).await;
    assert_eq!(asked.unwrap().unwrap(), b"n1 again");
    b.bus.stop();
    tokio::time::timeout(SOON, b.bus.stopped()).await.unwrap();
    let asked = tokio::time::timeout(SOON, a.bus.ask("n2", "say gone")).await;
    assert_eq!(asked.unwrap(), Err(Unanswered::Unreachable));
}

#[tokio::test]
async fn certificates_and_authorities_change_without_a_lost_round() {
    let (old, new) = (Authority::new(), Authority::new());
    let a = Node::start("n1", &[&old], &old.issue("n1"), &[]);
    let b = Node::start("n2", &[&old], &old.issue("n2"), &[a.address]);
    b.say("v/1", "0");
    until("first", SOON, || a.hears("n2", "v/1", "0")).await;
    let steps: [&dyn Fn(); 6] = [
        &|| a.credentials.replace(&[&old, &new], &old.issue("n1")),
        &|| b.credentials.replace(&[&old, &new], &old.issue("n2")),
        &|| a.credentials.replace(&[&old, &new], &new.issue("n1")),
        &|| b.credentials.replace(&[&old, &new], &new.issue("n2")),
        &|| a.credentials.replace(&[&new], &new.issue("n1")),
        &|| b.credentials.replace(&[&new], &new.issue("n2")),
    ];
    let mut n = 0;
    for step in steps {
        step();
        // Several values around each change, each within a few rounds.
        for _ in 0..5 {
            n += 1;
            let value = n.to_string();
            b.say("v/1", &value);
            until("a value", Duration::from_secs(3), || {
                a.hears("n2", "v/1", &value)
            })
            .await;
        }
    }
    for node in [&a, &b] {
        assert_eq!(node.count(GossipEvent::RefusedTls), 0);
        assert_eq!(node.count(GossipEvent::RefusedUs), 0);
        assert_eq!(node.count(GossipEvent::Unreachable), 0);
    }
    // Whoever kept the old authority is out, over connections that stood before too.
    let late = Node::start("n3", &[&old, &new], &old.issue("n3"), &[a.address]);
    until("refused", SOON, || late.count(GossipEvent::RefusedUs) > 0).await;
}

#[tokio::test]
async fn a_member_whose_authority_is_withdrawn_is_cut_off() {
    let (old, new) = (Authority::new(), Authority::new());
    let a = Node::start("n1", &[&old, &new], &new.issue("n1"), &[]);
    let b = Node::start("n2", &[&old, &new], &old.issue("n2"), &[a.address]);
    b.say("v/1", "before");
    until("before", SOON, || a.hears("n2", "v/1", "before")).await;
    a.credentials.replace(&[&new], &new.issue("n1"));
    until("cut off", SOON, || {
        a.count(GossipEvent::RefusedTls) > 0 && b.count(GossipEvent::RefusedUs) > 0
    })
    .await;
    b.say("v/1", "after");
    sleep(20 * G).await;
    assert!(a.hears("n2", "v/1", "before"));
}

#[tokio::test]
async fn garbage_is_counted_and_disturbs_nobody() {
    let ca = Authority::new();
    let a = Node::start("n1", &[&ca], &ca.issue("n1"), &[]);
    let b = Node::start("n2", &[&ca], &ca.issue("n2"), &[a.address]);
    b.say("v/1", "1");
    until("first", SOON, || a.hears("n2", "v/1", "1")).await;

    // Datagrams that are no QUIC, chitchat's own among them.
    let raw = UdpSocket::bind("127.0.0.1:0").unwrap();
    for garbage in [
        &b""[..],
        b"\x00",
        &[0x12; 1200],
        b"\xc0\xff\x00\x00\x1d1234567890",
    ] {
        raw.send_to(garbage, a.address).unwrap();
    }
    until("datagrams", SOON, || a.count(GossipEvent::BadDatagram) >= 4).await;

    // A member with a valid certificate sends nonsense.
    let rogue = TestCredentials::new(&[&ca], &ca.issue("n3"), known);
    let connect = async |alpn: &[u8]| {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut tls = (*rogue.client()).clone();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let crypto = Arc::new(QuicClientConfig::try_from(tls).unwrap());
        let config = quinn::ClientConfig::new(crypto);
        let connecting = endpoint.connect_with(config, a.address, SERVER_NAME);
        (endpoint, connecting.unwrap().await)
    };
    let (_endpoint, connection) = connect(ALPN).await;
    let connection = connection.unwrap();
    let mut foreign_version = frame("test", b"x");
    foreign_version[0] = 9;
    let streams = [
        (GossipEvent::BadFrame, b"\x01".to_vec()),
        (GossipEvent::BadFrame, vec![1; 100_000]),
        (GossipEvent::BadVersion, foreign_version),
        (GossipEvent::OtherCluster, frame("other", b"x")),
        (GossipEvent::BadMessage, frame("test", &[0xee; 30_000])),
        (GossipEvent::BadMessage, frame("test", b"\x01")),
    ];
    for (event, stream) in streams {
        let before = a.count(event);
        let mut to = connection.open_uni().await.unwrap();
        // What is too long is stopped on the way.
        let _ = to.write_all(&stream).await;
        let _ = to.finish();
        until("counted", SOON, || a.count(event) > before).await;
    }
    let mut cut_off = connection.open_uni().await.unwrap();
    cut_off.write_all(b"\x01\x01").await.unwrap();
    let before = a.count(GossipEvent::BadFrame);
    cut_off.reset(quinn::VarInt::from_u32(1)).unwrap();
    until("cut off", SOON, || a.count(GossipEvent::BadFrame) > before).await;

    // Another version of the protocol.
    let (_endpoint, refused) = connect(b"tradewind-fleet/99").await;
    assert!(refused.is_err());
    until("version", SOON, || a.count(GossipEvent::BadVersion) >= 2).await;

    assert_eq!(a.count(GossipEvent::Respawn), 0);
    b.say("v/1", "2");
    until("still there", SOON, || a.hears("n2", "v/1", "2")).await;
}

#[tokio::test]
async fn clusters_with_one_authority_do_not_mix() {
    let ca = Authority::new();
    let a = Node::start_in("east", "n1", &[&ca], &ca.issue("n1"), &[]);
    let b = Node::start_in("west", "n2", &[&ca], &ca.issue("n2"), &[a.address]);
    b.say("v/1", "down");
    until("counted", SOON, || a.count(GossipEvent::OtherCluster) > 3).await;
    assert!(!a.bus.view().owners.contains_key("n2"));
}
