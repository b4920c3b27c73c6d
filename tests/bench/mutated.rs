//! Ten million mutated packets, end to end: the server goes on answering, its memory stays flat, no
//! reply is larger than the limits allow (requirement A8).
//!
//! ```sh
//! cargo bench --bench mutated                 # 10,000,000 packets
//! cargo bench --bench mutated -- --quick      # 300,000
//! ```
//!
//! Starts the demo as a child on free loopback ports and ends it. Exits with 1 when a bound is broken.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measuring program: it prints, watches the clock, and shall end when something fails"
)]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Replies never exceed this over UDP.
const LARGEST: usize = 1_232;
/// Memory may grow by this much from the first tenth of the packets to the last.
const GROWTH_KIB: u64 = 4_096;
/// Packets sent before the answers are collected.
const WINDOW: u64 = 64;

struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start() -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tradewind"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["demo", "--dns-port", "0", "--admin-port", "0"])
            .args(["--origin-port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The banner shows the address in the commands to type: `dig @127.0.0.1 -p PORT`.
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("dig @127.0.0.1 -p ")?;
                rest.split(' ').next()?.parse::<u16>().ok()
            })
            .expect("the demo says how to ask it");
        Server {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

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
            socket.recv(&mut buf).is_ok_and(|n| n > 12 && buf[7] > 0)
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

fn main() -> ExitCode {
    let quick = std::env::args().any(|a| a == "--quick");
    let packets: u64 = if quick { 300_000 } else { 10_000_000 };
    let server = Server::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.addr).unwrap();
    socket.set_nonblocking(true).unwrap();
    let seeds: Vec<Vec<u8>> = [
        (b"\x03www\x04gslb\x07example\0".as_slice(), 1),
        (b"\x03api\x04gslb\x07example\0", 28),
        (b"\x04gslb\x07example\0", 255),
        (b"\x04gslb\x07example\0", 252),
        (b"\x08_explain\x03www\x04gslb\x07example\0", 16),
        (b"\x07nothing\x04gslb\x07example\0", 65),
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
        while let Ok(n) = socket.recv(&mut buf) {
            replies += 1;
            largest = largest.max(n);
        }
        if early == 0 && sent >= packets / 10 {
            early = server.memory();
        }
    }
    let late = server.memory();
    let answers = server.answers();
    println!(
        "{sent} packets in {:.1} s, {replies} replies, the largest of {largest} octets (limit {LARGEST})",
        start.elapsed().as_secs_f64()
    );
    println!("memory {early} KiB after a tenth, {late} KiB at the end (may grow by {GROWTH_KIB})");
    println!("the server answers: {answers}");
    let fine =
        answers && largest <= LARGEST && late <= early + GROWTH_KIB && replies > packets / 20;
    if fine {
        ExitCode::SUCCESS
    } else {
        println!("FAILED");
        ExitCode::FAILURE
    }
}
