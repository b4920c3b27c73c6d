//! Transports, end to end: TCP as RFC 7766 wants it, sizes, truncation, IPv6, counters.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use socket2::{Domain, Socket, Type};

use crate::support::node::{HEAD, Node, ZONE, folder};
use crate::support::{dns, http, wait_for};

/// TXT records of about 200 octets each: `medium` needs more than 512 octets, `large` more than 1232.
fn zone() -> String {
    let mut zone = ZONE.to_owned();
    for (name, count) in [("medium", 4), ("large", 12), ("huge", 200)] {
        for i in 0..count {
            zone.push_str(&format!("{name} IN TXT \"{i:03}{}\"\n", "x".repeat(190)));
        }
    }
    zone
}

fn start(head: &str) -> Node {
    let dir = folder(head);
    std::fs::write(dir.path().join("gslb.test.zone"), zone()).unwrap();
    Node::start_in(dir)
}

/// A node whose DNS options have `more` among them.
fn start_with(more: &str) -> Node {
    start(&HEAD.replace("workers = 1", &format!("workers = 1, {more}")))
}

fn framed(id: u16, name: &str) -> Vec<u8> {
    let mut packet = dns::query(name, RecordType::A, None);
    packet[..2].copy_from_slice(&id.to_be_bytes());
    let mut out = (packet.len() as u16).to_be_bytes().to_vec();
    out.extend(packet);
    out
}

fn read_one(stream: &mut TcpStream) -> Message {
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut buf = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut buf).unwrap();
    Message::from_vec(&buf).unwrap()
}

/// Whether the server has closed the connection; waits for it.
fn closed(stream: &mut TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    matches!(stream.read(&mut [0; 1]), Ok(0)) || stream.take_error().is_ok_and(|e| e.is_some())
}

/// The value of a metric with exactly these labels.
fn metric(node: &Node, name: &str) -> u64 {
    let page = http::get(node.admin, "/metrics").body;
    page.lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

/// The sum over all labels of a metric.
fn total(node: &Node, name: &str) -> u64 {
    let page = http::get(node.admin, "/metrics").body;
    page.lines()
        .filter_map(|l| l.strip_prefix(name)?.strip_prefix('{'))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// A datagram's answer as it came.
fn raw_udp(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let local = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(local).unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    socket.send(packet).unwrap();
    let mut buf = vec![0; 65_535];
    let n = socket.recv(&mut buf).unwrap();
    buf.truncate(n);
    buf
}

#[test]
fn a5_rfc7766_a_hundred_pipelined_queries_are_all_answered() {
    let node = start(HEAD);
    let mut stream = dns::connect(node.dns);
    let mut all = Vec::new();
    for i in 0..100u16 {
        let name = if i % 3 == 0 {
            "static.gslb.test".to_owned()
        } else {
            format!("none-{i}.gslb.test")
        };
        all.extend(framed(1000 + i, &name));
    }
    stream.write_all(&all).unwrap();
    for i in 0..100u16 {
        let m = read_one(&mut stream);
        assert_eq!(m.metadata.id, 1000 + i);
        if i % 3 == 0 {
            assert_eq!(dns::addresses(&m).len(), 1);
        } else {
            assert_eq!(m.metadata.response_code, ResponseCode::NXDomain);
            let asked = m.queries[0].name().to_ascii();
            assert_eq!(asked, format!("none-{i}.gslb.test."));
        }
    }
    // The connection lives on.
    stream.write_all(&framed(7, "static.gslb.test")).unwrap();
    assert_eq!(read_one(&mut stream).metadata.id, 7);
}

/// A client that writes on without reading gets all its answers once it reads.
#[test]
fn a5_rfc7766_large_answers_are_pipelined_too() {
    let node = start(HEAD);
    let mut stream = dns::connect(node.dns);
    let packet = dns::query("huge.gslb.test", RecordType::TXT, None);
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for i in 0..60u16 {
            let mut p = packet.clone();
            p[..2].copy_from_slice(&i.to_be_bytes());
            writer
                .write_all(&(p.len() as u16).to_be_bytes())
                .and_then(|()| writer.write_all(&p))
                .unwrap();
        }
    });
    for i in 0..60 {
        let m = read_one(&mut stream);
        assert_eq!(m.metadata.id, i);
        assert_eq!(m.answers.len(), 200);
        assert!(!m.metadata.truncation);
    }
    sender.join().unwrap();
}

#[test]
fn a5_rfc7766_an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let node = start_with("tcp-idle-timeout = \"1s\"");
    let mut idle = dns::connect(node.dns);
    let since = Instant::now();
    let mut busy = dns::connect(node.dns);
    // The busy one asks for longer than the idle timeout.
    let mut asked = 0u16;
    let mut last = since;
    wait_for("1.5 s of asking", Duration::from_secs(10), || {
        last = Instant::now();
        busy.write_all(&framed(asked, "static.gslb.test")).unwrap();
        assert_eq!(read_one(&mut busy).metadata.id, asked);
        asked += 1;
        (since.elapsed() > Duration::from_millis(1500)).then_some(())
    });
    let before = Instant::now();
    assert!(closed(&mut idle));
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "closed long ago, or soon"
    );
    assert!(closed(&mut busy));
    assert!(
        last.elapsed() >= Duration::from_secs(1),
        "closed a whole idle timeout after its last query"
    );
}

/// Connects from an address of the test's own: the listener counts connections by source.
fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from: SocketAddr = format!("{source}:0").parse().unwrap();
    socket.bind(&from.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
}

#[test]
fn a5_tcp_max_connections_makes_the_longest_idle_give_way() {
    let node = start_with("tcp-max-connections = 4, tcp-idle-timeout = \"1m\"");
    let ask = |stream: &mut TcpStream| {
        stream.write_all(&framed(9, "static.gslb.test")).unwrap();
        assert_eq!(read_one(stream).metadata.id, 9);
    };
    let mut guests: Vec<TcpStream> = (1..=4)
        .map(|i| {
            let mut stream = connect_from(&format!("127.13.0.{i}"), node.dns);
            ask(&mut stream);
            stream
        })
        .collect();
    assert_eq!(metric(&node, "tradewind_dns_tcp_connections"), 4);
    // The first was idle the longest until it asked again.
    ask(&mut guests[0]);
    let mut fifth = connect_from("127.13.0.5", node.dns);
    ask(&mut fifth);
    assert!(closed(&mut guests[1]), "the longest idle gave way");
    for i in [0, 2, 3] {
        ask(&mut guests[i]);
    }
    ask(&mut fifth);
    assert_eq!(metric(&node, "tradewind_dns_tcp_evicted_total"), 1);
    wait_for("four are left", Duration::from_secs(5), || {
        (metric(&node, "tradewind_dns_tcp_connections") == 4).then_some(())
    });
    // One source has a quarter of the places: a second connection costs it the first.
    let mut again = connect_from("127.13.0.5", node.dns);
    ask(&mut again);
    assert!(closed(&mut fifth));
    for i in [0, 2, 3] {
        ask(&mut guests[i]);
    }
}

#[test]
fn a5_a_message_in_parts_is_answered_once_it_is_whole() {
    let node = start(HEAD);
    let mut stream = dns::connect(node.dns);
    stream.set_nodelay(true).unwrap();
    let one = framed(1, "static.gslb.test");
    for octet in &one {
        stream.write_all(std::slice::from_ref(octet)).unwrap();
    }
    assert_eq!(read_one(&mut stream).metadata.id, 1);
    // One and a half messages: the first is answered at once, the second when the rest comes.
    let two = framed(2, "static.gslb.test");
    let three = framed(3, "none.gslb.test");
    for cut in [1, 2, 3, 20, three.len() - 1] {
        let mut first = two.clone();
        first.extend_from_slice(&three[..cut]);
        stream.write_all(&first).unwrap();
        assert_eq!(read_one(&mut stream).metadata.id, 2, "cut at {cut}");
        stream.write_all(&three[cut..]).unwrap();
        let m = read_one(&mut stream);
        assert_eq!(m.metadata.id, 3, "cut at {cut}");
        assert_eq!(m.metadata.response_code, ResponseCode::NXDomain);
    }
    // A client that goes away in the middle of one harms nobody.
    stream.write_all(&one[..10]).unwrap();
    drop(stream);
    let m = dns::tcp(
        node.dns,
        &dns::query("static.gslb.test", RecordType::A, None),
    );
    assert_eq!(dns::addresses(&m).len(), 1);
}

#[test]
fn a5_ipv6_serves_udp_and_tcp() {
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("no IPv6 here: not tested");
        return;
    }
    let node = start(&HEAD.replace("listen = [\"127.0.0.1:0\"]", "listen = [\"[::1]:0\"]"));
    assert!(node.dns.is_ipv6());
    let packet = dns::query("static.gslb.test", RecordType::A, None);
    assert_eq!(dns::addresses(&dns::udp(node.dns, &packet)).len(), 1);
    assert_eq!(dns::addresses(&dns::tcp(node.dns, &packet)).len(), 1);
    let large = dns::query("large.gslb.test", RecordType::TXT, None);
    assert!(dns::udp(node.dns, &large).metadata.truncation);
    assert_eq!(dns::tcp(node.dns, &large).answers.len(), 12);
    wait_for("the counters show it", Duration::from_secs(5), || {
        let of = |t: &str, f: &str| {
            metric(
                &node,
                &format!("tradewind_dns_queries_total{{transport=\"{t}\",family=\"{f}\"}}"),
            )
        };
        (of("udp", "ipv6") >= 2 && of("tcp", "ipv6") == 2 && of("udp", "ipv4") == 0).then_some(())
    });
}

#[test]
fn a5_answers_fit_the_clients_size_and_never_exceed_1232_octets_over_udp() {
    let node = start(HEAD);
    let ask = |name: &str, size: Option<u16>| {
        let mut m = Message::new(77, MessageType::Query, OpCode::Query);
        m.add_query(Query::query(
            Name::from_ascii(format!("{name}.gslb.test")).unwrap(),
            RecordType::TXT,
        ));
        if let Some(size) = size {
            let mut edns = hickory_proto::op::Edns::new();
            edns.set_max_payload(size);
            m.set_edns(edns);
        }
        let packet = m.to_vec().unwrap();
        let raw = raw_udp(node.dns, &packet);
        let over_tcp = dns::tcp(node.dns, &packet);
        (raw.len(), Message::from_vec(&raw).unwrap(), over_tcp)
    };
    // The name, the client's size, the largest answer, and whether the RRset fits.
    for (name, size, most, fits) in [
        ("text", None, 512, true),
        ("medium", None, 512, false),
        ("medium", Some(512), 512, false),
        // Less than 512 counts as 512 (RFC 6891 section 6.2.3).
        ("text", Some(0), 512, true),
        ("medium", Some(100), 512, false),
        ("medium", Some(800), 800, false),
        ("medium", Some(1232), 1232, true),
        ("medium", Some(65_535), 1232, true),
        ("large", Some(1232), 1232, false),
        ("large", Some(4096), 1232, false),
        ("large", Some(65_535), 1232, false),
        ("huge", Some(65_535), 1232, false),
    ] {
        let (len, udp, tcp) = ask(name, size);
        let what = format!("{name} with {size:?}");
        assert!(len <= most, "{what}: {len} octets");
        assert_eq!(udp.metadata.truncation, !fits, "{what}");
        assert!(!tcp.metadata.truncation, "{what}");
        let count = match name {
            "text" => 1,
            "medium" => 4,
            "large" => 12,
            _ => 200,
        };
        assert_eq!(tcp.answers.len(), count, "{what}");
        let want = if fits { count } else { 0 };
        assert_eq!(udp.answers.len(), want, "{what}: whole RRsets only");
        assert_eq!(udp.edns.is_some(), size.is_some(), "{what}");
        assert_eq!(tcp.edns.is_some(), size.is_some(), "{what}");
    }
    wait_for("truncations are counted", Duration::from_secs(5), || {
        (metric(&node, "tradewind_dns_truncated_total") == 8).then_some(())
    });
}

#[test]
fn a6_the_case_of_the_question_comes_back_as_it_went() {
    let node = start(&format!(
        "{HEAD}
[pools.eu]
region = \"eu\"
endpoints = [{{ name = \"eu-1\", address = \"192.0.2.1\" }}]
[policies.any]
stages = [{{ random = {{}} }}]
[names.\"www.gslb.test\"]
pools = [\"eu\"]
policy = \"any\"
"
    ));
    for (name, rcode, answers) in [
        ("sTaTiC.GsLb.tEsT", ResponseCode::NoError, 1),
        ("WwW.gSlB.TeSt", ResponseCode::NoError, 1),
        ("nOnE.GSLB.test", ResponseCode::NXDomain, 0),
    ] {
        let packet = dns::query(name, RecordType::A, None);
        let question = 12..12 + name.len() + 2 + 4;
        let raw = raw_udp(node.dns, &packet);
        assert_eq!(raw[question.clone()], packet[question], "{name}");
        for m in [
            Message::from_vec(&raw).unwrap(),
            dns::tcp(node.dns, &packet),
        ] {
            assert_eq!(m.metadata.response_code, rcode, "{name}");
            assert_eq!(m.answers.len(), answers, "{name}");
            assert_eq!(m.queries[0].name().to_ascii(), format!("{name}."));
            for r in &m.answers {
                assert_eq!(r.name.to_ascii(), format!("{name}."));
            }
        }
    }
}

#[test]
fn o5_counters_add_up_over_transports_and_outcomes() {
    let node = start(HEAD);
    let outcomes = [
        ("static.gslb.test", RecordType::A, "NOERROR"),
        ("static.gslb.test", RecordType::AAAA, "NODATA"),
        ("none.gslb.test", RecordType::A, "NXDOMAIN"),
        ("www.elsewhere.test", RecordType::A, "REFUSED"),
    ];
    let rounds = 25;
    for _ in 0..rounds {
        for (name, kind, _) in outcomes {
            let packet = dns::query(name, kind, None);
            raw_udp(node.dns, &packet);
            dns::tcp(node.dns, &packet);
        }
    }
    // No answer: a response, and what is too short to be a query. An answer: a query cut in two.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut response = dns::query("static.gslb.test", RecordType::A, None);
    response[2] |= 0x80;
    socket.send_to(&response, node.dns).unwrap();
    socket.send_to(b"short", node.dns).unwrap();
    let mut cut = dns::query("static.gslb.test", RecordType::A, None);
    cut.truncate(20);
    socket.send_to(&cut, node.dns).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let n = socket.recv(&mut [0; 1232]).unwrap();
    assert!(n >= 12);
    wait_for("all are counted", Duration::from_secs(5), || {
        let queries = total(&node, "tradewind_dns_queries_total");
        let sent = total(&node, "tradewind_dns_responses_total");
        let dropped = total(&node, "tradewind_dns_dropped_total");
        assert!(queries <= 8 * rounds + 3);
        (queries == 8 * rounds + 3 && sent == 8 * rounds + 1 && dropped == 2).then_some(())
    });
    for (transport, count) in [("udp", 4 * rounds + 3), ("tcp", 4 * rounds)] {
        let name =
            format!("tradewind_dns_queries_total{{transport=\"{transport}\",family=\"ipv4\"}}");
        assert_eq!(metric(&node, &name), count);
    }
    for (_, _, rcode) in outcomes {
        let name = format!("tradewind_dns_responses_total{{rcode=\"{rcode}\"}}");
        assert_eq!(metric(&node, &name), 2 * rounds, "{rcode}");
    }
    assert_eq!(
        metric(&node, "tradewind_dns_responses_total{rcode=\"FORMERR\"}"),
        1
    );
}
