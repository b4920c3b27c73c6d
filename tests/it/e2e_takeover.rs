//! Binary takeover on the real binary: a new process goes on where the running one is, and clients
//! notice nothing (requirements P2 and O5).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tradewind::app::takeover::link::Link;
use tradewind::app::takeover::message::{Message, VERSION};

use crate::support::backend::Backend;
use crate::support::demo::tradewind;
use crate::support::node::{HEAD, ZONE, folder};
use crate::support::proxy::{self, backend_entry};
use crate::support::stream::StreamBackend;
use crate::support::takeover::{Clients, PATIENCE, Process, Scrapes, Up, rest};
use crate::support::{http, wait_for};

/// A node without a proxy.
fn plain() -> TempDir {
    folder(&format!("{HEAD}{STEERED}"))
}

/// Something that orders can be about.
const STEERED: &str = r#"
[pools.eu]
region = "eu"
endpoints = [{ name = "one", address = "192.0.2.1" }]

[policies.any]
stages = [{ weighted = {} }]

[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
"#;

/// A node with a listener of HTTP, `web`, and one of TCP, `l4`, each with a backend.
fn with_proxy(backend: &Backend, echo: &StreamBackend) -> TempDir {
    let l4 = "[listeners.l4]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"echo\"\n\n\
              [upstreams.echo]\nconnect-timeout = \"2s\"\n";
    let backends = backend_entry("app", "b0", backend.addr);
    let echoes = backend_entry("echo", "e0", echo.addr);
    let head = proxy::head();
    folder(&format!("{head}{}{backends}\n{l4}{echoes}", proxy::WEB))
}

/// A node whose first round of probes takes its time: the target takes connections and is silent.
fn slow_round(silent: &TcpListener) -> String {
    let port = silent.local_addr().unwrap().port();
    format!(
        r#"{HEAD}
[dns]
first-round = "20s"

[monitors.page]
interval = "60s"
timeout = "30s"
rise = 1
fall = 1
http = {{ path = "/" }}

[pools.eu]
region = "eu"
monitor = "page"
endpoints = [{{ name = "mute", address = "127.0.0.1", port = {port} }}]

[policies.any]
stages = [{{ weighted = {{}} }}]

[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
"#
    )
}

fn workers(dir: &Path, count: u32) {
    let path = dir.join("tradewind.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.find("workers = ").unwrap() + "workers = ".len();
    let end = at + text[at..].find([' ', ',', '}']).unwrap();
    let text = format!("{}{count}{}", &text[..at], &text[end..]);
    std::fs::write(path, text).unwrap();
}

/// Takes over from `old`, which must end by itself and well.
fn take_over(dir: &Path, old: &mut Process, was: &Up) -> (Process, Up) {
    let new = Process::start(dir, &["--takeover"]);
    let up = new.ready();
    assert_eq!(up.addresses(), was.addresses());
    assert!(up.generation() > was.generation(), "{up:?} after {was:?}");
    assert!(old.ended().success());
    assert!(old.logged("all that was begun is finished"));
    (new, up)
}

fn serves(up: &Up) {
    let answer = crate::support::dns::udp(
        up.dns,
        &crate::support::dns::query("static.gslb.test.", hickory_proto::rr::RecordType::A, None),
    );
    assert_eq!(answer.answers.len(), 1);
    assert_eq!(http::get(up.admin, "/readyz").status, 200);
}

/// Waits until an order can be given, which is on the disk then.
fn takes_orders(up: &Up) {
    let given = wait_for("orders are taken", PATIENCE, || {
        let given = up.order("takeover");
        (given.status != 503).then_some(given)
    });
    assert_eq!(given.status, 200, "{given:?}");
    assert!(!given.body.contains("outlive"), "{given:?}");
}

#[test]
fn p2_a_new_process_takes_over_and_nothing_is_lost() {
    let (backend, echo) = (Backend::start(), StreamBackend::echo());
    let dir = with_proxy(&backend, &echo);
    let mut old = Process::start(dir.path(), &["--takeover"]);
    let mut up = old.ready();
    assert!(
        old.logged("a usual start"),
        "there was nobody to take over from"
    );
    let clients = Clients::start(&up, Some(up.proxy("web")));
    let scrapes = Scrapes::start(up.admin);
    // More workers than sockets, then fewer.
    for count in [3, 1, 2] {
        workers(dir.path(), count);
        let (new, now) = take_over(dir.path(), &mut old, &up);
        (old, up) = (new, now);
    }
    serves(&up);
    clients.assert_nothing_lost();
    assert!(scrapes.assert_nothing_fell() > 10);
}

#[test]
fn p2_a_long_connection_finishes_on_the_old_process() {
    let (backend, echo) = (Backend::start(), StreamBackend::echo());
    let dir = with_proxy(&backend, &echo);
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let mut long = TcpStream::connect(was.proxy("l4")).unwrap();
    long.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut say = |text: &[u8]| {
        long.write_all(text).unwrap();
        let mut got = vec![0; text.len()];
        long.read_exact(&mut got).unwrap();
        assert_eq!(got, text);
    };
    say(b"before");
    let new = Process::start(dir.path(), &["--takeover"]);
    let up = new.ready();
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        say(b"meanwhile");
        rest(Instant::now() + Duration::from_millis(50));
    }
    assert!(old.runs(), "it has a connection to finish");
    assert_eq!(echo.connections(), 1);
    say(b"after");
    drop(long);
    assert!(old.ended().success());
    serves(&up);
}

#[test]
fn p2_a_wrong_configuration_takes_nothing_over() {
    let dir = plain();
    let mut old = Process::start(dir.path(), &[]);
    let up = old.ready();
    let path = dir.path().join("tradewind.toml");
    let right = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        right.replace("region = \"eu\"", "region = \"nowhere\""),
    )
    .unwrap();
    let mut wrong = Process::start(dir.path(), &["--takeover"]);
    assert_eq!(wrong.ended().code(), Some(78));
    assert!(!old.logged("asks to take over"));
    serves(&up);
    std::fs::write(&path, right).unwrap();
    take_over(dir.path(), &mut old, &up);
}

/// Speaks as a new process does, as far as `steps`, and is gone.
fn die_after(dir: &Path, steps: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let link = Link::connect(&dir.join("state")).unwrap().unwrap();
        if steps > 0 {
            link.say(&hello()).await.unwrap();
        }
        if steps > 1 {
            while !matches!(hear(&link).await, Message::AllSockets { .. }) {}
        }
        if steps > 2 {
            link.say(&Message::Release).await.unwrap();
        }
        if steps > 3 {
            assert_eq!(hear(&link).await, Message::Released);
        }
    });
}

fn hello() -> Message {
    Message::Hello {
        version: VERSION,
        node: "n1".to_owned(),
        patience: Duration::from_secs(5),
    }
}

async fn hear(link: &Link) -> Message {
    let heard = tokio::time::timeout(PATIENCE, link.hear()).await;
    heard.unwrap().unwrap().expect("the old process is there").0
}

#[test]
fn p2_a_new_process_that_dies_at_any_step_leaves_the_old_one_serving() {
    let dir = plain();
    let mut old = Process::start(dir.path(), &[]);
    let up = old.ready();
    let clients = Clients::start(&up, None);
    for steps in 0..=4 {
        die_after(dir.path(), steps);
        wait_for("it came to nothing", PATIENCE, || {
            (old.times_logged("no takeover: the new process has ended") > steps).then_some(())
        });
        takes_orders(&up);
        serves(&up);
    }
    assert!(old.runs());
    clients.assert_nothing_lost();
    let (_new, up) = take_over(dir.path(), &mut old, &up);
    let listed = http::get(up.admin, "/v1/overrides");
    assert!(
        listed.body.contains("takeover"),
        "the store came along: {listed:?}"
    );
}

#[test]
fn p2_a_new_process_that_is_killed_in_its_first_round_changes_nothing() {
    let dir = plain();
    let mut old = Process::start(dir.path(), &[]);
    let up = old.ready();
    let clients = Clients::start(&up, None);
    let right = std::fs::read_to_string(dir.path().join("tradewind.toml")).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(dir.path().join("tradewind.toml"), slow_round(&silent)).unwrap();
    let mut new = Process::start(dir.path(), &["--takeover"]);
    // It has all, and probes: a target that says nothing.
    let _connection = silent.accept().unwrap();
    // Meanwhile nobody else may, and orders wait.
    let mut second = Process::start(dir.path(), &["--takeover"]);
    assert_eq!(second.ended().code(), Some(1));
    second.wait_logged(&format!(
        "process {} is taking this node over already",
        new.pid()
    ));
    old.wait_logged("a second takeover is refused");
    let given = up.order("meanwhile");
    assert_eq!(given.status, 503, "{given:?}");
    new.kill();
    old.wait_logged("no takeover: the new process has ended");
    takes_orders(&up);
    clients.assert_nothing_lost();
    std::fs::write(dir.path().join("tradewind.toml"), right).unwrap();
    take_over(dir.path(), &mut old, &up);
}

#[test]
fn p2_when_the_old_process_dies_half_way_the_new_one_goes_on() {
    let dir = plain();
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = slow_round(&silent).replace("20s", "3s");
    std::fs::write(dir.path().join("tradewind.toml"), slow).unwrap();
    let new = Process::start(dir.path(), &["--takeover"]);
    let _connection = silent.accept().unwrap();
    old.kill();
    let up = new.ready();
    assert_eq!(up.addresses(), was.addresses());
    serves(&up);
    takes_orders(&up);
}

#[test]
fn p2_sigusr2_starts_the_file_that_lies_there_now() {
    let dir = plain();
    let program = dir.path().join("tradewind");
    let install = || {
        let fresh = dir.path().join("fresh");
        std::fs::copy(env!("CARGO_BIN_EXE_tradewind"), &fresh).unwrap();
        std::fs::rename(&fresh, &program).unwrap();
    };
    install();
    let mut old = Process::start_program(Command::new(&program), dir.path(), &[]);
    let was = old.ready();
    let clients = Clients::start(&was, None);
    install();
    old.signal("-USR2");
    // The child writes where its parent does.
    let up = old.ready();
    assert_eq!(up.addresses(), was.addresses());
    assert!(old.ended().success());
    clients.assert_nothing_lost();
    serves(&up);
    let child = std::fs::read_dir("/proc").unwrap().flatten().find_map(|p| {
        let exe = std::fs::read_link(p.path().join("exe")).ok()?;
        (exe == program).then(|| p.file_name().into_string().unwrap().parse().unwrap())
    });
    let child: u32 = child.expect("the new process outlives the old one");
    crate::support::demo::signal("-TERM", child);
    wait_for("the child ends", PATIENCE, || {
        (!Path::new(&format!("/proc/{child}")).exists()).then_some(())
    });
}

/// `TAKEOVERS=60` makes it the whole of requirement O5: see `tests/takeover`.
#[test]
fn o5_one_takeover_per_second_loses_no_query_and_counters_go_on() {
    let count = std::env::var("TAKEOVERS").map_or(5, |n| n.parse().unwrap());
    let (backend, echo) = (Backend::start(), StreamBackend::echo());
    let dir = with_proxy(&backend, &echo);
    let mut old = vec![Process::start(dir.path(), &[])];
    let mut up = old[0].ready();
    let clients = Clients::start(&up, Some(up.proxy("web")));
    let scrapes = Scrapes::start(up.admin);
    let begun = Instant::now();
    for n in 0..count {
        rest(begun + Duration::from_secs(n));
        let new = Process::start(dir.path(), &["--takeover"]);
        let now = new.ready();
        assert!(now.generation() > up.generation());
        old.push(new);
        up = now;
    }
    eprintln!("{count} takeovers in {:?}", begun.elapsed());
    // The last one serves.
    let last = old.pop();
    for process in &mut old {
        assert!(process.ended().success());
    }
    serves(&up);
    clients.assert_nothing_lost();
    scrapes.assert_nothing_fell();
    drop(last);
}

/// Two members of a fleet on the loopback; each knows the other.
fn fleet_of_two() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sockets = [0; 2].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut text = "version = 1\n[fleet]\nname = \"lab\"\nca = \"fleet/ca.pem\"\n\
         [regions.eu]\nlatitude = 50\nlongitude = 8\n[zones.\"gslb.test\"]\nfile = \"gslb.test.zone\"\n"
        .to_owned()
        + STEERED;
    for (name, socket) in ["n1", "n2"].iter().zip(&sockets) {
        let listen = socket.local_addr().unwrap();
        text += &format!(
            "[nodes.{name}]\nregion = \"eu\"\nroles = [\"dns\", \"probe\", \"admin\"]\n\
             state-dir = \"state-{name}\"\ndns = {{ listen = [\"127.0.0.1:0\"], workers = 1 }}\n\
             admin = {{ listen = \"127.0.0.1:0\" }}\nfleet = {{ listen = \"{listen}\", \
             certificate = \"fleet/{name}.pem\", key = \"fleet/{name}.key\" }}\n"
        );
    }
    std::fs::write(dir.path().join("tradewind.toml"), text).unwrap();
    std::fs::write(dir.path().join("gslb.test.zone"), ZONE).unwrap();
    let good = |args: &[&str]| {
        let out = tradewind()
            .current_dir(dir.path())
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    };
    good(&["fleet", "init", "--out", "fleet", "--name", "lab"]);
    for node in ["n1", "n2"] {
        let issue = ["fleet", "issue", node, "--config", "tradewind.toml"];
        good(&[&issue[..], &["--ca", "fleet", "--out", "fleet"]].concat());
    }
    dir
}

/// How `node` is, as the one with this API knows it.
fn life(admin: SocketAddr, node: &str) -> String {
    let fleet = http::get(admin, "/v1/fleet").json();
    let members = fleet["members"].as_array().unwrap();
    let found = members.iter().find(|m| m["node"] == node).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

#[test]
fn p2_other_nodes_do_not_take_a_node_for_lost_that_is_taken_over() {
    let dir = fleet_of_two();
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    let other = Process::start_node("n2", dir.path());
    let up2 = other.ready();
    let both = |wanted: &str| {
        (life(up2.admin, "n1") == wanted && life(was.admin, "n2") == wanted).then_some(())
    };
    wait_for("the nodes know each other", PATIENCE, || both("alive"));
    let new = Process::start(dir.path(), &["--takeover"]);
    // Until the new one has been heard for a while.
    let end = Instant::now() + Duration::from_secs(15);
    while Instant::now() < end {
        assert_eq!(life(up2.admin, "n1"), "alive");
        rest(Instant::now() + Duration::from_millis(100));
    }
    let up = new.ready();
    assert_eq!(up.addresses(), was.addresses());
    assert!(old.ended().success());
    assert_eq!(life(up.admin, "n2"), "alive");
    // An order that the new one takes reaches the other.
    let given = up.order("after-the-takeover");
    assert_eq!(given.status, 200, "{given:?}");
    wait_for("the other has the order", PATIENCE, || {
        http::get(up2.admin, "/v1/overrides")
            .body
            .contains("after-the-takeover")
            .then_some(())
    });
}
