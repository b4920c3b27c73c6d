//! What a takeover does with sessions of datagrams, on the real binary: they go on with the same backends from
//! the same ports, nothing on its way is lost, and what one process learned the next one knows (P2, O5).

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tradewind::app::takeover::link::{Door, Link};
use tradewind::app::takeover::message::{Message, ONLY_THE_FIRST};

use crate::support::backend::{After, Backend, send};
use crate::support::datagram::{Client, DatagramBackend};
use crate::support::node::folder;
use crate::support::proxy::{Raw, backend_entry, head};
use crate::support::takeover::{PATIENCE, Process, Scrapes, Up};
use crate::support::{http, wait_for};

/// A listener `game` before these backends, each worker with a socket of its own.
fn game(workers: u32, udp: &str, backends: &[SocketAddr]) -> TempDir {
    let head = head().replace(
        "roles =",
        &format!("proxy = {{ workers = {workers} }}\nroles ="),
    );
    let entries = backends.iter().enumerate();
    let entries: String = entries
        .map(|(i, a)| backend_entry("app", &format!("b{i}"), *a))
        .collect();
    folder(&format!(
        "{head}[listeners.game]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"udp\"\nforward = \"app\"\n\
         [listeners.game.udp]\nidle-timeout = \"10m\"\n{udp}\n[upstreams.app]\n{entries}"
    ))
}

fn edit(dir: &Path, from: &str, to: &str) {
    let path = dir.join("tradewind.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

/// The next process of the node; the one before must end well.
fn take_over(dir: &Path, old: &mut Process) -> (Process, Up) {
    let new = Process::start(dir, &["--takeover"]);
    let up = new.ready();
    assert!(old.ended().success());
    (new, up)
}

fn metric(up: &Up, name: &str) -> u64 {
    let page = http::get(up.admin, "/metrics").body;
    let name = format!("tradewind_proxy_udp_{name}{{listener=\"game\"}} ");
    let line = page.lines().find_map(|l| l.strip_prefix(&*name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    line.parse().unwrap()
}

/// Who answered, and whom: [`DatagramBackend::named`].
fn who(answer: &str) -> (String, SocketAddr) {
    let mut words = answer.split(' ');
    let name = words.next().unwrap().to_owned();
    (name, words.next().unwrap().parse().unwrap())
}

#[test]
fn p2_sessions_go_on_with_the_same_backends_from_the_same_ports() {
    let backends = [DatagramBackend::named("b0"), DatagramBackend::named("b1")];
    let dir = game(2, "", &[backends[0].addr, backends[1].addr]);
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let scrapes = Scrapes::start(was.admin);
    let clients: Vec<Client> = (0..30).map(|_| Client::of(was.proxy("game"))).collect();
    let ask = |text: &str| -> Vec<(String, SocketAddr)> {
        clients.iter().map(|c| who(&c.ask(text))).collect()
    };
    let before = ask("before");
    assert!(before.iter().any(|(name, _)| name == "b0"));
    // Who comes anew goes to b1 alone from now on: whoever stays has been passed on.
    edit(dir.path(), "name = \"b0\"\n", "name = \"b0\"\nweight = 0\n");
    let (mut new, up) = take_over(dir.path(), &mut old);
    assert!(old.logged("sessions of datagrams go on in the new process given=30 lost=0"));
    assert_eq!(ask("after"), before);
    let newcomers: Vec<Client> = (0..5).map(|_| Client::of(up.proxy("game"))).collect();
    for client in &newcomers {
        assert_eq!(who(&client.ask("new")).0, "b1");
    }
    // And once more, from a process that got them itself.
    let (_newer, up) = take_over(dir.path(), &mut new);
    assert_eq!(ask("after that"), before);
    assert_eq!(metric(&up, "sessions_open"), 35);
    assert_eq!(metric(&up, "sessions_total"), 35, "none was begun anew");
    assert_eq!(metric(&up, "sessions_taken_over_total"), 30 + 35);
    assert_eq!(metric(&up, "sessions_not_passed_total"), 0);
    scrapes.assert_nothing_fell();
    drop(backends);
}

#[test]
fn p2_no_datagram_is_lost_in_either_direction() {
    let echo = DatagramBackend::named("b0");
    let dir = game(2, "", &[echo.addr]);
    let mut process = Process::start(dir.path(), &[]);
    let server = process.ready().proxy("game");
    let stop = AtomicBool::new(false);
    let asked = AtomicU32::new(0);
    // One after the other, and each asks once only.
    let ask = || {
        let client = Client::of(server);
        client.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut port = None;
        for n in 0.. {
            let text = format!("question {n}");
            client.send(text.as_bytes());
            let answer = client
                .next()
                .unwrap_or_else(|| panic!("no answer to {text}"));
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.ends_with(&text), "{answer} to {text}");
            let (_, from) = who(&answer);
            assert_eq!(*port.get_or_insert(from), from, "after {n}");
            asked.fetch_add(1, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(3));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(ask);
        }
        for _ in 0..3 {
            let before = asked.load(Ordering::Relaxed);
            wait_for("clients ask", PATIENCE, || {
                (asked.load(Ordering::Relaxed) > before + 60).then_some(())
            });
            (process, _) = take_over(dir.path(), &mut process);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn p2_what_a_backend_sends_of_itself_reaches_its_client_throughout() {
    let backend = UdpSocket::bind("127.0.0.1:0").unwrap();
    backend.set_read_timeout(Some(PATIENCE)).unwrap();
    let dir = game(2, "", &[backend.local_addr().unwrap()]);
    let mut process = Process::start(dir.path(), &[]);
    let client = Client::of(process.ready().proxy("game"));
    client.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send(b"here I am");
    let (_, session) = backend.recv_from(&mut [0; 64]).unwrap();
    const END: u32 = u32::MAX;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                backend.send_to(&sent.to_be_bytes(), session).unwrap();
                sent += 1;
                std::thread::park_timeout(Duration::from_millis(5));
            }
            backend.send_to(&END.to_be_bytes(), session).unwrap();
            sent
        });
        // Read as they come: the client's buffer holds some hundred.
        let reader = scope.spawn(|| {
            let next = || u32::from_be_bytes(client.next().unwrap().try_into().unwrap());
            let numbers = std::iter::repeat_with(next);
            numbers.take_while(|n| *n != END).collect::<Vec<_>>()
        });
        for _ in 0..2 {
            (process, _) = take_over(dir.path(), &mut process);
        }
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        // Two processes never read the same socket, so not even their order changes.
        assert_eq!(reader.join().unwrap(), (0..sent).collect::<Vec<_>>());
    });
    client.send(b"still here");
    let (_, from) = backend.recv_from(&mut [0; 64]).unwrap();
    assert_eq!(from, session);
}

#[test]
fn s4_what_does_not_fit_is_dropped_and_counted() {
    let backend = DatagramBackend::named("b0");
    let dir = game(1, "max-sessions = 1000", &[backend.addr]);
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let clients: Vec<Client> = (0..40).map(|_| Client::of(was.proxy("game"))).collect();
    let before: Vec<_> = clients.iter().map(|c| who(&c.ask("before")).1).collect();
    // Two that are known to hear their answers go before all others.
    for client in &clients[..2] {
        client.ask("again");
    }
    edit(dir.path(), "max-sessions = 1000", "max-sessions = 10");
    let (_new, up) = take_over(dir.path(), &mut old);
    assert_eq!(metric(&up, "sessions_taken_over_total"), 10);
    assert_eq!(metric(&up, "sessions_not_passed_total"), 30);
    assert_eq!(metric(&up, "sessions_open"), 10);
    for (client, before) in clients[..2].iter().zip(&before) {
        assert_eq!(who(&client.ask("after")).1, *before);
    }
    // The others begin anew.
    assert_eq!(who(&clients[5].ask("after")).0, "b0");
}

#[test]
fn p5_connection_ids_are_known_to_the_next_process() {
    /// Answers a long header with one of its own that issues an id, and a short one with its name.
    fn quic(name: u8) -> DatagramBackend {
        let issued = AtomicU32::new(0);
        DatagramBackend::on("127.0.0.1:0", move |(_, octets)| {
            if octets[0] & 0x80 == 0 {
                return vec![vec![0x40, name]];
            }
            let number = issued.fetch_add(1, Ordering::Relaxed);
            let mut answer = vec![0xc0, 0, 0, 0, 1, 0, 8, name, name, name, name];
            answer.extend(number.to_be_bytes());
            answer.extend([0; 32]);
            vec![answer]
        })
    }
    let backends = [quic(b'0'), quic(b'1')];
    let dir = game(
        2,
        "affinity = \"quic\"",
        &[backends[0].addr, backends[1].addr],
    );
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let mut hello = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0];
    hello.extend([0; 32]);
    let ids: Vec<Vec<u8>> = (0..16)
        .map(|_| {
            let client = Client::of(was.proxy("game"));
            let answer = client.ask_for(&hello, |answer| answer.len() > 15);
            answer[7..15].to_vec()
        })
        .collect();
    for name in [b'0', b'1'] {
        assert!(ids.iter().any(|id| id[0] == name));
    }
    let (mut new, up) = take_over(dir.path(), &mut old);
    assert_eq!(metric(&up, "connection_ids"), 16);
    let (_newer, up) = take_over(dir.path(), &mut new);
    for id in &ids {
        // From another address, as behind a NAT that forgot.
        let client = Client::of(up.proxy("game"));
        let mut packet = vec![0x40];
        packet.extend(id);
        packet.extend([0; 24]);
        let answer = client.ask_for(&packet, |answer| answer.len() == 2);
        assert_eq!(answer[1], id[0], "{id:?}");
    }
}

async fn hear(link: &Link) -> Message {
    let heard = tokio::time::timeout(PATIENCE, link.hear()).await;
    heard
        .unwrap()
        .unwrap()
        .expect("the other process is there")
        .0
}

fn in_runtime<T>(f: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(f)
}

#[test]
fn p2_an_older_new_process_gets_what_it_knows_of() {
    let backend = DatagramBackend::named("b0");
    let dir = game(1, "", &[backend.addr]);
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    Client::of(was.proxy("game")).ask("before");
    in_runtime(async {
        let link = Link::connect(&dir.path().join("state")).unwrap().unwrap();
        let hello = Message::Hello {
            version: 1,
            node: "n1".to_owned(),
            patience: Duration::from_secs(5),
        };
        link.say(&hello).await.unwrap();
        loop {
            match hear(&link).await {
                Message::Sockets(_) | Message::Counts(_) | Message::AllCounts => {}
                Message::AllSockets { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        link.say(&Message::Release).await.unwrap();
        assert_eq!(hear(&link).await, Message::Released);
        link.say(&Message::Serving).await.unwrap();
        loop {
            match hear(&link).await {
                Message::Counts(_) | Message::AllCounts => {}
                Message::Left { .. } => break,
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(old.ended().success());
}

#[test]
fn p2_a_new_process_speaks_as_an_older_one_that_runs() {
    let backend = DatagramBackend::named("b0");
    let dir = game(1, "", &[backend.addr]);
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let new = in_runtime(async {
        let door = Door::open(&state, None).unwrap();
        let new = Process::start(dir.path(), &["--takeover"]);
        let next = || async {
            let link = tokio::time::timeout(PATIENCE, door.next()).await;
            let link = link.expect("it comes").unwrap();
            let Message::Hello { version, .. } = hear(&link).await else {
                panic!("it says something else");
            };
            (link, version)
        };
        let (link, version) = next().await;
        assert!(version > 1);
        let why = format!("{ONLY_THE_FIRST}, this one {version}; restart the node instead");
        link.say(&Message::Refused(why)).await.unwrap();
        link.until_gone().await;
        // It has yet to be seen that the first try has ended.
        let (link, version) = next().await;
        assert_eq!(version, 1);
        let why = format!(
            "process {} is taking this node over already; wait",
            new.pid()
        );
        link.say(&Message::Refused(why)).await.unwrap();
        link.until_gone().await;
        let (link, version) = next().await;
        assert_eq!(version, 1);
        link.say(&Message::AllSockets { generation: 7 })
            .await
            .unwrap();
        assert_eq!(hear(&link).await, Message::Release);
        link.say(&Message::Released).await.unwrap();
        assert_eq!(hear(&link).await, Message::Serving);
        link.say(&Message::Left { generation: 7 }).await.unwrap();
        new
    });
    let up = new.ready();
    assert!(up.generation() > 7);
    let client = Client::of(up.proxy("game"));
    assert_eq!(who(&client.ask("after")).0, "b0");
}

/// A server of HTTP that says its name.
fn page(name: &'static str) -> Backend {
    Backend::with(move |_, stream| {
        let length = name.len();
        send(
            stream,
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}").as_bytes(),
        );
        After::Next
    })
}

#[test]
fn p2_clients_of_http_stay_with_their_backends() {
    let backends = [page("b0"), page("b1"), page("b2")];
    let entries = backends.iter().enumerate();
    let entries = |upstream: &str| -> String {
        let of = |(i, b): (usize, &Backend)| backend_entry(upstream, &format!("b{i}"), b.addr);
        entries.clone().map(of).collect()
    };
    let dir = folder(&format!(
        "{}[listeners.web]\nbind = [\"127.0.0.1:0\"]\n\
         [routes.told]\npath-prefixes = [\"/told\"]\nforward = \"told\"\n\
         [routes.kept]\npath-prefixes = [\"/kept\"]\nforward = \"kept\"\n\
         [upstreams.told]\nsession = {{ cookie.name = \"SRV\" }}\n{}\
         [upstreams.kept]\nsession = {{ on = \"header:X-User\" }}\n{}",
        head(),
        entries("told"),
        entries("kept")
    ));
    let mut process = Process::start(dir.path(), &[]);
    let web = process.ready().proxy("web");
    let ask = |path: &str, field: &str| {
        let mut raw = Raw::connect(web);
        let text = format!(
            "GET {path} HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n{field}\r\n\r\n"
        );
        raw.send(text.as_bytes());
        raw.last_answer()
    };
    let first = ask("/told", "X-Nothing: 1");
    let cookie = first
        .field("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let cookie = format!("Cookie: {cookie}");
    let user = |n: usize| ask("/kept", &format!("X-User: {n}")).text();
    let users: Vec<String> = (0..9).map(user).collect();
    assert!(users.iter().any(|name| *name != users[0]));
    for _ in 0..2 {
        (process, _) = take_over(dir.path(), &mut process);
        for _ in 0..4 {
            let again = ask("/told", &cookie);
            assert_eq!(again.text(), first.text());
            assert_eq!(again.field("set-cookie"), None, "it is known");
        }
        for _ in 0..2 {
            assert_eq!((0..9).map(user).collect::<Vec<_>>(), users);
        }
    }
}
