//! Transfers, from request to messages.

use std::sync::Arc;

use crate::dns::message::serial;
use crate::dns::name::WireName;
use crate::dns::rtype;
use crate::dns::svcb::Service;
use crate::dns::tsig::{
    Algorithm, Chain, Checked, Secret, Tail, Tsig, TsigKey, verify, verify_answer,
};
use crate::engine::testkit::{Ask, Desk, Steer, World, ask, name};
use crate::engine::transfer::{Next, history, stream};
use crate::engine::{Inbound, Reply, Transport, answer};
use crate::ids::EndpointId;
use crate::snapshot::{Snapshot, Transfers, View, ZoneTransfer};
use crate::steer::LastResort;
use crate::telemetry::DnsEvent;
use crate::time::{Moment, Wall};

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record, RecordType};

const ZONE: &str = "\
$TTL 300
@   IN SOA ns1 h 10 3600 600 86400 60
    IN NS ns1
ns1 IN A 192.0.2.53
www IN TXT \"beside\"
sub IN NS ns.sub
ns.sub IN A 192.0.2.54
";

fn key() -> TsigKey {
    let secret = Secret::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap();
    TsigKey::new(name("k.example"), Algorithm::HmacSha256, secret)
}

/// A world whose zones anyone may have over loopback.
fn world(zone: &str) -> World {
    let mut w = World::new("example.com", zone);
    w.transfers = Transfers {
        keys: vec![key()],
        zones: [(name("example.com"), open())].into(),
        ..Transfers::default()
    };
    w
}

fn open() -> ZoneTransfer {
    ZoneTransfer {
        to: vec!["127.0.0.0/8".parse().unwrap()],
        allowed: true,
        history_limit: 4_096,
        ..ZoneTransfer::default()
    }
}

/// An IXFR query of a client that has `serial`.
fn ixfr(serial: u32) -> Vec<u8> {
    let mut p = ask("example.com", rtype::IXFR).bytes();
    p[9] = 1;
    p.extend(b"\xc0\x0c\x00\x06\x00\x01\x00\x00\x00\x00\x00\x16\x00\x00");
    p.extend(serial.to_be_bytes());
    p.extend([0; 16]);
    p
}

fn at(d: &mut Desk, packet: &[u8], transport: Transport) -> (Reply, Vec<u8>) {
    let mut out = vec![0xEE; 65_535];
    let inbound = Inbound {
        packet,
        peer: d.peer,
        transport,
    };
    let reply = answer(&d.view, &inbound, d.now, &mut d.scratch, &mut out);
    (reply, out)
}

/// All messages of the transfer that answers `packet`.
fn messages(d: &mut Desk, packet: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let (reply, mut out) = at(d, packet, Transport::Tcp);
    assert_eq!(reply, Reply::Transfer);
    let mut transfer = d.scratch.take_transfer().unwrap();
    let mut all = Vec::new();
    loop {
        match transfer.next(0, limit, &mut out) {
            Next::Message(len) => all.push(out[..len].to_vec()),
            Next::Done => return all,
            Next::Broken => panic!("broken after {} messages", all.len()),
        }
    }
}

fn answers(messages: &[Vec<u8>]) -> Vec<Record> {
    messages
        .iter()
        .flat_map(|m| Message::from_vec(m).unwrap().answers)
        .collect()
}

fn shown(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|r| match &r.data {
            RData::SOA(soa) => format!("SOA {}", soa.serial),
            data => format!("{} {} {} {data}", r.name, r.ttl, r.record_type()),
        })
        .collect()
}

fn whole(w: &World) -> Vec<String> {
    let mut d = Desk::new(w);
    let q = ask("example.com", rtype::AXFR).bytes();
    shown(&answers(&messages(&mut d, &q, stream::MESSAGE)))
}

#[test]
fn rfc5936_2_2_the_soa_first_and_last_and_everything_between() {
    let all = whole(&world(ZONE));
    assert_eq!((&*all[0], &*all[all.len() - 1]), ("SOA 10", "SOA 10"));
    let mut inside = all[1..all.len() - 1].to_vec();
    inside.sort();
    assert_eq!(
        inside,
        [
            "example.com. 300 NS ns1.example.com.",
            "ns.sub.example.com. 300 A 192.0.2.54",
            "ns1.example.com. 300 A 192.0.2.53",
            "sub.example.com. 300 NS ns.sub.example.com.",
            "www.example.com. 300 TXT beside",
        ]
    );
}

/// A zone that is served here too leaves its delegation, DS and glue in the zone above.
#[test]
fn rfc5936_3_5_a_child_served_here_is_a_delegation_of_its_parent() {
    let mut w = world(&format!(
        "{ZONE}in IN NS ns.in\nns.in IN A 192.0.2.57\nin IN DS 1 13 2 {}\n",
        "ab".repeat(32)
    ));
    w.zones.push((
        "in.example.com",
        "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.55\nother A 192.0.2.56\n".to_owned(),
    ));
    let mut all = whole(&w);
    all.retain(|r| r.contains("in.example.com"));
    all.sort();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].starts_with("in.example.com. 300 DS"), "{all:?}");
    assert_eq!(all[1], "in.example.com. 60 NS ns.in.example.com.");
    assert_eq!(all[2], "ns.in.example.com. 60 A 192.0.2.55");
}

#[test]
fn steered_names_leave_as_their_last_resort() {
    let steer = |owner, last_resort| Steer {
        last_resort,
        ..Steer::new(owner, "weighted")
    };
    let first = EndpointId::from_index(0);
    let mut w = world(ZONE)
        .steer(steer("all.example.com", LastResort::AllEligible))
        .steer(steer(
            "pinned.example.com",
            LastResort::Endpoints(vec![first]),
        ))
        .steer(steer(
            "sorry.example.com",
            LastResort::Cname(name("sorry.example.net")),
        ))
        .steer(steer(
            "www.example.com",
            LastResort::Cname(name("sorry.example.net")),
        ))
        .steer(steer("fail.example.com", LastResort::ServFail))
        .steer(steer(
            "*.wild.example.com",
            LastResort::Pool(crate::ids::PoolId(0)),
        ));
    w.names.push(Steer {
        https: Some(Service::new(1, &["h2"], true, None)),
        ..steer("web.example.com", LastResort::Endpoints(vec![first]))
    });
    w.names.push(Steer {
        cname: true,
        ..Steer::new("cdn.example.com", "weighted")
    });
    // Health does not matter: a secondary cannot know it.
    w.down = vec!["eu", "us", "ap"];
    let all = whole(&w);
    let of = |owner: &str| -> Vec<&String> {
        let owner = format!("{owner}.example.com. ");
        all.iter().filter(|r| r.starts_with(&owner)).collect()
    };
    assert_eq!(of("all").len(), 12, "two of each family in three pools");
    assert!(
        of("all").iter().all(|r| r.contains(" 5 A")),
        "the smallest TTL"
    );
    assert_eq!(of("fail").len(), 12);
    assert_eq!(of("*.wild").len(), 4);
    assert_eq!(of("pinned").len(), 1);
    assert_eq!(
        of("sorry"),
        ["sorry.example.com. 5 CNAME sorry.example.net."]
    );
    assert_eq!(
        of("web"),
        [
            "web.example.com. 5 HTTPS 1 . alpn=h2, ipv4hint=127.3.0.11,",
            "web.example.com. 5 A 127.3.0.11"
        ]
    );
    // An alias cannot stand beside other data (RFC 1034 section 3.6.2).
    assert_eq!(of("www").len(), 13);
    assert!(of("www").iter().all(|r| !r.contains("CNAME")));
    assert_eq!(
        of("cdn"),
        ["cdn.example.com. 5 CNAME ap-1.cdn.example.net."]
    );
}

/// `to`'s version of the zone with what follows from `from`'s.
fn reloaded(from: &World, to: &World) -> (World, Vec<String>) {
    let (old, new) = (from.view(), to.view());
    let (history, told) = history::follow(&old.snapshot, &new.snapshot);
    let mut next = to.clone();
    next.transfers.history = history;
    (next, told)
}

fn version(serial: u32, extra: &str) -> World {
    world(&format!(
        "{}{extra}\n",
        ZONE.replace(" 10 ", &format!(" {serial} "))
    ))
}

#[test]
fn rfc1995_4_changes_lead_from_the_client_to_the_newest() {
    let first = version(10, "a IN A 192.0.2.1");
    let (second, told) = reloaded(&first, &version(11, "a 60 IN A 192.0.2.1"));
    assert!(told.is_empty(), "{told:?}");
    let mut third = version(4_000_000_000, "b IN A 192.0.2.2");
    third.transfers.history = second.transfers.history.clone();
    let (third, told) = reloaded(&second, &third);
    // 4,000,000,000 is behind 11 on the circle (RFC 1982).
    assert!(told[0].contains("from 11 to 4000000000"), "{told:?}");
    assert!(third.transfers.history.is_empty());
    let (third, _) = reloaded(&second, &version(12, "b IN A 192.0.2.2"));
    let mut d = Desk::new(&third);
    let mut get = |serial| {
        let all = messages(&mut d, &ixfr(serial), stream::MESSAGE);
        shown(&answers(&all))
    };
    assert_eq!(
        get(10),
        [
            "SOA 12",
            "SOA 10",
            "a.example.com. 300 A 192.0.2.1",
            "SOA 11",
            "a.example.com. 60 A 192.0.2.1",
            "SOA 11",
            "a.example.com. 60 A 192.0.2.1",
            "SOA 12",
            "b.example.com. 300 A 192.0.2.2",
            "SOA 12",
        ]
    );
    assert_eq!(get(11).len(), 6);
    assert_eq!(get(12), ["SOA 12"]);
    assert_eq!(get(13), ["SOA 12"]);
    assert_eq!(get(9).len(), 8, "the whole zone");
    let c = &d.scratch.counters;
    assert_eq!(c.get(DnsEvent::TransferIncremental), 2);
    assert_eq!(c.get(DnsEvent::TransferCurrent), 2);
    assert_eq!(c.get(DnsEvent::TransferFull), 1);
}

#[test]
fn a_change_without_a_new_serial_ends_the_history() {
    let (second, _) = reloaded(&version(10, ""), &version(11, ""));
    assert_eq!(second.transfers.history[&name("example.com")].len(), 1);
    // Nothing changed: the history goes on.
    let mut same = version(11, "");
    same.transfers.history = second.transfers.history.clone();
    let (same, told) = reloaded(&same, &version(11, ""));
    assert!(told.is_empty());
    assert_eq!(same.transfers.history, second.transfers.history);
    let (third, told) = reloaded(&same, &version(11, "a IN A 192.0.2.1"));
    assert!(
        told[0].contains("such as + `a.example.com` A") && told[0].contains("still 11"),
        "{told:?}"
    );
    assert!(third.transfers.history.is_empty());
}

#[test]
fn the_history_is_bounded() {
    let many: String = (0..200)
        .map(|i| format!("n{i} IN A 192.0.2.{i}\n"))
        .collect();
    let mut big = version(11, &many);
    big.transfers
        .zones
        .get_mut(&name("example.com"))
        .unwrap()
        .history_limit = 500;
    let (big, _) = reloaded(&version(10, ""), &big);
    assert!(big.transfers.history[&name("example.com")].is_empty());
    let mut d = Desk::new(&big);
    let all = messages(&mut d, &ixfr(10), stream::MESSAGE);
    assert_eq!(answers(&all).len(), 207);
}

#[test]
fn rfc1995_2_over_udp_what_fits_and_else_the_soa() {
    let (small, _) = reloaded(&version(10, ""), &version(11, "a IN A 192.0.2.1"));
    let mut d = Desk::new(&small);
    let udp = |d: &mut Desk, q: &[u8]| {
        let (reply, out) = at(d, q, Transport::Udp);
        let Reply::Send(len) = reply else {
            panic!("{reply:?}")
        };
        (len, Message::from_vec(&out[..len]).unwrap())
    };
    assert_eq!(udp(&mut d, &ixfr(10)).1.answers.len(), 5);
    let (len, m) = udp(&mut d, &ixfr(9));
    assert_eq!(shown(&m.answers), ["SOA 11"]);
    assert!(len <= 512 && m.metadata.authoritative && !m.metadata.truncation);
    let many: String = (0..60)
        .map(|i| format!("n{i} IN A 192.0.2.{i}\n"))
        .collect();
    let (large, _) = reloaded(&version(10, ""), &version(11, &many));
    let (len, m) = udp(&mut Desk::new(&large), &ixfr(10));
    assert_eq!(
        (shown(&m.answers), len <= 512),
        (vec!["SOA 11".to_owned()], true)
    );
}

#[test]
fn what_cannot_be_had_is_refused_with_words() {
    let mut w = world(ZONE);
    w.zones.push((
        "closed.example",
        "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.55\n".to_owned(),
    ));
    let mut d = Desk::new(&w);
    let axfr = |of: &str| ask(of, rtype::AXFR).edns(1232).bytes();
    let mut no_soa = ask("example.com", rtype::IXFR).edns(1232).bytes();
    no_soa[9] = 0;
    for (packet, transport, rcode) in [
        (axfr("closed.example"), Transport::Tcp, 5),
        (axfr("www.example.com"), Transport::Tcp, 9),
        (axfr("none.example"), Transport::Tcp, 9),
        (axfr("example.com"), Transport::Udp, 1),
        (axfr("example.com"), Transport::Https, 5),
        (axfr("example.com"), Transport::Quic, 5),
        (no_soa, Transport::Tcp, 1),
    ] {
        let (reply, out) = at(&mut d, &packet, transport);
        let Reply::Send(len) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(out[3] & 15, rcode, "{transport:?}");
        let m = Message::from_vec(&out[..len]).unwrap();
        assert!(m.answers.is_empty() && m.edns.is_some());
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::TransferRefused), 7);
    assert_eq!(d.scratch.counters.get(DnsEvent::NotAuth), 2);
    let (reply, _) = at(&mut d, &axfr("example.com"), Transport::Tls);
    assert_eq!(reply, Reply::Transfer);
    let mut foreign = Desk::new(&w).from("192.0.2.1");
    let (reply, out) = at(&mut foreign, &axfr("example.com"), Transport::Tcp);
    assert!(matches!(reply, Reply::Send(_)) && out[3] & 15 == 5);
}

const NOW: u64 = 1_790_000_000;

/// A desk whose calendar says [`NOW`].
fn dated(w: &World) -> Desk {
    let mut view: View = w.view();
    view.parts.wall = Wall::new(Moment::ZERO, std::time::Duration::from_secs(NOW));
    Desk::at(Arc::new(view))
}

fn sign(packet: &[u8], key: &TsigKey, time: u64) -> Vec<u8> {
    let mut out = packet.to_vec();
    out.resize(packet.len() + 400, 0);
    let len = Chain::request()
        .sign(key, &Tail::at(time), &mut out, packet.len())
        .unwrap();
    out.truncate(len);
    out
}

/// The TSIG at the end of a message, which has no record behind it: found from the front.
fn tsig_of(message: &[u8]) -> Option<Tsig<'_>> {
    (12..message.len()).find_map(|start| {
        Tsig::read(message, start).filter(|t| t.key.as_bytes() == name("k.example").as_bytes())
    })
}

#[test]
fn rfc8945_5_3_answers_to_signed_queries_are_signed() {
    let mut d = dated(&world(ZONE));
    for (ask, transport) in [
        (ask("www.example.com", rtype::TXT), Transport::Udp),
        (ask("none.example.com", rtype::A).edns(1232), Transport::Tcp),
        (ask("other.example", rtype::A), Transport::Udp),
    ] {
        let plain: Ask = ask;
        let unsigned = d.raw(&plain.bytes(), transport).unwrap();
        let query = sign(&plain.bytes(), &key(), NOW);
        let got = d.raw(&query, transport).unwrap();
        let t = tsig_of(&got).unwrap();
        assert_eq!((t.error, t.time), (0, NOW));
        let asked = tsig_of(&query).unwrap();
        // Over the request's MAC: the chain makes the same signature again.
        let mut again = unsigned.clone();
        again.resize(got.len(), 0);
        let len = Chain::answering(&asked)
            .sign(&key(), &Tail::at(NOW), &mut again, unsigned.len())
            .unwrap();
        assert_eq!(again[..len], got);
        assert_ne!(
            verify(&got, &t, &[key()], NOW),
            Checked::Good(0),
            "not a request"
        );
    }
}

#[test]
fn rfc8945_5_3_a_signed_answer_fits_the_client() {
    let records: String = (0..12)
        .map(|i| format!("big IN TXT \"{i:02}{}\"\n", "x".repeat(30)))
        .collect();
    let mut d = dated(&world(&format!("{ZONE}{records}")));
    let q = ask("big.example.com", rtype::TXT).bytes();
    let plain = d.raw(&q, Transport::Udp).unwrap();
    assert!(plain[2] & 2 != 0 || plain.len() <= 512);
    for n in [9, 10, 11] {
        let records: String = (0..n)
            .map(|i| format!("big IN TXT \"{i:02}{}\"\n", "x".repeat(30)))
            .collect();
        let mut d = dated(&world(&format!("{ZONE}{records}")));
        let got = d.raw(&sign(&q, &key(), NOW), Transport::Udp).unwrap();
        assert!(got.len() <= 512, "{n}: {}", got.len());
        assert!(tsig_of(&got).is_some());
        // "the response MUST be altered": only the question and the TSIG, with TC.
        let m = Message::from_vec(&got).unwrap();
        assert_eq!(m.metadata.truncation, m.answers.is_empty());
    }
}

#[test]
fn rfc8945_5_2_what_is_wrong_is_said() {
    let w = world(ZONE);
    let mut d = dated(&w);
    let plain = ask("example.com", rtype::AXFR).bytes();
    let other = TsigKey::new(
        name("k.example"),
        Algorithm::HmacSha512,
        Secret::from_base64("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").unwrap(),
    );
    let mut forged = sign(&plain, &key(), NOW);
    forged[13] ^= 0x20;
    for (query, error, signed) in [
        (sign(&plain, &other, NOW), 17, false),
        (forged, 16, false),
        (sign(&plain, &key(), NOW - 301), 18, true),
        (sign(&plain, &key(), NOW + 301), 18, true),
    ] {
        let (reply, out) = at(&mut d, &query, Transport::Tcp);
        let Reply::Send(len) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(out[3] & 15, 9, "NOTAUTH");
        let t = tsig_of(&out[..len]).unwrap();
        assert_eq!((t.error, t.mac.is_empty()), (error, !signed));
        if error == 18 {
            assert_eq!(t.other, &NOW.to_be_bytes()[2..], "the server's time");
            assert_eq!(t.time, tsig_of(&query).unwrap().time, "the client's time");
        }
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::NotAuth), 4);
}

/// Every message is signed, over the MAC of the one before (RFC 8945 section 5.3.1). The check is
/// hickory-proto's.
#[test]
fn rfc8945_5_3_1_a_transfer_of_many_messages_is_one_chain() {
    use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
    use hickory_proto::rr::{Name, TSigner};
    let many: String = (0..500)
        .map(|i| format!("n{i} IN A 192.0.2.{}\n", i % 250))
        .collect();
    let mut d = dated(&world(&format!("{ZONE}{many}")));
    let mut query = Message::from_vec(&ask("example.com", rtype::AXFR).bytes()).unwrap();
    let signer = TSigner::new(
        b"0123456789abcdef0123456789abcdef".to_vec(),
        TsigAlgorithm::HmacSha256,
        Name::from_ascii("k.example.").unwrap(),
        300,
    )
    .unwrap();
    let mut verifier = query.finalize(&signer, NOW).unwrap().unwrap();
    let (reply, mut out) = at(&mut d, &query.to_vec().unwrap(), Transport::Tcp);
    assert_eq!(reply, Reply::Transfer);
    let mut transfer = d.scratch.take_transfer().unwrap();
    let (mut count, mut records) = (0, 0);
    while let Next::Message(len) = transfer.next(NOW, 2_000, &mut out) {
        assert!(len <= 2_000);
        let response = verifier.verify(&out[..len]);
        assert!(response.is_ok(), "message {count}: {response:?}");
        records += Message::from_vec(&out[..len]).unwrap().answers.len();
        count += 1;
    }
    assert!(transfer.is_done() && count > 3, "{count}");
    assert_eq!(records, 507);
}

/// Over UDP the SOA alone is signed anew, not over the MAC of the answer that did not fit.
#[test]
fn rfc8945_5_3_the_short_answer_to_ixfr_is_signed_over_the_request() {
    let many: String = (0..60)
        .map(|i| format!("n{i} IN A 192.0.2.{i}\n"))
        .collect();
    let (large, _) = reloaded(&version(10, ""), &version(11, &many));
    let mut d = dated(&large);
    let query = sign(&ixfr(10), &key(), NOW);
    let got = d.raw(&query, Transport::Udp).unwrap();
    let t = tsig_of(&got).unwrap();
    let asked = tsig_of(&query).unwrap();
    let mac = Chain::answering(&asked).mac().unwrap();
    assert_eq!(verify_answer(&got, &t, &key(), &mac, NOW), Ok(()));
}

#[test]
fn a_record_larger_than_a_message_is_meant_to_be_still_goes() {
    let long: Vec<String> = (0..120)
        .map(|_| format!("\"{}\"", "y".repeat(250)))
        .collect();
    let zone = format!(
        "{ZONE}long IN TXT {}\nlast IN A 192.0.2.1\n",
        long.join(" ")
    );
    let mut d = Desk::new(&world(&zone));
    let q = ask("example.com", rtype::AXFR).bytes();
    let all = messages(&mut d, &q, stream::MESSAGE);
    assert!(all.iter().any(|m| m.len() > 30_000));
    let records = answers(&all);
    assert_eq!(records.len(), 9);
    assert!(records.iter().any(|r| r.record_type() == RecordType::TXT && r.name.to_ascii() == "long.example.com."));
}

#[test]
fn notify_is_a_question_with_the_soa_and_its_answer_is_checked() {
    use super::notify::Notify;
    let view = world(ZONE).view();
    let snapshot: &Snapshot = &view.snapshot;
    let zone = &snapshot.zones.zones()[0];
    let plain = Notify::new(zone, 77, None, NOW);
    let m = Message::from_vec(&plain.message).unwrap();
    assert_eq!(m.metadata.op_code, hickory_proto::op::OpCode::Notify);
    assert!(m.metadata.authoritative);
    assert_eq!(
        m.metadata.message_type,
        hickory_proto::op::MessageType::Query
    );
    assert_eq!(shown(&m.answers), ["SOA 10"]);
    assert_eq!(m.queries[0].query_type(), RecordType::SOA);
    let mut yes = plain.message.clone();
    yes[2] |= 0x80;
    assert_eq!(plain.answered(&yes, None, NOW), Some(Ok(())));
    let mut no = yes.clone();
    no[3] |= 5;
    assert_eq!(
        plain.answered(&no, None, NOW),
        Some(Err("REFUSED".to_owned()))
    );
    let mut foreign = yes.clone();
    foreign[1] ^= 1;
    assert_eq!(plain.answered(&foreign, None, NOW), None);
    assert_eq!(
        plain.answered(&plain.message, None, NOW),
        None,
        "our own question"
    );
    let k = key();
    let signed = Notify::new(zone, 77, Some(&k), NOW);
    let unsigned = signed.answered(&yes, Some(&k), NOW);
    assert!(matches!(unsigned, Some(Err(why)) if why.contains("without the TSIG")));
    let asked = tsig_of(&signed.message).unwrap();
    let mut room = yes.clone();
    let len = room.len();
    room.resize(len + 400, 0);
    let len = Chain::answering(&asked)
        .sign(&k, &Tail::at(NOW), &mut room, len)
        .unwrap();
    assert_eq!(signed.answered(&room[..len], Some(&k), NOW), Some(Ok(())));
    room[3] |= 5;
    let forged = signed.answered(&room[..len], Some(&k), NOW);
    assert!(matches!(forged, Some(Err(why)) if why.contains("not that of the message")));
}

#[test]
fn a_walk_finds_the_zones_by_their_apexes_alone() {
    let view = world(ZONE).view();
    let zones = &view.snapshot.zones;
    let at = |text: &str| zones.position(text.parse::<WireName>().unwrap().as_bytes());
    assert_eq!(at("example.com"), Some(0));
    assert_eq!(at("www.example.com"), None);
    assert_eq!(at("com"), None);
    assert_eq!(super::serial_of(&zones.zones()[0]), 10);
    assert!(serial::newer(11, 10));
}
