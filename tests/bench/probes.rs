//! What the probe engine costs: so many distinct targets, probed over and over, and the processor time
//! and memory that this takes of the process that probes.
//!
//! ```text
//! cargo bench --bench probes -- --checks 30000 --seconds 20 --kind tcp
//!     --kind tcp|http|https|mixed   mixed: every other target is asked over HTTP, the rest over TCP
//!     --failing 50                  so many targets of a hundred fail, …
//!     --how refused|silent          … because nobody listens, or because nobody answers
//!     --interval 10                 seconds
//! ```
//!
//! The targets are addresses of 127.0.0.0/8, answered by a child process, so that only the engine's
//! share is counted. The kernel does both ends of a connection over loopback in whoever sends, so that
//! the figure is rather too high than too low.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when something fails"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use tradewind::app::clock::RealClock;
use tradewind::health::{
    HttpCheck, HttpVersion, Monitor, MonitorKind, Outcome, ProbeTarget, TcpCheck, TlsTrust,
};
use tradewind::ids::MonitorId;
use tradewind::probe::{self, ProbePlan};
use tradewind::telemetry::ProbeStats;
use tradewind::time::Clock;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nok";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tcp,
    Http,
    Https,
    Mixed,
}

#[derive(Clone, Copy, PartialEq)]
enum How {
    Refused,
    Silent,
}

struct Options {
    checks: u32,
    seconds: u64,
    interval: u64,
    kind: Kind,
    failing: u32,
    how: How,
}

fn options() -> Options {
    let mut o = Options {
        checks: 30_000,
        seconds: 20,
        interval: 10,
        kind: Kind::Mixed,
        failing: 0,
        how: How::Refused,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} needs a value"));
        match arg.as_str() {
            "--checks" => o.checks = value().parse().unwrap(),
            "--seconds" => o.seconds = value().parse().unwrap(),
            "--interval" => o.interval = value().parse().unwrap(),
            "--failing" => o.failing = value().parse().unwrap(),
            "--how" => {
                o.how = match value().as_str() {
                    "refused" => How::Refused,
                    "silent" => How::Silent,
                    other => panic!("--how {other}"),
                }
            }
            "--kind" => {
                o.kind = match value().as_str() {
                    "tcp" => Kind::Tcp,
                    "http" => Kind::Http,
                    "https" => Kind::Https,
                    "mixed" => Kind::Mixed,
                    other => panic!("--kind {other}"),
                }
            }
            // Of `cargo bench` itself.
            "--bench" => {}
            other => panic!("unknown option {other}"),
        }
    }
    o
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("--serve") {
        return serve();
    }
    let o = options();
    let (child, ports) = start_server();
    measure(&o, ports);
    drop(child);
}

// The targets: a child of this process.

/// The ports that answer over HTTP, over HTTPS, and not at all.
#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
    silent: u16,
}

/// Ended with the measurement.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_server() -> (Server, Ports) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("--serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ports: Vec<u16> = line
        .split_whitespace()
        .map(|p| p.parse().unwrap())
        .collect();
    let &[http, https, silent] = ports.as_slice() else {
        panic!("the server said {line:?}")
    };
    let ports = Ports {
        http,
        https,
        silent,
    };
    (Server(child), ports)
}

#[tokio::main]
async fn serve() {
    open_files();
    let listen = || {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("0.0.0.0:0".parse().unwrap()).unwrap();
        socket.listen(4096).unwrap()
    };
    let (http, https, silent) = (listen(), listen(), listen());
    let mut out = std::io::stdout();
    let port = |l: &TcpListener| l.local_addr().unwrap().port();
    writeln!(out, "{} {} {}", port(&http), port(&https), port(&silent)).unwrap();
    out.flush().unwrap();

    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = https.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        answer(stream).await;
                    }
                });
            }
        }
    });
    tokio::spawn(async move {
        loop {
            // Taken and held until the other side goes.
            if let Ok((mut stream, _)) = silent.accept().await {
                tokio::spawn(async move {
                    let mut sink = [0; 256];
                    while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {}
                });
            }
        }
    });
    loop {
        if let Ok((stream, _)) = http.accept().await {
            tokio::spawn(answer::<TcpStream>(stream));
        }
    }
}

async fn answer<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S) {
    let mut request = [0; 1024];
    if matches!(stream.read(&mut request).await, Ok(n) if n > 0) {
        let _ = stream.write_all(ANSWER).await;
        let _ = stream.shutdown().await;
    }
}

// The engine.

fn monitor(name: &str, kind: MonitorKind, interval: u64) -> Monitor {
    Monitor {
        name: name.into(),
        kind,
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(2),
        rise: 5,
        fall: 3,
        jitter_percent: 10,
        port: None,
        source: Vec::new(),
        family: None,
        retries: 0,
    }
}

fn http(tls: bool) -> MonitorKind {
    MonitorKind::Http(HttpCheck {
        tls: tls.then(|| TlsTrust {
            verify: false,
            ca_pem: None,
            server_name: Some("localhost".into()),
            warn_days: 0,
        }),
        version: HttpVersion::Http11,
        host: Some("www.gslb.example".into()),
        method: "GET".into(),
        path: "/healthz".into(),
        headers: Vec::new(),
        body: None,
        expect_status: vec![(200, 299)],
        expect_body: Some("ok".into()),
        expect_body_regex: None,
        follow_redirects: 0,
        max_body: 65_536,
    })
}

fn plan(o: &Options, ports: Ports) -> ProbePlan {
    let nobody = closed_port();
    let target = |n: u32| {
        // Distinct addresses, none of them 127.0.x.y, where others may listen.
        let addr = IpAddr::V4(Ipv4Addr::from(0x7f01_0000 + n));
        let kind = match (o.kind, n % 2) {
            (Kind::Tcp, _) | (Kind::Mixed, 0) => 0,
            (Kind::Http, _) | (Kind::Mixed, _) => 1,
            (Kind::Https, _) => 2,
        };
        // Spread over both kinds.
        let fails = (n / 2) % 100 < o.failing;
        let port = match (fails, o.how) {
            (true, How::Refused) => nobody,
            (true, How::Silent) => ports.silent,
            (false, _) if kind == 2 => ports.https,
            (false, _) => ports.http,
        };
        ProbeTarget {
            addr,
            port,
            monitor: MonitorId(kind),
            endpoints: Vec::new(),
        }
    };
    ProbePlan {
        monitors: vec![
            monitor("tcp", MonitorKind::Tcp(TcpCheck::default()), o.interval),
            monitor("http", http(false), o.interval),
            monitor("https", http(true), o.interval),
        ],
        targets: (0..o.checks).map(target).collect(),
        number: 1,
    }
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Raises the limit of open files; gives it.
fn open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, all).unwrap();
    limit.maximum.unwrap_or(u64::MAX)
}

fn measure(o: &Options, ports: Ports) {
    let in_flight = (open_files() / 2).min(12_288) as usize;
    let before = resident("VmRSS");
    let plan = Arc::new(plan(o, ports));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(RealClock::start());
        let stats: Arc<ProbeStats> = Arc::default();
        let (plans, plans_rx) = watch::channel(plan);
        let (reports, mut reports_rx) = mpsc::channel(4096);
        let engine = probe::spawn(plans_rx, clock.clone(), reports, in_flight, stats.clone());
        // The first round is dense (all within a second), and so is not what is measured.
        let warm = clock.now() + Duration::from_secs(o.interval + 2);
        let (mut passed, mut failed, mut unable, mut peak) = (0_u64, 0_u64, 0_u64, 0);
        let mut words: Option<String> = None;
        let mut begun = None;
        loop {
            let Some(report) = reports_rx.recv().await else {
                break;
            };
            let now = clock.now();
            let started = match begun {
                Some(started) => started,
                None if now < warm => continue,
                None => {
                    begun = Some((now, processor_time(), stats.overdue.load(Relaxed)));
                    continue;
                }
            };
            match report.observation.outcome {
                Outcome::Pass { .. } => passed += 1,
                Outcome::Fail(failure) => {
                    match failure {
                        tradewind::health::Failure::Unable(_) => unable += 1,
                        _ => failed += 1,
                    }
                    if words.is_none() {
                        words = Some(failure.to_string());
                    }
                }
            }
            peak = peak.max(stats.in_flight.load(Relaxed));
            let (since, processor, overdue) = started;
            let ran = now.since(since);
            if ran < Duration::from_secs(o.seconds) {
                continue;
            }
            let used = processor_time() - processor;
            let all = passed + failed + unable;
            println!(
                "{} targets every {} s: {:.0} checks/s, {:.1} % of one core ({:.0} µs a check)",
                o.checks,
                o.interval,
                all as f64 / ran.as_secs_f64(),
                100.0 * used.as_secs_f64() / ran.as_secs_f64(),
                1e6 * used.as_secs_f64() / all as f64,
            );
            println!(
                "  passed {passed}, failed {failed}, could not be made {unable}, \
                 started an interval late or more {}, under way at once at most {peak}",
                stats.overdue.load(Relaxed) - overdue
            );
            println!(
                "  memory {:.1} MiB, at most {:.1} MiB (before the plan {:.1} MiB)",
                resident("VmRSS"),
                resident("VmHWM"),
                before
            );
            if let Some(words) = &words {
                println!("  the first failure: {words}");
            }
            break;
        }
        engine.abort();
        drop(plans);
    });
    runtime.shutdown_timeout(Duration::from_millis(200));
}

/// User and system time of this process, all threads, without its children.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// MiB.
fn resident(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(field)).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024.0
}
