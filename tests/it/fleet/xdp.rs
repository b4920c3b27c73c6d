//! `mode = "xdp"`: real processes in network namespaces. A client, a forwarder, three backends that have
//! the virtual address on their loopback interfaces and answer the client themselves.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aya::programs::{Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use socket2::{Domain, Socket, Type};
use tradewind::balance::consistent::Server as Member;
use tradewind::balance::maglev::Maglev;
use tradewind::traffic::algorithm::hash_address;

use super::host::Host;
use super::lab::Lab;
use crate::support::http;
use crate::support::node::{Node, folder};
use crate::support::proxy::head;
use crate::support::takeover::{Process, Up};
use crate::support::wait_for;

const VIP: &str = "10.66.0.100";
const VIP6: &str = "fd66::100";
const PORT: u16 = 8080;
const GAME: u16 = 9090;
/// What a backend sends back when it is asked for much.
const MUCH: usize = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"
[listeners.web]
bind = ["10.66.0.100:8080", "[fd66::100]:8080"]
protocol = "tcp"
mode = "xdp"
forward = "app"
xdp = { interface = "eth0", max-flows = 4096 }

[listeners.game]
bind = ["10.66.0.100:9090"]
protocol = "udp"
mode = "xdp"
forward = "game"
xdp = { interface = "eth0", max-flows = 4096 }

[upstreams.app]
algorithm = "hash"
hash = { on = "source" }
monitor = "port"
backends = [
    { name = "b1", address = "10.66.0.2:8080" },
    { name = "b2", address = "10.66.0.3:8080" },
    { name = "b3", address = "10.66.0.4:8080" },
]

[upstreams.game]
algorithm = "hash"
hash = { on = "source" }
backends = [
    { name = "b1", address = "10.66.0.2:9090" },
    { name = "b2", address = "10.66.0.3:9090" },
]

[monitors.port]
interval = "200ms"
timeout = "150ms"
rise = 1
fall = 1
tcp = {}
"#;

/// A server that answers each line with its name, or with much. Dropping it closes the listening socket;
/// connections live on, as after a server began to stop.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(host: &Host) -> Server {
        let listener = host.inside(|| {
            let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
            socket.set_only_v6(false).unwrap();
            socket.set_reuse_address(true).unwrap();
            let all: SocketAddr = (std::net::Ipv6Addr::UNSPECIFIED, PORT).into();
            socket.bind(&all.into()).unwrap();
            socket.listen(64).unwrap();
            TcpListener::from(socket)
        });
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (told, name) = (stop.clone(), host.name().to_owned());
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::park_timeout(Duration::from_millis(2));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let name = name.clone();
                std::thread::spawn(move || answer(stream, &name));
            }
        });
        Server {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        let sent = match line.as_str() {
            "much" => stream.write_all(&vec![b'x'; MUCH]),
            _ => writeln!(stream, "{name}"),
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Answers datagrams with its name, from the virtual address.
fn serve_datagrams(host: &Host) {
    let socket = host.inside(|| UdpSocket::bind((VIP, GAME)).unwrap());
    let name = host.name().to_owned();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut buffer) {
            drop(socket.send_to(name.as_bytes(), from));
        }
    });
}

/// A connection of the client's.
struct Connection(BufReader<TcpStream>);

impl Connection {
    /// `None`: refused.
    fn open(client: &Host, from: IpAddr) -> Option<Connection> {
        let vip: IpAddr = if from.is_ipv4() { VIP } else { VIP6 }.parse().unwrap();
        let stream = client.inside(|| {
            let to = SocketAddr::from((vip, PORT));
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
            let connected = socket.connect_timeout(&to.into(), Duration::from_secs(5));
            connected.map(|()| TcpStream::from(socket))
        });
        let stream = stream.ok()?;
        let timeout = Some(Duration::from_secs(10));
        stream.set_read_timeout(timeout).unwrap();
        Some(Connection(BufReader::new(stream)))
    }

    /// Who answers.
    fn who(&mut self) -> String {
        self.0.get_mut().write_all(b"who\n").unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn much(&mut self) {
        self.0.get_mut().write_all(b"much\n").unwrap();
        let mut all = vec![0; MUCH];
        self.0.read_exact(&mut all).unwrap();
    }
}

fn run(command: &str, args: &[&str]) -> String {
    let out = Command::new(command).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{command} {args:?}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

/// Sources of the client's connections.
fn sources() -> Vec<IpAddr> {
    (0..24).map(|n| IpAddr::from([10, 66, 1, n + 1])).collect()
}

/// Who serves a source by the Maglev table of these backends.
fn by_table(names: &[&str], source: IpAddr) -> String {
    let members: Vec<Member<'_>> = names.iter().map(|n| Member::new(n, 256)).collect();
    let table = Maglev::new(&members).unwrap();
    let place = table.places(hash_address(source)).next().unwrap();
    names[place].to_owned()
}

/// Puts a program before the stack of an interface that leaves all to the stack: ours, which knows of no
/// virtual address. A virtual cable takes what an XDP program sends only where its other end has one, too.
fn pass_all(interface: &str) -> Ebpf {
    let object = aya::include_bytes_aligned!("../../../src/proxy/xdp/program/forward.bpf.o");
    let mut loaded = EbpfLoader::new().btf(None).load(object).unwrap();
    let program: &mut Xdp = loaded.program_mut("forward").unwrap().try_into().unwrap();
    program.load().unwrap();
    program.attach(interface, XdpMode::Driver).unwrap();
    loaded
}

/// The hosts, plugged together.
struct Net {
    lab: Lab,
    _passes: Ebpf,
}

impl Net {
    fn new() -> Option<Net> {
        let lab = Lab::new(&["lb", "b1", "b2", "b3", "client"])?;
        for name in ["b1", "b2", "b3", "client"] {
            // What a virtual cable leaves to the other end to sum up, nobody sums up on the way.
            let host = lab.host(name);
            host.inside(|| run("ethtool", &["-K", "eth0", "tx", "off"]));
        }
        for name in ["b1", "b2", "b3"] {
            lab.host(name).inside(|| {
                for (what, value) in [("arp_ignore", "1"), ("arp_announce", "2")] {
                    let path = format!("/proc/sys/net/ipv4/conf/all/{what}");
                    std::fs::write(path, value).unwrap();
                }
            });
            lab.host(name).ip(&format!(
                "addr add {VIP}/32 dev lo\naddr add {VIP6}/128 dev lo nodad\n\
                 route add 10.66.1.0/24 via 10.66.0.5\n"
            ));
        }
        lab.host("lb").ip(&format!(
            "addr add {VIP}/32 dev eth0\naddr add {VIP6}/128 dev eth0 nodad\n\
             route add 10.66.1.0/24 via 10.66.0.5\n"
        ));
        let sources = sources().into_iter();
        let own = sources.map(|s| format!("addr add {s}/32 dev eth0\n"));
        lab.host("client").ip(&own.collect::<String>());
        let passes = lab.switch().inside(|| pass_all("p1"));
        Some(Net {
            lab,
            _passes: passes,
        })
    }

    fn start(&self) -> Balancer<'_> {
        let host = self.lab.host("lb");
        let dir = folder(&format!("{}{CONFIG}", head()));
        Balancer {
            host,
            node: Some(host.inside(|| Node::start_in(dir))),
        }
    }

    fn client(&self) -> &Host {
        self.lab.host("client")
    }

    /// Waits until each source has the backend that the whole table gives it.
    fn wait_assigned(&self) {
        let names = ["b1", "b2", "b3"];
        let expected: Vec<String> = sources().iter().map(|s| by_table(&names, *s)).collect();
        wait_for("the whole table", PATIENCE, || {
            (self.assignment() == expected).then_some(())
        });
    }

    /// Who serves each source now.
    fn assignment(&self) -> Vec<String> {
        let connect = |s: IpAddr| Connection::open(self.client(), s).unwrap().who();
        sources().into_iter().map(connect).collect()
    }
}

/// The forwarder.
struct Balancer<'l> {
    host: &'l Host,
    node: Option<Node>,
}

impl Balancer<'_> {
    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    fn status(&self) -> serde_json::Value {
        let admin = self.node().admin;
        let answer = self.host.inside(|| http::get(admin, "/v1/proxy/upstreams"));
        answer.json()["xdp"].clone()
    }

    /// What a backend of `app` gets.
    fn gets(&self, backend: &str) -> String {
        let status = self.status();
        let tables = status["tables"].as_array().unwrap();
        let app = tables.iter().find(|t| t["upstream"] == "app").unwrap();
        let all = app["backends"].as_array().unwrap();
        let one = all.iter().find(|b| b["name"] == backend).unwrap();
        one["gets"].as_str().unwrap().to_owned()
    }

    fn wait_gets(&self, backend: &str, what: &str) {
        wait_for(&format!("{backend}: {what}"), PATIENCE, || {
            (self.gets(backend) == what).then_some(())
        });
    }

    /// Octets that its interface has taken in and put out.
    fn traffic(&self) -> (u64, u64) {
        let text = self
            .host
            .inside(|| run("ip", &["-j", "-s", "link", "show", "eth0"]));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let of = |what: &str| json[0]["stats64"][what]["bytes"].as_u64().unwrap();
        (of("rx"), of("tx"))
    }

    fn has_program(&self) -> bool {
        let text = self.host.inside(|| run("ip", &["link", "show", "eth0"]));
        text.contains("prog/xdp")
    }
}

impl Drop for Balancer<'_> {
    fn drop(&mut self) {
        drop(self.node.take());
    }
}

#[test]
fn p5_packets_are_forwarded_in_the_kernel_and_follow_the_health_of_backends() {
    let Some(net) = Net::new() else {
        return;
    };
    let mut servers: Vec<Option<Server>> = ["b1", "b2", "b3"]
        .map(|name| Some(Server::start(net.lab.host(name))))
        .into();
    serve_datagrams(net.lab.host("b1"));
    serve_datagrams(net.lab.host("b2"));
    let lb = net.start();
    let names = ["b1", "b2", "b3"];
    for name in names {
        lb.node()
            .wait_logged(&format!("probes pass upstream=app backend={name}"));
        lb.wait_gets(name, "takes");
    }
    net.wait_assigned();
    assert!(lb.has_program());
    assert_eq!(lb.status()["interfaces"][0]["mode"], "native");

    // Each source has the backend that the table of these names gives it.
    let expected: Vec<String> = sources().iter().map(|s| by_table(&names, *s)).collect();
    assert!(names.iter().all(|n| expected.contains(&(*n).to_owned())));
    assert_eq!(net.assignment(), expected);
    let v6: IpAddr = "fd66::5".parse().unwrap();
    let mut over_v6 = Connection::open(net.client(), v6).unwrap();
    assert_eq!(over_v6.who(), by_table(&names, v6));

    // What backends answer does not pass here.
    let mut one = Connection::open(net.client(), sources()[0]).unwrap();
    let before = lb.traffic();
    one.much();
    let after = lb.traffic();
    // Acknowledgements only, and what the probes and this test say meanwhile.
    assert!(after.0 - before.0 < MUCH as u64 / 4, "{before:?} {after:?}");

    // A server stops: who comes anew goes to the others, and nobody else moves.
    let mut open: Vec<(String, Connection)> = sources()
        .into_iter()
        .map(|s| {
            let mut connection = Connection::open(net.client(), s).unwrap();
            (connection.who(), connection)
        })
        .collect();
    servers[0] = None;
    lb.wait_gets("b1", "keeps");
    let now = net.assignment();
    for (before, now) in expected.iter().zip(&now) {
        assert!(now != "b1" && (before == now || before == "b1"));
    }
    assert!(names[1..].iter().all(|n| {
        let gained = expected
            .iter()
            .zip(&now)
            .filter(|(b, a)| *b == "b1" && a == n);
        gained.count() > 0
    }));
    for (who, connection) in &mut open {
        assert_eq!(connection.who(), *who, "established connections stay");
    }

    // It comes back and has its clients again; connections made meanwhile stay where they are.
    let mut meanwhile: Vec<(String, Connection)> = sources()
        .into_iter()
        .map(|s| {
            let mut connection = Connection::open(net.client(), s).unwrap();
            (connection.who(), connection)
        })
        .collect();
    servers[0] = Some(Server::start(net.lab.host("b1")));
    lb.wait_gets("b1", "takes");
    assert_eq!(net.assignment(), expected);
    for (who, connection) in open.iter_mut().chain(&mut meanwhile) {
        assert_eq!(connection.who(), *who);
    }

    // Datagrams, too.
    let datagram = |source: IpAddr| {
        let socket = net.client().inside(|| {
            let socket = UdpSocket::bind((source, 0)).unwrap();
            socket.connect((VIP, GAME)).unwrap();
            socket
        });
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        socket.send(b"who").unwrap();
        let mut buffer = [0; 64];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    for source in sources() {
        assert_eq!(datagram(source), by_table(&["b1", "b2"], source));
    }

    // What an operator drains keeps its connections.
    let admin = lb.node().admin;
    let drain = |action: &str| {
        let text = net.lab.host("lb").inside(|| {
            let body = format!(r#"{{"action":"{action}","owner":"t","reason":"test"}}"#);
            let mut stream = TcpStream::connect(admin).unwrap();
            write!(
                stream,
                "POST /v1/proxy/upstreams/app/backends/b2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    };
    drain("drain");
    lb.wait_gets("b2", "keeps");
    assert!(!net.assignment().contains(&"b2".to_owned()));
    for (who, connection) in &mut open {
        assert_eq!(connection.who(), *who);
    }
    drain("enable");
    lb.wait_gets("b2", "takes");
    assert_eq!(net.assignment(), expected);

    // A reload that takes b3 away: it finishes what it has.
    let text = std::fs::read_to_string(lb.node().file("tradewind.toml")).unwrap();
    let less = text.replace("    { name = \"b3\", address = \"10.66.0.4:8080\" },\n", "");
    assert_ne!(less, text);
    std::fs::write(lb.node().file("tradewind.toml"), less).unwrap();
    lb.node().signal("-HUP");
    wait_for("two backends", PATIENCE, || {
        let status = lb.status();
        let tables = status["tables"].as_array().unwrap();
        let app = tables.iter().find(|t| t["upstream"] == "app").unwrap();
        (app["backends"].as_array().unwrap().len() == 2).then_some(())
    });
    let two: Vec<String> = sources()
        .iter()
        .map(|s| by_table(&names[..2], *s))
        .collect();
    assert_eq!(net.assignment(), two);
    for (who, connection) in &mut open {
        assert_eq!(connection.who(), *who);
    }

    // What was counted.
    let page = lb.host.inside(|| http::get(admin, "/metrics").body);
    let value = |name: &str| -> u64 {
        let line = page.lines().find_map(|l| l.strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {page}"));
        line.trim().parse().unwrap()
    };
    let web = "{listener=\"web\",address=\"10.66.0.100:8080\",protocol=\"tcp\"}";
    assert!(value(&format!("tradewind_proxy_xdp_vip_packets_total{web}")) > 500);
    let b1 = "{upstream=\"app\",backend=\"b1\"}";
    assert!(value(&format!("tradewind_proxy_xdp_backend_bytes_total{b1}")) > 1000);
    assert!(value("tradewind_proxy_xdp_flows ") > 50);
    assert_eq!(value("tradewind_proxy_xdp_flows_max "), 8192);

    // A crash takes the program off: the kernel does it when the process is gone.
    lb.node().signal("-KILL");
    wait_for("the program is gone", PATIENCE, || {
        (!lb.has_program()).then_some(())
    });
    drop(servers);
}

/// Time that the kernel has spent in the program of the node, and how often it ran. The node was started
/// last: its program has the highest number of those called `forward`.
fn program_time(host: &Host) -> (u64, u64) {
    let text = host.inside(|| run("bpftool", &["-j", "prog", "show"]));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let all = json.as_array().unwrap().iter();
    let own = all
        .filter(|p| p["name"] == "forward")
        .max_by_key(|p| p["id"].as_u64());
    let own = own.unwrap();
    let of = |what: &str| own[what].as_u64().unwrap_or_default();
    (of("run_time_ns"), of("run_cnt"))
}

/// What one connection and one packet cost this node in either mode. Run it alone, with
/// `cargo nextest run --release --run-ignored only fleet::xdp --no-capture`; needs bpftool.
#[test]
#[ignore = "measures"]
fn cost_of_a_connection_in_the_kernel_and_through_the_proxy() {
    const CONNECTIONS: usize = 2_000;
    const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";
    let Some(net) = Net::new() else {
        return;
    };
    let servers = ["b1", "b2", "b3"].map(|name| Server::start(net.lab.host(name)));
    serve_datagrams(net.lab.host("b1"));
    let from = sources();
    let lb = net.lab.host("lb");
    let work = || {
        net.client().inside(|| {
            for i in 0..CONNECTIONS {
                let source = from[i % from.len()];
                let to = SocketAddr::from((VIP.parse::<IpAddr>().unwrap(), PORT));
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
                socket.connect(&to.into()).unwrap();
                let mut connection = Connection(BufReader::new(TcpStream::from(socket)));
                assert!(connection.who().starts_with('b'));
            }
        });
    };
    let old = std::fs::read_to_string(STATS).unwrap();
    std::fs::write(STATS, "1").unwrap();
    let kernel = {
        let lb_node = net.start();
        for name in ["b1", "b2", "b3"] {
            lb_node.wait_gets(name, "takes");
        }
        work();
        let (process, before) = (lb_node.node().cpu(), program_time(lb));
        work();
        let after = program_time(lb);
        let nanos = after.0 - before.0;
        let packets = after.1 - before.1;
        eprintln!(
            "xdp: {packets} packets, {} ns each; {} us of the process meanwhile",
            nanos / packets.max(1),
            (lb_node.node().cpu() - process).as_micros()
        );
        nanos as f64 / CONNECTIONS as f64
    };
    std::fs::write(STATS, old).unwrap();
    let ordinary = CONFIG
        .replace("mode = \"xdp\"\n", "")
        .replace("xdp = { interface = \"eth0\", max-flows = 4096 }\n", "");
    let dir = folder(&format!("{}{ordinary}", head()));
    let node = lb.inside(|| Node::start_in(dir));
    work();
    let before = node.cpu();
    work();
    let proxied = (node.cpu() - before).as_nanos() as f64 / CONNECTIONS as f64;
    lb.inside(|| drop(node));
    eprintln!("cpu per connection: xdp {kernel:.0} ns, proxy {proxied:.0} ns");
    eprintln!("ratio connection xdp/proxy {:.4}", kernel / proxied);
    drop(servers);
}

#[test]
fn p2_a_process_that_takes_over_goes_on_forwarding_and_no_packet_is_lost() {
    let Some(net) = Net::new() else {
        return;
    };
    let servers = ["b1", "b2", "b3"].map(|name| Server::start(net.lab.host(name)));
    let lb = net.lab.host("lb");
    let dir = folder(&format!("{}{CONFIG}", head()));
    let start = |more: &[&str]| lb.inside(|| Process::start(dir.path(), more));
    // Not before all were probed: until the first is, all get flows.
    let takes = |process: &Process, up: &Up| {
        for name in ["b1", "b2", "b3"] {
            process.wait_logged(&format!("probes pass upstream=app backend={name}"));
        }
        let admin = up.admin;
        wait_for("all backends take flows", PATIENCE, || {
            let answer = lb.inside(|| http::get(admin, "/v1/proxy/upstreams"));
            let table = answer.json()["xdp"]["tables"][0].clone();
            let all = table["backends"].as_array().cloned().unwrap_or_default();
            (all.len() == 3 && all.iter().all(|b| b["gets"] == "takes")).then_some(())
        });
        net.wait_assigned();
    };
    let mut old = start(&[]);
    let was = old.ready();
    takes(&old, &was);
    let mut open: Vec<(String, Connection)> = sources()
        .into_iter()
        .map(|s| {
            let mut connection = Connection::open(net.client(), s).unwrap();
            (connection.who(), connection)
        })
        .collect();
    // Clients that come all the time: each is answered.
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (net, stop) = (&net, &stop);
        let clients = scope.spawn(move || {
            let mut served = 0;
            while !stop.load(Ordering::Relaxed) {
                for source in sources() {
                    let connection = Connection::open(net.client(), source);
                    let who = connection.expect("a connection is made").who();
                    assert_eq!(who, by_table(&["b1", "b2", "b3"], source));
                    served += 1;
                }
            }
            served
        });
        let new = start(&["--takeover"]);
        let up = new.ready();
        assert!(old.ended().success());
        takes(&new, &up);
        for (who, connection) in &mut open {
            assert_eq!(connection.who(), *who);
        }
        let text = lb.inside(|| run("ip", &["link", "show", "eth0"]));
        assert!(text.contains("prog/xdp"));
        stop.store(true, Ordering::Relaxed);
        assert!(clients.join().unwrap() > 24);
        new.wait_logged("packets are forwarded by this process from now on");
        // Its health checks decide now.
        drop(servers);
        let admin = up.admin;
        wait_for("nobody takes flows", PATIENCE, || {
            let answer = lb.inside(|| http::get(admin, "/v1/proxy/upstreams"));
            let all = answer.json()["xdp"]["tables"][0]["backends"].clone();
            let all = all.as_array().cloned().unwrap_or_default();
            (all.len() == 3 && all.iter().all(|b| b["gets"] != "takes")).then_some(())
        });
        assert!(
            Connection::open(net.client(), sources()[0]).is_none(),
            "refused"
        );
        drop(new);
    });
}

#[test]
fn p2_flows_that_are_remembered_go_on_where_the_table_gives_them_another_backend() {
    let Some(net) = Net::new() else {
        return;
    };
    let servers = ["b1", "b2", "b3"].map(|name| Server::start(net.lab.host(name)));
    let lb = net.lab.host("lb");
    let dir = folder(&format!("{}{CONFIG}", head()));
    let start = |more: &[&str]| lb.inside(|| Process::start(dir.path(), more));
    let all_take = |up: &Up| {
        let admin = up.admin;
        wait_for("all backends take flows", PATIENCE, || {
            let answer = lb.inside(|| http::get(admin, "/v1/proxy/upstreams"));
            let table = answer.json()["xdp"]["tables"][0].clone();
            let all = table["backends"].as_array().cloned().unwrap_or_default();
            (all.len() == 3 && all.iter().all(|b| b["gets"] == "takes")).then_some(())
        });
    };
    let mut old = start(&[]);
    let was = old.ready();
    all_take(&was);
    net.wait_assigned();
    let mut open: Vec<(String, Connection)> = sources()
        .into_iter()
        .map(|s| {
            let mut connection = Connection::open(net.client(), s).unwrap();
            (connection.who(), connection)
        })
        .collect();
    assert!(open.iter().any(|(who, _)| who == "b1"));
    // By the new configuration b1 gets next to nothing: who comes anew goes elsewhere.
    let path = dir.path().join("tradewind.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let heavy = |name: &str, address: &str| {
        (
            format!("name = \"{name}\", address = \"{address}\""),
            format!("name = \"{name}\", address = \"{address}\", weight = 200"),
        )
    };
    let mut other = text.clone();
    for (from, to) in [heavy("b2", "10.66.0.3:8080"), heavy("b3", "10.66.0.4:8080")] {
        other = other.replace(&from, &to);
    }
    assert_ne!(other, text);
    std::fs::write(&path, other).unwrap();
    let new = start(&["--takeover"]);
    let up = new.ready();
    new.wait_logged("packets are forwarded by this process from now on");
    new.wait_logged("flows go on that the process before remembered");
    assert!(old.ended().success());
    for (who, connection) in &mut open {
        assert_eq!(connection.who(), *who);
    }
    let anew = net.assignment();
    let moved = open.iter().zip(&anew).filter(|((was, _), now)| was != *now);
    assert!(
        moved.count() > 0,
        "without its flow somebody would have moved"
    );
    let page = lb.inside(|| http::get(up.admin, "/metrics").body);
    let name = "tradewind_proxy_xdp_flows_taken_over_total ";
    let copied = page.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    assert!(copied.parse::<usize>().unwrap() >= open.len(), "{copied}");
    drop((new, servers));
}
