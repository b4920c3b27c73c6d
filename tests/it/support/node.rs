//! One node (`tradewind run`) with a configuration of the test's own, on free ports.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use super::demo::{signal, tradewind};
use super::{http, wait_for};

/// The zone that every test node serves; tests may put their own in its place.
pub const ZONE: &str = "\
$TTL 300
@       IN SOA ns1 hostmaster 1 3600 600 86400 60
        IN NS  ns1
ns1     IN A   192.0.2.53
static  IN A   192.0.2.80
text    IN TXT \"hello\"
";

/// The head that every configuration needs: one region, one node, one zone.
pub const HEAD: &str = r#"
version = 1

[regions.eu]
latitude = 50.11
longitude = 8.68

[nodes.n1]
region = "eu"
roles = ["dns", "probe", "admin"]
dns = { listen = ["127.0.0.1:0"], workers = 1 }
admin = { listen = "127.0.0.1:0" }

[zones."gslb.test"]
file = "gslb.test.zone"
"#;

/// A running node; ended by SIGTERM to its own pid when dropped.
pub struct Node {
    /// The folder of its configuration.
    pub dir: TempDir,
    child: Child,
    /// DNS.
    pub dns: SocketAddr,
    /// DNS over TLS, HTTPS and QUIC, where the configuration has them.
    pub dot: Option<SocketAddr>,
    pub doh: Option<SocketAddr>,
    pub doq: Option<SocketAddr>,
    /// Admin API.
    pub admin: SocketAddr,
    /// The proxy's listeners, by name.
    pub proxy: Vec<(String, SocketAddr)>,
    log: Arc<Mutex<String>>,
}

/// Writes a configuration folder.
pub fn folder(config: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tradewind.toml"), config).unwrap();
    std::fs::write(dir.path().join("gslb.test.zone"), ZONE).unwrap();
    dir
}

impl Node {
    /// Starts a node with `HEAD` and `rest` as its configuration.
    pub fn start(rest: &str) -> Node {
        Node::start_in(folder(&format!("{HEAD}{rest}")))
    }

    /// Starts a node with the configuration in `dir`.
    pub fn start_in(dir: TempDir) -> Node {
        let mut child = tradewind()
            .arg("run")
            .arg("--config")
            .arg(dir.path().join("tradewind.toml"))
            .args(["--node", "n1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let copy = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("node: {line}");
                let mut log = copy.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let (lines, incoming) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let ready: String = incoming
            .recv_timeout(Duration::from_secs(30))
            .unwrap_or_else(|_| panic!("the node is not ready:\n{}", log.lock().unwrap()));
        let field = |key: &str| -> Option<SocketAddr> {
            let mut fields = ready.split(' ');
            let text = fields.find_map(|f| f.strip_prefix(key))?;
            Some(text.parse().unwrap())
        };
        let proxy = ready.split(' ').find_map(|f| f.strip_prefix("proxy="));
        let listener = |text: &str| {
            let (name, addr) = text.split_once('=').unwrap();
            (name.to_owned(), addr.parse().unwrap())
        };
        Node {
            proxy: proxy.map_or_else(Vec::new, |all| all.split(',').map(listener).collect()),
            dns: field("dns=").unwrap(),
            dot: field("dot="),
            doh: field("doh="),
            doq: field("doq="),
            admin: field("admin=").unwrap(),
            dir,
            child,
            log,
        }
    }

    /// Ends it as a crash would, and starts it again.
    pub fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        *self = Node::start_in(dir);
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file of its configuration folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaces the configuration's text.
    pub fn rewrite(&self, rest: &str) {
        std::fs::write(self.file("tradewind.toml"), format!("{HEAD}{rest}")).unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, which: &str) {
        signal(which, self.child.id());
    }

    /// Processor time that its threads have used.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = |task: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok()
        };
        Duration::from_nanos(tasks.filter_map(nanos).sum())
    }

    /// A figure in KiB of its status: `VmRSS`, `VmHWM`.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub fn memory(&self, figure: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(figure)).unwrap();
        let digits = line.trim_matches(|c: char| !c.is_ascii_digit());
        digits.parse().unwrap()
    }

    /// `VmRSS` once what a start takes is taken: when it has not grown for a while.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub fn settled_memory(&self) -> u64 {
        let (mut most, mut since) = (0, std::time::Instant::now());
        wait_for("the start is over", Duration::from_secs(30), || {
            let now = self.memory("VmRSS");
            if now > most {
                (most, since) = (now, std::time::Instant::now());
            }
            (since.elapsed() > Duration::from_millis(1_500)).then_some(most)
        })
    }

    /// Whether the log has `text`.
    pub fn logged(&self, text: &str) -> bool {
        self.log.lock().unwrap().contains(text)
    }

    /// How often the log has `text`.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub fn times_logged(&self, text: &str) -> usize {
        self.log.lock().unwrap().matches(text).count()
    }

    /// The value of a metric with exactly these labels.
    pub fn metric(&self, name: &str) -> u64 {
        let page = http::get(self.admin, "/metrics").body;
        page.lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in\n{page}"))
    }

    /// Waits until the log has `text`.
    pub fn wait_logged(&self, text: &str) {
        wait_for(
            &format!("log line with {text:?}"),
            Duration::from_secs(10),
            || self.logged(text).then_some(()),
        );
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal("-TERM", self.child.id());
            wait_for("the node ends", Duration::from_secs(10), || {
                self.child.try_wait().unwrap()
            });
        }
    }
}
