//! TLS at layer 4 on the real binary: connections go by the name that they ask for, to backends and to
//! other listeners, with nothing taken off them; TLS ends here, and begins again behind.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tradewind::net::proxy_header::{self, Header};

use crate::support::backend::Backend;
use crate::support::certs::{Ca, curl, put, s_client, text};
use crate::support::demo::package;
use crate::support::hello::{backend, connect, hello, in_records, told_echo, trusting};
use crate::support::proxy::{Proxy, Raw, backend_entry};
use crate::support::stream::StreamBackend;
use crate::support::wait_for;

/// The first block of TOML in the document.
fn documented() -> String {
    let page = fs::read_to_string(package().join("src/docs/proxy-layer4-tls.md")).unwrap();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// An upstream with this one backend.
fn upstream(name: &str, addr: SocketAddr) -> String {
    backend_entry(name, "b0", addr)
}

fn sni(names: &str, more: &str) -> String {
    format!("[[listeners.l4.sni]]\nnames = {names}\n{more}\n")
}

/// What a listener of layer 4 named `l4` has.
fn listener(more: &str) -> String {
    format!("[listeners.l4]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\n{more}\n")
}

#[test]
fn p1_the_documented_two_tiers_work() {
    let ca = Ca::new("test");
    let web = Backend::start();
    let pair = ca.issue("mail", &["mail.example.com"], 1);
    let mail = backend(&pair, &[], |server| {
        let mut space = [0; 512];
        let _ = server.read(&mut space);
        let asked = server.conn.server_name().unwrap_or("-").to_owned();
        let _ = server.write_all(format!("mail for {asked}\n").as_bytes());
        server.conn.send_close_notify();
        let _ = server.flush();
        // Until the client ends, too.
        while let Ok(1..) = server.read(&mut space) {}
    });
    let legacy = says("the old one\n");
    let config = documented()
        .replace("0.0.0.0:443", "127.0.0.1:0")
        .replace("10.0.1.1:80", &web.addr.to_string())
        .replace("10.0.3.1:993", &mail.addr.to_string())
        .replace("10.0.9.1:443", &legacy.addr.to_string());
    let proxy = Proxy::start_with(&config, |dir| {
        ca.issue("www", &["example.com", "*.example.com"], 2)
            .write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
    });
    let (edge, anchors) = (proxy.addr("edge"), text(&proxy.node.file("ca.pem")));
    let port = edge.port();
    // Layer 7 behind layer 4: its certificate, HTTP/2 by ALPN, the client's own address.
    for (host, version) in [("www.example.com", "--http2"), ("example.com", "--http1.1")] {
        let (ok, said) = curl(&[
            version,
            "--cacert",
            &anchors,
            "--resolve",
            &format!("{host}:{port}:127.0.0.1"),
            "--write-out",
            " over HTTP/%{http_version}",
            &format!("https://{host}:{port}/echo"),
        ]);
        assert!(ok, "{said}");
        assert!(
            said.contains(r#"["x-forwarded-for","127.0.0.1"]"#),
            "{said}"
        );
        assert!(said.contains(r#"["x-forwarded-proto","https"]"#), "{said}");
        let number = version.trim_start_matches("--http");
        let spoken = said.rsplit("HTTP/").next().unwrap();
        assert_eq!(spoken, number, "{said}");
    }
    // Past it: the backend's own certificate, which the proxy does not have.
    let args = ["-servername", "mail.example.com", "-CAfile", &anchors];
    let args = [&args[..], &["-verify_return_error", "-brief", "-ign_eof"]].concat();
    let said = s_client(edge, &args, "hello\n");
    assert!(said.contains("mail for mail.example.com"), "{said}");
    assert!(
        said.contains("CN = mail") || said.contains("CN=mail"),
        "{said}"
    );
    // No rule, and no TLS.
    for octets in [hello("elsewhere.example", &[]), b"EHLO x\r\n".to_vec()] {
        let mut stream = Raw::connect(edge);
        stream.send(&octets);
        assert_eq!(stream.rest(), "the old one\n");
    }
    let names =
        |name: &str| format!("tradewind_proxy_listener_connections{{listener=\"web\",{name}}}");
    wait_for("the hand-overs are over", Duration::from_secs(10), || {
        (proxy.node.metric(&names("address=\"handed-over\"")) == 0).then_some(())
    });
}

#[test]
fn a_connection_goes_by_name_and_protocol_and_loses_no_octet() {
    let ca = Ca::new("test");
    let names = [
        "a.example",
        "x.a.example",
        "deep.x.a.example",
        "other.example",
        "b.example",
    ];
    let pair = ca.issue("any", &names, 1);
    let [one, two, three, four] =
        ["one", "two", "three", "four"].map(|n| backend(&pair, &["h2", "imap"], told_echo(n)));
    let config = [
        listener("forward = \"four\""),
        sni("[\"*.a.example\"]", "forward = \"one\""),
        sni("[\"A.example\", \"x.a.example\"]", "forward = \"two\""),
        sni(
            "[\"a.example\", \"*\"]",
            "alpn = [\"imap\"]\nforward = \"three\"",
        ),
        upstream("one", one.addr),
        upstream("two", two.addr),
        upstream("three", three.addr),
        upstream("four", four.addr),
    ];
    let proxy = Proxy::start(&config.concat());
    for (host, alpn, expected) in [
        ("a.example", "h2", "two a.example h2"),
        ("a.example", "imap", "three a.example imap"),
        ("x.a.example", "h2", "two x.a.example h2"),
        ("deep.x.a.example", "h2", "one deep.x.a.example h2"),
        ("other.example", "h2", "four other.example h2"),
        ("other.example", "imap", "three other.example imap"),
    ] {
        let mut tls = connect(proxy.addr("l4"), trusting(&ca, &[alpn]), host).unwrap();
        let sent = vec![b'x'; 60_000];
        tls.write_all(&sent).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        let mut got = Vec::new();
        tls.read_to_end(&mut got).unwrap();
        let (told, echo) = got.split_at(expected.len() + 1);
        assert_eq!(String::from_utf8_lossy(told), format!("{expected}\n"));
        assert!(echo == sent, "{host}: {} octets", echo.len());
    }
}

/// Says this once something has come.
fn says(text: &'static str) -> StreamBackend {
    StreamBackend::with(move |mut stream| {
        let mut space = [0; 4096];
        if matches!(stream.read(&mut space), Ok(1..)) {
            let _ = stream.write_all(text.as_bytes());
        }
        let _ = stream.shutdown(Shutdown::Write);
        // A close over octets that wait would be a reset.
        while let Ok(1..) = stream.read(&mut space) {}
    })
}

/// Keeps what the first client says, until it ends.
fn keeper() -> (StreamBackend, Arc<Mutex<Vec<u8>>>) {
    let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
    let keep = kept.clone();
    let backend = StreamBackend::with(move |mut stream| {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        keep.lock().unwrap().extend(all);
        let _ = stream.write_all(b"kept");
    });
    (backend, kept)
}

#[test]
fn hellos_in_any_pieces_go_the_same_way_and_arrive_as_they_came() {
    let whole = hello("a.example", &["h2"]);
    for octets in [whole.clone(), in_records(&whole, 1), in_records(&whole, 50)] {
        let (backend, kept) = keeper();
        let other = says("wrong");
        let config = [
            listener("forward = \"other\""),
            sni("[\"a.example\"]", "forward = \"app\""),
            upstream("app", backend.addr),
            upstream("other", other.addr),
        ];
        let proxy = Proxy::start(&config.concat());
        for size in [1, 7, 1_000_000] {
            let mut stream = TcpStream::connect(proxy.addr("l4")).unwrap();
            stream.set_nodelay(true).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let all = [&octets[..], b"what follows"].concat();
            for piece in all.chunks(size) {
                stream.write_all(piece).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
            let mut got = String::new();
            stream.read_to_string(&mut got).unwrap();
            assert_eq!(got, "kept", "pieces of {size}");
            let arrived = std::mem::take(&mut *kept.lock().unwrap());
            assert!(arrived == all, "pieces of {size}: {} octets", arrived.len());
        }
    }
}

#[test]
fn a_listener_that_takes_over_has_its_own_limits_and_the_clients_address() {
    let ca = Ca::new("test");
    let web = Backend::start();
    let config = [
        listener("tcp.unmatched = \"refuse\"\nproxy-protocol = { from = [\"127.0.0.0/8\"] }"),
        sni("[\"www.example\"]", "listener = \"web\""),
        "[listeners.web]\nmax-connections = 2\nidle-timeout = \"30s\"\n\
         proxy-protocol = { from = [\"127.0.0.0/8\"], others = \"refuse\" }\n\
         tls = { certificates = [{ certificate = \"www.pem\", key = \"www.key\" }] }\n\
         [routes.all]\npath-prefixes = [\"/\"]\nforward = \"app\"\n"
            .to_owned(),
        upstream("app", web.addr),
    ];
    let proxy = Proxy::start_with(&config.concat(), |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
    });
    let addr = proxy.addr("l4");
    let begin = |source: &str| {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let line = format!("PROXY TCP4 {source} 192.0.2.1 56324 443\r\n");
        stream.write_all(line.as_bytes()).unwrap();
        let name = rustls::pki_types::ServerName::try_from("www.example").unwrap();
        let config = Arc::new(trusting(&ca, &["http/1.1"]));
        let mut tls = rustls::ClientConnection::new(config, name).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        std::io::Result::Ok(rustls::StreamOwned::new(tls, stream))
    };
    // Asks for what came of the request, until it says so.
    let ask = |tls: &mut crate::support::hello::Client, source: &str| {
        tls.write_all(b"GET /echo HTTP/1.1\r\nHost: www.example\r\n\r\n")
            .unwrap();
        let expected = format!(r#"["x-forwarded-for","{source}"]"#);
        let mut said = String::new();
        let mut space = vec![0; 16 << 10];
        while !said.contains(&expected) {
            let n = tls.read(&mut space).unwrap();
            assert!(n > 0, "{said}");
            said.push_str(&String::from_utf8_lossy(&space[..n]));
        }
    };
    let mut first = begin("203.0.113.7").unwrap();
    ask(&mut first, "203.0.113.7");
    let mut second = begin("203.0.113.8").unwrap();
    ask(&mut second, "203.0.113.8");
    let open = |labels: &str| {
        let name = format!("tradewind_proxy_listener_connections{{listener={labels}}}");
        proxy.node.metric(&name)
    };
    assert_eq!(open("\"web\",address=\"handed-over\""), 2);
    assert_eq!(open(&format!("\"l4\",address=\"{addr}\"")), 0);
    assert!(begin("203.0.113.9").is_err(), "a third one is too many");
    drop(first);
    wait_for("a place is free", Duration::from_secs(20), || {
        begin("203.0.113.9").ok().map(|_| ())
    });
    // A name of nobody's.
    let mut stream = Raw::connect(addr);
    stream.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n");
    stream.send(&hello("other.example", &[]));
    assert_eq!(stream.octets(7), [21, 3, 3, 0, 2, 2, 112]);
    assert_eq!(stream.rest(), "");
    assert_eq!(web.requests(), 2);
}

#[test]
fn who_is_refused_is_told_why_when_it_speaks_tls() {
    let config = [
        listener("tls-mode = \"pass-through\"\ntcp.unmatched = \"refuse\""),
        sni("[\"a.example\"]", "forward = \"app\""),
        upstream("app", "127.0.0.1:9".parse().unwrap()),
    ];
    let proxy = Proxy::start(&config.concat());
    let said = s_client(proxy.addr("l4"), &["-servername", "b.example"], "");
    assert!(said.contains("unrecognized name"), "{said}");
    let said = s_client(proxy.addr("l4"), &["-noservername"], "");
    assert!(said.contains("unrecognized name"), "{said}");
    for octets in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x80\x2e\x01\x03\x01"] {
        let mut stream = Raw::connect(proxy.addr("l4"));
        stream.send(octets);
        assert_eq!(stream.rest(), "", "{octets:?}");
    }
    let turned = "tradewind_proxy_connections_turned_away_total";
    wait_for("four are counted", Duration::from_secs(10), || {
        (proxy.node.metric(turned) == 4).then_some(())
    });
}

/// Octets that differ wherever one looks.
fn noise(len: usize) -> Vec<u8> {
    let word = |n: usize| (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    (0..len.div_ceil(8)).flat_map(word).take(len).collect()
}

#[test]
fn tls_ends_here_and_begins_again_behind() {
    let ca = Ca::new("test");
    let inner = backend(
        &ca.issue("inner", &["inner.example"], 1),
        &["imap", "h2"],
        told_echo("in"),
    );
    let bare = StreamBackend::echo();
    let certificates = "tls = { certificates = [{ certificate = \"www.pem\", key = \"www.key\" }], alpn = [\"imap\", \"h2\"] }";
    let config = format!(
        "[listeners.ends]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\ntls-mode = \"terminate\"\nforward = \"bare\"\n{certificates}\n\
         [listeners.again]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\ntls-mode = \"re-encrypt\"\nforward = \"inner\"\n{certificates}\n\
         [listeners.begins]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"inner\"\n\
         [upstreams.inner]\ntls = {{ ca = \"ca.pem\", server-name = \"inner.example\" }}\n{}{}",
        upstream("inner", inner.addr),
        upstream("bare", bare.addr)
    );
    let proxy = Proxy::start_with(&config, |dir| {
        ca.issue("www", &["www.example"], 2).write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
    });
    let sent = noise(3_000_000);
    for (name, alpn, told) in [
        ("ends", "imap", ""),
        ("again", "imap", "in inner.example imap\n"),
        ("again", "h2", "in inner.example h2\n"),
    ] {
        let config = trusting(&ca, &["smtp", alpn]);
        let mut tls = connect(proxy.addr(name), config, "www.example").unwrap();
        assert_eq!(tls.conn.alpn_protocol(), Some(alpn.as_bytes()));
        // Both directions at once: more than the buffers between can hold.
        let mut got = Vec::new();
        let mut space = vec![0; 64 << 10];
        let mut written = 0;
        for piece in sent.chunks(100_000) {
            tls.write_all(piece).unwrap();
            written += piece.len();
            while got.len() + 150_000 < written {
                let n = tls.read(&mut space).unwrap();
                got.extend_from_slice(&space[..n]);
            }
        }
        tls.conn.send_close_notify();
        tls.flush().unwrap();
        tls.read_to_end(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got[..told.len()]), told, "{name}");
        assert!(got[told.len()..] == sent, "{name}: {} octets", got.len());
    }
    // Without protocols in common there is no handshake, and plain octets get no answer of HTTP.
    let config = trusting(&ca, &["smtp"]);
    assert!(connect(proxy.addr("ends"), config, "www.example").is_err());
    let mut plain = Raw::connect(proxy.addr("ends"));
    plain.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!plain.rest().contains("HTTP"));
    // Plain in, TLS behind: no protocol is offered.
    let mut stream = Raw::connect(proxy.addr("begins"));
    stream.send(b"hello");
    stream.shut();
    assert_eq!(stream.rest(), "in inner.example -\nhello");
}

#[test]
fn p1_tls_that_is_cut_off_does_not_look_like_an_end() {
    let ca = Ca::new("test");
    let ended = Arc::new(Mutex::new(None));
    let keep = ended.clone();
    let bare = StreamBackend::with(move |mut stream| {
        let mut all = Vec::new();
        let end = stream.read_to_end(&mut all);
        *keep.lock().unwrap() = Some(end.map_err(|e| e.kind()));
    });
    let tls = "tls = { certificates = [{ certificate = \"www.pem\", key = \"www.key\" }] }";
    let config = [
        listener(&format!("forward = \"bare\"\n{tls}")),
        upstream("bare", bare.addr),
    ];
    let proxy = Proxy::start_with(&config.concat(), |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
    });
    let outcome = |close: bool| {
        let mut tls = connect(proxy.addr("l4"), trusting(&ca, &[]), "www.example").unwrap();
        tls.write_all(b"half of the mess").unwrap();
        if close {
            tls.conn.send_close_notify();
        }
        tls.flush().unwrap();
        tls.sock.shutdown(Shutdown::Write).unwrap();
        let found = wait_for("the backend's end", Duration::from_secs(20), || {
            ended.lock().unwrap().take()
        });
        drop(tls);
        found
    };
    assert_eq!(outcome(true), Ok(16));
    assert_eq!(outcome(false), Err(std::io::ErrorKind::ConnectionReset));
}

/// A backend that reads a PROXY header, and what it was told.
fn told_backend() -> (StreamBackend, Arc<Mutex<Option<Header>>>) {
    let told: Arc<Mutex<Option<Header>>> = Arc::default();
    let keep = told.clone();
    let backend = StreamBackend::with(move |mut stream| {
        let mut octets = Vec::new();
        let mut part = [0; 512];
        while let Ok(n @ 1..) = stream.read(&mut part) {
            octets.extend_from_slice(&part[..n]);
            if let Ok((header, _)) = proxy_header::parse(&octets) {
                *keep.lock().unwrap() = Some(header);
                let _ = stream.write_all(b"told");
                break;
            }
        }
        // Until the client ends.
        while let Ok(1..) = stream.read(&mut part) {}
    });
    (backend, told)
}

#[test]
fn backends_are_told_of_tls_that_ends_here_and_of_the_name_that_passes() {
    let ca = Ca::new("test");
    let (backend, told) = told_backend();
    let config = [
        listener("forward = \"app\"\ntls-mode = \"pass-through\""),
        sni("[\"a.example\"]", "forward = \"app\""),
        sni("[\"www.example\"]", "listener = \"ends\""),
        "[listeners.ends]\nprotocol = \"tcp\"\nforward = \"app\"\ntls-mode = \"terminate\"\n\
         tls = { certificates = [{ certificate = \"www.pem\", key = \"www.key\" }] }\n\
         [upstreams.app]\nproxy-protocol = \"v2\"\n"
            .to_owned(),
        upstream("app", backend.addr),
    ];
    let proxy = Proxy::start_with(&config.concat(), |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
    });
    let addr = proxy.addr("l4");
    let told = || {
        wait_for("a header", Duration::from_secs(20), || {
            told.lock().unwrap().take()
        })
    };
    let stream = TcpStream::connect(addr).unwrap();
    let (mut near, source) = (stream.try_clone().unwrap(), stream.local_addr().unwrap());
    near.write_all(&hello("a.example", &[])).unwrap();
    let header = told();
    let said = header.endpoints.unwrap();
    assert_eq!((said.source, said.destination), (source, addr));
    assert_eq!(header.facts.authority.as_deref(), Some("a.example"));
    assert_eq!(header.facts.tls, None);
    drop((near, stream));
    // Handed on to another listener of layer 4, where TLS ends.
    let tls = connect(addr, trusting(&ca, &[]), "www.example").unwrap();
    let header = told();
    let said = header.endpoints.unwrap();
    assert_eq!(
        (said.source, said.destination),
        (tls.sock.local_addr().unwrap(), addr)
    );
    assert_eq!(header.facts.authority.as_deref(), Some("www.example"));
    let version = header.facts.tls.unwrap().version;
    assert_eq!(version.as_deref(), Some("TLSv1.3"));
    drop(tls);
    // No TLS at all.
    let mut plain = TcpStream::connect(addr).unwrap();
    plain.write_all(b"plain").unwrap();
    assert_eq!(told().facts, proxy_header::Header::default().facts);
}

#[test]
fn p2_a_reload_changes_the_rules_for_new_connections_only() {
    let [one, two] = ["one", "two"].map(|name| {
        StreamBackend::with(move |mut stream| {
            let mut space = [0; 2048];
            while let Ok(1..) = stream.read(&mut space) {
                if stream.write_all(name.as_bytes()).is_err() {
                    return;
                }
            }
        })
    });
    let config = |to: &str| {
        [
            listener("tcp.unmatched = \"refuse\""),
            sni("[\"a.example\"]", &format!("forward = \"{to}\"")),
            upstream("one", one.addr),
            upstream("two", two.addr),
        ]
        .concat()
    };
    let proxy = Proxy::start(&config("one"));
    let says = |stream: &mut TcpStream, octets: &[u8]| {
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(octets).unwrap();
        let mut got = [0; 3];
        stream.read_exact(&mut got).unwrap();
        String::from_utf8_lossy(&got).into_owned()
    };
    let fresh = || {
        let mut stream = TcpStream::connect(proxy.addr("l4")).unwrap();
        let said = says(&mut stream, &hello("a.example", &[]));
        (stream, said)
    };
    let (mut old, said) = fresh();
    assert_eq!(said, "one");
    let head = crate::support::proxy::head();
    fs::write(
        proxy.node.file("tradewind.toml"),
        format!("{head}{}", config("two")),
    )
    .unwrap();
    proxy.node.signal("-HUP");
    wait_for("the new rules", Duration::from_secs(20), || {
        thread::sleep(Duration::from_millis(20));
        (fresh().1 == "two").then_some(())
    });
    assert_eq!(says(&mut old, b"more"), "one");
}
