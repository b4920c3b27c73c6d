//! Sessions that the proxies of a region remember together: real nodes of one fleet on the loopback.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::backend::{After, Backend, send};
use crate::support::demo::tradewind;
use crate::support::member::Member;
use crate::support::proxy::Raw;
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

/// What is bound at one proxy is known to the others of the region within this: a second until it is told,
/// and what gossip takes on a machine that has much else to do.
const BOUND: Duration = Duration::from_secs(10);

const SESSIONS: usize = 12;

/// Names and regions.
const NODES: [(&str, &str); 3] = [("p1", "eu"), ("p2", "eu"), ("p3", "us")];

/// A backend that answers with its name, and sets a new cookie `sid` for who asks for `/login`.
fn application(name: &'static str) -> Backend {
    let logins = AtomicUsize::new(0);
    Backend::with(move |got, stream| {
        let set = match got.target.as_str() {
            "/login" => {
                let n = logins.fetch_add(1, Ordering::Relaxed);
                format!("Set-Cookie: sid={name}-{n}; Path=/\r\n")
            }
            _ => String::new(),
        };
        let length = name.len();
        let text = format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {length}\r\n\r\n{name}");
        send(stream, text.as_bytes());
        After::Next
    })
}

/// A proxy in a fleet.
struct Proxy {
    web: SocketAddr,
    admin: SocketAddr,
    /// Ends it.
    _member: Member,
}

impl Proxy {
    fn start(dir: &Path, name: &'static str) -> Proxy {
        let member = Member::start(dir, name);
        Proxy {
            web: member.addr("proxy=web="),
            admin: member.addr("admin="),
            _member: member,
        }
    }

    /// Who answers a client with this cookie, and the cookie that is set.
    fn ask(&self, target: &str, sid: Option<&str>) -> (String, Option<String>) {
        let cookie = sid.map_or_else(String::new, |sid| format!("Cookie: sid={sid}\r\n"));
        let mut raw = Raw::connect(self.web);
        let text = format!("GET {target} HTTP/1.1\r\nHost: www.example\r\n{cookie}\r\n");
        raw.send(text.as_bytes());
        let answer = raw.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        let set = answer.field("set-cookie").map(|line| {
            let value = line.strip_prefix("sid=").unwrap();
            value.split(';').next().unwrap().to_owned()
        });
        (answer.text(), set)
    }

    /// New clients: the cookie and the backend of each. Sorted by backend: a proxy that takes its backends
    /// in turns and knows none of these clients gives few of them their own.
    fn log_in(&self, count: usize) -> Vec<(String, String)> {
        let one = |_| {
            let (backend, sid) = self.ask("/login", None);
            (sid.expect("a cookie"), backend)
        };
        let mut clients: Vec<(String, String)> = (0..count).map(one).collect();
        clients.sort_by(|a, b| a.1.cmp(&b.1));
        clients
    }

    /// How many of these clients get their own backend here.
    fn honours(&self, clients: &[(String, String)]) -> usize {
        let own = |(sid, backend): &&(String, String)| self.ask("/", Some(sid)).0 == *backend;
        clients.iter().filter(own).count()
    }

    fn heard(&self) -> usize {
        let page = http::get(self.admin, "/metrics").body;
        let name = "tradewind_fleet_sessions_heard_total ";
        let value = page.lines().find_map(|l| l.strip_prefix(name));
        value.expect("the metric").parse().unwrap()
    }
}

/// The configuration of all nodes.
fn config(backends: &[&Backend]) -> String {
    // All at once, so that no two are the same.
    let sockets: Vec<UdpSocket> = NODES
        .iter()
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut text = "version = 1\n\
         [fleet]\nname = \"lab\"\nca = \"fleet/ca.pem\"\n\
         [regions.eu]\nlatitude = 50\nlongitude = 8\n\
         [regions.us]\nlatitude = 39\nlongitude = -77\n\
         [listeners.web]\nbind = [\"127.0.0.1:0\"]\n\
         [routes.all]\npath-prefixes = [\"/\"]\nforward = \"app\"\n\
         [upstreams.app]\nsession = { learn = \"sid\", share = true }\n"
        .to_owned();
    for ((name, region), socket) in NODES.iter().zip(&sockets) {
        let listen = socket.local_addr().unwrap();
        text += &format!(
            "[nodes.{name}]\nregion = \"{region}\"\nroles = [\"proxy\", \"admin\"]\nstate-dir = \"state-{name}\"\n\
             admin = {{ listen = \"127.0.0.1:0\" }}\nproxy = {{ workers = 1 }}\n\
             fleet = {{ listen = \"{listen}\", certificate = \"fleet/{name}.pem\", \
             key = \"fleet/{name}.key\" }}\n"
        );
    }
    for (i, backend) in backends.iter().enumerate() {
        let addr = backend.addr;
        text += &format!("[[upstreams.app.backends]]\nname = \"b{i}\"\naddress = \"{addr}\"\n");
    }
    text
}

fn good(dir: &Path, args: &[&str]) {
    let out = tradewind().current_dir(dir).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {text}");
}

#[test]
fn p5_a_session_learnt_at_one_proxy_is_honoured_at_the_others_of_its_region_only() {
    let (a, b, c) = (application("a"), application("b"), application("c"));
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    std::fs::write(d.join("tradewind.toml"), config(&[&a, &b, &c])).unwrap();
    good(d, &["fleet", "init", "--out", "fleet", "--name", "lab"]);
    for (node, _) in NODES {
        std::fs::create_dir(d.join(format!("state-{node}"))).unwrap();
        let issue = ["fleet", "issue", node, "--config", "tradewind.toml"];
        good(
            d,
            &[&issue[..], &["--ca", "fleet", "--out", "fleet"]].concat(),
        );
        good(
            d,
            &["check", "tradewind.toml", "--node", node, "--deny-warnings"],
        );
    }
    let [p1, p2, p3] = NODES.map(|(name, _)| Proxy::start(d, name));

    // Sessions that began before the nodes knew each other are known to both, too.
    let early = p1.log_in(SESSIONS);
    wait_for("p2 hears of the first sessions", PATIENCE, || {
        (p2.heard() >= SESSIONS).then_some(())
    });
    assert_eq!(p2.honours(&early), SESSIONS);

    // From now on the nodes know each other.
    let clients = p1.log_in(SESSIONS);
    assert_ne!(clients[0].1, clients[SESSIONS - 1].1);
    let begun = Instant::now();
    wait_for("p2 hears of the sessions", BOUND, || {
        (p2.heard() >= 2 * SESSIONS).then_some(())
    });
    eprintln!("sessions were known after {:?}", begun.elapsed());
    assert_eq!(p2.honours(&clients), SESSIONS);

    // And the other way.
    let others = p2.log_in(SESSIONS);
    wait_for("p1 hears of the sessions", BOUND, || {
        (p1.heard() >= SESSIONS).then_some(())
    });
    assert_eq!(p1.honours(&others), SESSIONS);

    // Another region is none of theirs.
    assert_eq!(p3.heard(), 0);
    let all = [&early[..], &clients, &others].concat();
    assert!(p3.honours(&all) < all.len());

    // Who leaves is remembered by what it said.
    drop(p1);
    assert_eq!(p2.honours(&all), all.len());
    assert_eq!(p3.heard(), 0);
}
