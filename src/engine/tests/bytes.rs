//! Any bytes at all (requirement A8).

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use crate::dns::rtype;
use crate::engine::Transport;
use crate::engine::testkit::{Desk, Got, Steer, World, ask};
use crate::limit::{Secret, Secrets};
use crate::snapshot::View;
use crate::telemetry::DnsEvent;

static VIEW: LazyLock<Arc<View>> = LazyLock::new(|| {
    let mut zone = String::from(
        "$TTL 300\n@ SOA ns1 admin 1 7200 3600 604800 60\n@ NS ns1\nns1 A 192.0.2.53\n\
         *.w CNAME ns1\nsub NS ns.sub\nns.sub A 192.0.2.1\n",
    );
    for i in 0..100 {
        zone += &format!("big A 192.0.2.{i}\n");
    }
    let mut world = World::new("x", &zone).steer(Steer::new("geo.x", "geo"));
    world.cookies = Arc::new(Secrets::new([Secret::new([7; 16])]));
    world.chaos.id = "node1".into();
    Arc::new(world.view())
});

/// Octets of the longest extended error.
const EXPLANATION: usize = 6 + 120;
/// Octets that a cookie option grows.
const SERVER_COOKIE: usize = 16;
/// Octets of `node1#1`.
const NODE: usize = 7;

/// Checks what must hold of every reply, and that the counters add up.
fn check(packet: &[u8], transport: Transport) -> Result<(), TestCaseError> {
    let mut d = Desk::at(VIEW.clone());
    let got = d.raw(packet, transport);
    let sum =
        |events: &[DnsEvent]| -> u64 { events.iter().map(|e| d.scratch.counters.get(*e)).sum() };
    prop_assert_eq!(sum(&DnsEvent::ALL[..4]), 1, "one query");
    prop_assert_eq!(
        sum(&[
            DnsEvent::NoError,
            DnsEvent::NoData,
            DnsEvent::NxDomain,
            DnsEvent::FormErr,
            DnsEvent::NotImp,
            DnsEvent::Refused,
            DnsEvent::ServFail,
            DnsEvent::BadVers,
            DnsEvent::NotAuth,
            DnsEvent::BadCookie,
            DnsEvent::Dropped,
        ]),
        1,
        "one outcome"
    );
    let Some(got) = got else {
        prop_assert!(packet.len() < 12 || packet[2] & 0x80 != 0);
        return Ok(());
    };
    prop_assert!(packet[2] & 0x80 == 0, "a response was answered");
    prop_assert_eq!(&got[..2], &packet[..2]);
    prop_assert!(got[2] & 0x80 != 0);
    if transport == Transport::Udp {
        // Without EDNS there is no OPT record, and glue only beside an NS record.
        let most = if got[11] == 0 { 512 } else { 1232 };
        prop_assert!(got.len() <= most);
        // What is no answer is hardly longer than the query: an explanation, the server's half of a
        // cookie and, where asked for, the name of this node.
        let (truncated, code) = (got[2] & 2 != 0, got[3] & 0xF);
        if truncated || !matches!(code, 0 | 3) {
            prop_assert!(got.len() <= packet.len() + EXPLANATION + SERVER_COOKIE + NODE);
        }
    }
    match hickory_proto::op::Message::from_vec(&got) {
        Ok(message) => {
            Got {
                bytes: got,
                message,
            }
            .opt();
        }
        // The echo of family 0, which that library does not know.
        Err(e) => prop_assert!(format!("{e:?}").contains("UnknownAddressFamily"), "{e:?}"),
    }
    Ok(())
}

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)]
}

proptest! {
    #[test]
    fn a8_random_bytes(packet in proptest::collection::vec(any::<u8>(), 0..600), t in transport()) {
        check(&packet, t)?;
    }

    #[test]
    fn a8_random_bytes_after_a_plausible_header(
        rest in proptest::collection::vec(prop_oneof![0..4u8, any::<u8>()], 0..80),
        counts in proptest::array::uniform4(0..3u8),
        t in transport(),
    ) {
        let mut packet = vec![1, 2, 0, 0];
        for n in counts {
            packet.extend_from_slice(&[0, n]);
        }
        packet.extend_from_slice(&rest);
        check(&packet, t)?;
    }

    #[test]
    fn a8_mutated_queries(
        which in 0..9usize,
        qtype in prop_oneof![Just(1u16), Just(255), Just(28), any::<u16>()],
        options in 0..16u8,
        class in prop_oneof![3 => Just(1u8), 1 => Just(3)],
        payload in any::<u16>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        t in transport(),
    ) {
        let name = ["id.server", "geo.x", "ns1.x", "big.x", "a.W.x", "q.sub.x", "gone.x", "other", "."][which];
        let mut q = ask(name, qtype);
        if options & 1 != 0 {
            q = q.edns(payload);
        }
        if options & 2 != 0 {
            q = q.ecs("192.0.2.0/24");
        }
        if options & 4 != 0 {
            q = q.option(3, &[]);
        }
        if options & 8 != 0 {
            q = q.option(10, &[5; 8]);
        }
        *q.question.last_mut().unwrap() = class;
        let mut packet = q.bytes();
        for (at, bits) in flips {
            let at = at.index(packet.len());
            packet[at] ^= bits;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len() + 1));
        }
        check(&packet, t)?;
    }

    #[test]
    fn a8_deep_names_compress_and_fit(labels in proptest::collection::vec(1..5usize, 1..125), t in transport()) {
        let mut text = String::new();
        for len in labels {
            if text.len() + len < 240 {
                text += &"a".repeat(len);
                text += ".";
            }
        }
        for end in ["w.x", "sub.x", "x"] {
            check(&ask(&format!("{text}{end}"), rtype::A).edns(512).option(3, &[]).bytes(), t)?;
        }
    }
}
