//! What depends on how a query came: edns-tcp-keepalive (RFC 7828) and padding (RFC 7830, 8467).

use crate::dns::rtype;
use crate::engine::Transport;
use crate::engine::testkit::{Ask, Desk, Got, World, ask};

const ZONE: &str = "
$TTL 300
@   SOA ns1 admin 1 7200 3600 604800 60
@   NS  ns1
ns1 A   192.0.2.53
";

const ALL: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::Tls,
    Transport::Https,
    Transport::Quic,
];

fn desk() -> Desk {
    let mut desk = Desk::new(&World::new("example.com", ZONE));
    desk.scratch.idle_timeout = Some(100);
    desk
}

fn plain() -> Ask {
    ask("ns1.example.com", rtype::A)
}

fn got(desk: &mut Desk, ask: &Ask, transport: Transport) -> Got {
    Got::new(desk.raw(&ask.bytes(), transport).unwrap())
}

#[test]
fn rfc7828_3_3_2_the_timeout_where_it_was_asked_for() {
    for transport in ALL {
        let asked = got(&mut desk(), &plain().option(11, &[]), transport);
        let told = matches!(transport, Transport::Tcp | Transport::Tls);
        assert_eq!(asked.rcode(), "NoError");
        assert_eq!(
            asked.option(11),
            told.then(|| vec![0, 100]),
            "{transport:?}"
        );
        let unasked = got(&mut desk(), &plain().edns(1232), transport);
        assert_eq!(unasked.option(11), None, "{transport:?}");
    }
    let mut nobody = desk();
    nobody.scratch.idle_timeout = None;
    let got = got(&mut nobody, &plain().option(11, &[]), Transport::Tcp);
    assert_eq!(got.option(11), None, "a server that does not say");
}

#[test]
fn rfc7828_3_2_1_a_timeout_in_a_query_is_malformed_but_not_read_over_udp() {
    for transport in ALL {
        let got = got(&mut desk(), &plain().option(11, &[0, 100]), transport);
        let malformed = matches!(transport, Transport::Tcp | Transport::Tls);
        let rcode = if malformed { "FormErr" } else { "NoError" };
        assert_eq!(got.rcode(), rcode, "{transport:?}");
        assert_eq!(got.option(11), None, "{transport:?}");
        if malformed {
            let (_, text) = got.ede().unwrap();
            assert!(text.contains("2 octets"), "{text}");
        }
    }
}

#[test]
fn rfc8467_4_1_padded_to_468_where_asked_and_encrypted() {
    for transport in ALL {
        let padded = got(&mut desk(), &plain().option(12, &[0; 9]), transport);
        if transport.is_encrypted() {
            assert_eq!(padded.bytes.len(), 468, "{transport:?}");
            assert!(padded.option(12).unwrap().iter().all(|o| *o == 0));
        } else {
            assert_eq!(padded.option(12), None, "{transport:?}");
        }
        let unasked = got(&mut desk(), &plain().edns(1232), transport);
        assert_eq!(unasked.option(12), None, "{transport:?}");
    }
}

#[test]
fn rfc8467_4_1_the_padding_counts_all_other_options() {
    let many = plain()
        .option(3, &[])
        .option(11, &[])
        .option(12, &[])
        .ecs("192.0.2.0/24");
    let got = got(&mut desk(), &many, Transport::Tls);
    assert_eq!(got.bytes.len(), 468);
    assert_eq!(got.option(11), Some(vec![0, 100]));
    assert!(got.option(3).is_some() && got.scope().is_some());
    let (_, _, options) = got.opt().unwrap();
    assert_eq!(options.last().unwrap().0, 12, "the padding is last");
}

#[test]
fn rfc8467_4_1_refusals_are_padded_too() {
    let elsewhere = ask("www.elsewhere.net", rtype::A).option(12, &[]);
    let got = got(&mut desk(), &elsewhere, Transport::Quic);
    assert_eq!(got.rcode(), "Refused");
    assert_eq!(got.bytes.len(), 468);
}
