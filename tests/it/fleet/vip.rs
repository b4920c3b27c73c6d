//! VIPs with real keepalived: two proxies, one address, and a client that always finds it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::client::within;
use super::cluster::succeeds;
use super::host::Host;
use super::lab::left_out;
use super::process::Process;
use super::world::{CLIENT, CONFIG, DETECTION, MONITOR, PATIENCE, WEB, World};
use crate::support::demo::tradewind;
use crate::support::{http, wait_for};

pub(super) const NAME: &str = "www.gslb.test";
/// The VIP of region `eu`.
const VIP: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 100);
const VIP6: &str = "fd66::100";
pub(super) const PROXIES: [&str; 2] = ["fra1", "fra2"];

/// New connections work again within this.
pub(super) const MOVES: Duration = Duration::from_secs(3);

/// One try of a client.
const TRY: Duration = Duration::from_millis(250);

/// Two proxies before one backend, another region, and a node that answers DNS and probes: all but the VIPs,
/// what listens there, and the name.
pub(super) fn common(w: &World, roles: &str) -> String {
    let (dns, web, iad) = (w.v4("dns"), w.v4("web"), w.v4("iad"));
    let mut text = format!(
        r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[regions.us]
latitude = 39.04
longitude = -77.49
[zones."gslb.test"]
file = "gslb.test.zone"
[nodes.dns]
region = "us"
roles = ["dns", "probe", "admin"]
dns = {{ listen = ["{dns}:53"], workers = 1 }}
{MONITOR}
[pools.us]
region = "us"
monitor = "web"
endpoints = [{{ name = "iad", address = "{iad}", port = {WEB} }}]
[policies.order]
stages = [{{ failover = {{}} }}, {{ random = {{}} }}]
[routes.all]
forward = "web"
[upstreams.web]
backends = [{{ name = "web", address = "{web}:{WEB}" }}]
"#
    );
    for node in PROXIES {
        let state = w.state_dir(node);
        text += &format!(
            "[nodes.{node}]\nregion = \"eu\"\nroles = {roles}\nproxy.workers = 1\n\
             state-dir = \"{}\"\n",
            state.display()
        );
    }
    text
}

/// One VIP. The listener is bound to it, and one of the two proxies does not have it.
fn config(w: &World) -> String {
    let common = common(w, r#"["proxy"]"#);
    format!(
        r#"{common}
[pools.eu]
region = "eu"
monitor = "web"
endpoints = [{{ name = "fra", address = "{VIP}", port = {WEB} }}]
[names."{NAME}"]
pools = ["eu", "us"]
policy = "order"
ttl = {{ min = "1s", max = "5s" }}
[listeners.web]
bind = ["{VIP}:{WEB}", "[{VIP6}]:{WEB}"]
[vips.fra]
address = ["{VIP}/24", "{VIP6}/64"]
interface = "eth0"
nodes = ["fra1", "fra2"]
router-id = 51
preempt-delay = "1s"
"#
    )
}

/// What keepalived runs on a host; ended with what it started.
pub(super) struct Vrrp(Option<Process>);

impl Drop for Vrrp {
    fn drop(&mut self) {
        // By its signal it takes its addresses and its child with it.
        if let Some(process) = self.0.take() {
            process.stop();
        }
    }
}

/// Starts keepalived on the host of `node` with what the node's configuration is exported to.
pub(super) fn start_vrrp(world: &World, node: &str) -> Vrrp {
    let file = |ending: &str| world.file(&format!("{node}.{ending}"));
    export(world, node, &file("conf"));
    let mut command = Command::new("keepalived");
    command.args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"]);
    command.arg("--use-file").arg(file("conf"));
    command.arg("--pid").arg(file("pid"));
    command.arg("--vrrp_pid").arg(file("vrrp.pid"));
    Vrrp(Some(Process::start(world.host(node), command)))
}

/// Writes the keepalived.conf of a node, and has keepalived look at it.
fn export(world: &World, node: &str, to: &Path) {
    let config = world.file(CONFIG);
    let program = tradewind();
    let mut command = tradewind();
    command.args(["export", "keepalived", "--user", "root", "--node", node]);
    command.arg("--program").arg(program.get_program());
    command.arg("--config").arg(config).arg("--out").arg(to);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let mut look = Command::new("keepalived");
    look.arg("--config-test").arg("--use-file").arg(to);
    let looked = world.host(node).inside(|| look.output().unwrap());
    let said = String::from_utf8_lossy(&looked.stderr);
    assert!(looked.status.success() && said.is_empty(), "{said}");
}

/// Whether a host has all these addresses, written with their lengths.
pub(super) fn has_addresses(world: &World, node: &str, all: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(["-oneline", "address", "show", "dev", "eth0"]);
    let output = world.host(node).inside(|| command.output().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    all.iter().all(|a| text.contains(&format!(" {a} ")))
}

/// Whether a host has the VIP, by both families.
fn has_vip(world: &World, node: &str) -> bool {
    let (v4, v6) = (format!("{VIP}/24"), format!("{VIP6}/64"));
    has_addresses(world, node, &[&v4, &v6])
}

/// Waits until `node` has the VIP, and the other one has not.
fn wait_vip(world: &World, node: &str) {
    wait_for(&format!("{node} alone has the VIP"), PATIENCE, || {
        let holders: Vec<&str> = PROXIES.into_iter().filter(|n| has_vip(world, n)).collect();
        (holders == [node]).then_some(())
    });
}

/// One new connection to a VIP with a request.
pub(super) fn visit(vip: Ipv4Addr) -> std::io::Result<()> {
    let to = SocketAddr::new(vip.into(), WEB);
    let mut stream = std::net::TcpStream::connect_timeout(&to, TRY)?;
    stream.set_read_timeout(Some(TRY))?;
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if text.starts_with("HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(std::io::Error::other(text))
    }
}

/// How long since `from` until a new connection works.
fn works_again(world: &World, from: Instant) -> Duration {
    world.host(CLIENT).inside(|| {
        wait_for("a new connection works", PATIENCE, || {
            visit(VIP).ok().map(|()| from.elapsed())
        })
    })
}

/// A client that connects anew all the time.
struct Visitor {
    end: Arc<AtomicBool>,
    thread: JoinHandle<(u32, Vec<String>)>,
}

impl Visitor {
    fn start(host: &Host) -> Visitor {
        let end = Arc::new(AtomicBool::new(false));
        let over = end.clone();
        // Its sockets are inside, wherever the thread goes on.
        let thread = host.inside(move || {
            std::thread::spawn(move || {
                let (mut well, mut failed) = (0, Vec::new());
                while !over.load(Ordering::SeqCst) {
                    match visit(VIP) {
                        Ok(()) => well += 1,
                        Err(e) => failed.push(e.to_string()),
                    }
                    std::thread::park_timeout(Duration::from_millis(10));
                }
                (well, failed)
            })
        });
        Visitor { end, thread }
    }

    /// How many went well, and what became of the others.
    fn stop(self) -> (u32, Vec<String>) {
        self.end.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// What `tradewind health --ready` says on a host, whether it is a yes, and how long it took.
fn health(world: &World, node: &str) -> (bool, String, Duration) {
    let began = Instant::now();
    let state = world.state_dir(node).display().to_string();
    let output = world.cli(node, &["health", "--ready", "--state-dir", &state]);
    let took = began.elapsed();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.success(), text, took)
}

fn started() -> Option<(World, [Vrrp; 2])> {
    if left_out("keepalived", "keepalived") {
        return None;
    }
    let mut world = World::new(&["fra1", "fra2", "web", "iad", "dns"], config)?;
    world.start_target("web");
    world.start_target("iad");
    let (ready, why, _) = health(&world, "fra1");
    assert!(!ready && why.contains("no node runs"), "{why}");
    world.start_nodes(&["fra1", "fra2", "dns"]);
    let vrrp = PROXIES.map(|node| start_vrrp(&world, node));
    wait_vip(&world, "fra1");
    Some((world, vrrp))
}

#[test]
fn the_vip_moves_from_a_proxy_that_dies_hangs_or_stops_and_comes_back() {
    let Some((mut world, _vrrp)) = started() else {
        return;
    };
    works_again(&world, Instant::now());
    let (ready, said, took) = health(&world, "fra1");
    assert!(ready && said == "ready\n", "{said}");
    eprintln!("`tradewind health --ready` took {took:?}");
    assert!(took < within(Duration::from_millis(100)), "{took:?}");

    // It dies.
    world.take("fra1").kill9();
    let died = Instant::now();
    let (ready, why, _) = health(&world, "fra1");
    assert!(!ready && why.contains("no node runs"), "{why}");
    let took = works_again(&world, died);
    eprintln!("kill -9: new connections work after {took:?}");
    assert!(took < within(MOVES), "{took:?}");
    wait_vip(&world, "fra2");

    // It comes back: the preferred node has the VIP again, and nobody notices.
    let visitor = Visitor::start(world.host(CLIENT));
    world.start_nodes(&["fra1"]);
    let back = Instant::now();
    wait_vip(&world, "fra1");
    let took = back.elapsed();
    let (well, failed) = visitor.stop();
    eprintln!("back after {took:?}; {well} connections meanwhile, {failed:?} failed");
    assert!(took > Duration::from_secs(1), "preempt-delay: {took:?}");
    assert!(well > 20, "{well}");
    // A connection that was under way while the address moved belongs to the other machine now.
    assert!(failed.len() <= 2, "{failed:?}");

    // It hangs: the kernel still takes connections, and nobody serves them.
    world.process("fra1").freeze();
    let hung = Instant::now();
    let (ready, why, took) = health(&world, "fra1");
    assert!(!ready && why.contains("no answer within 800 ms"), "{why}");
    assert!(took < within(Duration::from_millis(1_000)), "{took:?}");
    let took = works_again(&world, hung);
    eprintln!("SIGSTOP: new connections work after {took:?}");
    assert!(took < within(MOVES), "{took:?}");
    wait_vip(&world, "fra2");
    world.process("fra1").thaw();
    wait_vip(&world, "fra1");
    works_again(&world, Instant::now());

    // It is stopped: first it is not ready, and only when the VIP has moved it ends.
    let visitor = Visitor::start(world.host(CLIENT));
    let process = world.take("fra1");
    let stopping = std::thread::scope(|s| {
        let stopping = s.spawn(|| process.stop());
        wait_for("it is not ready", PATIENCE, || {
            let (ready, why, _) = health(&world, "fra1");
            (!ready && why.contains("stopping")).then_some(())
        });
        stopping.join().unwrap()
    });
    assert_eq!(stopping, Some(0));
    assert!(has_vip(&world, "fra2"), "it waits for the VIP to move");
    let (well, failed) = visitor.stop();
    eprintln!("stop: {well} connections meanwhile, {failed:?} failed");
    assert!(well > 20, "{well}");
    assert!(failed.len() <= 2, "{failed:?}");
}

#[test]
fn dns_answers_with_another_region_while_both_proxies_of_a_vip_are_gone() {
    let Some((mut world, _vrrp)) = started() else {
        return;
    };
    works_again(&world, Instant::now());
    let vip = IpAddr::from(VIP);
    let watch = world.watch("dns", NAME);
    watch.wait(&[vip], Instant::now(), PATIENCE);
    for node in PROXIES {
        world.take(node).kill9();
    }
    let gone = Instant::now();
    let took = watch.wait(&[world.v4("iad")], gone, DETECTION);
    eprintln!("both gone: DNS answers with the other region after {took:?}");
    // One of them is enough to come back.
    world.start_nodes(&["fra2"]);
    let back = Instant::now();
    let took = watch.wait(&[vip], back, PATIENCE);
    eprintln!("one is back: DNS answers with the VIP after {took:?}");
    world.start_nodes(&["fra1"]);
    wait_vip(&world, "fra1");
    works_again(&world, Instant::now());
    assert_eq!(world.addresses("dns", NAME), [vip]);
}

/// The address that both proxies have at once; routers in front choose one by the tuple.
const ANYCAST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Addresses of clients, all on the host of the client.
const CLIENTS: std::ops::Range<u8> = 150..190;

/// Three backends, chosen by a hash of the client's address, on two proxies that know nothing of each
/// other.
fn anycast_config(w: &World) -> String {
    let mut text = format!(
        r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[listeners.web]
bind = ["0.0.0.0:{WEB}"]
[routes.all]
forward = "web"
[upstreams.web]
algorithm = "hash"
hash = {{ on = "source" }}
backends = [
"#
    );
    for backend in ["web1", "web2", "web3"] {
        text += &format!(
            "{{ name = \"{backend}\", address = \"{}:{WEB}\" }},\n",
            w.v4(backend)
        );
    }
    text += "]\n";
    for node in PROXIES {
        text += &format!(
            "[nodes.{node}]\nregion = \"eu\"\nroles = [\"proxy\", \"admin\"]\nproxy.workers = 1\n"
        );
    }
    text
}

/// The backend that a new connection from `client` gets, always from the same port of that client.
fn backend_of(client: Ipv4Addr, to: SocketAddr) -> String {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // The tuple was used before, and is in TIME-WAIT at the other end at most.
    socket.set_reuse_address(true).unwrap();
    let from = SocketAddr::new(client.into(), 20_000 + u16::from(client.octets()[3]));
    socket.bind(&from.into()).unwrap();
    socket.connect_timeout(&to.into(), PATIENCE).unwrap();
    // Nothing stays behind of the connection when it is reset.
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: vip\r\n\r\n").unwrap();
    let mut text = Vec::new();
    let mut part = [0; 1024];
    loop {
        let n = stream.read(&mut part).unwrap();
        assert!(n > 0, "{}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&part[..n]);
        let said = String::from_utf8_lossy(&text);
        let named = ["web1", "web2", "web3"].into_iter();
        if let Some(name) = named.into_iter().find(|name| said.contains(name)) {
            return name.to_owned();
        }
    }
}

/// Connections that a proxy has accepted so far.
pub(super) fn accepted(world: &World, node: &str) -> u64 {
    let at: SocketAddr = super::world::ADMIN.parse().unwrap();
    let page = world.host(node).inside(|| http::get(at, "/metrics")).body;
    let lines = page.lines();
    let of = lines.filter(|l| l.starts_with("tradewind_proxy_connections_total"));
    of.map(|l| l.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64)
        .sum()
}

#[test]
fn proxies_behind_ecmp_choose_the_same_backend_and_one_can_go() {
    let names = ["fra1", "fra2", "web1", "web2", "web3"];
    let Some(mut world) = World::new(&names, anycast_config) else {
        return;
    };
    for web in ["web1", "web2", "web3"] {
        world.start_target(web);
    }
    world.start_nodes(&PROXIES);
    let (fra1, fra2) = (world.v4("fra1"), world.v4("fra2"));
    for node in PROXIES {
        world
            .host(node)
            .ip(&format!("address add {ANYCAST}/32 dev lo\n"));
    }
    let clients: Vec<Ipv4Addr> = CLIENTS.map(|n| Ipv4Addr::new(10, 66, 0, n)).collect();
    let addresses: String = clients
        .iter()
        .map(|c| format!("address add {c}/24 dev eth0\n"))
        .collect();
    let client = world.host(CLIENT);
    client.ip(&addresses);
    client.ip(&format!(
        "route add {ANYCAST}/32 nexthop via {fra1} nexthop via {fra2}\n"
    ));
    // By addresses and ports, as routers do.
    client.inside(|| std::fs::write("/proc/sys/net/ipv4/fib_multipath_hash_policy", "1").unwrap());

    let vip = SocketAddr::new(ANYCAST.into(), WEB);
    let all = |to: SocketAddr| -> Vec<String> {
        client.inside(|| clients.iter().map(|c| backend_of(*c, to)).collect())
    };
    let before = all(vip);
    let (one, two) = (accepted(&world, "fra1"), accepted(&world, "fra2"));
    eprintln!("ECMP: {one} connections through fra1, {two} through fra2");
    assert_eq!(one + two, clients.len() as u64);
    assert!(one >= 5 && two >= 5, "both are used: {one}, {two}");
    for web in ["web1", "web2", "web3"] {
        let share = before.iter().filter(|b| *b == web).count();
        assert!(share >= 3, "{web} has {share} of {}", clients.len());
    }
    // Whichever of the two a router chooses, the backend is the same.
    for proxy in [fra1, fra2] {
        assert_eq!(all(SocketAddr::new(proxy, WEB)), before);
    }
    // One is taken out: its clients' next connections go through the other, to the same backends.
    world.take("fra1").kill9();
    let client = world.host(CLIENT);
    client.ip(&format!("route change {ANYCAST}/32 nexthop via {fra2}\n"));
    let after: Vec<String> =
        client.inside(|| clients.iter().map(|c| backend_of(*c, vip)).collect());
    assert_eq!(after, before);
}

/// A region whose proxy is in a fleet with the node that answers DNS; no monitor says anything. `new`:
/// with the VIP of the proxy.
fn told_config(w: &World, new: bool) -> String {
    let (dns, fra1, iad) = (w.v4("dns"), w.v4("fra1"), w.v4("iad"));
    let (vip, bind) = match new {
        true => (
            format!(
                "[vips.fra]\naddress = [\"{VIP}/24\"]\ninterface = \"eth0\"\nnodes = [\"fra1\"]\n\
                 router-id = 51\n"
            ),
            VIP.to_string(),
        ),
        false => (String::new(), fra1.to_string()),
    };
    format!(
        r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[fleet]
ca = "fleet/ca.pem"
gossip-interval = "100ms"
[nodes.dns]
region = "eu"
roles = ["dns", "probe", "admin"]
dns = {{ listen = ["{dns}:53"], workers = 1 }}
state-dir = "{dns_state}"
fleet = {{ listen = "{dns}:7946", certificate = "fleet/dns.pem", key = "fleet/dns.key" }}
[nodes.fra1]
region = "eu"
roles = ["proxy", "admin"]
proxy.workers = 1
state-dir = "{fra1_state}"
fleet = {{ listen = "{fra1}:7946", certificate = "fleet/fra1.pem", key = "fleet/fra1.key" }}
[zones."gslb.test"]
file = "gslb.test.zone"
[pools.near]
region = "eu"
endpoints = [{{ name = "fra", address = "{VIP}", port = {WEB} }}]
[pools.far]
region = "eu"
endpoints = [{{ name = "iad", address = "{iad}", port = {WEB} }}]
[policies.order]
stages = [{{ failover = {{}} }}, {{ random = {{}} }}]
[names."{NAME}"]
pools = ["near", "far"]
policy = "order"
ttl = {{ min = "1s", max = "5s" }}
[listeners.web]
bind = ["{bind}:{WEB}"]
[routes.all]
respond = {{ status = 200, body = "ok" }}
{vip}
"#,
        dns_state = w.state_dir("dns").display(),
        fra1_state = w.state_dir("fra1").display(),
    )
}

#[test]
fn p7_dns_answers_with_a_vip_only_after_its_proxy_has_said_that_it_serves_it() {
    let names = ["dns", "fra1", "iad"];
    let Some(mut world) = World::new(&names, |w| told_config(w, true)) else {
        return;
    };
    let (dir, config) = (world.file("fleet"), world.file(CONFIG));
    let (dir, config) = (dir.to_str().unwrap(), config.to_str().unwrap());
    succeeds(&world.cli(CLIENT, &["fleet", "init", "--out", dir]));
    for node in ["dns", "fra1"] {
        let issue = ["fleet", "issue", node, "--config", config];
        succeeds(&world.cli(CLIENT, &[&issue[..], &["--ca", dir, "--out", dir]].concat()));
    }
    // The proxy still runs what was before the VIP.
    let own = world.file("fra1.toml");
    std::fs::write(&own, told_config(&world, false)).unwrap();
    world.launch_with("fra1", "fra1", "fra1.toml");
    world.wait_ready("fra1");
    world.start_nodes(&["dns"]);
    let (vip, iad) = (IpAddr::from(VIP), world.v4("iad"));
    let watch = world.watch("dns", NAME);
    watch.wait(&[iad], Instant::now(), PATIENCE);
    let told = world.health("dns", "fra");
    assert_eq!(told["state"], "down", "{told}");
    let held = told["held"].as_str().unwrap();
    assert!(held.starts_with("not served yet"), "{told}");

    // It goes over to the configuration with the VIP.
    std::fs::write(&own, told_config(&world, true)).unwrap();
    let at: SocketAddr = super::world::ADMIN.parse().unwrap();
    let reload = || http::request(at, "POST", "/v1/reload");
    let reloaded = world.host("fra1").inside(reload);
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);
    let since = Instant::now();
    let took = watch.wait(&[vip], since, PATIENCE);
    eprintln!("DNS answers with the VIP {took:?} after its proxy serves it");

    // DNS starts anew: the first answer is the VIP, since what was said is heard first.
    drop(watch);
    assert_eq!(world.take("dns").stop(), Some(0));
    world.start_nodes(&["dns"]);
    assert_eq!(world.addresses("dns", NAME), [vip]);
}
