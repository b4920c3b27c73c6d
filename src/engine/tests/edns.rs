//! EDNS and refusals: RFC 6891, 7871, 5001, 8914, and odd messages.

use crate::dns::message::flags::{AA, RD};
use crate::dns::rtype;
use crate::engine::Transport;
use crate::engine::testkit::{Ask, Desk, World, ask};
use crate::telemetry::DnsEvent;

const ZONE: &str = "
$TTL 300
@   SOA ns1 admin 1 7200 3600 604800 60
@   NS  ns1
ns1 A   192.0.2.53
";

fn desk() -> Desk {
    Desk::new(&World::new("example.com", ZONE))
}

fn plain() -> Ask {
    ask("ns1.example.com", rtype::A)
}

#[test]
fn rfc6891_6_1_1_opt_only_where_asked() {
    let mut d = desk();
    assert_eq!(d.udp(&plain()).opt(), None);
    assert_eq!(d.udp(&plain().edns(4096)).opt(), Some((1232, 0, vec![])));
}

#[test]
fn rfc6891_6_1_3_badvers() {
    let mut d = desk();
    let mut q = plain().edns(1232);
    q.opt.as_mut().unwrap().1 = 0x0001_8000;
    let got = d.udp(&q);
    assert_eq!(got.bytes[3] & 0xF, 0, "lower bits of 16");
    let (_, ttl, _) = got.opt().unwrap();
    assert_eq!(ttl, 0x0100_8000, "upper bits of 16, version 0, DO copied");
    assert!(got.answers().is_empty());
    assert_eq!(got.message.queries.len(), 1);
    assert_eq!(d.scratch.counters.get(DnsEvent::BadVers), 1);
}

#[test]
fn a7_rfc3225_3_do_is_copied() {
    let mut q = plain().edns(1232);
    q.opt.as_mut().unwrap().1 = 0x8000;
    assert_eq!(desk().udp(&q).opt().unwrap().1, 0x8000);
}

#[test]
fn a7_rfc6891_6_1_2_unknown_options_are_ignored() {
    let got = desk().udp(&plain().option(65001, b"hello").option(10, &[1; 8]));
    assert_eq!(got.rcode(), "NoError");
    assert_eq!(got.opt().unwrap().2, vec![]);
}

#[test]
fn rfc6891_6_1_1_two_opt_records_are_malformed() {
    let mut bytes = plain().edns(1232).bytes();
    let opt = bytes[bytes.len() - 11..].to_vec();
    bytes.extend_from_slice(&opt);
    bytes[11] = 2;
    let got = desk().raw(&bytes, Transport::Udp).unwrap();
    assert_eq!(got[3] & 0xF, 1);
    assert_eq!(&got[12..33], &bytes[12..33], "the question stands");
    assert_eq!(got[11], 1, "and an OPT record");
}

#[test]
fn a7_rfc5001_nsid_names_node_and_generation() {
    let got = desk().udp(&plain().option(3, &[]));
    assert_eq!(got.option(3).unwrap(), b"node1#1");
    assert_eq!(desk().udp(&plain().edns(512)).option(3), None);
}

#[test]
fn e8_malformed_ecs_gets_formerr_with_question_and_opt() {
    let mut d = desk();
    for data in [
        &[0u8, 3, 8, 0, 1][..],
        &[0, 1, 33, 0, 1, 2, 3, 4, 5],
        &[0, 1, 24, 0, 1, 2],
        &[0, 1, 24, 0, 1, 2, 3, 4],
        &[0, 1, 20, 0, 1, 2, 0xFF],
        &[0, 1, 24, 8, 1, 2, 3],
        &[0, 1],
    ] {
        let got = d.udp(&plain().option(8, data));
        assert_eq!(got.rcode(), "FormErr", "{data:?}");
        assert_eq!(got.message.queries.len(), 1);
        assert!(got.opt().is_some());
        assert!(got.ede().unwrap().1.starts_with("client subnet: "));
        assert!(got.answers().is_empty() && !got.flag(AA));
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::FormErr), 7);
    assert_eq!(d.scratch.counters.get(DnsEvent::Ecs), 0);
}

#[test]
fn e1_e4_static_data_echoes_ecs_with_scope_zero() {
    let mut d = desk();
    for prefix in [
        "192.0.2.0/24",
        "1.2.16.0/20",
        "1.2.3.4/32",
        "2001:db8::/56",
        "0.0.0.0/0",
    ] {
        for name in ["ns1.example.com", "gone.example.com", "example.com"] {
            let q = ask(name, rtype::A).ecs(prefix);
            let sent = &q.opt.as_ref().unwrap().2[4..];
            let got = d.udp(&q);
            assert_eq!(got.option(8).unwrap(), sent, "{prefix}");
        }
    }
    // SOURCE/0 of family 0 is echoed as well; the other library cannot read it.
    let q = plain().option(8, &[0, 0, 0, 0]);
    let got = d.raw(&q.bytes(), Transport::Udp).unwrap();
    assert!(got.ends_with(&[0, 8, 0, 8, 0, 4, 0, 0, 0, 0]));
    assert_eq!(d.udp(&plain().edns(512)).option(8), None);
}

#[test]
fn a8_responses_and_stubs_of_messages_are_dropped() {
    let mut d = desk();
    let mut q = plain();
    q.head[2] |= 0x80;
    assert_eq!(d.raw(&q.bytes(), Transport::Udp), None);
    assert_eq!(d.raw(&[], Transport::Udp), None);
    assert_eq!(d.raw(&plain().bytes()[..11], Transport::Tcp), None);
    assert_eq!(d.scratch.counters.get(DnsEvent::Dropped), 3);
    assert_eq!(d.scratch.counters.get(DnsEvent::QueryUdp4), 2);
    assert_eq!(d.scratch.counters.get(DnsEvent::QueryTcp4), 1);
}

#[test]
fn rfc1035_4_1_1_flags() {
    let mut d = desk();
    let got = d.udp(&plain());
    assert_eq!(got.bytes[..4], [0xAB, 0xCD, 0x85, 0x00], "QR AA RD");
    let mut q = plain();
    q.head[2] = 0;
    q.head[3] = 0x30; // AD and CD
    let got = d.udp(&q);
    assert!(!got.flag(RD));
    assert_eq!(got.bytes[3], 0, "no RA, AD, CD (RFC 4035 section 3.1.6)");
}

#[test]
fn other_opcodes_are_not_implemented() {
    let mut d = desk();
    for opcode in 1..16u8 {
        let mut q = plain().edns(1232);
        q.head[2] = opcode << 3;
        let got = d.udp(&q);
        assert_eq!(got.rcode(), "NotImp");
        assert_eq!(got.bytes[2] >> 3 & 15, opcode);
        assert_eq!(got.message.queries.len(), 1);
        assert!(got.opt().is_some());
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::NotImp), 15);
}

#[test]
fn rfc9619_3_exactly_one_question() {
    let mut d = desk();
    for n in [0u8, 2] {
        let q = plain();
        let mut bytes = q.bytes();
        bytes[5] = n;
        match n {
            0 => bytes.truncate(12),
            _ => bytes.extend_from_slice(&q.question),
        }
        let got = d.raw(&bytes, Transport::Udp).unwrap();
        assert_eq!(got[3] & 0xF, 1);
        assert_eq!(got.len(), 12);
    }
}

#[test]
fn classes_and_transfers_are_refused() {
    let mut d = desk();
    for class in [3u8, 4, 254, 255] {
        let mut q = plain();
        *q.question.last_mut().unwrap() = class;
        assert_eq!(d.udp(&q).rcode(), "Refused", "{class}");
    }
    for qtype in [rtype::AXFR, rtype::IXFR] {
        assert_eq!(d.udp(&ask("example.com", qtype)).rcode(), "Refused");
        assert_eq!(d.tcp(&ask("example.com", qtype)).rcode(), "Refused");
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::Refused), 8);
}

#[test]
fn counters_tell_families_and_transports_apart() {
    let mut d = desk().from("::1");
    d.udp(&plain());
    d.tcp(&plain());
    let mut d6 = desk().from("::ffff:192.0.2.1");
    d6.udp(&plain());
    assert_eq!(d.scratch.counters.get(DnsEvent::QueryUdp6), 1);
    assert_eq!(d.scratch.counters.get(DnsEvent::QueryTcp6), 1);
    assert_eq!(
        d6.scratch.counters.get(DnsEvent::QueryUdp4),
        1,
        "v4-mapped is IPv4"
    );
}
