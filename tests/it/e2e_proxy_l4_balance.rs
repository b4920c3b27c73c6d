//! How connections of layer 4 are spread over backends, on the real binary: every family of algorithms
//! against its definition, sources that stay with their backend, and orders while it runs.

use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::support::demo::tradewind;
use crate::support::node::{Node, folder};
use crate::support::proxy::{Proxy, head};
use crate::support::stream::StreamBackend;
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// One that says its name and then sends back what it gets.
pub fn speaker(name: &'static str) -> StreamBackend {
    StreamBackend::with(move |mut stream| {
        let mut space = [0; 1 << 10];
        let _ = stream.write_all(name.as_bytes());
        while let Ok(n @ 1..) = stream.read(&mut space) {
            if stream.write_all(&space[..n]).is_err() {
                return;
            }
        }
    })
}

/// A listener `l4` of one worker, and backends `a`, `b` and so on, each with further settings.
pub fn config(upstream: &str, backends: &[(&StreamBackend, &str)]) -> String {
    let names = ["a", "b", "c", "d"];
    let entries = backends.iter().zip(names);
    let entries: String = entries
        .map(|((backend, more), name)| {
            format!(
                "\n[[upstreams.app.backends]]\nname = \"{name}\"\naddress = \"{}\"\n{more}\n",
                backend.addr
            )
        })
        .collect();
    format!(
        "[nodes.n1.proxy]\nworkers = 1\n[listeners.l4]\nbind = [\"127.0.0.1:0\"]\n\
         protocol = \"tcp\"\nforward = \"app\"\n[upstreams.app]\nconnect-timeout = \"2s\"\n\
         {upstream}\n{entries}"
    )
}

/// A connection from this address of the machine.
pub fn connect_from(proxy: &Proxy, source: [u8; 4]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&proxy.addr("l4").into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

pub fn connect(proxy: &Proxy) -> TcpStream {
    connect_from(proxy, [127, 0, 0, 1])
}

/// The name that a backend says, of one letter; empty when the connection ends without one.
pub fn name_on(stream: &mut TcpStream) -> String {
    let mut octet = [0];
    match stream.read(&mut octet) {
        Ok(1) => char::from(octet[0]).to_string(),
        Ok(_) => String::new(),
        Err(e) if e.kind() == ErrorKind::ConnectionReset => String::new(),
        Err(e) => panic!("{e}"),
    }
}

fn names(proxy: &Proxy, count: usize) -> Vec<String> {
    (0..count).map(|_| name_on(&mut connect(proxy))).collect()
}

fn counts(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(&**name).or_default() += 1;
    }
    counts
}

#[test]
fn p5_round_robin_takes_turns_by_weight() {
    let (a, b, c) = (speaker("a"), speaker("b"), speaker("c"));
    let backends = [(&a, "weight = 5"), (&b, ""), (&c, "")];
    let proxy = Proxy::start(&config("", &backends));
    let got = names(&proxy, 14).concat();
    // One worker: the order is exact, from wherever it begins.
    let round = "aabacaa";
    assert!(round.repeat(4).contains(&got), "{got}");
}

#[test]
fn p5_least_connections_counts_those_that_are_open() {
    let (a, b) = (speaker("a"), speaker("b"));
    let backends = [(&a, "weight = 2"), (&b, "")];
    let proxy = Proxy::start(&config("algorithm = \"least-connections\"", &backends));
    let mut open: Vec<TcpStream> = (0..30).map(|_| connect(&proxy)).collect();
    let got: Vec<String> = open.iter_mut().map(name_on).collect();
    assert_eq!(counts(&got), BTreeMap::from([("a", 20), ("b", 10)]));
    // All of `b` end: the next go there.
    let mut stays = Vec::new();
    for (stream, name) in open.into_iter().zip(&got) {
        if name == "a" {
            stays.push(stream);
        }
    }
    wait_for("b to be idle", PATIENCE, || {
        let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
        (shown["upstreams"][0]["backends"][1]["in_flight"] == 0).then_some(())
    });
    let mut more: Vec<TcpStream> = (0..10).map(|_| connect(&proxy)).collect();
    assert!(more.iter_mut().all(|s| name_on(s) == "b"));
}

#[test]
fn p5_two_choices_random_and_least_time_use_all_backends() {
    for (algorithm, least) in [("two-choices", 50), ("random", 30), ("least-time", 5)] {
        let (a, b) = (speaker("a"), speaker("b"));
        let upstream = format!("algorithm = \"{algorithm}\"");
        let proxy = Proxy::start(&config(&upstream, &[(&a, ""), (&b, "")]));
        let mut open: Vec<TcpStream> = (0..120).map(|_| connect(&proxy)).collect();
        let got: Vec<String> = open.iter_mut().map(name_on).collect();
        let counts = counts(&got);
        assert_eq!(
            counts.values().sum::<usize>(),
            120,
            "{algorithm}: {counts:?}"
        );
        assert!(
            counts.len() == 2 && counts.values().all(|n| *n >= least),
            "{algorithm}: {counts:?}"
        );
    }
}

#[test]
fn p5_a_hash_of_the_source_keeps_clients_and_one_of_the_tuple_spreads_them() {
    let (a, b, c) = (speaker("a"), speaker("b"), speaker("c"));
    let backends = [(&a, ""), (&b, ""), (&c, "")];
    let source = "algorithm = \"hash\"\nhash = { on = \"source\" }";
    let proxy = Proxy::start(&config(source, &backends));
    let mut used = HashSet::new();
    for client in 2..30 {
        let ask = || name_on(&mut connect_from(&proxy, [127, 0, 0, client]));
        let home = ask();
        assert!((0..3).all(|_| ask() == home));
        used.insert(home);
    }
    assert_eq!(used.len(), 3);
    drop(proxy);
    let tuple = "algorithm = \"hash\"\nhash = { on = \"tuple\" }";
    let proxy = Proxy::start(&config(tuple, &backends));
    let got = names(&proxy, 90);
    let counts = counts(&got);
    assert!(
        counts.len() == 3 && counts.values().all(|n| *n >= 5),
        "{counts:?}"
    );
}

fn tell(proxy: &Proxy, args: &[&str]) {
    let out = tradewind()
        .arg("proxy")
        .args(args)
        .args(["--reason", "test", "--owner", "ann"])
        .args(["--server", &format!("http://{}", proxy.node.admin)])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
}

fn start_with_state(text: &str) -> Proxy {
    let head = head().replace("roles =", "state-dir = \"state\"\nroles =");
    Proxy {
        node: Node::start_in(folder(&format!("{head}{text}"))),
    }
}

/// Whether octets still go there and back.
fn lives(stream: &mut TcpStream) -> bool {
    let mut got = [0; 5];
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut got).is_ok() && got == *b"hello"
}

fn wait_for_end(what: &str, stream: &mut TcpStream) -> ErrorKind {
    let mut octet = [0];
    match stream.read(&mut octet) {
        Ok(0) => ErrorKind::UnexpectedEof,
        Ok(_) => panic!("{what}: an octet"),
        Err(e) => e.kind(),
    }
}

#[test]
fn p6_a_source_stays_with_its_backend_and_follows_orders() {
    let (a, b) = (speaker("a"), speaker("b"));
    let upstream = "session = { on = \"source\" }\ndrain-timeout = \"60s\"";
    let proxy = start_with_state(&config(upstream, &[(&a, ""), (&b, "")]));
    let ask = |client: u8| name_on(&mut connect_from(&proxy, [127, 0, 0, client]));
    let homes: Vec<String> = (2..12).map(ask).collect();
    assert_eq!(counts(&homes), BTreeMap::from([("a", 5), ("b", 5)]));
    let again: Vec<String> = (2..12).map(ask).collect();
    assert_eq!(again, homes);
    // Who is bound to it may come while it drains, others may not.
    tell(&proxy, &["drain", "app/a"]);
    let drained: Vec<String> = (2..12).map(ask).collect();
    assert_eq!(drained, homes);
    assert!((12..20).all(|client| ask(client) == "b"));
    tell(&proxy, &["disable", "app/a"]);
    assert!((2..12).all(|client| ask(client) == "b"));
}

#[test]
fn p6_orders_while_it_runs_reach_connections_that_live() {
    let (a, b, c) = (speaker("a"), speaker("b"), speaker("c"));
    let upstream = "drain-timeout = \"8s\"";
    let proxy = start_with_state(&config(upstream, &[(&a, ""), (&b, "")]));
    let open_at = |wanted: &str| {
        wait_for("a connection there", PATIENCE, || {
            let mut stream = connect(&proxy);
            (name_on(&mut stream) == wanted).then_some(stream)
        })
    };
    // Drained: no new clients, those under way go on, and are cut when the time is over.
    let mut one = open_at("a");
    tell(&proxy, &["drain", "app/a"]);
    assert!(names(&proxy, 10).iter().all(|name| name == "b"));
    assert!(lives(&mut one), "it may go on for a while");
    let end = wait_for_end("drained", &mut one);
    assert_eq!(end, ErrorKind::ConnectionReset, "not taken for an end");
    // Disabled: cut at once.
    tell(&proxy, &["enable", "app/a"]);
    let mut one = open_at("a");
    tell(&proxy, &["disable", "app/a"]);
    assert_eq!(
        wait_for_end("disabled", &mut one),
        ErrorKind::ConnectionReset
    );
    tell(&proxy, &["enable", "app/a"]);
    // Weight 0: no new clients, and nothing happens to the others.
    let mut one = open_at("a");
    tell(&proxy, &["weight", "app/a", "--to", "0"]);
    assert!(names(&proxy, 10).iter().all(|name| name == "b"));
    assert!(lives(&mut one));
    // Added: used at once. Removed: its connections finish.
    tell(&proxy, &["add", "app/c", "--address", &c.addr.to_string()]);
    let got = names(&proxy, 10);
    assert_eq!(counts(&got), BTreeMap::from([("b", 5), ("c", 5)]));
    let mut other = open_at("c");
    tell(&proxy, &["remove", "app/c"]);
    assert!(names(&proxy, 10).iter().all(|name| name == "b"));
    assert!(lives(&mut other));
    assert!(lives(&mut one));
}

#[test]
fn connections_to_backends_come_from_the_configured_address() {
    let seen = StreamBackend::with(|mut stream| {
        let source = stream.peer_addr().unwrap().ip();
        let _ = stream.write_all(source.to_string().as_bytes());
    });
    let proxy = Proxy::start(&config("source = \"127.0.0.77\"", &[(&seen, "")]));
    for _ in 0..3 {
        let mut got = String::new();
        connect(&proxy).read_to_string(&mut got).unwrap();
        assert_eq!(got.parse(), Ok(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77))));
    }
}

#[test]
fn an_address_that_the_machine_does_not_have_is_told_at_the_start_and_is_no_fault_of_backends() {
    let a = speaker("a");
    let proxy = Proxy::start(&config("source = \"198.51.100.7\"", &[(&a, "")]));
    proxy
        .node
        .wait_logged("198.51.100.7 is no address of this machine");
    for _ in 0..10 {
        assert_eq!(name_on(&mut connect(&proxy)), "");
    }
    let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
    assert_eq!(
        shown["upstreams"][0]["backends"][0]["state"], "up",
        "{shown}"
    );
    assert_eq!(a.connections(), 0);
}
