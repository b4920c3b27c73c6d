//! A backend for the proxy, in plain threads, that does by script what servers do wrong and right. It
//! shares no code with what it tests, and keeps every octet that reached it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

/// A connection on which nothing comes for so long is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A request as it reached the backend.
#[derive(Clone, Debug)]
pub struct Got {
    /// Number of its connection, from 0.
    pub connection: usize,
    pub method: String,
    pub target: String,
    /// In order, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Decoded.
    pub body: Vec<u8>,
    /// The trailer section, as sent.
    pub trailers: String,
}

impl Got {
    /// The first field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter();
        all.find(|(n, _)| n == name).map(|(_, v)| &**v)
    }

    /// How many fields have this name.
    pub fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|(n, _)| n == name).count()
    }
}

/// Whether the connection lives on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    Next,
    Close,
}

type Script = dyn Fn(&Got, &mut TcpStream) -> After + Send + Sync;

struct Shared {
    script: Box<Script>,
    stop: AtomicBool,
    connections: AtomicUsize,
    busy: AtomicUsize,
    got: Mutex<Vec<Got>>,
    /// Octets by connection.
    raw: Mutex<Vec<Vec<u8>>>,
    streams: Mutex<Vec<TcpStream>>,
}

/// A running backend; its connections end when it is dropped.
pub struct Backend {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Backend {
    /// Does what the path says; see [`by_path`].
    pub fn start() -> Backend {
        Backend::with(by_path)
    }

    /// Does what `script` does with each request, after its body has come.
    pub fn with(script: impl Fn(&Got, &mut TcpStream) -> After + Send + Sync + 'static) -> Backend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            got: Mutex::default(),
            raw: Mutex::default(),
            streams: Mutex::default(),
        });
        let ours = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ours.stop.load(Ordering::Relaxed) {
                    break;
                }
                let number = ours.connections.fetch_add(1, Ordering::Relaxed);
                ours.raw.lock().unwrap().push(Vec::new());
                ours.streams.lock().unwrap().extend(stream.try_clone());
                let ours = ours.clone();
                std::thread::spawn(move || serve(&ours, number, stream));
            }
        });
        Backend { addr, shared }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.got.lock().unwrap().len()
    }

    /// Requests that are being answered, or are not because the path said so.
    pub fn busy(&self) -> usize {
        self.shared.busy.load(Ordering::SeqCst)
    }

    /// The requests so far, in the order in which they were complete.
    pub fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    /// All octets that came, by connection.
    pub fn raw(&self) -> Vec<Vec<u8>> {
        self.shared.raw.lock().unwrap().clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        drop(TcpStream::connect(self.addr));
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Reads a connection, octet for octet remembered.
struct Reader<'a> {
    shared: &'a Shared,
    number: usize,
    stream: TcpStream,
    inbox: Vec<u8>,
}

impl Reader<'_> {
    /// More octets; `None` at the end.
    fn more(&mut self) -> Option<()> {
        let mut octets = [0; 16 << 10];
        let n = self.stream.read(&mut octets).ok().filter(|n| *n > 0)?;
        self.inbox.extend_from_slice(&octets[..n]);
        self.shared.raw.lock().unwrap()[self.number].extend_from_slice(&octets[..n]);
        Some(())
    }

    fn take(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.inbox.len() < n {
            self.more()?;
        }
        Some(self.inbox.drain(..n).collect())
    }

    /// Up to and with `end`.
    fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            let at = self.inbox.windows(end.len()).position(|w| w == end);
            if let Some(at) = at {
                let text = self.inbox.drain(..at + end.len()).collect();
                return Some(String::from_utf8(text).unwrap());
            }
            self.more()?;
        }
    }

    fn request(&mut self) -> Option<Got> {
        let head = self.until(b"\r\n\r\n")?;
        let mut lines = head.trim_end().split("\r\n");
        let mut first = lines.next().unwrap().splitn(3, ' ').map(str::to_owned);
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            (name.to_ascii_lowercase(), value.to_owned())
        };
        let mut got = Got {
            connection: self.number,
            method: first.next().unwrap_or_default(),
            target: first.next().unwrap_or_default(),
            fields: lines.map(field).collect(),
            body: Vec::new(),
            trailers: String::new(),
        };
        if got.target.starts_with("/early") {
            return Some(got);
        }
        if got.field("transfer-encoding").is_some() {
            loop {
                let size = self.until(b"\r\n")?;
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                if size == 0 {
                    break;
                }
                got.body.extend(self.take(size)?);
                assert_eq!(self.take(2)?, b"\r\n");
            }
            loop {
                let line = self.until(b"\r\n")?;
                if line == "\r\n" {
                    break;
                }
                got.trailers.push_str(&line);
            }
        } else if let Some(n) = got.field("content-length") {
            got.body = self.take(n.parse().unwrap())?;
        }
        Some(got)
    }
}

/// Serves a connection, and ends it for all who hold it.
fn serve(shared: &Shared, number: usize, stream: TcpStream) {
    let end = stream.try_clone();
    requests(shared, number, stream);
    if let Ok(stream) = end {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn requests(shared: &Shared, number: usize, stream: TcpStream) {
    stream.set_read_timeout(Some(IDLE)).unwrap();
    let _ = stream.set_nodelay(true);
    let mut reader = Reader {
        shared,
        number,
        stream,
        inbox: Vec::new(),
    };
    while let Some(got) = reader.request() {
        shared.busy.fetch_add(1, Ordering::SeqCst);
        shared.got.lock().unwrap().push(got.clone());
        if asks_for_websocket(&got) && got.target.starts_with("/ws") {
            let hello = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                         Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello";
            send(&mut reader.stream, hello.as_bytes());
            loop {
                let octets: Vec<u8> = reader.inbox.drain(..).collect();
                send(&mut reader.stream, &octets);
                if reader.more().is_none() {
                    shared.busy.fetch_sub(1, Ordering::SeqCst);
                    return;
                }
            }
        }
        let after = (shared.script)(&got, &mut reader.stream);
        shared.busy.fetch_sub(1, Ordering::SeqCst);
        if after == After::Close {
            break;
        }
    }
}

fn asks_for_websocket(got: &Got) -> bool {
    let asked = got.field("upgrade").unwrap_or_default();
    asked.eq_ignore_ascii_case("websocket")
}

/// Sends octets; a client that has gone is not the backend's worry.
pub fn send(stream: &mut TcpStream, octets: &[u8]) {
    let _ = stream.write_all(octets);
}

/// A whole answer with a `content-length`.
pub fn answer(stream: &mut TcpStream, status: u16, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} Status\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    send(stream, &[head.as_bytes(), body].concat());
}

/// Waits for as long as nobody ends the connection.
pub fn stall(stream: &mut TcpStream) {
    let mut octets = [0; 4_096];
    while matches!(stream.read(&mut octets), Ok(1..)) {}
}

/// What the first part of the path says; anything else is answered with `ok`.
pub fn by_path(got: &Got, stream: &mut TcpStream) -> After {
    let path = got.target.split('?').next().unwrap_or_default();
    let mut parts = path[1.min(path.len())..].split('/');
    let (what, number) = (parts.next().unwrap_or_default(), parts.next());
    let number: usize = number.and_then(|n| n.parse().ok()).unwrap_or(0);
    match what {
        // What reached the backend.
        "echo" => {
            let text = json!({
                "connection": got.connection,
                "method": got.method,
                "target": got.target,
                "fields": got.fields,
                "body": String::from_utf8_lossy(&got.body),
                "trailers": got.trailers,
            });
            answer(stream, 200, text.to_string().as_bytes());
        }
        "status" => answer(stream, number as u16, b"status"),
        "size" => answer(stream, 200, &vec![b'x'; number]),
        "delay" => {
            std::thread::park_timeout(Duration::from_millis(number as u64));
            answer(stream, 200, b"late");
        }
        // Never answers.
        "silent" => stall(stream),
        // Half a head, and nothing more.
        "half-head" => {
            send(stream, b"HTTP/1.1 200 OK\r\nContent-Le");
            stall(stream);
        }
        // Closes without an answer.
        "close" => return After::Close,
        // Answers, and closes the idle connection right behind it.
        "close-after" => {
            answer(stream, 200, b"bye");
            return After::Close;
        }
        // Says that much more will come than comes.
        "cut" => {
            send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
            return After::Close;
        }
        "cut-chunked" => {
            let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n64\r\nab";
            send(stream, text);
            return After::Close;
        }
        // The same, and the connection stays.
        "stall" => {
            send(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
            stall(stream);
        }
        // Sends a second answer that nobody asked for, which another client must not get.
        "more" => send(
            stream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
        ),
        "garbage" => {
            send(stream, b"\x16\x03\x01 this is no HTTP\r\n\r\n");
            return After::Close;
        }
        "both-lengths" => send(
            stream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        "two-lengths" => send(
            stream,
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        ),
        "bare-lf" => send(stream, b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        "bad-chunk" => send(
            stream,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
        ),
        "big-head" => {
            send(stream, b"HTTP/1.1 200 OK\r\nX-Big: ");
            send(stream, &vec![b'a'; 1 << 20]);
            send(stream, b"\r\nContent-Length: 0\r\n\r\n");
        }
        "many-fields" => {
            send(stream, b"HTTP/1.1 200 OK\r\n");
            send(stream, &b"X-Many: y\r\n".repeat(2_000));
            send(stream, b"Content-Length: 0\r\n\r\n");
        }
        "unasked-upgrade" => send(
            stream,
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        ),
        "interim" => send(
            stream,
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal",
        ),
        // Interim answers without an end.
        "interim-for-ever" => {
            while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {}
            return After::Close;
        }
        "chunked" => send(
            stream,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
              5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 11\r\nSet-Cookie: a=b\r\n\r\n",
        ),
        "until-close" => {
            send(stream, b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it");
            return After::Close;
        }
        "no-content" => send(stream, b"HTTP/1.1 204 No Content\r\n\r\n"),
        // Octets behind an answer that can have none.
        "no-content-lie" => send(
            stream,
            b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
        ),
        // Answers before the body has come, and closes.
        "early" => {
            answer(stream, 413, b"too much");
            return After::Close;
        }
        "hop" => send(
            stream,
            b"HTTP/1.1 200 OK\r\nConnection: X-Secret, keep-alive\r\nX-Secret: 1\r\n\
              Keep-Alive: timeout=5\r\nX-Kept: 2\r\nContent-Length: 0\r\n\r\n",
        ),
        // For as long as somebody takes it in.
        "endless" => {
            send(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let chunk = [&b"1000\r\n"[..], &[b'e'; 4_096], b"\r\n"].concat();
            while stream.write_all(&chunk).is_ok() {}
            return After::Close;
        }
        _ => answer(stream, 200, b"ok"),
    }
    After::Next
}
