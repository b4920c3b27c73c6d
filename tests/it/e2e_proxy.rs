//! PROXY protocol version 2 from trusted proxies, end to end: who asks is told by `_explain`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use socket2::{Domain, Socket, Type};

use crate::support::demo::signal;
use crate::support::node::Node;
use crate::support::{dns, tls, wait_for};

/// A node that believes 127.9.0.1 and explains itself to 203.0.113.0/24 only.
fn start() -> Node {
    tls::start(
        "proxy-protocol = { from = [\"127.9.0.1/32\"] }",
        "
[dns]
explain-allow = [\"203.0.113.0/24\"]
[pools.eu]
region = \"eu\"
endpoints = [{ name = \"eu-1\", address = \"192.0.2.1\" }]
[policies.any]
stages = [{ random = {} }]
[names.\"www.gslb.test\"]
pools = [\"eu\"]
policy = \"any\"
",
    )
}

const PROXY: &str = "127.9.0.1:0";
const REFUSED: &str = "tradewind_dns_proxy_refused_total";

/// A header: LOCAL (0) or PROXY (1), for a client at 203.0.113.7.
fn header(command: u8) -> Vec<u8> {
    let mut all = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    all.extend_from_slice(&[0x20 | command, 0x12, 0, 16]);
    all.extend_from_slice(&[203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 0x04, 0, 53]);
    all.extend_from_slice(&[0xEE, 0, 1, 0]); // a TLV
    all
}

fn explain() -> Vec<u8> {
    dns::query("_explain.www.gslb.test", RecordType::TXT, None)
}

/// Whether the answer explains itself to 203.0.113.7.
fn sees_the_client(m: &Message) -> bool {
    dns::texts(m)
        .iter()
        .any(|t| t.contains("client 203.0.113.7"))
}

fn with(header: &[u8], packet: &[u8]) -> Vec<u8> {
    let mut all = header.to_vec();
    all.extend_from_slice(packet);
    all
}

fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = source.parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    let patience = Some(Duration::from_secs(15));
    stream.set_read_timeout(patience).unwrap();
    stream
}

#[test]
fn datagrams_of_a_trusted_proxy_name_the_client() {
    let node = start();
    let proxy = UdpSocket::bind(PROXY).unwrap();
    proxy
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    proxy.connect(node.dns).unwrap();
    let ask = |octets: &[u8]| {
        proxy.send(octets).unwrap();
        let mut buf = [0; 4096];
        let n = proxy.recv(&mut buf).unwrap();
        Message::from_vec(&buf[..n]).unwrap()
    };
    assert!(sees_the_client(&ask(&with(&header(1), &explain()))));
    // LOCAL: the proxy asks for itself, and nothing is explained to it.
    let local = ask(&with(&header(0), &explain()));
    assert!(dns::texts(&local).is_empty());
    // Without a sane header there is no answer; the next is answered.
    let mut broken = header(1);
    broken[12] = 0x11;
    for octets in [
        explain(),
        header(1)[..20].to_vec(),
        with(&broken, &explain()),
        with(b"PROXY UDP4 203.0.113.7 192.0.2.1 56324 53\r\n", &explain()),
    ] {
        proxy.send(&octets).unwrap();
    }
    assert!(sees_the_client(&ask(&with(&header(1), &explain()))));
    wait_for("four are counted", Duration::from_secs(5), || {
        (node.metric(REFUSED) == 4).then_some(())
    });
    // From anybody else a header is no header, and the query needs none.
    let other = UdpSocket::bind("127.9.0.2:0").unwrap();
    other
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    other.connect(node.dns).unwrap();
    other.send(&with(&header(1), &explain())).unwrap();
    let mut buf = [0; 4096];
    let n = other.recv(&mut buf).unwrap();
    let m = Message::from_vec(&buf[..n]).unwrap();
    assert_ne!(m.metadata.response_code, ResponseCode::NoError);
    let plain = dns::udp(
        node.dns,
        &dns::query("static.gslb.test", RecordType::A, None),
    );
    assert_eq!(dns::addresses(&plain).len(), 1);
}

#[test]
fn connections_of_a_trusted_proxy_name_the_client() {
    let node = start();
    let mut stream = connect_from(PROXY, node.dns);
    // In pieces, and once per connection.
    for octet in header(1) {
        stream.write_all(&[octet]).unwrap();
    }
    for _ in 0..3 {
        assert!(sees_the_client(&dns::exchange(&mut stream, &explain())));
    }
    // Before the TLS handshake.
    for (addr, alpn) in [(node.dot, &b"dot"[..]), (node.doh, b"h2")] {
        let mut stream = connect_from(PROXY, addr.unwrap());
        stream.write_all(&header(1)).unwrap();
        let mut tls = tls::shake_hands(tls::trusting(&node, alpn), stream).unwrap();
        if alpn == b"dot" {
            let answer = tls::exchange(&mut tls, &explain());
            assert!(sees_the_client(&Message::from_vec(&answer).unwrap()));
        }
    }
    // More than one source's share of places, since it speaks for many.
    let mut many: Vec<TcpStream> = (0..300)
        .map(|_| {
            let mut stream = connect_from(PROXY, node.dns);
            stream.write_all(&header(1)).unwrap();
            stream
        })
        .collect();
    for stream in &mut many {
        assert!(sees_the_client(&dns::exchange(stream, &explain())));
    }
    drop(many);
    // Without a sane header the connection ends.
    for octets in [
        tls::with_option(&explain(), 12, &[]),
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 53\r\n".to_vec(),
        with(&header(1)[..12], &[0x11; 40]),
    ] {
        let mut stream = connect_from(PROXY, node.dns);
        stream.write_all(&octets).unwrap();
        assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
    }
    wait_for("three are counted", Duration::from_secs(5), || {
        (node.metric(REFUSED) == 3).then_some(())
    });
    let mut plain = dns::connect(node.dns);
    let packet = dns::query("static.gslb.test", RecordType::A, None);
    assert_eq!(dns::exchange(&mut plain, &packet).answers.len(), 1);
}

/// dnsdist in front, ended by its own pid.
struct Dnsdist(Child);

impl Drop for Dnsdist {
    fn drop(&mut self) {
        signal("-KILL", self.0.id());
        drop(self.0.wait());
    }
}

#[test]
fn a_real_dnsdist_in_front_keeps_the_clients_address() {
    let node = start();
    // A free port, given back and taken again: dnsdist cannot report the one it picks.
    let front = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = node.file("dnsdist.conf");
    std::fs::write(
        &config,
        format!(
            "setLocal('{front}')\nsetACL({{'127.0.0.0/8', '203.0.113.0/24'}})\n\
             newServer({{address='{}', useProxyProtocol=true, source='127.9.0.1', \
             healthCheckMode='up'}})\n\
             setProxyProtocolACL({{'127.9.9.9/32'}})\n",
            node.dns
        ),
    )
    .unwrap();
    let child = Command::new("dnsdist")
        .args(["--supervised", "--disable-syslog", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _dnsdist = Dnsdist(child);
    // The client that dnsdist sees is itself behind a proxy that dnsdist trusts, so that its address
    // can be one of the world.
    let client = UdpSocket::bind("127.9.9.9:0").unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let m = wait_for("an answer through dnsdist", Duration::from_secs(20), || {
        client
            .send_to(&with(&header(1), &explain()), front)
            .unwrap();
        let mut buf = [0; 4096];
        let n = client.recv(&mut buf).ok()?;
        Message::from_vec(&buf[..n]).ok()
    });
    assert!(sees_the_client(&m), "{m}");
    // Over TCP dnsdist sends its header at the start of the connection.
    let mut stream = connect_from("127.9.9.9:0", front);
    stream.write_all(&header(1)).unwrap();
    assert!(sees_the_client(&dns::exchange(&mut stream, &explain())));
}
