//! The PROXY protocol of the HTTP proxy, end to end: believed from configured sources only, in both
//! versions, before HTTP and before TLS; and told to backends.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tradewind::net::proxy_header::{self, Header};
use tradewind::net::proxy_tlv::{Facts, FrontTls};
use tradewind::net::proxy_v2::{self, Endpoints};

use crate::support::backend::{After, Backend, answer};
use crate::support::certs::{Ca, put};
use crate::support::proxy::{Proxy, Raw, backend_entry, get};

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n";

fn config(listener: &str, backend: &Backend, upstream: &str) -> String {
    format!(
        r#"
[listeners.web]
bind = ["127.0.0.1:0"]
{listener}
[routes.all]
path-prefixes = ["/"]
forward = "app"
[upstreams.app]
{upstream}
{}"#,
        backend_entry("app", "b0", backend.addr)
    )
}

fn v2(facts: &Facts) -> Vec<u8> {
    let said = Endpoints {
        source: "[2001:db8::7]:56324".parse().unwrap(),
        destination: "[2001:db8::1]:443".parse().unwrap(),
    };
    let mut octets = Vec::new();
    proxy_v2::write(Some(&said), facts, &mut octets);
    octets
}

/// A request behind these octets, from 127.0.0.1; what `echo` says of it, or what came instead.
fn ask(proxy: &Proxy, before: &[u8]) -> String {
    let mut raw = Raw::connect(proxy.addr("web"));
    let request = "GET /echo HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n";
    raw.send(&[before, request.as_bytes()].concat());
    raw.rest()
}

#[test]
fn the_client_is_who_the_header_says() {
    let backend = Backend::start();
    let from = r#"proxy-protocol = { from = ["127.0.0.1/32"], timeout = "1s" }"#;
    let proxy = Proxy::start(&config(from, &backend, ""));
    let (local, unknown) = (
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
        b"PROXY UNKNOWN and more\r\n",
    );
    let said = |client: &str| format!(r#"["x-forwarded-for","{client}"]"#);
    for (header, client) in [
        (V1.to_vec(), "203.0.113.7"),
        (v2(&Facts::default()), "2001:db8::7"),
        (local.to_vec(), "127.0.0.1"),
        (unknown.to_vec(), "127.0.0.1"),
    ] {
        let got = ask(&proxy, &header);
        assert!(got.contains(&said(client)), "{client}: {got}");
        // Octet by octet.
        let mut slow = Raw::connect(proxy.addr("web"));
        let whole = [&header[..], get("/echo").as_bytes()].concat();
        for octet in whole.chunks(1) {
            slow.send(octet);
        }
        assert!(slow.answer().text().contains(&said(client)), "{client}");
    }
    // What the proxy in front knows of TLS makes it https here.
    let tls = Facts {
        authority: Some("www.example".into()),
        tls: Some(FrontTls {
            version: Some("TLSv1.3".into()),
            verified_name: None,
        }),
    };
    let got = ask(&proxy, &v2(&tls));
    assert!(got.contains(r#"["x-forwarded-proto","https"]"#), "{got}");
    // No header, half a one, a broken one: not a word, and nothing reaches the backend.
    let before = backend.requests();
    let mut torn = v2(&Facts::default());
    torn[15] += 3;
    torn.extend_from_slice(&[0xEE, 0, 9]);
    let bad: [&[u8]; 5] = [
        b"",
        b"proxy TCP4 203.0.113.7 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 65536\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
        &torn,
    ];
    for header in bad {
        assert_eq!(ask(&proxy, header), "", "{header:?}");
    }
    for header in [&b"PROXY TCP4 "[..], &v2(&Facts::default())[..20]] {
        let mut half = Raw::connect(proxy.addr("web"));
        half.send(header);
        assert!(half.is_closed_within(Duration::from_secs(10)), "{header:?}");
    }
    // A second header is no request.
    let got = ask(&proxy, &[V1, V1].concat());
    assert!(got.starts_with("HTTP/1.1 400 "), "{got}");
    assert_eq!(backend.requests(), before);
}

#[test]
fn a_proxy_that_names_nobody_has_the_limits_of_a_source() {
    let backend = Backend::start();
    let rule = "proxy-protocol = { from = [\"127.0.0.1/32\"] }\nconnection-rate = \"2/h\"";
    let proxy = Proxy::start(&config(rule, &backend, ""));
    for served in [true, true, false] {
        let got = ask(&proxy, b"PROXY UNKNOWN\r\n");
        assert_eq!(got.starts_with("HTTP/1.1 200"), served, "{got}");
    }
    assert!(ask(&proxy, V1).starts_with("HTTP/1.1 200"));
}

/// Connects from another address of this machine.
fn from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let source: SocketAddr = source.parse().unwrap();
    socket.bind(&source.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn others_are_refused_or_taken_as_they_are() {
    use std::io::{Read, Write};
    let backend = Backend::start();
    for (others, want) in [("accept", "HTTP/1.1 200"), ("refuse", "")] {
        let rule =
            format!("proxy-protocol = {{ from = [\"127.0.0.1/32\"], others = \"{others}\" }}");
        let proxy = Proxy::start(&config(&rule, &backend, ""));
        assert!(ask(&proxy, V1).starts_with("HTTP/1.1 200"), "{others}");
        let exchange = |octets: &[u8]| {
            let mut stream = from("127.0.0.9:0", proxy.addr("web"));
            stream
                .set_read_timeout(Some(Duration::from_secs(15)))
                .unwrap();
            // One that is refused may be closed already.
            let _ = stream.write_all(octets);
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        };
        let request = "GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let got = exchange(request.as_bytes());
        assert!(
            got.starts_with(want) && (want.is_empty() == got.is_empty()),
            "{got}"
        );
        // A header of a stranger is believed by nobody.
        let got = exchange(&[V1, request.as_bytes()].concat());
        assert!(!got.contains("203.0.113.7"), "{got}");
        assert!(got.is_empty() || got.starts_with("HTTP/1.1 400 "), "{got}");
    }
}

#[test]
fn a_header_stands_before_tls() {
    let backend = Backend::start();
    let ca = Ca::new("test");
    let listener = "proxy-protocol = { from = [\"127.0.0.1/32\"], others = \"refuse\" }\n\
         tls = { certificates = [{ certificate = \"www.pem\", key = \"www.key\" }] }";
    let proxy = Proxy::start_with(&config(listener, &backend, ""), |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
    });
    let port = proxy.addr("web").port();
    let done = std::process::Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "15",
            "--haproxy-protocol",
        ])
        .arg("--cacert")
        .arg(proxy.node.file("ca.pem"))
        .args(["--resolve", &format!("www.example:{port}:127.0.0.1")])
        .arg(format!("https://www.example:{port}/echo"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        said.contains(r#"["x-forwarded-for","127.0.0.1"]"#),
        "{done:?}"
    );
    // TLS without the header is not begun.
    let mut bare = Raw::connect(proxy.addr("web"));
    bare.send(b"\x16\x03\x01\x00\x05hello");
    assert!(bare.is_closed_within(Duration::from_secs(10)));
}

/// A backend that wants a header first: the test's own reading of it.
struct Told {
    addr: SocketAddr,
    seen: std::sync::Arc<std::sync::Mutex<Vec<Header>>>,
}

/// Strips the header off each connection, and hands the rest on to `behind`.
fn told(behind: SocketAddr) -> Told {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let told = Told {
        addr: listener.local_addr().unwrap(),
        seen: std::sync::Arc::default(),
    };
    let seen = told.seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            std::thread::spawn(move || {
                let mut near = stream;
                let mut octets = Vec::new();
                let rest = loop {
                    let mut part = [0; 512];
                    let n = near.read(&mut part).unwrap_or(0);
                    if n == 0 {
                        return;
                    }
                    octets.extend_from_slice(&part[..n]);
                    if let Ok((header, len)) = proxy_header::parse(&octets) {
                        seen.lock().unwrap().push(header);
                        break octets.split_off(len);
                    }
                };
                let mut far = TcpStream::connect(behind).unwrap();
                far.write_all(&rest).unwrap();
                let (mut back, mut answers) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut answers, &mut back);
                    let _ = back.shutdown(std::net::Shutdown::Both);
                });
                let _ = std::io::copy(&mut near, &mut far);
                let _ = far.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    told
}

#[test]
fn backends_are_told_and_a_connection_serves_one_client_only() {
    let behind = Backend::with(|got, stream| {
        let text = format!("connection {}", got.connection);
        answer(stream, 200, text.as_bytes());
        After::Next
    });
    for version in ["v1", "v2"] {
        let told = told(behind.addr);
        let text = config("", &behind, &format!("proxy-protocol = \"{version}\""));
        let text = text.replace(&behind.addr.to_string(), &told.addr.to_string());
        let proxy = Proxy::start(&text);
        let addr = proxy.addr("web");
        let (mut a, mut b) = (TcpClient::new(addr), TcpClient::new(addr));
        let first = [a.get(), b.get(), a.get(), b.get()];
        assert_eq!(first[0], first[2], "a client keeps its connection");
        assert_eq!(first[1], first[3]);
        assert_ne!(first[0], first[1], "and has it alone");
        let seen: Vec<Endpoints> = told
            .seen
            .lock()
            .unwrap()
            .iter()
            .filter_map(|h| h.endpoints)
            .collect();
        let of = |client: &TcpClient| Endpoints {
            source: client.addr,
            destination: addr,
        };
        assert_eq!(seen, [of(&a), of(&b)], "{version}");
        drop((a, b));
    }
}

/// A client on one connection.
struct TcpClient {
    stream: TcpStream,
    addr: SocketAddr,
}

impl TcpClient {
    fn new(to: SocketAddr) -> TcpClient {
        let stream = TcpStream::connect(to).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        TcpClient {
            addr: stream.local_addr().unwrap(),
            stream,
        }
    }

    /// The number of the backend's connection.
    fn get(&mut self) -> String {
        use std::io::{Read, Write};
        self.stream.write_all(get("/").as_bytes()).unwrap();
        let mut said = String::new();
        loop {
            let mut part = [0; 1024];
            let n = self.stream.read(&mut part).unwrap();
            assert!(n > 0, "cut off: {said}");
            said.push_str(&String::from_utf8_lossy(&part[..n]));
            if let Some((_, number)) = said.split_once("connection ")
                && said.contains("\r\n\r\n")
                && !number.is_empty()
            {
                return number.to_owned();
            }
        }
    }
}

#[test]
fn what_is_told_in_version_2_has_the_clients_tls() {
    let behind = Backend::start();
    let told = told(behind.addr);
    let ca = Ca::new("test");
    let listener = "tls = { certificates = [{ certificate = \"www.pem\", key = \"www.key\" }] }";
    let text = config(listener, &behind, "proxy-protocol = \"v2\"");
    let text = text.replace(&behind.addr.to_string(), &told.addr.to_string());
    let proxy = Proxy::start_with(&text, |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
    });
    let port = proxy.addr("web").port();
    let (ok, said) = crate::support::certs::curl(&[
        "--cacert",
        &proxy.node.file("ca.pem").display().to_string(),
        "--resolve",
        &format!("www.example:{port}:127.0.0.1"),
        &format!("https://www.example:{port}/echo"),
    ]);
    assert!(ok, "{said}");
    let seen = told.seen.lock().unwrap();
    assert_eq!(seen[0].facts.authority.as_deref(), Some("www.example"));
    let tls = seen[0].facts.tls.as_ref().unwrap();
    assert_eq!(tls.version.as_deref(), Some("TLSv1.3"));
}
