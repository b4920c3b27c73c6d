//! Several processes of one node, one after another.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use super::demo::{signal, tradewind};
use super::{dns, http, wait_for};

/// How long a process may take to be ready, or to end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One process. Ended when dropped.
pub struct Process {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: Arc<Mutex<String>>,
}

/// What a ready line says.
#[derive(Clone, Debug)]
pub struct Up {
    pub dns: SocketAddr,
    pub admin: SocketAddr,
    line: String,
}

impl Up {
    fn read(line: &str) -> Up {
        let field = |key: &str| line.split(' ').find_map(|f| f.strip_prefix(key));
        Up {
            dns: field("dns=").unwrap().parse().unwrap(),
            admin: field("admin=").unwrap().parse().unwrap(),
            line: line.to_owned(),
        }
    }

    /// Where a listener of the proxy is.
    pub fn proxy(&self, name: &str) -> SocketAddr {
        let all = self.line.split(' ').find_map(|f| f.strip_prefix("proxy="));
        let mut all = all.unwrap().split(',');
        let found = all.find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
        found.unwrap().parse().unwrap()
    }

    /// What is shown beside the addresses.
    pub fn generation(&self) -> u64 {
        let found = self
            .line
            .split(' ')
            .find_map(|f| f.strip_prefix("generation="));
        found.unwrap().parse().unwrap()
    }

    /// Gives an order about the region `eu`, for this reason.
    pub fn order(&self, reason: &str) -> http::Response {
        let body = format!(
            r#"{{"scope":"region","name":"eu","kind":"drain","owner":"tests","reason":"{reason}","break-glass":"test"}}"#
        );
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (host, length) = (self.admin, body.len());
        write!(
            stream,
            "PUT /v1/overrides HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        http::Response {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: body.to_owned(),
        }
    }

    /// The line without its generation.
    pub fn addresses(&self) -> &str {
        self.line.split(" generation=").next().unwrap()
    }
}

impl Process {
    /// Starts node `n1` of the configuration in `dir`, with its state there.
    pub fn start(dir: &Path, more: &[&str]) -> Process {
        Process::start_program(tradewind(), dir, more)
    }

    /// The same with another program.
    pub fn start_program(program: Command, dir: &Path, more: &[&str]) -> Process {
        Process::spawn(program, ("n1", "state"), dir, more)
    }

    /// Starts another node of the configuration in `dir`, with a state of its own.
    pub fn start_node(node: &str, dir: &Path) -> Process {
        Process::spawn(tradewind(), (node, &format!("state-{node}")), dir, &[])
    }

    fn spawn(
        mut program: Command,
        (node, state): (&str, &str),
        dir: &Path,
        more: &[&str],
    ) -> Process {
        let mut child = program
            .arg("run")
            .arg("--config")
            .arg(dir.join("tradewind.toml"))
            .arg("--state-dir")
            .arg(dir.join(state))
            .args(["--node", node])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (copy, pid) = (log.clone(), child.id());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{pid}: {line}");
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let (to, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        Process { child, lines, log }
    }

    /// Waits for its next ready line: its own, or that of a process that it started.
    pub fn ready(&self) -> Up {
        let line = self.lines.recv_timeout(PATIENCE);
        Up::read(&line.unwrap_or_else(|_| panic!("not ready:\n{}", self.log.lock().unwrap())))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, which: &str) {
        signal(which, self.pid());
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for("the process ends", PATIENCE, || {
            self.child.try_wait().unwrap()
        })
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it as nothing can prevent.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().contains(text)
    }

    pub fn times_logged(&self, text: &str) -> usize {
        self.log.lock().unwrap().matches(text).count()
    }

    pub fn wait_logged(&self, text: &str) {
        wait_for(&format!("log line with {text:?}"), PATIENCE, || {
            self.logged(text).then_some(())
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            self.signal("-TERM");
            self.ended();
        }
    }
}

/// Clients that ask all the time, and count what is not answered.
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<(&'static str, JoinHandle<Asked>)>,
    /// How often each has asked.
    asked: Vec<Arc<AtomicUsize>>,
}

/// What became of one client's questions.
#[derive(Default, Debug)]
pub struct Asked {
    pub answered: u64,
    pub lost: Vec<String>,
}

/// Between two questions of a client.
const PACE: Duration = Duration::from_millis(4);

impl Clients {
    /// Asks DNS over UDP and TCP and, if there is one, the listener `web`: each over fresh sockets and
    /// connections, and over one that is kept.
    pub fn start(up: &Up, web: Option<SocketAddr>) -> Clients {
        let mut clients = Clients {
            stop: Arc::default(),
            threads: Vec::new(),
            asked: Vec::new(),
        };
        let dns = up.dns;
        clients.add("udp", move || ask_udp(dns));
        clients.add("tcp", move || ask_tcp(&mut TcpStream::connect(dns)?));
        let mut kept = None;
        clients.add("tcp-kept", move || {
            // A server that is done with a connection closes it between questions, which clients see
            // before they ask again.
            let stream = match &mut kept {
                Some(stream) if !is_closed(stream) => stream,
                gone => gone.insert(TcpStream::connect(dns)?),
            };
            match ask_tcp(stream) {
                // The question has crossed the goodbye: it is asked again (RFC 7766 section 6.2.4).
                Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                    ask_tcp(kept.insert(TcpStream::connect(dns)?))
                }
                asked => asked,
            }
        });
        if let Some(web) = web {
            clients.add("http", move || {
                ask_http(&mut TcpStream::connect(web)?, true).map(drop)
            });
            let mut kept = None;
            clients.add("http-kept", move || {
                let stream = match &mut kept {
                    Some(stream) => stream,
                    none => none.insert(TcpStream::connect(web)?),
                };
                if ask_http(stream, false)? {
                    kept = None;
                }
                Ok(())
            });
        }
        clients
    }

    fn add(
        &mut self,
        name: &'static str,
        mut ask: impl FnMut() -> std::io::Result<()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        let count = Arc::new(AtomicUsize::new(0));
        self.asked.push(count.clone());
        let thread = std::thread::spawn(move || {
            let mut asked = Asked::default();
            while !stop.load(Ordering::Relaxed) {
                match ask() {
                    Ok(()) => asked.answered += 1,
                    Err(e) => asked.lost.push(format!("after {}: {e}", asked.answered)),
                }
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(PACE);
            }
            asked
        });
        self.threads.push((name, thread));
    }

    /// Ends them, once each has asked enough; all was answered.
    pub fn assert_nothing_lost(self) {
        wait_for("each client has asked enough", PATIENCE, || {
            let enough = |n: &Arc<AtomicUsize>| n.load(Ordering::Relaxed) > 25;
            self.asked.iter().all(enough).then_some(())
        });
        self.stop.store(true, Ordering::Relaxed);
        for (name, thread) in self.threads {
            let asked = thread.join().unwrap();
            eprintln!("{name}: {} answered", asked.answered);
            assert!(asked.lost.is_empty(), "{name}: {asked:?}");
            assert!(asked.answered > 20, "{name}: {asked:?}");
        }
    }
}

fn packet() -> Vec<u8> {
    dns::query("static.gslb.test.", RecordType::A, None)
}

fn patient(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))
}

/// One datagram, sent once.
fn ask_udp(server: SocketAddr) -> std::io::Result<()> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect(server)?;
    socket.send(&packet())?;
    socket.recv(&mut [0; 1500]).map(drop)
}

fn ask_tcp(stream: &mut TcpStream) -> std::io::Result<()> {
    patient(stream)?;
    let packet = packet();
    let mut framed = u16::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(packet);
    stream.write_all(&framed)?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    // Cut in the middle of an answer is no goodbye.
    stream
        .read_exact(&mut answer)
        .map_err(|e| std::io::Error::other(format!("within an answer: {e}")))
}

fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let closed = matches!(stream.peek(&mut [0; 1]), Ok(0));
    stream.set_nonblocking(false).unwrap();
    closed
}

/// Whether the answer ends the connection.
fn ask_http(stream: &mut TcpStream, close: bool) -> std::io::Result<bool> {
    patient(stream)?;
    let field = if close { "Connection: close\r\n" } else { "" };
    write!(
        stream,
        "GET /ok HTTP/1.1\r\nHost: www.example\r\n{field}\r\n"
    )?;
    let mut text = Vec::new();
    let mut octet = [0; 1];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet)?;
        text.push(octet[0]);
    }
    let head = String::from_utf8_lossy(&text).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body)?;
    if !head.starts_with("http/1.1 200") {
        return Err(std::io::Error::other(head));
    }
    Ok(head.contains("connection: close"))
}

/// Reads the metrics again and again; no counter ever falls or is gone.
pub struct Scrapes {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Scrapes {
    pub fn start(admin: SocketAddr) -> Scrapes {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut last = std::collections::HashMap::<String, f64>::new();
            let mut scrapes = 0;
            // A few more where all else was quick.
            while !told.load(Ordering::Relaxed) || scrapes < 20 {
                let page = http::get(admin, "/metrics").body;
                let mut counter = false;
                let mut shown = std::collections::HashSet::new();
                for line in page.lines() {
                    if let Some(kind) = line.strip_prefix("# TYPE ") {
                        counter = kind.ends_with(" counter") || kind.ends_with(" histogram");
                        counter |= kind.starts_with("tradewind_generation ");
                        continue;
                    }
                    let Some((key, value)) = line.rsplit_once(' ') else {
                        continue;
                    };
                    if counter && !line.starts_with('#') {
                        shown.insert(key);
                        let value: f64 = value.parse().unwrap();
                        let was = last.insert(key.to_owned(), value).unwrap_or_default();
                        assert!(was <= value, "{key} fell from {was} to {value}");
                    }
                }
                let gone = last.keys().find(|key| !shown.contains(&***key));
                assert_eq!(gone, None, "shown before, and not now");
                scrapes += 1;
                std::thread::park_timeout(Duration::from_millis(20));
            }
            scrapes
        });
        Scrapes { stop, thread }
    }

    /// Ends; says how many there were.
    pub fn assert_nothing_fell(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Waits until `until`.
pub fn rest(until: Instant) {
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
