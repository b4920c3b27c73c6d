//! Monitors below HTTP, end to end: a real name server, a command, echo requests and composites of them.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::daemon::{Daemon, answers};
use crate::support::node::{HEAD, Node, ZONE, folder};
use crate::support::{dns, http, wait_for};

/// Long enough for a busy machine; what is awaited usually comes far sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// The head of a node that may run commands.
fn head() -> String {
    let (first, rest) = HEAD.split_once("[nodes.n1]\n").unwrap();
    format!("{first}[nodes.n1]\nallow-exec = true\n{rest}")
}

/// `monitors`, of which endpoint `e` uses `m`, and the name www.gslb.test.
fn world(monitors: &str, endpoints: &str) -> String {
    format!(
        "{}[dns]\nfirst-round = \"1s\"\n{monitors}
[pools.eu]
region = \"eu\"
monitor = \"m\"
endpoints = [{endpoints}]
[policies.any]
stages = [{{ random = {{}} }}]
[names.\"www.gslb.test\"]
pools = [\"eu\"]
policy = \"any\"
answers = 8
last-resort = {{ servfail = {{}} }}
ttl = {{ min = \"1s\", max = \"1s\" }}
",
        head()
    )
}

fn at(name: &str, addr: SocketAddr) -> String {
    let (ip, port) = (addr.ip(), addr.port());
    format!("{{ name = \"{name}\", address = \"{ip}\", port = {port} }}")
}

fn endpoint(node: &Node, name: &str) -> Value {
    let health = http::get(node.admin, "/v1/health").json();
    let all = health["endpoints"].as_array().unwrap();
    let found = all.iter().find(|e| e["name"] == name);
    found
        .unwrap_or_else(|| panic!("no endpoint {name}"))
        .clone()
}

/// Waits until the endpoint is in `state`; gives its last error.
fn wait_state(node: &Node, name: &str, state: &str) -> String {
    let mut last = Value::Null;
    let end = std::time::Instant::now() + PATIENCE;
    while last["state"] != state {
        assert!(
            std::time::Instant::now() < end,
            "{name} not {state}: {last}"
        );
        last = endpoint(node, name);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    last["last_error"].as_str().unwrap_or_default().to_owned()
}

fn ask(node: &Node) -> Vec<IpAddr> {
    let m = dns::udp(node.dns, &dns::query("www.gslb.test", RecordType::A, None));
    dns::addresses(&m)
}

fn nsd(dir: &Path) -> Daemon {
    std::fs::write(dir.join("zone"), ZONE).unwrap();
    let command = |port: u16| {
        let config = format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  \
             zonelistfile: \"{0}/zones.list\"\n  xfrdfile: \"{0}/xfrd.state\"\n  xfrdir: \"{0}\"\n  \
             pidfile: \"\"\n  server-count: 1\n  database: \"\"\nremote-control:\n  \
             control-enable: no\nzone:\n  name: gslb.test\n  zonefile: \"{0}/zone\"\n",
            dir.display()
        );
        std::fs::write(dir.join("nsd.conf"), config).unwrap();
        let mut command = Command::new("/usr/sbin/nsd");
        command.args(["-d", "-c"]).arg(dir.join("nsd.conf"));
        command
    };
    let soa = dns::query("gslb.test", RecordType::SOA, None);
    let up = |a| answers(a, &soa).is_some_and(|m| m.len() > 12 && m[3] & 15 == 0);
    Daemon::start("nsd", dir, command, up)
}

#[test]
fn a_composite_of_name_server_ping_and_command_decides_who_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let server = nsd(dir.path());
    let flag = dir.path().join("flag");
    std::fs::write(&flag, "").unwrap();
    let times = "interval = \"400ms\"\ntimeout = \"350ms\"\nrise = 2\nfall = 2\nretries = 1\n";
    let monitors = format!(
        "
[monitors.soa]
{times}dns = {{ query = \"gslb.test\", type = \"SOA\" }}
[monitors.address]
{times}dns = {{ query = \"STATIC.gslb.test\", transport = \"tcp\", expect-answer = \"192.0.2.80\" }}
[monitors.text]
{times}dns = {{ query = \"text.gslb.test\", type = \"TXT\", expect-answer = \"hello\" }}
[monitors.nobody]
{times}dns = {{ query = \"nobody.gslb.test\", expect-rcode = \"NXDOMAIN\" }}
[monitors.ping]
{times}icmp = {{}}
[monitors.raw]
{times}udp = {{ send = '\\x12\\x34\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x04gslb\\x04test\\x00\\x00\\x06\\x00\\x01', expect = '\\x12\\x34' }}
[monitors.run]
interval = \"2s\"
timeout = \"1s\"
rise = 2
fall = 2
exec = {{ command = [\"/usr/bin/test\", \"-e\", \"{}\"] }}
[monitors.reachable.composite]
any = [\"ping\", \"raw\"]
[monitors.serves.composite]
of = [\"soa\", \"address\", \"text\", \"nobody\"]
at-least = 3
[monitors.m.composite]
all = [\"serves\", \"run\", \"reachable\"]
",
        flag.display()
    );
    let node = Node::start_in(folder(&world(&monitors, &at("e", server.addr))));
    wait_state(&node, "e", "up");
    assert_eq!(ask(&node), [server.addr.ip()]);
    let health = http::get(node.admin, "/v1/health").json();
    let mut probed: Vec<&str> = health["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["monitor"].as_str().unwrap())
        .collect();
    probed.sort_unstable();
    let parts = ["address", "nobody", "ping", "raw", "run", "soa", "text"];
    assert_eq!(probed, parts, "composites are not probed");
    assert!(endpoint(&node, "e")["rtt_ms"].is_number());

    std::fs::remove_file(&flag).unwrap();
    let error = wait_state(&node, "e", "down");
    assert!(error.contains("`run`: exit code 1"), "{error}");
    assert!(ask(&node).is_empty());
    std::fs::write(&flag, "").unwrap();
    wait_state(&node, "e", "up");
    assert_eq!(ask(&node), [server.addr.ip()]);

    drop(server);
    let error = wait_state(&node, "e", "down");
    assert!(
        error.contains("`serves`") && error.contains("parts up"),
        "{error}"
    );
    assert!(ask(&node).is_empty());
}

/// Whether the process runs; one that is dead but not yet asked about does not.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

#[test]
fn h7_a_reload_that_removes_a_command_kills_it_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let live = TcpListener::bind("127.11.40.1:0").unwrap();
    let addr = live.local_addr().unwrap();
    let monitors = format!(
        "[monitors.m]\ninterval = \"50s\"\ntimeout = \"40s\"\nexec = {{ command = [\"/bin/sh\", \"-c\", \
         \"sleep 1000 & echo $! $$ $TRADEWIND_ADDRESS $TRADEWIND_PORT >{}; wait\"] }}\n",
        pids.display()
    );
    let node = Node::start_in(folder(&world(&monitors, &at("e", addr))));
    let line = wait_for("the command runs", PATIENCE, || {
        let text = std::fs::read_to_string(&pids).ok()?;
        text.strip_suffix('\n').map(str::to_owned)
    });
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!(words[2..], ["127.11.40.1", &addr.port().to_string()]);
    assert!(runs(words[0]) && runs(words[1]));
    let text = world("[monitors.m.tcp]\n", &at("e", addr));
    std::fs::write(node.file("tradewind.toml"), text).unwrap();
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    wait_for("both processes are gone", PATIENCE, || {
        (!runs(words[0]) && !runs(words[1])).then_some(())
    });
    wait_state(&node, "e", "up");
}

#[test]
fn probes_leave_from_the_source_address_and_only_to_the_family_they_are_for() {
    let live = TcpListener::bind("127.11.41.1:0").unwrap();
    let addr = live.local_addr().unwrap();
    let monitors = "[monitors.m]\ninterval = \"300ms\"\ntimeout = \"250ms\"\nfamily = \"v4\"\n\
                    source = [\"192.0.2.99\", \"127.11.41.7\"]\ntcp = {}\n";
    let endpoints = [
        at("four", addr),
        at("six", "[2001:db8::6]:80".parse().unwrap()),
    ];
    let node = Node::start_in(folder(&world(monitors, &endpoints.join(", "))));
    let (_, from) = live.accept().unwrap();
    assert_eq!(from.ip(), "127.11.41.7".parse::<IpAddr>().unwrap());
    wait_state(&node, "four", "up");
    let six = endpoint(&node, "six");
    assert_eq!(six["state"], "up", "{six}");
    assert!(
        six["cause"].as_str().unwrap().contains("no monitor"),
        "{six}"
    );

    // An address that no node has says nothing about the target.
    let elsewhere = monitors.replace("\"192.0.2.99\", \"127.11.41.7\"", "\"192.0.2.99\"");
    let text = world(&elsewhere, &endpoints.join(", "));
    std::fs::write(node.file("tradewind.toml"), text).unwrap();
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    wait_for("the error is shown", PATIENCE, || {
        let four = endpoint(&node, "four");
        let error = four["last_error"].as_str()?;
        (error.contains("cannot probe") && error.contains("192.0.2.99")).then_some(())
    });
    assert_eq!(ask(&node), [addr.ip()], "no opinion takes nobody out");
}
