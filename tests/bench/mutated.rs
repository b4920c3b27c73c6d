//! Ten million mutated packets, end to end: the server goes on answering, its memory stays flat, no
//! reply is larger than the limits allow, no query makes the engine panic (requirement A8).
//!
//! Two servers, half of the packets each: the demo, unsigned, and a node with a signed zone, static and
//! steered names. One packet in 128 comes over TCP.
//!
//! ```sh
//! cargo bench --bench mutated                 # 10,000,000 packets
//! cargo bench --bench mutated -- --quick      # 300,000
//! ```
//!
//! Starts its servers as children on free loopback ports and ends them. Exits with 1 when a bound is
//! broken.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it prints, watches the clock, and shall end when something fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Replies never exceed this over UDP.
const LARGEST: usize = 1_232;
/// Memory may grow by this much from the first tenth of the packets to the last.
const GROWTH_KIB: u64 = 4_096;
/// A signed zone's server may also fill its cache with signatures of names that do not exist: 16,384
/// sets of about 500 octets.
const SIGNATURES_KIB: u64 = 8_192;
/// Packets sent before the answers are collected.
const WINDOW: u64 = 64;
/// Windows of UDP between two packets over TCP: the server ends a connection at a message that it
/// cannot read, and a new one costs as much as a hundred datagrams.
const WINDOWS_PER_STREAM: u64 = 2;

/// A signed zone with static and steered names.
const SIGNED: &str = r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[regions.us]
latitude = 39.0
longitude = -77.5
[nodes.n1]
region = "eu"
roles = ["dns", "admin"]
state-dir = "state"
dns = { listen = ["127.0.0.1:0"] }
admin = { listen = "127.0.0.1:0" }
[zones."gslb.example"]
file = "gslb.example.zone"
dnssec = "default"
[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }, { name = "eu-2", address = "2001:db8::1" }]
[pools.us]
region = "us"
endpoints = [{ name = "us-1", address = "192.0.2.2" }, { name = "us-2", address = "2001:db8::2" }]
[policies.any]
stages = [{ failover = {} }, { random = {} }]
[names."www.gslb.example"]
pools = ["eu", "us"]
policy = "any"
"#;

const ZONE: &str = "\
$TTL 300
@       IN SOA ns1 hostmaster 1 3600 600 86400 60
        IN NS  ns1
ns1     IN A   192.0.2.53
api     IN AAAA 2001:db8::80
alias   IN CNAME www
*.wild  IN TXT \"wild\"
old     IN DNAME wild
sub     IN NS  ns.sub
ns.sub  IN A   192.0.2.54
";

struct Server {
    child: Child,
    addr: SocketAddr,
    admin: SocketAddr,
    /// Its configuration, where it has one of its own: the one with a signed zone.
    dir: Option<tempfile::TempDir>,
}

impl Server {
    fn demo() -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tradewind"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["demo", "--dns-port", "0", "--admin-port", "0"])
            .args(["--origin-port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The banner shows addresses in what to type: `dig @127.0.0.1 -p PORT`, `http://…:PORT/`.
        let (mut dns, mut admin) = (None, None);
        let port = |line: &str, before: &str| -> Option<u16> {
            let (_, rest) = line.split_once(before)?;
            let end = rest.find(|c: char| !c.is_ascii_digit());
            rest[..end.unwrap_or(rest.len())].parse().ok()
        };
        for line in lines.by_ref().map_while(Result::ok) {
            dns = dns.or(port(&line, "dig @127.0.0.1 -p "));
            admin = admin.or(port(&line, "curl http://127.0.0.1:"));
            if dns.is_some() && admin.is_some() {
                break;
            }
        }
        // The banner goes on: the demo ends when nobody reads it.
        std::thread::spawn(move || lines.for_each(drop));
        let at = |port: Option<u16>| {
            SocketAddr::from(([127, 0, 0, 1], port.expect("the demo says how to ask it")))
        };
        Server {
            child,
            addr: at(dns),
            admin: at(admin),
            dir: None,
        }
    }

    fn signed() -> Server {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tradewind.toml"), SIGNED).unwrap();
        std::fs::write(dir.path().join("gslb.example.zone"), ZONE).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tradewind"))
            .args(["run", "--node", "n1", "--config"])
            .arg(dir.path().join("tradewind.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let field = |key: &str| -> SocketAddr {
            let mut fields = ready.split_whitespace();
            let text = fields.find_map(|f| f.strip_prefix(key));
            text.expect("the node says where it listens")
                .parse()
                .unwrap()
        };
        Server {
            addr: field("dns="),
            admin: field("admin="),
            child,
            dir: Some(dir),
        }
    }

    /// Panics of the engine, as the metrics count them.
    fn panics(&self) -> u64 {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix("tradewind_dns_engine_panics_total")?;
            rest.rsplit(' ').next()?.parse::<u64>().ok()
        });
        values.reduce(|a, b| a + b).expect("panics are counted")
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Whether it answers, with signatures where its zone is signed.
    fn answers(&self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.addr).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut buf = [0; 2_048];
        (0..5).any(|_| {
            socket
                .send(&query(b"\x03www\x04gslb\x07example\0", 1))
                .unwrap();
            let Ok(n) = socket.recv(&mut buf) else {
                return false;
            };
            // RRSIG of class IN: the query has the DO bit.
            let has_signature = buf[..n].windows(4).any(|w| w == [0, 46, 0, 1]);
            n > 12 && buf[7] > 0 && has_signature == self.dir.is_some()
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

fn query(name: &[u8], qtype: u16) -> Vec<u8> {
    let mut q = vec![0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    q.extend(name);
    q.extend(qtype.to_be_bytes());
    q.extend([0, 1]);
    // OPT with DO, a client subnet, a cookie, NSID and padding.
    q.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 47]);
    q.extend([0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]);
    q.extend([0, 10, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0, 0, 0, 0, 0]);
    q.extend([0, 3, 0, 0, 0, 12, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    q
}

/// A fixed sequence, so that a run can be repeated.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Writes the next packet; one in eight is left whole.
fn next(seeds: &[Vec<u8>], s: &mut Sequence, packet: &mut Vec<u8>) {
    packet.clear();
    packet.extend(&seeds[s.below(seeds.len())]);
    match s.below(8) {
        0 => {}
        1 => packet.truncate(s.below(packet.len())),
        2 => {
            packet.clear();
            packet.extend((0..s.below(600)).map(|_| s.next() as u8));
        }
        3 => packet.insert(s.below(packet.len()), s.next() as u8),
        4 => {
            let at = s.below(packet.len());
            packet.remove(at);
        }
        _ => {
            for _ in 0..=s.below(6) {
                let at = s.below(packet.len());
                packet[at] = [s.next() as u8, 0xc0, 0xff, 0, 0x3f, 0x40][s.below(6)];
            }
        }
    }
}

/// Sends packets over TCP, on one connection for as long as the server leaves it open.
struct Streams {
    to: SocketAddr,
    open: Option<TcpStream>,
    sent: u64,
    replies: u64,
}

impl Streams {
    fn send(&mut self, packet: &[u8]) {
        let mut framed = (packet.len() as u16).to_be_bytes().to_vec();
        framed.extend(packet);
        let mut stream = match self.open.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.to).unwrap();
                // A message without an answer may come; the whole of one is there at once.
                stream
                    .set_read_timeout(Some(Duration::from_millis(20)))
                    .unwrap();
                stream.set_nodelay(true).unwrap();
                stream
            }
        };
        self.sent += 1;
        let answered = (|| {
            stream.write_all(&framed)?;
            let mut len = [0; 2];
            stream.read_exact(&mut len)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
            stream.read_exact(&mut message)
        })();
        // After a message without an answer the next would be taken for its own: start anew.
        if answered.is_ok() {
            self.replies += 1;
            self.open = Some(stream);
        }
    }
}

/// Sends so many packets to a server; whether all bounds held.
fn withstands(what: &str, server: &Server, packets: u64) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addr).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut streams = Streams {
        to: server.addr,
        open: None,
        sent: 0,
        replies: 0,
    };
    let seeds: Vec<Vec<u8>> = [
        (b"\x03www\x04gslb\x07example\0".as_slice(), 1),
        (b"\x03api\x04gslb\x07example\0", 28),
        (b"\x04gslb\x07example\0", 255),
        (b"\x04gslb\x07example\0", 252),
        (b"\x04gslb\x07example\0", 48),
        (b"\x08_explain\x03www\x04gslb\x07example\0", 16),
        (b"\x07nothing\x04gslb\x07example\0", 65),
        (b"\x01x\x04wild\x04gslb\x07example\0", 16),
        (b"\x01x\x03old\x04gslb\x07example\0", 16),
        (b"\x01x\x03sub\x04gslb\x07example\0", 1),
    ]
    .iter()
    .map(|(name, qtype)| query(name, *qtype))
    .collect();
    let mut s = Sequence(0x2545_F491_4F6C_DD1D);
    let (mut packet, mut buf) = (Vec::with_capacity(1_024), [0; 65_535]);
    let (mut sent, mut replies, mut largest) = (0u64, 0u64, 0usize);
    let (mut early, start) = (0, Instant::now());
    while sent < packets {
        for _ in 0..WINDOW {
            next(&seeds, &mut s, &mut packet);
            // A full buffer loses the packet, as the network might.
            let _ = socket.send(&packet);
            sent += 1;
        }
        if (sent / WINDOW).is_multiple_of(WINDOWS_PER_STREAM) {
            next(&seeds, &mut s, &mut packet);
            streams.send(&packet);
        }
        while let Ok(n) = socket.recv(&mut buf) {
            replies += 1;
            largest = largest.max(n);
        }
        if early == 0 && sent >= packets / 10 {
            early = server.memory();
        }
    }
    let late = server.memory();
    let growth = match server.dir {
        None => GROWTH_KIB,
        Some(_) => GROWTH_KIB + SIGNATURES_KIB,
    };
    let (answers, panics) = (server.answers(), server.panics());
    println!(
        "{what}: {sent} packets in {:.1} s, {replies} replies, the largest of {largest} octets (limit {LARGEST})",
        start.elapsed().as_secs_f64()
    );
    println!(
        "{what}: {} more over TCP, {} replies",
        streams.sent, streams.replies
    );
    println!(
        "{what}: memory {early} KiB after a tenth, {late} KiB at the end (may grow by {growth})"
    );
    println!("{what}: the server answers: {answers}; {panics} panics of the engine (limit 0)");
    answers
        && panics == 0
        && largest <= LARGEST
        && late <= early + growth
        && replies > packets / 20
        && streams.replies > streams.sent / 20
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|a| a == "--quick");
    let packets: u64 = if quick { 300_000 } else { 10_000_000 };
    // One after the other: they need not share the processors.
    let fine = [
        withstands("demo", &Server::demo(), packets / 2),
        withstands("signed", &Server::signed(), packets / 2),
    ];
    if fine == [true, true] {
        ExitCode::SUCCESS
    } else {
        println!("FAILED");
        ExitCode::FAILURE
    }
}
