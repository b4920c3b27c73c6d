//! HTTP/2 with clients from other houses, and with one that sends whatever frames a test wants (RFC
//! 9113): malformed requests, and the floods that took down others.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::proxy::{Proxy, Raw};
use crate::support::wait_for;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A client that knows frames, and fields without compression (RFC 7541 section 6.2.2).
struct Client {
    stream: TcpStream,
    inbox: Vec<u8>,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let mut out = vec![len[1], len[2], len[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// A length of up to 16,510 octets in seven bits and what follows.
fn string(text: &[u8], out: &mut Vec<u8>) {
    match text.len() {
        n @ 0..127 => out.push(n as u8),
        n => {
            let rest = n - 127;
            assert!(rest < 1 << 14);
            out.extend([127, (rest % 128) as u8 | 0x80, (rest / 128) as u8]);
        }
    }
    out.extend(text);
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        string(name.as_bytes(), &mut out);
        string(value.as_bytes(), &mut out);
    }
    out
}

fn request(method: &str, path: &str) -> Vec<(&'static str, String)> {
    vec![
        (":method", method.to_owned()),
        (":scheme", "http".to_owned()),
        (":authority", "www.example".to_owned()),
        (":path", path.to_owned()),
    ]
}

fn get(path: &str) -> Vec<u8> {
    let fields = request("GET", path);
    let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, &**v)).collect();
    block(&fields)
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    fn connect(addr: SocketAddr, settings: &[u8]) -> Client {
        let stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        let mut client = Client {
            stream,
            inbox: Vec::new(),
        };
        client.send(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat());
        client
    }

    /// Whether the proxy still takes it.
    fn send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.inbox.get(..9) {
                let len =
                    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                let kind = head[3];
                let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                if self.inbox.len() >= 9 + len {
                    let payload = self.inbox[9..9 + len].to_vec();
                    self.inbox.drain(..9 + len);
                    return Some(Frame {
                        kind,
                        stream,
                        payload,
                    });
                }
            }
            let mut octets = [0; 16 << 10];
            match self.stream.read(&mut octets) {
                Ok(n @ 1..) => self.inbox.extend_from_slice(&octets[..n]),
                Ok(0) => return None,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("{e}: the proxy says nothing"),
            }
        }
    }

    /// What becomes of a stream: the first octet of its header block, or the kind of the frame that
    /// refuses it.
    fn outcome(&mut self, stream: u32) -> Outcome {
        while let Some(frame) = self.frame() {
            match frame.kind {
                HEADERS if frame.stream == stream => return Outcome::Answer(frame.payload[0]),
                RST_STREAM if frame.stream == stream => return Outcome::Reset,
                GOAWAY => return Outcome::GoneAway,
                _ => {}
            }
        }
        Outcome::GoneAway
    }

    /// Reads until the connection ends, which must be soon.
    fn ends(&mut self) -> bool {
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            if self.frame().is_none() {
                return true;
            }
        }
        false
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    /// With this first octet of the header block: `:status` by its number in the static table.
    Answer(u8),
    Reset,
    GoneAway,
}

/// `:status: 200` and `:status: 400` in the static table (RFC 7541 appendix A).
const S200: u8 = 0x80 | 8;
const S400: u8 = 0x80 | 12;

fn curl(proxy: &Proxy, options: &[&str], path: &str) -> (String, String) {
    let out = Command::new("curl")
        .args(["-s", "-m", "40", "-w", "\n%{http_version} %{response_code}"])
        .args(options)
        .arg(format!("http://{}{path}", proxy.addr("web")))
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (body, last) = text.rsplit_once('\n').unwrap();
    (body.to_owned(), last.to_owned())
}

#[test]
fn curl_with_prior_knowledge() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let h2 = "--http2-prior-knowledge";
    let options = [h2, "-d", "hello", "-H", "X-Own: 1", "-H", "Cookie: a=b"];
    let (body, last) = curl(&proxy, &options, "/echo?x=y");
    assert_eq!(last, "2 200");
    let echo: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(echo["method"], "POST");
    assert_eq!(echo["target"], "/echo?x=y");
    assert_eq!(echo["body"], "hello");
    let got = backend.got().pop().unwrap();
    assert_eq!(got.field("x-own"), Some("1"));
    assert_eq!(got.field("cookie"), Some("a=b"));
    assert_eq!(got.field("host"), Some(&*proxy.addr("web").to_string()));
    for (path, body, last) in [
        ("/chunked", "hello world", "2 200"),
        ("/until-close", "all of it", "2 200"),
        ("/no-content", "", "2 204"),
        ("/interim", "final", "2 200"),
        ("/close", "502 Bad Gateway\n", "2 502"),
        ("/silent", "504 Gateway Timeout\n", "2 504"),
    ] {
        assert_eq!(
            curl(&proxy, &[h2], path),
            (body.to_owned(), last.to_owned()),
            "{path}"
        );
    }
    assert_eq!(curl(&proxy, &[h2], "/size/3000000").0.len(), 3_000_000);
    assert_eq!(curl(&proxy, &[h2, "-I"], "/size/5").1, "2 200");
    // A backend that dies in the middle: the stream is reset, not ended.
    let out = Command::new("curl")
        .args(["-s", "-m", "40", h2])
        .arg(format!("http://{}/cut", proxy.addr("web")))
        .output()
        .unwrap();
    assert!(!out.status.success(), "a part was taken for the whole");
    // `Upgrade: h2c` is answered in HTTP/1.1, as RFC 9113 has it.
    assert_eq!(curl(&proxy, &["--http2"], "/x").1, "1.1 200");
}

#[test]
fn h2load_gets_every_answer() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for (requests, connections, streams, path) in [
        ("3000", "10", "20", "/x"),
        ("300", "5", "30", "/size/70000"),
    ] {
        let out = Command::new("h2load")
            .args(["-n", requests, "-c", connections, "-m", streams])
            .arg(format!("http://{}{path}", proxy.addr("web")))
            .output()
            .expect("h2load is installed");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let all = format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx");
        assert!(text.contains(&all), "{text}");
    }
}

/// What HTTP/2 lets pass and HTTP/1.1 would read otherwise never reaches a backend.
#[test]
fn p3_malformed_requests_are_refused() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let with = |more: &[(&'static str, &str)]| {
        let mut fields = request("GET", "/echo");
        fields.extend(more.iter().map(|(n, v)| (*n, (*v).to_owned())));
        fields
    };
    let path = |path: &str| request("GET", path);
    let cases: Vec<(&str, Vec<(&str, String)>)> = vec![
        (
            "transfer-encoding",
            with(&[("transfer-encoding", "chunked")]),
        ),
        ("connection", with(&[("connection", "x-own")])),
        ("upgrade", with(&[("upgrade", "websocket")])),
        ("upper case", with(&[("X-Own", "1")])),
        ("LF in a value", with(&[("x-own", "1\nhost: evil")])),
        ("CRLF in a value", with(&[("x-own", "1\r\nhost: evil")])),
        ("NUL in a value", with(&[("x-own", "1\0")])),
        ("a colon in a name", with(&[("x-own: 1\r\nhost", "evil")])),
        ("a space in a name", with(&[("x own", "1")])),
        ("a second path", with(&[(":path", "/evil")])),
        ("an unknown pseudo-header", with(&[(":evil", "1")])),
        ("another host", with(&[("host", "evil.example")])),
        ("a length and no body", with(&[("content-length", "5")])),
        (
            "two lengths",
            with(&[("content-length", "0"), ("content-length", "5")]),
        ),
        ("a malformed length", with(&[("content-length", "+0")])),
        ("no path", request("GET", "/echo")[..3].to_vec()),
        ("an empty path", path("")),
        ("a path without a slash", path("echo")),
        ("a space in the path", path("/echo HTTP/1.1")),
        (
            "a line end in the path",
            path("/echo HTTP/1.1\r\nhost: evil\r\n\r\n"),
        ),
        ("octets that no URI has", path("/\u{e9}")),
        ("half an escape", path("/echo%4")),
        (
            "a space in the method",
            request("GET /evil HTTP/1.1", "/echo"),
        ),
        (
            "CONNECT",
            vec![
                (":method", "CONNECT".to_owned()),
                (":authority", "a:22".to_owned()),
            ],
        ),
    ];
    for (what, fields) in cases {
        let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, &**v)).collect();
        let mut client = Client::connect(proxy.addr("web"), b"");
        client.send(&frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            &block(&fields),
        ));
        let outcome = client.outcome(1);
        assert_ne!(outcome, Outcome::Answer(S200), "{what}");
    }
    // A body that is not as long as it was said to be.
    let mut client = Client::connect(proxy.addr("web"), b"");
    let fields = with(&[("content-length", "5")]);
    let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, &**v)).collect();
    client.send(&frame(HEADERS, END_HEADERS, 1, &block(&fields)));
    client.send(&frame(DATA, END_STREAM, 1, b"hello world"));
    assert_ne!(client.outcome(1), Outcome::Answer(S200));
    assert_eq!(backend.requests(), 0, "{:?}", backend.got());
    let reached = String::from_utf8(backend.raw().concat()).unwrap();
    assert!(!reached.contains("evil"), "{reached}");
    // And one that is as it should be.
    let mut client = Client::connect(proxy.addr("web"), b"");
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/echo")));
    assert_eq!(client.outcome(1), Outcome::Answer(S200));
    let mut client = Client::connect(proxy.addr("web"), b"");
    client.send(&frame(
        HEADERS,
        END_STREAM | END_HEADERS,
        1,
        &get("/echo%4"),
    ));
    assert!(matches!(
        client.outcome(1),
        Outcome::Answer(S400) | Outcome::Reset
    ));
}

/// CVE-2023-44487: streams opened and reset as fast as they can be sent.
#[test]
fn p3_rapid_resets_end_the_connection() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut client = Client::connect(proxy.addr("web"), b"");
    let mut sent = 0;
    let mut lives = true;
    while lives && sent < 200_000 {
        let mut burst = Vec::new();
        for _ in 0..100 {
            let stream = 2 * sent + 1;
            burst.extend(frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                stream,
                &get("/delay/50"),
            ));
            burst.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
            sent += 1;
        }
        lives = client.send(&burst);
    }
    assert!(!lives, "{sent} resets were taken");
    assert!(
        backend.requests() < 2_000,
        "{} requests",
        backend.requests()
    );
    proxy.assert_serves();
}

/// CVE-2024-27316 and others: a head that never ends.
#[test]
fn p3_continuations_without_end_end_the_connection() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let before = proxy.node.memory("VmRSS");
    let mut client = Client::connect(proxy.addr("web"), b"");
    client.send(&frame(HEADERS, END_STREAM, 1, &get("/x")));
    let more = frame(
        CONTINUATION,
        0,
        1,
        &block(&[("x-many", &"a".repeat(15_000))]),
    );
    let mut sent = 0;
    while sent < 256 << 20 && client.send(&more) {
        sent += more.len();
    }
    assert!(sent < 64 << 20, "{sent} octets were taken");
    // And many small ones.
    let mut client = Client::connect(proxy.addr("web"), b"");
    client.send(&frame(HEADERS, END_STREAM, 1, &get("/x")));
    let more = frame(CONTINUATION, 0, 1, &block(&[("x", "y")])).repeat(100);
    let mut sent = 0;
    while sent < 256 << 20 && client.send(&more) {
        sent += more.len();
    }
    assert!(sent < 64 << 20, "{sent} octets were taken");
    let grown = proxy.node.memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
    assert_eq!(backend.requests(), 0);
    proxy.assert_serves();
}

/// CVE-2019-9512 and -9515: frames that must each be answered, sent by a client that reads nothing.
#[test]
fn p3_floods_of_settings_and_pings_are_bounded() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let before = proxy.node.memory("VmRSS");
    for one in [frame(SETTINGS, 0, 0, b""), frame(PING, 0, 0, b"12345678")] {
        let mut client = Client::connect(proxy.addr("web"), b"");
        client
            .stream
            .set_write_timeout(Some(Duration::from_secs(3)))
            .unwrap();
        let burst = one.repeat(1_000);
        let mut sent = 0;
        while sent < 256 << 20 && client.send(&burst) {
            sent += burst.len();
        }
        // Taken no further once the answers are not: by the end, or by standing still.
        assert!(sent < 256 << 20, "{sent} octets were taken");
    }
    let grown = proxy.node.memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB");
    proxy.assert_serves();
}

/// No more streams at once than the listener allows.
#[test]
fn p3_more_streams_than_allowed_are_refused() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut client = Client::connect(proxy.addr("web"), b"");
    let mut all = Vec::new();
    for n in 0..200 {
        all.extend(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            2 * n + 1,
            &get("/silent"),
        ));
    }
    client.send(&all);
    let mut refused = 0;
    while let Some(frame) = client.frame() {
        // REFUSED_STREAM (RFC 9113 section 7).
        if frame.kind == RST_STREAM && frame.payload == 7u32.to_be_bytes() {
            refused += 1;
        }
        if frame.kind == HEADERS || frame.kind == GOAWAY {
            break;
        }
    }
    // After so many the connection may end.
    assert!(refused >= 50, "{refused} refused");
    assert!(backend.requests() <= 128, "{}", backend.requests());
}

/// CVE-2019-9517 and plain slowness: a client that opens no window holds a stream, and the backend behind
/// it, for the write timeout and not longer.
#[test]
fn p3_streams_that_nobody_reads_are_given_up() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    // SETTINGS_INITIAL_WINDOW_SIZE: 0.
    let mut client = Client::connect(proxy.addr("web"), &[0, 4, 0, 0, 0, 0]);
    for n in 0..20 {
        client.send(&frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            2 * n + 1,
            &get("/endless"),
        ));
    }
    wait_for("all reach the backend", Duration::from_secs(15), || {
        (backend.requests() == 20).then_some(())
    });
    wait_for("all are given up", Duration::from_secs(40), || {
        (backend.busy() == 0).then_some(())
    });
    assert!(client.ends());
    proxy.assert_serves();
}

/// A head larger than allowed is answered, or its stream reset; the next request is none the worse.
#[test]
fn p3_large_heads_are_refused() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut client = Client::connect(proxy.addr("web"), b"");
    let big = "a".repeat(8_000);
    let mut fields = request("GET", "/echo");
    fields.extend([("x-a", big.clone()), ("x-b", big.clone()), ("x-c", big)]);
    let fields: Vec<_> = fields.iter().map(|(n, v)| (*n, &**v)).collect();
    let block = block(&fields);
    let (one, two) = block.split_at(16_000);
    client.send(&frame(HEADERS, END_STREAM, 1, one));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, two));
    assert_ne!(client.outcome(1), Outcome::Answer(S200));
    assert_eq!(backend.requests(), 0);
    proxy.assert_serves();
}

/// What is no HTTP/2 behind the preface, and half of a preface.
#[test]
fn p3_noise_behind_the_preface_ends_the_connection() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00"[..],
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[0xff; 64],
        // DATA on a stream that nobody opened.
        &[0, 0, 1, 0, 0, 0, 0, 0, 1, 0],
    ] {
        let mut client = Client::connect(proxy.addr("web"), b"");
        client.send(noise);
        // Some of it is the beginning of a frame: that takes until the client says no more.
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(client.ends(), "{}", noise.escape_ascii());
    }
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert!(raw.is_closed_within(Duration::from_secs(5)));
    assert_eq!(backend.requests(), 0);
    proxy.assert_serves();
    assert!(!proxy.node.logged("panicked"));
}
