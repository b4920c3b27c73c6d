//! The proxy as a child, and a client that sends whatever octets a test wants.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::node::{HEAD, Node, folder};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener `web` with short times, one route to all, an upstream with short times; without backends.
pub const WEB: &str = r#"
[listeners.web]
bind = ["127.0.0.1:0"]
max-head = "16KiB"
max-target = "4KiB"
max-body = "1MiB"
head-timeout = "1s"
body-timeout = "1s"
idle-timeout = "20s"
write-timeout = "2s"

[routes.all]
path-prefixes = ["/"]
forward = "app"

[upstreams.app]
connect-timeout = "2s"
first-byte-timeout = "4s"
idle-timeout = "4s"
"#;

/// What is put before the configuration of a proxy.
pub fn head() -> String {
    let roles = r#"roles = ["dns", "probe", "admin"]"#;
    assert!(HEAD.contains(roles));
    HEAD.replace(roles, r#"roles = ["dns", "probe", "proxy", "admin"]"#)
}

/// An entry of `backends` of the upstream `app`.
pub fn backend_entry(upstream: &str, name: &str, address: SocketAddr) -> String {
    format!("\n[[upstreams.{upstream}.backends]]\nname = \"{name}\"\naddress = \"{address}\"\n")
}

/// A running proxy.
pub struct Proxy {
    pub node: Node,
}

impl Proxy {
    /// Starts a node with the role and `rest` as its configuration.
    pub fn start(rest: &str) -> Proxy {
        Proxy::start_with(rest, |_| {})
    }

    /// The same, with files put into its folder first.
    pub fn start_with(rest: &str, files: impl FnOnce(&Path)) -> Proxy {
        let dir = folder(&format!("{}{rest}", head()));
        files(dir.path());
        Proxy {
            node: Node::start_in(dir),
        }
    }

    /// [`WEB`] with these backends.
    pub fn web(backends: &[&Backend]) -> Proxy {
        Proxy::start(&web(backends))
    }

    /// Where the listener called `name` is.
    pub fn addr(&self, name: &str) -> SocketAddr {
        let mut all = self.node.proxy.iter();
        match all.find(|(n, _)| n == name) {
            Some((_, addr)) => *addr,
            None => panic!("no listener {name} in {:?}", self.node.proxy),
        }
    }

    /// Sends octets to `web`, reads until the proxy closes.
    pub fn exchange(&self, octets: &[u8]) -> String {
        let mut raw = Raw::connect(self.addr("web"));
        raw.send(octets);
        raw.rest()
    }

    /// GET from `web`.
    pub fn get(&self, path: &str) -> Answer {
        let mut raw = Raw::connect(self.addr("web"));
        raw.send(get(path).as_bytes());
        raw.last_answer()
    }

    /// Whether it serves, as a client sees it that was not there before.
    pub fn assert_serves(&self) {
        assert_eq!(self.get("/after").status, 200);
    }
}

/// [`WEB`] with these backends.
pub fn web(backends: &[&Backend]) -> String {
    let entries = backends.iter().enumerate();
    let entries = entries.map(|(i, b)| backend_entry("app", &format!("b{i}"), b.addr));
    format!("{WEB}{}", entries.collect::<String>())
}

/// A plain request.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: www.example\r\n\r\n")
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and fields, as sent.
    pub head: String,
    /// Decoded.
    pub body: Vec<u8>,
    /// The trailer section, as sent.
    pub trailers: String,
}

impl Answer {
    /// The first field of this name, which is in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }
}

/// A connection of a client.
pub struct Raw {
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub fn connect(addr: SocketAddr) -> Raw {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw {
            stream,
            inbox: Vec::new(),
        }
    }

    /// Sends octets; a proxy that has closed already does not fail the test here.
    pub fn send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// Says that nothing more will be sent.
    pub fn shut(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// More octets; false at the end.
    ///
    /// # Panics
    /// When nothing comes.
    fn more(&mut self) -> bool {
        let mut octets = [0; 16 << 10];
        match self.stream.read(&mut octets) {
            Ok(n) => {
                self.inbox.extend_from_slice(&octets[..n]);
                n > 0
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(e) => panic!("{e}; so far {:?}", String::from_utf8_lossy(&self.inbox)),
        }
    }

    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.inbox.len() < n {
            if !self.more() {
                return None;
            }
        }
        Some(self.inbox.drain(..n).collect())
    }

    fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            let at = self.inbox.windows(end.len()).position(|w| w == end);
            if let Some(at) = at {
                let text: Vec<u8> = self.inbox.drain(..at + end.len()).collect();
                return Some(String::from_utf8_lossy(&text).into_owned());
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// The next answer to a request that was not HEAD.
    ///
    /// # Panics
    /// When there is none, or only part of one.
    pub fn answer(&mut self) -> Answer {
        self.try_answer(false).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&self.inbox);
            panic!("closed without a whole answer; so far {text:?}")
        })
    }

    /// The next answer that is no interim one.
    pub fn last_answer(&mut self) -> Answer {
        loop {
            let answer = self.answer();
            if answer.status >= 200 {
                return answer;
            }
        }
    }

    /// The next answer; `None` when the connection ends before it is whole.
    pub fn try_answer(&mut self, to_head: bool) -> Option<Answer> {
        let head = self.until(b"\r\n\r\n")?;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("no status in {head:?}")),
            head,
            body: Vec::new(),
            trailers: String::new(),
        };
        if to_head || matches!(answer.status, 100..=199 | 204 | 304) {
            return Some(answer);
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            loop {
                let size = self.until(b"\r\n")?;
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                if size == 0 {
                    break;
                }
                answer.body.extend(self.take(size)?);
                assert_eq!(self.take(2)?, b"\r\n");
            }
            loop {
                let line = self.until(b"\r\n")?;
                if line == "\r\n" {
                    break;
                }
                answer.trailers.push_str(&line);
            }
        } else if let Some(n) = answer.field("content-length") {
            let n = n.parse().unwrap();
            answer.body = self.take(n)?;
        } else {
            while self.more() {}
            answer.body = std::mem::take(&mut self.inbox);
        }
        Some(answer)
    }

    /// So many octets as they come.
    pub fn octets(&mut self, n: usize) -> Vec<u8> {
        self.take(n).expect("the connection lives")
    }

    /// All until the proxy closes, as text.
    ///
    /// # Panics
    /// When it does not close.
    pub fn rest(&mut self) -> String {
        let end = Instant::now() + PATIENCE;
        while self.more() {
            assert!(Instant::now() < end, "the proxy does not close");
        }
        String::from_utf8_lossy(&std::mem::take(&mut self.inbox)).into_owned()
    }

    /// Takes in, and drops, whatever comes within this time.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        self.stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut octets = vec![0; 1 << 20];
        while Instant::now() < end {
            match self.stream.read(&mut octets) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return true,
                Err(_) => {}
            }
        }
        false
    }
}
