//! Bad input on the wire: the server answers the next good query, and never with more than it may.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::support::demo::Demo;
use crate::support::dns;

const EU: &str = "192.0.2.0/24";

/// A fixed sequence, so that a failure can be repeated.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn bad_packets(count: usize) -> Vec<Vec<u8>> {
    let mut s = Sequence(0x2545_F491_4F6C_DD1D);
    let good = [
        dns::query("www.gslb.example", RecordType::A, Some(EU)),
        dns::query("api.gslb.example", RecordType::AAAA, None),
        dns::query("_explain.www.gslb.example", RecordType::TXT, Some(EU)),
        dns::query(
            "x.apps.gslb.example",
            RecordType::ANY,
            Some("2001:db8:2::/48"),
        ),
    ];
    (0..count)
        .map(|i| {
            let mut p = good[i % good.len()].clone();
            match i % 4 {
                0 => p.truncate(s.next() as usize % p.len()),
                1 => {
                    p = (0..s.next() as usize % 600)
                        .map(|_| s.next() as u8)
                        .collect()
                }
                2 => {
                    for _ in 0..=s.next() % 8 {
                        let at = s.next() as usize % p.len();
                        p[at] = s.next() as u8;
                    }
                }
                _ => {
                    let at = s.next() as usize % p.len();
                    p.insert(at, s.next() as u8);
                }
            }
            p
        })
        .collect()
}

#[test]
fn a8_malformed_datagrams_never_hurt() {
    let demo = Demo::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(demo.dns4).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut buf = [0; 65_535];
    let mut answers = 0;
    let mut receive = |answers: &mut usize| {
        while let Ok(n) = socket.recv(&mut buf) {
            assert!(n <= 1232, "an answer of {n} octets");
            assert!(
                n >= 12 && buf[2] & 0x80 != 0,
                "what comes back is a response"
            );
            *answers += 1;
        }
    };
    for (i, p) in bad_packets(20_000).iter().enumerate() {
        // A full send buffer loses the packet, as the network might.
        let _ = socket.send(p);
        if i % 64 == 0 {
            receive(&mut answers);
            // Every so often the server must still serve.
            if i % 4096 == 0 {
                let m = dns::udp(
                    demo.dns4,
                    &dns::query("www.gslb.example", RecordType::A, Some(EU)),
                );
                assert_eq!(dns::addresses(&m).len(), 2);
            }
        }
    }
    receive(&mut answers);
    assert!(answers > 100, "only {answers} answers");
    let m = dns::udp(
        demo.dns4,
        &dns::query("www.gslb.example", RecordType::A, Some(EU)),
    );
    assert_eq!(dns::addresses(&m).len(), 2);
    assert_eq!(demo.metric("tradewind_dns_engine_panics_total"), 0);
}

#[test]
fn a8_responses_are_not_answered() {
    let demo = Demo::start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(demo.dns4).unwrap();
    let mut response = dns::query("www.gslb.example", RecordType::A, None);
    response[2] |= 0x80;
    socket.send(&response).unwrap();
    // The next packet is a query; its answer must be the first thing to come back.
    let mut query = dns::query("www.gslb.example", RecordType::A, None);
    query[0] ^= 0xff;
    socket.send(&query).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut buf = [0; 1232];
    let n = socket.recv(&mut buf).unwrap();
    assert!(n > 12);
    assert_eq!(buf[..2], query[..2]);
}

#[test]
fn malformed_streams_never_hurt() {
    let demo = Demo::start();
    for p in bad_packets(400) {
        let mut stream = TcpStream::connect(demo.dns4).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(2)))
            .unwrap();
        // Half of them lie about their length.
        let len = if p.len() % 2 == 0 {
            p.len()
        } else {
            p.len() + 7
        } as u16;
        let _ = stream.write_all(&len.to_be_bytes());
        let _ = stream.write_all(&p);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
    }
    let m = dns::tcp(
        demo.dns4,
        &dns::query("www.gslb.example", RecordType::A, Some(EU)),
    );
    assert_eq!(dns::addresses(&m).len(), 2);
}

#[test]
fn a5_large_answers_are_truncated_whole_and_tcp_has_them() {
    let demo = Demo::start();
    let name = "_explain.www.gslb.example";
    let packet = dns::query(name, RecordType::TXT, Some(EU));
    let over_udp = dns::udp(demo.dns4, &packet);
    let over_tcp = dns::tcp(demo.dns4, &packet);
    assert!(over_tcp.answers.len() > 5);
    if over_udp.metadata.truncation {
        assert!(over_udp.answers.is_empty(), "no part of an RRset");
    } else {
        assert_eq!(over_udp.answers.len(), over_tcp.answers.len());
    }
}
