//! Bad input before a connection's octets: PROXY headers and hellos that lie, drip, end too early or never.
//! Each is closed in bounded time and memory, counted, and nobody else notices.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::certs::Ca;
use crate::support::hello::{hello, in_records};
use crate::support::proxy::{Proxy, Raw, backend_entry};
use crate::support::stream::StreamBackend;
use crate::support::wait_for;

const TURNED: &str = "tradewind_proxy_connections_turned_away_total";

/// A listener `l4` that sorts by name with `more`, one `other` beside it, one `secure` whose TLS ends here.
fn start(more: &str, backend: &StreamBackend) -> Proxy {
    let config = format!(
        "[listeners.l4]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"app\"\n{more}\n\
         [[listeners.l4.sni]]\nnames = [\"a.example\"]\nforward = \"app\"\n\
         [listeners.other]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"app\"\n\
         [listeners.secure]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"app\"\n\
         tls = {{ certificates = [{{ certificate = \"www.pem\", key = \"www.key\" }}], handshake-timeout = \"1s\" }}\n{}",
        backend_entry("app", "b0", backend.addr)
    );
    Proxy::start_with(&config, |dir| {
        Ca::new("test")
            .issue("www", &["www.example"], 1)
            .write(dir, "www");
    })
}

/// The other listener carries on.
fn assert_serves(proxy: &Proxy) {
    let mut stream = Raw::connect(proxy.addr("other"));
    stream.send(b"ping");
    assert_eq!(stream.octets(4), b"ping");
}

/// Connections of a listener that ended for this reason.
fn ended(proxy: &Proxy, listener: &str, reason: &str) -> u64 {
    let name = "tradewind_proxy_listener_flows_ended_total";
    let labels = format!("listener=\"{listener}\",protocol=\"tcp\",reason=\"{reason}\"");
    proxy.node.metric(&format!("{name}{{{labels}}}"))
}

fn wait_turned(proxy: &Proxy, count: u64) {
    wait_for(
        &format!("{count} turned away"),
        Duration::from_secs(20),
        || (proxy.node.metric(TURNED) == count).then_some(()),
    );
}

#[test]
fn lying_and_truncated_proxy_headers_reach_nobody() {
    let backend = StreamBackend::echo();
    let from = "proxy-protocol = { from = [\"127.0.0.1/32\"], timeout = \"1s\" }";
    let proxy = start(from, &backend);
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\xdc\x04\x01\xbb";
    let mut swallows = v2.to_vec();
    (swallows[14], swallows[15]) = (0x0f, 0xf0);
    let mut overlong = v2.to_vec();
    (overlong[14], overlong[15]) = (0xea, 0x60);
    let cases: [(&str, Vec<u8>); 10] = [
        ("none", b"".to_vec()),
        ("half a line", b"PROXY TCP4 203.0.113.7 192".to_vec()),
        (
            "a line without end",
            [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        ),
        (
            "a port too high",
            b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n".to_vec(),
        ),
        ("half a header", v2[..20].to_vec()),
        ("version 3", [&v2[..12], &[0x31], &v2[13..]].concat()),
        ("a length that swallows what follows", swallows),
        ("a length beyond what is read", overlong),
        (
            "addresses too short",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04\x01\x02\x03\x04".to_vec(),
        ),
        (
            "a value beyond its end",
            [&v2[..15], &[0x11], &v2[16..], &[0xee, 0x40, 0, 1, 2]].concat(),
        ),
    ];
    let count = cases.len() as u64;
    for (what, header) in cases {
        let mut stream = Raw::connect(proxy.addr("l4"));
        stream.send(&header);
        if what != "half a line" && what != "half a header" {
            stream.send(&hello("a.example", &[]));
        }
        let began = Instant::now();
        assert_eq!(stream.rest(), "", "{what}");
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
    }
    wait_turned(&proxy, count);
    assert_eq!(ended(&proxy, "l4", "bad-proxy-header"), count);
    assert_eq!(backend.connections(), 0);
    // The same with all in order.
    let mut stream = Raw::connect(proxy.addr("l4"));
    let octets = hello("a.example", &[]);
    stream.send(&[&v2[..], &octets].concat());
    assert_eq!(stream.octets(octets.len()), octets);
    assert_serves(&proxy);
}

#[test]
fn hellos_that_are_none_reach_nobody() {
    let backend = StreamBackend::echo();
    let proxy = start(
        "tcp = { hello-timeout = \"1s\", max-hello = \"2KiB\" }",
        &backend,
    );
    let good = hello("a.example", &["h2"]);
    let mut two = good.clone();
    // The length of the extension for the name, made to reach beyond it.
    let at = two.windows(9).position(|w| w == b"a.example").unwrap();
    two[at - 1] += 40;
    let mut long = good.clone();
    (long[6], long[7], long[8]) = (0, 0x08, 0x01);
    let cases: [(&str, Vec<u8>, bool); 8] = [
        ("a length that lies", two, false),
        ("longer than allowed", long, false),
        (
            "an empty record",
            [&in_records(&good, 20)[..25], &[22, 3, 1, 0, 0]].concat(),
            false,
        ),
        (
            "another record within",
            [&in_records(&good, 20)[..25], &[23, 3, 3, 0, 1, 0]].concat(),
            false,
        ),
        (
            "a server's hello",
            [22, 3, 3, 0, 4, 2, 0, 0, 0].to_vec(),
            false,
        ),
        (
            "half of it, and the end",
            good[..good.len() / 2].to_vec(),
            true,
        ),
        ("half of it", good[..good.len() / 2].to_vec(), false),
        ("nothing", Vec::new(), false),
    ];
    let count = cases.len() as u64;
    for (what, octets, shut) in cases {
        let mut stream = Raw::connect(proxy.addr("l4"));
        stream.send(&octets);
        if shut {
            stream.shut();
        }
        let began = Instant::now();
        assert_eq!(stream.rest(), "", "{what}");
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
    }
    wait_turned(&proxy, count);
    assert_eq!(ended(&proxy, "l4", "bad-hello"), count - 2);
    assert_eq!(ended(&proxy, "l4", "hello-timeout"), 2);
    assert_eq!(backend.connections(), 0);
    // Who leaves without a word is no fault of anybody's.
    let silent = Raw::connect(proxy.addr("l4"));
    silent.shut();
    assert_serves(&proxy);
    assert_eq!(proxy.node.metric(TURNED), count);
    // Noise where TLS is to end.
    for octets in [
        &b"\x16\x03\x01\x02\x00garbage and more garbage"[..],
        b"noise noise noise",
        b"",
    ] {
        let mut stream = Raw::connect(proxy.addr("secure"));
        stream.send(octets);
        assert!(
            stream.is_closed_within(Duration::from_secs(10)),
            "{octets:?}"
        );
    }
    wait_turned(&proxy, count + 3);
    assert_eq!(ended(&proxy, "secure", "tls-failed"), 3);
    assert_serves(&proxy);
}

#[test]
fn a_hello_that_drips_is_served_and_one_that_never_ends_is_not() {
    let backend = StreamBackend::echo();
    let proxy = start("tcp = { hello-timeout = \"3s\" }", &backend);
    let octets = hello("a.example", &[]);
    let mut slow = Raw::connect(proxy.addr("l4"));
    for octet in octets.chunks(1) {
        assert!(slow.send(octet));
    }
    assert_eq!(slow.octets(octets.len()), octets);
    // Records of one octet of a message that is announced at its largest.
    let began = Instant::now();
    let mut endless = TcpStream::connect(proxy.addr("l4")).unwrap();
    endless
        .set_write_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let message = [&[1, 0, 0x40, 0][..], &[3; 0x4000]].concat();
    let mut octets = in_records(&[&[22, 3, 1, 0, 0][..], &message].concat(), 1);
    octets.extend(octets.clone());
    let mut sent = 0;
    while sent < 4 << 20 {
        match endless.write(&octets) {
            Ok(n) => sent += n,
            Err(_) => break,
        }
    }
    assert!(sent < 4 << 20, "all of it was taken");
    assert!(began.elapsed() < Duration::from_secs(15));
    wait_turned(&proxy, 1);
    assert_eq!(backend.connections(), 1);
    assert_serves(&proxy);
}

#[test]
fn a_thousand_half_hellos_cost_little_and_end_in_time() {
    const MANY: u64 = 1_000;
    let backend = StreamBackend::echo();
    let proxy = start("tcp = { hello-timeout = \"4s\" }", &backend);
    let octets = hello("a.example", &[]);
    // What the first ones need once does not count.
    assert_serves(&proxy);
    let before = proxy.node.memory("VmRSS");
    let began = Instant::now();
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..MANY {
        let mut stream = TcpStream::connect(proxy.addr("l4")).unwrap();
        stream.write_all(&octets[..octets.len() - 1]).unwrap();
        open.push(stream);
    }
    let address = proxy.addr("l4");
    let name =
        format!("tradewind_proxy_listener_connections{{listener=\"l4\",address=\"{address}\"}}");
    let cpu = proxy.node.cpu();
    assert_serves(&proxy);
    let grown = proxy.node.memory("VmHWM").saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB for {MANY} connections");
    // All end by themselves, and none of them is looked at while nothing comes.
    wait_for("all are closed", Duration::from_secs(30), || {
        (proxy.node.metric(&name) == 0).then_some(())
    });
    let took = began.elapsed();
    assert!(took < Duration::from_secs(25), "{took:?}");
    let spent = proxy.node.cpu().saturating_sub(cpu);
    assert!(
        spent < Duration::from_secs(5),
        "{spent:?} of processor time"
    );
    wait_turned(&proxy, MANY);
    assert_eq!(ended(&proxy, "l4", "hello-timeout"), MANY);
    assert_eq!(backend.connections(), 2);
    assert_serves(&proxy);
}
