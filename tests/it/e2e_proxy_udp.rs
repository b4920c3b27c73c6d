//! Datagrams through the proxy, on the real binary: sessions by client, their ends, floods, backends that
//! go, addresses of answers (requirements P1, P3, P5, S4).

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::datagram::{Client, DatagramBackend};
use crate::support::node::{Node, folder};
use crate::support::proxy::{Proxy, backend_entry, head};
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener `l4` of datagrams at `bind` before these backends; `udp` goes into its table of that name.
fn config_at(bind: &str, udp: &str, upstream: &str, backends: &[SocketAddr]) -> String {
    let entries = backends.iter().enumerate();
    let entries: String = entries
        .map(|(i, a)| backend_entry("app", &format!("b{i}"), *a))
        .collect();
    format!(
        "[listeners.l4]\nbind = [\"{bind}\"]\nprotocol = \"udp\"\nforward = \"app\"\n\
         [listeners.l4.udp]\n{udp}\n[upstreams.app]\n{upstream}\n{entries}"
    )
}

fn config(udp: &str, backends: &[SocketAddr]) -> String {
    config_at("127.0.0.1:0", udp, "", backends)
}

/// A proxy of one worker: all clients take their turns at the same one.
fn start_one(text: &str) -> Proxy {
    Proxy {
        node: Node::start_in(folder(&format!("{}{text}", head_of_one()))),
    }
}

fn head_of_one() -> String {
    head().replace("roles =", "proxy = { workers = 1 }\nroles =")
}

fn open(proxy: &Proxy) -> u64 {
    proxy
        .node
        .metric("tradewind_proxy_udp_sessions_open{listener=\"l4\"}")
}

fn begun(proxy: &Proxy) -> u64 {
    proxy
        .node
        .metric("tradewind_proxy_udp_sessions_total{listener=\"l4\"}")
}

fn ended(proxy: &Proxy, reason: &str) -> u64 {
    proxy.node.metric(&format!(
        "tradewind_proxy_udp_sessions_ended_total{{listener=\"l4\",reason=\"{reason}\"}}"
    ))
}

fn dropped(proxy: &Proxy, reason: &str) -> u64 {
    proxy.node.metric(&format!(
        "tradewind_proxy_udp_datagrams_dropped_total{{listener=\"l4\",reason=\"{reason}\"}}"
    ))
}

/// A client that asks once: each of its datagrams counts.
fn patient(server: SocketAddr) -> Client {
    let client = Client::of(server);
    client.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    client
}

/// The first word of an answer of [`DatagramBackend::named`]: who answered; and whom.
fn who(answer: &str) -> (String, SocketAddr) {
    let mut words = answer.split(' ');
    let name = words.next().unwrap().to_owned();
    (name, words.next().unwrap().parse().unwrap())
}

#[test]
fn two_hundred_clients_get_their_own_answers_and_nobody_elses() {
    let backends = [DatagramBackend::echo(), DatagramBackend::echo()];
    let proxy = Proxy::start(&config("", &[backends[0].addr, backends[1].addr]));
    let server = proxy.addr("l4");
    let clients: Vec<Client> = (0..200).map(|_| Client::of(server)).collect();
    for round in 0..10 {
        // All of them at once, then the answers.
        for (i, client) in clients.iter().enumerate() {
            client.send(format!("round {round} of client {i}").as_bytes());
        }
        for (i, client) in clients.iter().enumerate() {
            let text = format!("round {round} of client {i}");
            loop {
                // A buffer of the system may have been full: then it is asked again, and both may be
                // answered.
                let Some(got) = client.next() else {
                    assert_eq!(client.ask(&text), text);
                    break;
                };
                let got = String::from_utf8(got).unwrap();
                assert!(got.ends_with(&format!(" of client {i}")), "{got}");
                if got == text {
                    break;
                }
            }
        }
    }
    assert_eq!(open(&proxy), 200);
    assert_eq!(begun(&proxy), 200, "a client has one session");
    for backend in &backends {
        let mut ports: Vec<u16> = backend.got().iter().map(|(from, _)| from.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        let n = ports.len();
        assert!(
            (90..=110).contains(&n),
            "in turn, each client on a port of its own: {n}"
        );
    }
    let figure = |what: &str| {
        let name = "tradewind_proxy_udp_listener";
        proxy.node.metric(&format!(
            "{name}_{what}{{listener=\"l4\",direction=\"in\"}}"
        ))
    };
    assert!(figure("datagrams_total") >= 2000);
    assert!(figure("bytes_total") > 2000 * 17);
    let page = http::get(proxy.node.admin, "/metrics").body;
    let backend = "tradewind_proxy_udp_backend_datagrams_total{upstream=\"app\",backend=\"b0\",direction=\"out\"}";
    assert!(page.contains(backend), "{page}");
}

#[test]
fn datagrams_of_every_size_go_there_and_back() {
    let backend = DatagramBackend::echo();
    let proxy = Proxy::start(&config("", &[backend.addr]));
    let client = Client::of(proxy.addr("l4"));
    for size in [0, 1, 1200, 1472, 2047, 2048, 2049, 9000, 65_507] {
        let octets: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        let answer = client.ask_for(&octets, |answer| answer.len() == size);
        assert!(answer == octets, "{size} octets");
    }
}

#[test]
fn dns_goes_through_and_its_sessions_end_with_the_answer() {
    let resolver = Node::start("");
    let proxy = Proxy::start(&config("responses = 1", &[resolver.dns]));
    let server = proxy.addr("l4");
    for _ in 0..5 {
        let out = Command::new("dig")
            .args([
                "+short",
                "+tries=10",
                "+time=1",
                "-p",
                &server.port().to_string(),
            ])
            .args([&format!("@{}", server.ip()), "static.gslb.test", "A"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&out.stdout), "192.0.2.80\n");
    }
    assert_eq!(open(&proxy), 0);
    assert!(ended(&proxy, "complete") >= 5);
}

#[test]
fn a_session_waits_for_the_answers_to_all_its_datagrams_and_requests_bound_it() {
    // Answers each second datagram only, twice.
    let backend = DatagramBackend::on("127.0.0.1:0", |(_, octets)| {
        if octets == b"now" {
            vec![b"one".to_vec(), b"two".to_vec()]
        } else {
            Vec::new()
        }
    });
    let proxy = Proxy::start(&config(
        "responses = 1\nidle-timeout = \"1m\"",
        &[backend.addr],
    ));
    let client = patient(proxy.addr("l4"));
    client.send(b"wait");
    client.send(b"now");
    assert_eq!(client.next().unwrap(), b"one");
    assert_eq!(client.next().unwrap(), b"two");
    wait_for("the session's end", PATIENCE, || {
        (open(&proxy) == 0).then_some(())
    });
    assert_eq!((begun(&proxy), ended(&proxy, "complete")), (1, 1));
    drop(proxy);
    let (one, two) = (DatagramBackend::named("one"), DatagramBackend::named("two"));
    let proxy = start_one(&config("requests = 2", &[one.addr, two.addr]));
    let client = patient(proxy.addr("l4"));
    let names: Vec<String> = (0..8)
        .map(|n| who(&client.ask(&format!("question {n}"))).0)
        .collect();
    assert_eq!(
        names,
        ["one", "one", "two", "two", "one", "one", "two", "two"]
    );
    assert_eq!(begun(&proxy), 4);
}

#[test]
fn one_way_datagrams_go_in_turn_and_leave_nothing_behind() {
    let (one, two) = (DatagramBackend::silent(), DatagramBackend::silent());
    let proxy = start_one(&config("responses = 0", &[one.addr, two.addr]));
    let client = Client::of(proxy.addr("l4"));
    for n in 0..1000 {
        client.send(format!("<13>line {n}").as_bytes());
        if n % 50 == 0 {
            // Not faster than the smallest buffer on the way.
            wait_for("the lines so far", PATIENCE, || {
                (one.count() + two.count() > n).then_some(())
            });
        }
    }
    wait_for("all lines", PATIENCE, || {
        (one.count() + two.count() == 1000).then_some(())
    });
    assert_eq!((one.count(), two.count()), (500, 500));
    let mut ports: Vec<SocketAddr> = one.got().iter().map(|(from, _)| *from).collect();
    ports.dedup();
    assert_eq!(ports.len(), 1, "one socket per backend");
    assert_eq!((open(&proxy), begun(&proxy)), (0, 0));
}

#[test]
fn silent_sessions_end_and_a_limit_per_source_holds() {
    let backend = DatagramBackend::echo();
    let text = config("idle-timeout = \"300ms\"", &[backend.addr]);
    let text = text.replace("forward =", "connections-per-source = 2\nforward =");
    let proxy = Proxy::start(&text);
    let server = proxy.addr("l4");
    let clients: Vec<Client> = (0..2).map(|_| Client::of(server)).collect();
    for client in &clients {
        client.ask("here");
    }
    wait_for("their end", PATIENCE, || (open(&proxy) == 0).then_some(()));
    assert!(ended(&proxy, "idle-timeout") >= 2);
    drop(proxy);
    let proxy = Proxy::start(&text.replace("300ms", "60s"));
    let server = proxy.addr("l4");
    let clients: Vec<Client> = (0..2).map(|_| Client::of(server)).collect();
    for client in &clients {
        client.ask("here");
    }
    let third = Client::of(server);
    third.send(b"me too");
    wait_for("the refusal", PATIENCE, || {
        (dropped(&proxy, "source-limit") == 1).then_some(())
    });
    let elsewhere = Client::from("127.0.0.9:0", server);
    elsewhere.ask("from elsewhere");
    assert_eq!(open(&proxy), 3);
    assert!(third.next().is_none());
    drop(proxy);
    // Neighbours are one source where that is configured.
    let wide = text
        .replace("300ms", "60s")
        .replace("forward =", "source-prefix4 = 24\nforward =");
    let proxy = Proxy::start(&wide);
    let server = proxy.addr("l4");
    let clients = [1, 2].map(|n| Client::from(&format!("127.0.0.{n}:0"), server));
    for client in &clients {
        client.ask("here");
    }
    let third = Client::from("127.0.0.3:0", server);
    third.send(b"me too");
    wait_for("the refusal", PATIENCE, || {
        (dropped(&proxy, "source-limit") == 1).then_some(())
    });
    Client::from("127.0.1.1:0", server).ask("from another network");
}

/// An echo server that is a process of its own; killed when dropped.
struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    fn echo() -> Process {
        const SERVER: &str = "import socket\n\
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
            s.bind(('127.0.0.1', 0))\n\
            print(s.getsockname()[1], flush=True)\n\
            while True:\n    d, a = s.recvfrom(65536)\n    s.sendto(d, a)\n";
        let mut child = Command::new("python3")
            .args(["-c", SERVER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = format!("127.0.0.1:{}", line.trim()).parse().unwrap();
        Process { child, addr }
    }

    fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn p3_a_backend_that_is_killed_moves_its_sessions_and_no_others() {
    let mut dying = Process::echo();
    let (one, two) = (DatagramBackend::named("one"), DatagramBackend::named("two"));
    let proxy = start_one(&config("", &[dying.addr, one.addr, two.addr]));
    let clients: Vec<Client> = (0..30).map(|_| Client::of(proxy.addr("l4"))).collect();
    let before: Vec<String> = clients.iter().map(|c| c.ask("hello")).collect();
    let on_dying = before.iter().filter(|a| *a == "hello").count();
    assert_eq!(on_dying, 10);
    dying.kill_9();
    for (client, before) in clients.iter().zip(&before) {
        let after = client.ask("hello");
        if before == "hello" {
            assert_ne!(after, "hello", "another backend answers");
        } else {
            assert_eq!(*before, after, "same backend, same port of the proxy");
        }
    }
    assert_eq!(begun(&proxy), 30, "they are the same sessions");
    let moved = "tradewind_proxy_udp_sessions_moved_total{listener=\"l4\"}";
    assert_eq!(proxy.node.metric(moved), 10);
    assert_eq!(open(&proxy), 30);
}

#[test]
fn p2_a_reload_keeps_sessions_added_backends_get_new_ones_and_removed_ones_drain() {
    let all = ["one", "two", "three"].map(DatagramBackend::named);
    // Long enough for all that is asked meanwhile.
    let drain = "drain-timeout = \"6s\"";
    let text = |backends: &[&DatagramBackend]| {
        let entries: String = backends
            .iter()
            .map(|b| {
                let at = all.iter().position(|a| a.addr == b.addr).unwrap();
                backend_entry("app", &format!("b{at}"), b.addr)
            })
            .collect();
        format!("{}{entries}", config_at("127.0.0.1:0", "", drain, &[]))
    };
    let proxy = start_one(&text(&[&all[0], &all[1]]));
    let reload = |backends: &[&DatagramBackend], times: usize| {
        let text = format!("{}{}", head_of_one(), text(backends));
        std::fs::write(proxy.node.file("tradewind.toml"), text).unwrap();
        proxy.node.signal("-HUP");
        wait_for("the reload", PATIENCE, || {
            (proxy.node.times_logged("reloaded") >= times).then_some(())
        });
    };
    let clients: Vec<Client> = (0..8).map(|_| Client::of(proxy.addr("l4"))).collect();
    let before: Vec<String> = clients.iter().map(|c| c.ask("hello")).collect();
    reload(&[&all[0], &all[1], &all[2]], 1);
    let after: Vec<String> = clients.iter().map(|c| c.ask("hello")).collect();
    assert_eq!(before, after, "sessions stay where they are");
    let fresh: Vec<Client> = (0..9).map(|_| Client::of(proxy.addr("l4"))).collect();
    let names: Vec<String> = fresh.iter().map(|c| who(&c.ask("new")).0).collect();
    assert_eq!(names.iter().filter(|n| *n == "three").count(), 3);
    // One that is not named any more keeps its sessions for the drain timeout, and then has none.
    reload(&[&all[1], &all[2]], 2);
    let newest: Vec<Client> = (0..4).map(|_| Client::of(proxy.addr("l4"))).collect();
    assert!(newest.iter().all(|c| who(&c.ask("newest")).0 != "one"));
    let (at, _) = before
        .iter()
        .enumerate()
        .find(|(_, a)| who(a).0 == "one")
        .unwrap();
    assert_eq!(clients[at].ask("hello"), before[at], "it drains");
    wait_for("the end of the drain", PATIENCE, || {
        (who(&clients[at].ask("hello")).0 != "one").then_some(())
    });
    assert_eq!(begun(&proxy), 21);
}

#[test]
fn s4_a_flood_of_forged_sources_is_bounded_and_touches_nobody_else() {
    let backend = DatagramBackend::named("game");
    let web = TcpListener::bind("127.0.0.1:0").unwrap();
    let web_addr = web.local_addr().unwrap();
    thread::spawn(move || {
        for stream in web.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
            });
        }
    });
    let text = format!(
        "{}\n[listeners.tcp]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"echo\"\n\
         [upstreams.echo]\n{}",
        config("max-sessions = 512\nidle-timeout = \"1m\"", &[backend.addr]),
        backend_entry("echo", "e0", web_addr),
    );
    let proxy = Proxy::start(&text);
    let server = proxy.addr("l4");
    let friend = Client::of(server);
    friend.ask("one");
    let (_, port) = who(&friend.ask("two"));
    let before = proxy.node.memory("VmRSS:");
    let flood = thread::spawn(move || {
        for n in 0..100_000_u32 {
            let [_, b, c, d] = n.to_be_bytes();
            let source = IpAddr::from([127, b + 1, c, d.max(1)]);
            if let Ok(socket) = UdpSocket::bind((source, 0)) {
                let _ = socket.send_to(b"flood", server);
            }
        }
    });
    let mut rounds = 0;
    let mut worst = Duration::ZERO;
    while !flood.is_finished() {
        let (_, now) = who(&friend.ask(&format!("still here {rounds}")));
        assert_eq!(now, port, "the session of who was proven lives on");
        let asked = Instant::now();
        assert_eq!(through_tcp(proxy.addr("tcp")), b"ping");
        worst = worst.max(asked.elapsed());
        rounds += 1;
    }
    flood.join().unwrap();
    assert!(
        worst < Duration::from_secs(5),
        "another listener waited {worst:?}"
    );
    assert!(open(&proxy) <= 512 + 1);
    let all = begun(&proxy);
    assert!(all > 10_000, "the flood came through: {all} sessions");
    assert!(ended(&proxy, "evicted") > 5_000);
    let grown = proxy.node.memory("VmRSS:").saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more");
    friend.ask("and afterwards");
}

fn through_tcp(server: SocketAddr) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut got = vec![0; 4];
    stream.read_exact(&mut got).unwrap();
    got
}

#[test]
fn answers_leave_from_the_address_that_was_asked_of_an_unspecified_bind() {
    let backend = DatagramBackend::echo();
    let proxy = Proxy::start(&config_at("0.0.0.0:0", "", "", &[backend.addr]));
    let port = proxy.addr("l4").port();
    // A connected socket takes answers from this address only.
    for last in [1, 2, 77] {
        let client = Client::of(SocketAddr::from(([127, 0, 0, last], port)));
        client.ask("who are you");
    }
    // One client at two addresses of the proxy has two sessions.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut space = [0; 64];
    for last in [1, 2, 1] {
        let to = SocketAddr::from(([127, 0, 0, last], port));
        socket.send_to(b"hello", to).unwrap();
        let (_, from) = socket.recv_from(&mut space).unwrap();
        assert_eq!(from, to);
    }
    assert_eq!(begun(&proxy), 5);
}

#[test]
fn ipv6_clients_and_backends() {
    let six = DatagramBackend::on("[::1]:0", |(from, _)| {
        vec![format!("six {from}").into_bytes()]
    });
    for bind in ["[::1]:0", "[::]:0", "127.0.0.1:0"] {
        let proxy = Proxy::start(&config_at(bind, "", "", &[six.addr]));
        let mut server = proxy.addr("l4");
        if server.ip().is_unspecified() {
            server.set_ip("::1".parse().unwrap());
        }
        let client = Client::of(server);
        let answer = client.ask_for(b"hello", |_| true);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("six [::1]:"), "{answer}");
    }
}

#[test]
fn p1_backends_are_told_whose_a_datagram_is_before_each_of_them() {
    let backend = DatagramBackend::on("127.0.0.1:0", |(_, octets)| vec![octets.clone()]);
    let text = config_at(
        "127.0.0.1:0",
        "",
        "proxy-protocol = \"v2\"",
        &[backend.addr],
    );
    let proxy = Proxy::start(&text);
    let server = proxy.addr("l4");
    let client = Client::of(server);
    for text in ["first", "second"] {
        let got = client.ask_for(text.as_bytes(), |a| a.ends_with(text.as_bytes()));
        assert_eq!(got.len(), 28 + text.len());
        assert_eq!(&got[..12], b"\r\n\r\n\0\r\nQUIT\n");
        // Version 2, PROXY; IPv4 and datagrams; 12 octets.
        assert_eq!(got[12..16], [0x21, 0x12, 0, 12]);
        assert_eq!(got[16..24], [127, 0, 0, 1, 127, 0, 0, 1]);
        let port = client.socket.local_addr().unwrap().port();
        assert_eq!(got[24..26], port.to_be_bytes());
        assert_eq!(got[26..28], server.port().to_be_bytes());
    }
}

#[test]
fn p1_each_session_is_a_line_of_the_access_log() {
    let backend = DatagramBackend::echo();
    let text = config("responses = 1", &[backend.addr]);
    let text = text.replace(
        "forward =",
        "access-log = { to = \"sessions.log\" }\nforward =",
    );
    let proxy = start_one(&text);
    let client = patient(proxy.addr("l4"));
    client.ask("four");
    let line = wait_for("the line", PATIENCE, || {
        let log = std::fs::read_to_string(proxy.node.file("sessions.log")).ok()?;
        log.lines().next().map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["listener"], "l4");
    assert_eq!(line["backend"], "b0");
    assert_eq!(line["end"], "answered");
    assert_eq!(
        (&line["bytes-in"], &line["bytes-out"]),
        (&4.into(), &4.into())
    );
}
