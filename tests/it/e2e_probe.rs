//! Probes, end to end: a server of the test's own is probed by the real binary.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

/// Long enough for a busy machine; what is awaited usually comes far sooner.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came.
#[derive(Clone, Debug)]
struct Request {
    at: Instant,
    method: String,
    path: String,
    head: String,
    body: String,
    /// The name the client asked for in TLS.
    sni: Option<String>,
}

impl Request {
    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|l| l.eq_ignore_ascii_case(header))
    }
}

/// An HTTP server that answers as the test says and remembers what it was asked.
struct Server {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` gets the number of the request, counted from 0.
    fn start(
        at: impl std::net::ToSocketAddrs,
        answer: impl Fn(usize, &Request) -> String + Send + 'static,
    ) -> Server {
        Server::start_with(at, None, answer)
    }

    /// With `tls` over HTTPS.
    fn start_with(
        at: impl std::net::ToSocketAddrs,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(usize, &Request) -> String + Send + 'static,
    ) -> Server {
        let listener = TcpListener::bind(at).unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (log, end) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                stream
                    .set_read_timeout(Some(Duration::from_secs(2)))
                    .unwrap();
                let reply = |request: &Request| {
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    answer(number, request)
                };
                let mut stream = stream;
                match &tls {
                    None => {
                        if let Some(request) = read(&mut stream) {
                            let _ = stream.write_all(reply(&request).as_bytes());
                        }
                    }
                    Some(tls) => {
                        let talk = ServerConnection::new(tls.clone()).unwrap();
                        let mut stream = StreamOwned::new(talk, stream);
                        if let Some(mut request) = read(&mut stream) {
                            request.sni = stream.conn.server_name().map(str::to_owned);
                            let _ = stream.write_all(reply(&request).as_bytes());
                            stream.conn.send_close_notify();
                            let _ = stream.flush();
                        }
                    }
                }
            }
        });
        Server {
            addr,
            seen,
            stop,
            thread: Some(thread),
        }
    }

    fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &mut impl Read) -> Option<Request> {
    let at = Instant::now();
    let (mut all, mut buf) = (Vec::new(), [0; 2048]);
    loop {
        let n = stream.read(&mut buf).ok().filter(|n| *n > 0)?;
        all.extend_from_slice(&buf[..n]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let wanted = head
            .lines()
            .find_map(|l| {
                let (name, value) = l.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().unwrap())
            })
            .unwrap_or(0);
        if body.len() < wanted {
            continue;
        }
        let mut words = head.split(' ');
        return Some(Request {
            at,
            method: words.next().unwrap().to_owned(),
            path: words.next().unwrap().to_owned(),
            head: head.to_owned(),
            body: body.to_owned(),
            sni: None,
        });
    }
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn health(node: &Node) -> Value {
    http::get(node.admin, "/v1/health").json()
}

fn endpoint(node: &Node, name: &str) -> Value {
    health(node)["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["name"] == name)
        .unwrap_or_else(|| panic!("no endpoint {name}"))
        .clone()
}

fn wait_state(node: &Node, name: &str, state: &str) -> Value {
    let mut last = Value::Null;
    wait_for(&format!("{name} is {state}"), PATIENCE, || {
        last = endpoint(node, name);
        (last["state"] == state).then(|| last.clone())
    })
}

fn ask(node: &Node) -> Vec<IpAddr> {
    let m = dns::udp(node.dns, &dns::query("www.gslb.test", RecordType::A, None));
    dns::addresses(&m)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A monitor's table, a pool of `endpoints`, and a name that is answered with all of them.
fn world(monitor: &str, endpoints: &[(&str, SocketAddr)]) -> String {
    let list: Vec<String> = endpoints
        .iter()
        .map(|(name, at)| {
            format!(
                "{{ name = \"{name}\", address = \"{}\", port = {} }}",
                at.ip(),
                at.port()
            )
        })
        .collect();
    format!(
        "{monitor}
[pools.eu]
region = \"eu\"
monitor = \"m\"
endpoints = [{}]

[policies.any]
stages = [{{ random = {{}} }}]

[names.\"www.gslb.test\"]
pools = [\"eu\"]
policy = \"any\"
answers = 8
ttl = {{ min = \"1s\", max = \"30s\" }}
",
        list.join(", ")
    )
}

fn reload(node: &Node, rest: &str) {
    node.rewrite(rest);
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn h1_a_silent_target_delays_the_start_by_first_round_and_then_counts_as_up() {
    // The kernel takes the connection; nobody ever answers.
    let silent = TcpListener::bind("127.11.1.1:0").unwrap();
    let rest = world(
        "[dns]\nfirst-round = \"700ms\"\n[monitors.m]\ninterval = \"50s\"\ntimeout = \"40s\"\n[monitors.m.http]\n",
        &[("silent", silent.local_addr().unwrap())],
    );
    let start = Instant::now();
    let node = Node::start(&rest);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(700), "{waited:?}");
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    assert_eq!(ask(&node), [ip("127.11.1.1")]);
    let e = endpoint(&node, "silent");
    assert_eq!(e["state"], "unknown", "{e}");
    assert_eq!(e["serves"], true, "{e}");
    assert!(e["cause"].as_str().unwrap().contains("counts as up"), "{e}");
    let page = http::get(node.admin, "/metrics").body;
    assert!(
        page.contains("tradewind_endpoint_unknown{endpoint=\"silent\",pool=\"eu\"} 1"),
        "{page}"
    );
    node.wait_logged("first round of probes not complete");
}

#[test]
fn h1_a_dead_target_is_never_answered_from_the_first_packet_on() {
    let live = TcpListener::bind("127.11.2.1:0").unwrap();
    // One failure is not `fall`, so the dead one is not down yet when the first packet comes.
    let rest = world(
        "[monitors.m]\ninterval = \"20s\"\nfall = 3\ntcp = {}\n",
        &[
            ("live", live.local_addr().unwrap()),
            ("dead", "127.11.2.2:1".parse().unwrap()),
        ],
    );
    let node = Node::start(&rest);
    for _ in 0..50 {
        assert_eq!(ask(&node), [ip("127.11.2.1")]);
    }
    let dead = endpoint(&node, "dead");
    assert_eq!(dead["serves"], false, "{dead}");
    assert!(
        dead["last_error"].as_str().unwrap().contains("refused"),
        "{dead}"
    );
}

/// A reload may take the targets away that a starting node waits for; it must start all the same.
#[test]
fn h1_a_reload_during_the_first_round_does_not_keep_the_node_from_starting() {
    let silent = TcpListener::bind("127.11.3.1:0").unwrap();
    let admin = TcpListener::bind("127.11.3.2:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let head = HEAD.replace(
        "admin = { listen = \"127.0.0.1:0\" }",
        &format!("admin = {{ listen = \"{admin}\" }}"),
    );
    let before = world(
        "[dns]\nfirst-round = \"5m\"\n[monitors.m]\ninterval = \"50s\"\ntimeout = \"40s\"\n[monitors.m.http]\n",
        &[("a", silent.local_addr().unwrap())],
    );
    let dir = folder(&format!("{head}{before}"));
    let config = dir.path().join("tradewind.toml");
    let starting = std::thread::spawn(move || Node::start_in(dir));
    wait_for("the API is up before DNS is", PATIENCE, || {
        TcpStream::connect(admin).ok()
    });
    assert_eq!(http::get(admin, "/v1/health").json()["generation"], 1);
    assert!(!starting.is_finished(), "the first round is awaited");
    let after = before.replace("monitor = \"m\"\n", "");
    std::fs::write(&config, format!("{head}{after}")).unwrap();
    let answer = http::request(admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let node = starting.join().unwrap();
    assert_eq!(ask(&node), [ip("127.11.3.1")]);
}

#[test]
fn h2_thirty_percent_failures_bring_a_target_down_and_keep_it_down() {
    let flaky = Server::start("127.11.4.1:0", |i, _| {
        // Never two failures in a row.
        reply(
            if matches!(i % 10, 2 | 5 | 8) {
                500
            } else {
                200
            },
            "",
            "",
        )
    });
    let rest = world(
        "[monitors.m]\ninterval = \"120ms\"\ntimeout = \"110ms\"\nrise = 5\nfall = 3\n[monitors.m.http]\n",
        &[("flaky", flaky.addr)],
    );
    let steady = "[pools.steady]\nregion = \"eu\"\nendpoints = [{ name = \"steady\", address = \"192.0.2.1\" }]\n";
    let rest = rest.replace("pools = [\"eu\"]", "pools = [\"eu\", \"steady\"]") + steady;
    let node = Node::start(&rest);
    wait_state(&node, "flaky", "down");
    wait_for("the error is shown", PATIENCE, || {
        let e = endpoint(&node, "flaky");
        // On a busy machine a probe may also take too long.
        e["last_error"]
            .as_str()?
            .contains("status 500")
            .then_some(())
    });
    node.wait_logged("endpoint flaky was");
    let then = flaky.count();
    wait_for("20 more probes", PATIENCE, || {
        assert_eq!(endpoint(&node, "flaky")["state"], "down");
        assert_eq!(ask(&node), [ip("192.0.2.1")]);
        (flaky.count() >= then + 20).then_some(())
    });
}

#[test]
fn h2_recovery_takes_rise_passes_in_a_row() {
    let healthy = Arc::new(AtomicBool::new(false));
    let well = healthy.clone();
    let server = Server::start("127.11.5.1:0", move |_, _| {
        let ok = well.load(Ordering::SeqCst);
        reply(if ok { 200 } else { 503 }, "", "")
    });
    let rest = world(
        "[monitors.m]\ninterval = \"200ms\"\ntimeout = \"190ms\"\nrise = 4\nfall = 1\n[monitors.m.http]\n",
        &[("e", server.addr)],
    );
    let node = Node::start(&rest);
    wait_state(&node, "e", "down");
    let from = server.count();
    healthy.store(true, Ordering::SeqCst);
    wait_state(&node, "e", "up");
    let passes = server.count() - from;
    assert!(passes >= 4, "up after {passes} passes");
}

#[test]
fn h6_dead_never_looks_better_than_slow() {
    // Both count as up for the whole test; `dead` refuses connections after a quick first probe.
    let mut dead = Some(TcpListener::bind("127.11.6.1:0").unwrap());
    let dead_addr = dead.as_ref().unwrap().local_addr().unwrap();
    let slow = TcpListener::bind("127.11.6.2:0").unwrap();
    let slow_addr = slow.local_addr().unwrap();
    let rest = format!(
        "[monitors.m]
interval = \"1s\"
timeout = \"900ms\"
fall = 100
tcp = {{}}
[regions.us]
latitude = 39.04
longitude = -77.49
[pools.dead]
region = \"eu\"
monitor = \"m\"
endpoints = [{{ name = \"dead\", address = \"{}\", port = {} }}]
[pools.slow]
region = \"us\"
monitor = \"m\"
endpoints = [{{ name = \"slow\", address = \"{}\", port = {} }}]
[policies.fast]
stages = [{{ latency = {{ tolerance = \"20ms\" }} }}, {{ random = {{}} }}]
[names.\"www.gslb.test\"]
pools = [\"dead\", \"slow\"]
policy = \"fast\"
",
        dead_addr.ip(),
        dead_addr.port(),
        slow_addr.ip(),
        slow_addr.port()
    );
    let node = Node::start(&rest);
    wait_for("both are measured", PATIENCE, || {
        (endpoint(&node, "dead")["rtt_ms"].is_number()
            && endpoint(&node, "slow")["rtt_ms"].is_number())
        .then_some(())
    });
    dead.take();
    wait_for("dead scores worse", PATIENCE, || {
        let (d, s) = (endpoint(&node, "dead"), endpoint(&node, "slow"));
        assert_eq!(d["state"], "up", "{d}");
        (d["rtt_ms"].as_f64().unwrap() > s["rtt_ms"].as_f64().unwrap() + 20.0).then_some(())
    });
    // At once where it failed before three samples made a measurement; after a dwell of a minute where
    // it had been measured as near. It is down after a hundred failures only.
    wait_for("clients are sent to slow", Duration::from_secs(95), || {
        let all_slow = (0..20).all(|_| ask(&node) == [slow_addr.ip()]);
        all_slow.then_some(())
    });
    assert_eq!(endpoint(&node, "dead")["state"], "up");
}

/// Most probes that a target may see in `span` at an interval of 200 ms: both ends of the span, the
/// quick first round before the grid begins, and those that the test's own server, on a busy machine,
/// came to read late. Probing twice as often would be far beyond it.
fn probes_in(span: Duration) -> f64 {
    span.as_secs_f64() / 0.2 + 4.0
}

#[test]
fn h7_a_target_is_probed_once_per_interval_for_all_its_endpoints_and_no_more_once_removed() {
    let shared = Server::start("127.11.7.1:0", |_, _| reply(200, "", ""));
    let other = Server::start("127.11.7.2:0", |_, _| reply(200, "", ""));
    let pool = |name: &str, at: SocketAddr| {
        format!(
            "[pools.{name}]\nregion = \"eu\"\nmonitor = \"m\"\nendpoints = [{{ name = \"{name}-1\", address = \"{}\", port = {} }}]\n",
            at.ip(),
            at.port()
        )
    };
    let monitor = "[monitors.m]\ninterval = \"200ms\"\ntimeout = \"150ms\"\njitter = \"10%\"\n[monitors.m.http]\n";
    let name = |pools: &str| {
        format!(
            "[policies.any]\nstages = [{{ random = {{}} }}]\n[names.\"www.gslb.test\"]\npools = [{pools}]\npolicy = \"any\"\n"
        )
    };
    let all = format!(
        "{monitor}{}{}{}{}",
        pool("a", shared.addr),
        pool("b", shared.addr),
        pool("c", other.addr),
        name("\"a\", \"b\", \"c\"")
    );
    let node = Node::start(&all);
    wait_for("15 probes", PATIENCE, || {
        (other.count() >= 15).then_some(())
    });
    let seen = shared.requests();
    let span = seen[seen.len() - 1].at - seen[0].at;
    let most = probes_in(span);
    assert!(
        (seen.len() as f64) <= most,
        "{} probes in {span:?}, at most {most:.1}",
        seen.len()
    );
    // A place on the grid plus jitter. A busy machine may deliver some together, but not most.
    let bursts = seen
        .windows(2)
        .filter(|w| w[1].at - w[0].at < Duration::from_millis(90))
        .count();
    assert!(
        bursts < seen.len() / 3,
        "{bursts} of {} probes in a burst",
        seen.len()
    );

    let health = health(&node);
    let targets = health["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 2, "{targets:#?}");
    let target = targets
        .iter()
        .find(|t| t["target"] == shared.addr.to_string())
        .unwrap();
    assert_eq!(target["endpoints"], serde_json::json!(["a-1", "b-1"]));
    assert_eq!(target["probes_per_second"], 5.0);

    // Reloads, however many, do not make it probe more often.
    let (before, began) = (shared.count(), Instant::now());
    for max in 61..76 {
        reload(
            &node,
            &all.replace(
                "policy = \"any\"",
                &format!("policy = \"any\"\nttl = {{ max = \"{max}s\" }}"),
            ),
        );
    }
    let more = (shared.count() - before) as f64;
    let most = probes_in(began.elapsed());
    assert!(
        more <= most,
        "{more} probes during 15 reloads, at most {most:.1}"
    );

    // One of the two endpoints goes: the target stays, in its rhythm.
    let two = format!(
        "{monitor}{}{}{}",
        pool("a", shared.addr),
        pool("c", other.addr),
        name("\"a\", \"c\"")
    );
    reload(&node, &two);
    let from = shared.count();
    wait_for("the target is still probed", PATIENCE, || {
        (shared.count() >= from + 3).then_some(())
    });
    // Both go: at most the probe that was on its way arrives, and one before it that the server had
    // not read yet. Going on would show five.
    reload(
        &node,
        &format!("{monitor}{}{}", pool("c", other.addr), name("\"c\"")),
    );
    let (gone, on) = (shared.count(), other.count());
    wait_for("5 intervals", PATIENCE, || {
        (other.count() >= on + 5).then_some(())
    });
    let late = shared.count() - gone;
    assert!(late <= 2, "{late} probes after the removal");
}

#[test]
fn h8_an_http_monitor_checks_what_its_configuration_says() {
    let own = Arc::new(Mutex::new(String::new()));
    let authority = own.clone();
    let server = Server::start("127.11.8.1:0", move |_, r| {
        let ok = |yes: bool| reply(if yes { 200 } else { 400 }, "", "");
        match r.path.as_str() {
            "/ok" | "/a?b=c" => reply(200, "", "all is ok here"),
            "/created" => reply(201, "", ""),
            "/sick" => reply(503, "", "sick"),
            "/header" => ok(r.has("X-Probe: tradewind") && r.has("X-Second: two words")),
            "/post" => ok(r.method == "POST" && r.body == "ping"),
            "/head" => ok(r.method == "HEAD"),
            "/host" => ok(r.has("Host: www.gslb.test")),
            "/own-host" => ok(r.has(&format!("Host: {}", authority.lock().unwrap()))),
            "/agent" => ok(r
                .head
                .to_ascii_lowercase()
                .contains("user-agent: tradewind-probe/")),
            "/to-ok" => reply(302, "Location: /ok\r\n", ""),
            "/to-to-ok" => reply(307, "Location: /to-ok\r\n", ""),
            "/away" => reply(302, "Location: http://192.0.2.99/ok\r\n", ""),
            "/loop" => reply(302, "Location: /loop\r\n", ""),
            "/long" => reply(200, "", &format!("{}end", "x".repeat(3000))),
            _ => reply(404, "", ""),
        }
    });
    *own.lock().unwrap() = server.addr.to_string();

    // What the monitor says, and the error where it must fail.
    let cases: &[(&str, Option<&str>)] = &[
        ("path = \"/ok\"", None),
        ("path = \"/a?b=c\"", None),
        ("path = \"/created\"", None),
        ("path = \"/missing\"", Some("status 404, expected 200-299")),
        ("path = \"/sick\"", Some("status 503, expected 200-299")),
        ("path = \"/sick\"\nexpect-status = [\"503\"]", None),
        (
            "path = \"/created\"\nexpect-status = [\"200\", \"204-299\"]",
            Some("status 201, expected 200 or 204-299"),
        ),
        ("path = \"/ok\"\nexpect-body = \"is ok\"", None),
        (
            "path = \"/ok\"\nexpect-body = \"IS OK\"",
            Some("body does not contain `IS OK`"),
        ),
        (
            "path = \"/ok\"\nexpect-body-regex = \"^all .* here$\"",
            None,
        ),
        (
            "path = \"/ok\"\nexpect-body-regex = \"^here\"",
            Some("body does not match `^here`"),
        ),
        (
            "path = \"/sick\"\nexpect-body = \"sick\"",
            Some("status 503"),
        ),
        (
            "path = \"/header\"\nheaders = { X-Probe = \"tradewind\", x-second = \"two words\" }",
            None,
        ),
        ("path = \"/header\"", Some("status 400")),
        ("path = \"/post\"\nmethod = \"POST\"\nbody = \"ping\"", None),
        (
            "path = \"/post\"\nmethod = \"POST\"\nbody = \"pong\"",
            Some("status 400"),
        ),
        ("path = \"/head\"\nmethod = \"HEAD\"", None),
        ("path = \"/host\"\nhost = \"www.gslb.test\"", None),
        ("path = \"/host\"", Some("status 400")),
        ("path = \"/own-host\"", None),
        ("path = \"/agent\"", None),
        ("path = \"/to-ok\"", Some("status 302")),
        ("path = \"/to-ok\"\nexpect-status = [\"302\"]", None),
        (
            "path = \"/to-ok\"\nfollow-redirects = 1\nexpect-body = \"ok\"",
            None,
        ),
        (
            "path = \"/to-to-ok\"\nfollow-redirects = 1",
            Some("more than 1 redirects"),
        ),
        ("path = \"/to-to-ok\"\nfollow-redirects = 2", None),
        (
            "path = \"/away\"\nfollow-redirects = 3",
            Some("a probe stays on its target"),
        ),
        (
            "path = \"/loop\"\nfollow-redirects = 10",
            Some("more than 10 redirects"),
        ),
        ("path = \"/long\"\nexpect-body = \"end\"", None),
        (
            "path = \"/long\"\nexpect-body = \"end\"\nmax-body = \"1KiB\"",
            Some("body does not contain `end` in its first 1024 bytes"),
        ),
        (
            "path = \"/long\"\nexpect-body = \"xx\"\nmax-body = \"1KiB\"",
            None,
        ),
    ];
    let mut rest = String::new();
    for (i, (says, _)) in cases.iter().enumerate() {
        rest.push_str(&format!(
            "[monitors.m{i}]\ninterval = \"50s\"\ntimeout = \"10s\"\nfall = 1\n[monitors.m{i}.http]\n{says}\n\
             [pools.p{i}]\nregion = \"eu\"\nmonitor = \"m{i}\"\nendpoints = [{{ name = \"e{i}\", address = \"{}\", port = {} }}]\n",
            server.addr.ip(),
            server.addr.port()
        ));
    }
    let node = Node::start(&rest);
    let health = health(&node);
    for (i, (says, error)) in cases.iter().enumerate() {
        let name = format!("e{i}");
        let e = health["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .find(|e| e["name"] == name.as_str())
            .unwrap();
        match error {
            None => assert_eq!(e["state"], "up", "{says}\n{e}"),
            Some(words) => {
                assert_eq!(e["state"], "down", "{says}\n{e}");
                assert!(
                    e["last_error"].as_str().unwrap().contains(words),
                    "{says}\n{e}"
                );
            }
        }
    }
}

/// A server's certificate for `name`, and the PEM of the authority that signed it.
fn certificate(name: &str) -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let authority = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .unwrap();
    (Arc::new(config), pem)
}

#[test]
fn h8_https_verifies_certificate_and_name_unless_told_not_to() {
    let (config, ca) = certificate("www.gslb.test");
    let server = Server::start_with("127.11.13.1:0", Some(config), |_, r| {
        reply(200, "", &format!("sni {:?}", r.sni))
    });
    // What the monitor says, and the error where it must fail.
    let cases: &[(&str, Option<&str>)] = &[
        (
            "ca-file = \"ca.pem\"\nserver-name = \"www.gslb.test\"\nexpect-body = \"www.gslb.test\"",
            None,
        ),
        (
            "ca-file = \"ca.pem\"\nhost = \"www.gslb.test:8443\"\nexpect-body = \"www.gslb.test\"",
            None,
        ),
        (
            "ca-file = \"ca.pem\"\nserver-name = \"other.gslb.test\"",
            Some("not valid for"),
        ),
        ("ca-file = \"ca.pem\"", Some("not valid for")),
        ("server-name = \"www.gslb.test\"", Some("certificate")),
        ("verify = false", None),
        (
            "verify = false\nserver-name = \"any.gslb.test\"\nexpect-body = \"any.gslb.test\"",
            None,
        ),
    ];
    let mut rest = String::new();
    for (i, (says, _)) in cases.iter().enumerate() {
        rest.push_str(&format!(
            "[monitors.m{i}]\ninterval = \"50s\"\ntimeout = \"10s\"\nfall = 1\n[monitors.m{i}.http]\ntls = true\n{says}\n\
             [pools.p{i}]\nregion = \"eu\"\nmonitor = \"m{i}\"\nendpoints = [{{ name = \"e{i}\", address = \"{}\", port = {} }}]\n",
            server.addr.ip(),
            server.addr.port()
        ));
    }
    let dir = folder(&format!("{HEAD}{rest}"));
    std::fs::write(dir.path().join("ca.pem"), ca).unwrap();
    let node = Node::start_in(dir);
    for (i, (says, error)) in cases.iter().enumerate() {
        let e = endpoint(&node, &format!("e{i}"));
        let shown = e["last_error"].as_str().unwrap_or("");
        match error {
            None => assert_eq!(e["state"], "up", "{says}\n{e}"),
            Some(words) => {
                assert_eq!(e["state"], "down", "{says}\n{e}");
                assert!(shown.contains(words), "{says}\n{e}");
            }
        }
    }
}

#[test]
fn h8_a_timeout_and_a_dropped_connection_are_named() {
    let silent = TcpListener::bind("127.11.9.1:0").unwrap();
    let rude = Server::start("127.11.9.2:0", |_, _| String::new());
    let not_http = Server::start("127.11.9.3:0", |_, _| "SSH-2.0-nothing\r\n".to_owned());
    let rest = world(
        "[monitors.m]\ninterval = \"20s\"\ntimeout = \"500ms\"\nfall = 1\n[monitors.m.http]\n",
        &[
            ("silent", silent.local_addr().unwrap()),
            ("rude", rude.addr),
            ("not-http", not_http.addr),
        ],
    );
    let node = Node::start(&rest);
    for (name, words) in [
        ("silent", "500ms"),
        ("rude", "connection"),
        ("not-http", ""),
    ] {
        let e = endpoint(&node, name);
        assert_eq!(e["state"], "down", "{e}");
        let error = e["last_error"].as_str().unwrap();
        assert!(error.contains(words) && error.len() > 8, "{e}");
    }
}

#[test]
fn h1_an_endpoint_that_a_reload_adds_is_not_offered_before_its_first_probe_ended() {
    let old = Server::start("127.11.10.1:0", |_, _| reply(200, "", ""));
    // Takes connections, answers once told to.
    let open = Arc::new(AtomicBool::new(false));
    let told = open.clone();
    let new = Server::start("127.11.10.2:0", move |_, _| {
        wait_for("the test says go", PATIENCE, || {
            told.load(Ordering::SeqCst).then_some(())
        });
        reply(200, "", "")
    });
    let monitor = "[dns]\nfirst-round = \"1m\"\n[monitors.m]\ninterval = \"40s\"\ntimeout = \"30s\"\n[monitors.m.http]\n";
    let node = Node::start(&world(monitor, &[("old", old.addr)]));
    assert_eq!(ask(&node), [old.addr.ip()]);
    reload(
        &node,
        &world(monitor, &[("old", old.addr), ("new", new.addr)]),
    );
    wait_for("its first probe has begun", PATIENCE, || {
        assert_eq!(ask(&node), [old.addr.ip()]);
        (new.count() > 0).then_some(())
    });
    let e = endpoint(&node, "new");
    assert_eq!(
        (&e["state"], &e["serves"]),
        (&"unknown".into(), &false.into()),
        "{e}"
    );
    assert_eq!(ask(&node), [old.addr.ip()]);
    open.store(true, Ordering::SeqCst);
    wait_for("the new one is answered", PATIENCE, || {
        (ask(&node) == [old.addr.ip(), new.addr.ip()]).then_some(())
    });
}

#[test]
fn h1_a_reload_keeps_what_is_known_of_an_endpoint() {
    let live = Server::start("127.11.12.1:0", |_, _| reply(200, "", ""));
    let monitor =
        "[monitors.m]\ninterval = \"1s\"\ntimeout = \"500ms\"\nfall = 1\n[monitors.m.http]\n";
    let ends = [
        ("live", live.addr),
        ("dead", "127.11.12.2:1".parse().unwrap()),
    ];
    let rest = world(monitor, &ends);
    let node = Node::start(&rest);
    wait_state(&node, "dead", "down");
    let mut since = 0.0;
    for round in 0..10 {
        // Each configuration differs a little, so nothing can be taken as unchanged.
        reload(
            &node,
            &rest.replace("\"30s\"", &format!("\"{}s\"", 31 + round)),
        );
        assert_eq!(ask(&node), [live.addr.ip()]);
        let (dead, live) = (endpoint(&node, "dead"), endpoint(&node, "live"));
        assert_eq!(dead["state"], "down", "{dead}");
        assert_eq!(live["state"], "up", "{live}");
        let age = dead["for_seconds"].as_f64().unwrap();
        assert!(age >= since, "down since {age} s, before since {since} s");
        since = age;
    }
}

#[test]
fn h1_a_changed_monitor_moves_no_client_and_offers_no_dead_endpoint() {
    let live = Server::start("127.11.14.1:0", |_, _| reply(200, "", ""));
    let monitor =
        "[monitors.m]\ninterval = \"20s\"\ntimeout = \"2s\"\nfall = 1\n[monitors.m.http]\n";
    let ends = [
        ("live", live.addr),
        ("dead", "127.11.14.2:1".parse().unwrap()),
    ];
    let rest = world(monitor, &ends);
    let node = Node::start(&rest);
    wait_state(&node, "dead", "down");
    for interval in 10..16 {
        reload(&node, &rest.replace("\"20s\"", &format!("\"{interval}s\"")));
        for _ in 0..10 {
            let m = dns::udp(node.dns, &dns::query("www.gslb.test", RecordType::A, None));
            assert_eq!(dns::addresses(&m), [live.addr.ip()]);
            assert_eq!(dns::extended_error(&m), None);
        }
        // What the changed check says of it is not known yet; it is not offered all the same.
        assert_eq!(endpoint(&node, "dead")["serves"], false);
    }
}

#[test]
fn a_node_without_the_role_probe_probes_nothing_and_says_so() {
    let server = Server::start("127.11.15.1:0", |_, _| reply(500, "", ""));
    let monitor =
        "[monitors.m]\ninterval = \"200ms\"\ntimeout = \"100ms\"\nfall = 1\n[monitors.m.tcp]\n";
    let rest = world(monitor, &[("only", server.addr)]);
    let head = HEAD.replace("\"probe\", ", "");
    let node = Node::start_in(folder(&format!("{head}{rest}")));
    node.wait_logged("it checks nothing");
    assert_eq!(ask(&node), [server.addr.ip()]);
    let health = http::get(node.admin, "/v1/health").json();
    assert_eq!(health["targets"].as_array().unwrap().len(), 0);
    assert_eq!(endpoint(&node, "only")["serves"], true);
}
