//! Signed zones: RFC 4034, 4035, 5155, 7129, 9824; every answer validates, and says what it says
//! without DNSSEC.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};
use proptest::prelude::*;

use crate::dns::message::flags::{AA, TC};
use crate::dns::rtype;
use crate::dnssec::Denial;
use crate::engine::presign::{Presigner, refresh};
use crate::engine::testkit::{Ask, Desk, Got, Outcome, Steer, UNIX, Validator, World, ask};
use crate::net::Family;
use crate::steer::LastResort;
use crate::telemetry::DnsEvent;
use crate::time::{Moment, Wall};

const ZONE: &str = r#"
$TTL 3600
@         SOA ns1 admin 1 7200 3600 604800 60
@         NS  ns1
@         NS  ns2.elsewhere.test.
@         MX  10 WWW
ns1       A   192.0.2.53
www       A   192.0.2.80
www       A   192.0.2.7
www       A   192.0.2.200
www       AAAA 2001:db8::80
www       TXT "x"
www       SRV 1 2 3 WWW
a.b.c     TXT "deep"
*.wild    A   192.0.2.99
*.wild    MX  1 www
deep.x.wild TXT "not the wildcard"
alias     CNAME www
alias2    CNAME alias
lost      CNAME nothing
half      CNAME a.b.c
abroad    CNAME www.elsewhere.test.
tocut     CNAME host.sub
towild    CNAME z.wild
tosteer   CNAME steer
topeer    CNAME www.plain.test.
sub       NS  ns.sub
ns.sub    A   192.0.2.1
safe      NS  ns.safe
safe      DS  12345 13 2 0101010101010101010101010101010101010101010101010101010101010101
ns.safe   A   192.0.2.2
child     NS  ns1.child
child     DS  12345 13 2 0101010101010101010101010101010101010101010101010101010101010101
bare      NS  ns1.bare
"#;

const CHILD: &str =
    "$TTL 60\n@ SOA ns1 admin 1 7200 3600 604800 60\n@ NS ns1\nns1 A 192.0.2.3\nx A 192.0.2.4\n";

fn world(denial: Denial) -> World {
    let steer = |owner| Steer {
        answers: 2,
        ..Steer::new(owner, "weighted")
    };
    World::new("example.com", ZONE)
        .zone("child.example.com", CHILD)
        .zone("bare.example.com", CHILD)
        .zone("plain.test", "$TTL 60\n@ SOA a b 1 2 3 4 5\n@ NS a\na A 192.0.2.5\nwww A 192.0.2.6\nback CNAME www.example.com.\n")
        .steer(steer("steer.example.com"))
        .steer(steer("*.geo.example.com"))
        .steer(Steer { families: vec![Family::V4], ..Steer::new("four.example.com", "geo") })
        .steer(Steer { cname: true, ..Steer::new("cdn.example.com", "geo") })
        .sign("example.com", denial)
        .sign("child.example.com", denial)
}

/// Asks with DO over UDP and validates.
fn outcome(desk: &mut Desk, world: &World, q: &str, qtype: u16) -> (Outcome, Got) {
    let got = desk.tcp(&ask(q, qtype).dnssec());
    let outcome = Validator::new(world).validate(&got, RecordType::from(qtype));
    (outcome, got)
}

const BOTH: [Denial; 2] = [Denial::Compact, Denial::Nsec3];

#[test]
fn rfc4035_3_1_1_every_set_has_its_signature() {
    for denial in BOTH {
        let w = world(denial);
        let mut d = Desk::new(&w);
        let data = |d: &mut Desk, q, t| match outcome(d, &w, q, t).0 {
            Outcome::Data(data) => data.len(),
            other => panic!("{q} {t}: {other:?}"),
        };
        for (q, t, n) in [
            ("www.example.com", rtype::A, 3),
            ("WwW.eXample.com", rtype::AAAA, 1),
            ("www.example.com", rtype::SRV, 1),
            ("example.com", rtype::SOA, 1),
            ("example.com", rtype::NS, 2),
            ("example.com", rtype::MX, 1),
            ("example.com", rtype::DNSKEY, 2),
            ("example.com", rtype::CDS, 1),
            ("any.thing.wild.example.com", rtype::A, 1),
            ("*.wild.example.com", rtype::MX, 1),
            ("alias2.example.com", rtype::A, 3),
            ("towild.example.com", rtype::A, 1),
            ("steer.example.com", rtype::A, 2),
            ("steer.example.com", rtype::AAAA, 2),
            ("x.geo.example.com", rtype::A, 2),
            ("tosteer.example.com", rtype::A, 2),
            ("cdn.example.com", rtype::CNAME, 1),
            ("four.example.com", rtype::A, 1),
            ("safe.example.com", rtype::DS, 1),
            ("child.example.com", rtype::DS, 1),
            ("x.child.example.com", rtype::A, 1),
        ] {
            assert_eq!(data(&mut d, q, t), n, "{q} {t} {denial:?}");
        }
    }
}

#[test]
fn proofs_of_absence() {
    for denial in BOTH {
        let w = world(denial);
        let mut d = Desk::new(&w);
        for (q, t, expected) in [
            ("www.example.com", rtype::HTTPS, Outcome::NoData),
            ("c.example.com", rtype::A, Outcome::NoData),
            ("b.c.example.com", rtype::A, Outcome::NoData),
            ("wild.example.com", rtype::A, Outcome::NoData),
            ("x.y.wild.example.com", rtype::AAAA, Outcome::NoData),
            ("steer.example.com", rtype::TXT, Outcome::NoData),
            ("x.geo.example.com", rtype::TXT, Outcome::NoData),
            ("four.example.com", rtype::AAAA, Outcome::NoData),
            ("example.com", rtype::A, Outcome::NoData),
            ("example.com", rtype::CDNSKEY, Outcome::NoData),
            ("www.example.com", rtype::DS, Outcome::NoData),
            ("sub.example.com", rtype::DS, Outcome::NoData),
            ("half.example.com", rtype::A, Outcome::NoData),
            ("nothing.example.com", rtype::A, Outcome::NxDomain),
            ("x.y.nothing.example.com", rtype::A, Outcome::NxDomain),
            ("q.b.c.example.com", rtype::A, Outcome::NxDomain),
            ("other.x.wild.example.com", rtype::A, Outcome::NxDomain),
            ("lost.example.com", rtype::A, Outcome::NxDomain),
            ("no.child.example.com", rtype::A, Outcome::NxDomain),
            ("sub.example.com", rtype::A, Outcome::Referral(false)),
            ("host.sub.example.com", rtype::A, Outcome::Referral(false)),
            ("ns.sub.example.com", rtype::A, Outcome::Referral(false)),
            ("tocut.example.com", rtype::A, Outcome::Referral(false)),
            ("x.safe.example.com", rtype::A, Outcome::Referral(true)),
            ("sub.example.com", rtype::NS, Outcome::Referral(false)),
            ("bare.example.com", rtype::DS, Outcome::NoData),
            ("nothing.plain.test", rtype::A, Outcome::Insecure),
            ("nothing.bare.example.com", rtype::A, Outcome::Insecure),
            ("abroad.example.com", rtype::A, Outcome::Insecure),
        ] {
            let (got, _) = outcome(&mut d, &w, q, t);
            assert_eq!(got, expected, "{q} {t} {denial:?}");
        }
        for q in ["topeer.example.com", "back.plain.test"] {
            assert!(
                matches!(outcome(&mut d, &w, q, rtype::A).0, Outcome::Data(_)),
                "{q}"
            );
        }
    }
}

#[test]
fn rfc9824_3_1_and_5_1_response_codes() {
    let w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    let co = |got: &Got| got.opt().unwrap().1 & 0x4000 != 0;
    let q = ask("nothing.example.com", rtype::A);
    let plain = d.udp(&q);
    assert_eq!(
        (plain.rcode().as_str(), plain.authorities().len()),
        ("NXDomain", 1)
    );
    let got = d.udp(&q.clone().dnssec());
    assert_eq!((got.rcode().as_str(), co(&got)), ("NoError", false));
    assert!(
        got.authorities()
            .iter()
            .any(|r| r.starts_with("nothing.example.com. 60 NSEC \\000.nothing.example.com.")),
        "{:?}",
        got.authorities()
    );
    let got = d.udp(&q.clone().dnssec().compact());
    assert_eq!((got.rcode().as_str(), co(&got)), ("NXDomain", true));
    // Without DO there is nothing compact; answers of an unsigned zone are not.
    assert!(!co(&d.udp(&q.compact())));
    assert!(!co(
        &d.udp(&ask("x.plain.test", rtype::A).dnssec().compact())
    ));
    assert_eq!(d.scratch.counters.get(DnsEvent::NxDomain), 5);
}

#[test]
fn rfc9824_3_5_nxname_is_not_asked() {
    let got = Desk::new(&world(Denial::Compact)).udp(&ask("www.example.com", 128).dnssec());
    assert_eq!(got.rcode(), "FormErr");
    assert_eq!(got.ede().unwrap().0, 30);
}

#[test]
fn rfc4035_3_1_without_do_there_is_no_dnssec() {
    let w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    for (q, t) in [
        ("www.example.com", rtype::A),
        ("nothing.example.com", rtype::A),
        ("x.safe.example.com", rtype::A),
        ("steer.example.com", rtype::A),
    ] {
        let got = d.udp(&ask(q, t).edns(1232));
        let all = [&got.message.answers[..], &got.message.authorities].concat();
        assert!(all.iter().all(|r| !r.record_type().is_dnssec()), "{all:?}");
    }
    // What was asked for is answered: DNSKEY as any data, and signatures.
    assert_eq!(d.udp(&ask("example.com", rtype::DNSKEY)).answers().len(), 2);
    let got = d.udp(&ask("www.example.com", rtype::RRSIG).edns(1232));
    assert_eq!(got.answers().len(), 1);
    assert!(got.authorities().is_empty());
}

#[test]
fn nsec_and_rrsig_can_be_asked_for() {
    for denial in BOTH {
        let w = world(denial);
        let mut d = Desk::new(&w);
        for q in [
            "www.example.com",
            "c.example.com",
            "nothing.example.com",
            "alias.example.com",
            "cdn.example.com",
            "x.wild.example.com",
            "example.com",
        ] {
            let (got, _) = outcome(&mut d, &w, q, rtype::NSEC);
            if denial == Denial::Compact {
                assert!(matches!(got, Outcome::Data(_)), "{q}: {got:?}");
            }
            let got = d.udp(&ask(q, rtype::RRSIG).dnssec());
            if denial == Denial::Nsec3 && q.starts_with("cdn") {
                // A name that is steered by CNAME answers every type with it.
                assert_eq!(got.answers().len(), 2);
                continue;
            }
            let only = |r: &Record| r.record_type() == RecordType::RRSIG;
            assert!(got.message.answers.iter().all(only), "{q}");
            if denial == Denial::Compact {
                assert_eq!(got.answers().len(), 1);
            }
        }
        let got = d.udp(&ask("example.com", rtype::NSEC3PARAM).dnssec());
        assert_eq!(
            got.answers().len(),
            if denial == Denial::Nsec3 { 2 } else { 0 }
        );
    }
}

#[test]
fn a5_signatures_count_for_truncation() {
    let mut text = ZONE.to_owned();
    for i in 0..26 {
        text += &format!("many A 192.0.3.{i}\n");
    }
    let w = World::new("example.com", &text).sign("example.com", Denial::Compact);
    let mut d = Desk::new(&w);
    let q = ask("many.example.com", rtype::A);
    assert!(!d.udp(&q.clone().edns(512)).flag(TC));
    let got = d.udp(&q.clone().edns(512).dnssec());
    assert!(got.flag(TC) && got.flag(AA) && got.answers().is_empty());
    assert_eq!(d.tcp(&q.dnssec()).answers().len(), 27);
}

#[test]
fn one_signature_for_every_order_and_ttl() {
    let w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    for _ in 0..200 {
        outcome(&mut d, &w, "steer.example.com", rtype::A);
    }
    // Pairs of six addresses.
    let made = d.scratch.counters.get(DnsEvent::SignatureMade);
    assert!(made <= 15, "{made} signatures made");
    // Two of them may want one place in the worker's own cache; then the shared one has them.
    let near = d.scratch.counters.get(DnsEvent::SignatureNear);
    let shared = d.scratch.counters.get(DnsEvent::SignatureShared);
    assert_eq!(near + shared, 200 - made);
    assert!(near > 100, "{near} found near");
    assert_eq!(w.signatures.len(), (made as usize, 0));
    // Another worker finds them in the shared cache.
    let mut other = Desk::new(&w);
    outcome(&mut other, &w, "steer.example.com", rtype::A);
    assert_eq!(other.scratch.counters.get(DnsEvent::SignatureMade), 0);
    assert_eq!(other.scratch.counters.get(DnsEvent::SignatureShared), 1);
}

#[test]
fn floods_of_made_up_names_leave_the_others_cached() {
    let mut w = world(Denial::Compact);
    w.signatures = Arc::new(crate::dnssec::SignatureCache::new(64));
    let mut d = Desk::new(&w);
    outcome(&mut d, &w, "www.example.com", rtype::A);
    for i in 0..200 {
        d.now = Moment(d.now.0 + 100_000_000);
        outcome(&mut d, &w, &format!("x{i}.example.com"), rtype::A);
        outcome(&mut d, &w, &format!("x{i}.wild.example.com"), rtype::A);
    }
    let (lasting, passing) = w.signatures.len();
    assert_eq!(lasting, 2, "the set and the SOA");
    assert!(passing <= 16, "{passing}");
    let made = d.scratch.counters.get(DnsEvent::SignatureMade);
    outcome(
        &mut Desk {
            scratch: d.scratch,
            ..Desk::new(&w)
        },
        &w,
        "www.example.com",
        rtype::A,
    );
    assert_eq!(made, 402);
}

#[test]
fn the_budget_truncates_over_udp_and_never_lies() {
    let w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    let (mut signed, mut cut) = (0, 0);
    for i in 0..40 {
        let got = d.udp(&ask(&format!("x{i}.example.com"), rtype::A).dnssec());
        if got.flag(TC) {
            cut += 1;
            assert!(got.answers().is_empty() && got.authorities().is_empty());
        } else {
            signed += 1;
            assert_eq!(
                Validator::new(&w).validate(&got, RecordType::A),
                Outcome::NxDomain
            );
        }
    }
    assert_eq!(
        (signed, cut),
        (7, 33),
        "eight signatures in one batch, one of them the SOA's"
    );
    assert_eq!(d.scratch.counters.get(DnsEvent::SignatureDeferred), 33);
    // Unsigned answers and warm ones do not mind.
    assert!(!d.udp(&ask("x0.example.com", rtype::A).dnssec()).flag(TC));
    assert!(!d.udp(&ask("x39.example.com", rtype::A).edns(1232)).flag(TC));
    // Over TCP there is more time, and in the next batch too.
    assert!(!d.tcp(&ask("x39.example.com", rtype::A).dnssec()).flag(TC));
    d.now = Moment(1_000_000_000);
    assert!(!d.udp(&ask("x38.example.com", rtype::A).dnssec()).flag(TC));
}

#[test]
fn signatures_are_made_anew_before_they_expire_and_after_the_clock_steps() {
    let w = world(Denial::Compact);
    let mut view = w.view();
    let lifetime = w.keys.zones.values().next().unwrap().lifetime;
    let mut signatures = BTreeSet::new();
    let day = Duration::from_secs(86_400);
    let mut last = None;
    for (at, new) in [
        (Duration::ZERO, true),
        (day, false),
        (lifetime.valid - lifetime.refresh + day, true),
        (2 * lifetime.valid, true),
        // The machine's clock was wrong.
        (Duration::ZERO, true),
    ] {
        let unix = UNIX + at.as_secs();
        view.parts.wall = Wall::new(Moment::ZERO, Duration::from_secs(unix));
        let mut d = Desk::at(Arc::new(view));
        let got = d.tcp(&ask("www.example.com", rtype::A).dnssec());
        let mut v = Validator::new(&w);
        v.unix = unix;
        assert!(matches!(v.validate(&got, RecordType::A), Outcome::Data(_)));
        let rrsig = got.answers().into_iter().find(|r| r.contains("RRSIG"));
        assert_eq!(rrsig != last, new, "{at:?}");
        signatures.extend(rrsig.clone());
        last = rrsig;
        view = Arc::into_inner(std::mem::replace(&mut d.view, Arc::new(w.view()))).unwrap();
    }
    assert_eq!(signatures.len(), 4);
}

#[test]
fn a_zone_without_a_usable_key_says_so() {
    let mut w = world(Denial::Compact);
    let apex = "example.com".parse().unwrap();
    let mut keys = (**w.keys.of(&apex).unwrap()).clone();
    keys.zone_signing.clear();
    w.keys.zones.insert(apex, Arc::new(keys));
    let mut d = Desk::new(&w);
    let got = d.udp(&ask("www.example.com", rtype::A).dnssec());
    assert_eq!((got.rcode().as_str(), got.answers().len()), ("ServFail", 0));
    assert!(got.ede().unwrap().1.contains("cannot sign"));
    assert_eq!(d.scratch.counters.get(DnsEvent::SignatureFailed), 1);
    assert_eq!(d.udp(&ask("www.example.com", rtype::A)).rcode(), "NoError");
}

#[test]
fn signatures_of_a_retired_key_serve_until_there_are_others() {
    let mut w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    outcome(&mut d, &w, "www.example.com", rtype::A);
    // The next ZSK takes over; the former is still published.
    let apex: crate::dns::name::WireName = "example.com".parse().unwrap();
    let old = w.keys.of(&apex).unwrap().clone();
    w = w.sign("example.com", Denial::Compact);
    let mut keys = (**w.keys.of(&apex).unwrap()).clone();
    keys.dnskey.extend(old.dnskey.iter().cloned());
    keys.dnskey.sort();
    w.keys.zones.insert(apex, Arc::new(keys));
    let mut d = Desk {
        scratch: d.scratch,
        ..Desk::new(&w)
    };
    for i in 0..20 {
        d.udp(&ask(&format!("x{i}.example.com"), rtype::A).dnssec());
    }
    let got = d.udp(&ask("www.example.com", rtype::A).dnssec());
    assert!(
        !got.flag(TC),
        "no budget, but an older signature that is good"
    );
    assert!(matches!(
        Validator::new(&w).validate(&got, RecordType::A),
        Outcome::Data(_)
    ));
    d.now = Moment(1_000_000_000);
    let made = d.scratch.counters.get(DnsEvent::SignatureMade);
    d.udp(&ask("www.example.com", rtype::A).dnssec());
    assert_eq!(d.scratch.counters.get(DnsEvent::SignatureMade), made + 1);
}

#[test]
fn explanations_are_signed_too() {
    let w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    let before = w.signatures.len();
    assert!(matches!(
        outcome(&mut d, &w, "_explain.steer.example.com", rtype::TXT).0,
        Outcome::Data(_)
    ));
    assert_eq!(w.signatures.len(), before, "they are not kept");
    assert_eq!(
        outcome(&mut d, &w, "_explain.steer.example.com", rtype::A).0,
        Outcome::NoData
    );
}

/// What a client without DNSSEC reads.
fn stripped(got: &Got) -> (Vec<String>, Vec<String>, Vec<String>) {
    let keep = |records: Vec<String>| -> Vec<String> {
        let dnssec = |r: &String| {
            [" RRSIG ", " NSEC ", " NSEC3 ", " DS "]
                .iter()
                .any(|t| r.contains(t))
        };
        records.into_iter().filter(|r| !dnssec(r)).collect()
    };
    (
        keep(got.answers()),
        keep(got.authorities()),
        keep(got.additionals()),
    )
}

fn label() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "www", "a", "b", "c", "wild", "x", "*", "alias", "alias2", "lost", "half", "abroad",
        "tocut", "towild", "tosteer", "topeer", "sub", "ns", "safe", "child", "bare", "steer",
        "geo", "four", "cdn", "deep", "ns1", "_explain",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn o10_every_answer_validates_and_says_the_same(
        labels in prop::collection::vec(label(), 0..4),
        zone in prop::sample::select(vec!["example.com", "example.com", "plain.test"]),
        qtype in prop::sample::select(vec![1u16, 2, 5, 6, 15, 16, 28, 33, 43, 48, 59, 60, 65, 255]),
        nsec3 in any::<bool>(),
        down in any::<bool>(),
    ) {
        let mut w = world(if nsec3 { Denial::Nsec3 } else { Denial::Compact });
        w.names[2].last_resort = LastResort::ServFail;
        if down {
            w.down = vec!["eu"];
        }
        let name = labels.iter().copied().chain([zone]).collect::<Vec<_>>().join(".");
        let q: Ask = ask(&name, qtype);
        let plain = Desk::new(&w).tcp(&q.clone().edns(1232));
        let signed = Desk::new(&w).tcp(&q.dnssec().compact());
        prop_assert_eq!(&plain.message.metadata.response_code, &signed.message.metadata.response_code);
        prop_assert_eq!(plain.flag(AA), signed.flag(AA));
        if qtype != rtype::DS {
            prop_assert_eq!(stripped(&plain), stripped(&signed));
        }
        let outcome = Validator::new(&w).validate(&signed, RecordType::from(qtype));
        if plain.message.metadata.response_code == ResponseCode::NXDomain {
            prop_assert!(matches!(outcome, Outcome::NxDomain | Outcome::Insecure), "{:?}", outcome);
        } else {
            prop_assert!(outcome != Outcome::NxDomain);
        }
    }
}

#[test]
fn o10_what_was_signed_ahead_needs_no_signing() {
    for denial in BOTH {
        let mut w = world(denial);
        let pass = Presigner::default().pass(&w.view(), Moment(1), |_| ControlFlow::Continue(()));
        assert!(pass.is_continue());
        let questions = [
            ("www.example.com", rtype::A),
            ("www.example.com", rtype::HTTPS),
            ("c.example.com", rtype::A),
            ("alias2.example.com", rtype::A),
            ("half.example.com", rtype::A),
            ("sub.example.com", rtype::A),
            ("x.safe.example.com", rtype::A),
            ("sub.example.com", rtype::DS),
            ("example.com", rtype::DNSKEY),
            ("x.child.example.com", rtype::A),
            ("four.example.com", rtype::A),
            ("four.example.com", rtype::AAAA),
            ("cdn.example.com", rtype::A),
            ("steer.example.com", rtype::A),
            ("steer.example.com", rtype::AAAA),
            ("steer.example.com", rtype::TXT),
        ];
        // Whatever fails, and however the draw falls.
        for down in [&[][..], &["eu"], &["us4-1", "ap6"], &["eu", "us", "ap"]] {
            w.down = down.to_vec();
            let mut d = Desk::new(&w);
            for _ in 0..40 {
                for (q, t) in questions {
                    let got = d.udp(&ask(q, t).dnssec());
                    let outcome = Validator::new(&w).validate(&got, RecordType::from(t));
                    assert!(!got.flag(TC) && outcome != Outcome::NxDomain, "{q}");
                }
            }
            let made = d.scratch.counters.get(DnsEvent::SignatureMade);
            assert_eq!(made, 0, "{down:?} {denial:?}");
        }
        // It goes on where it was: nothing is signed twice.
        let before = w.signatures.len();
        let mut most = 0;
        let pass = Presigner::default().pass(&w.view(), Moment(1), |made| {
            most = made;
            ControlFlow::Continue(())
        });
        assert!(pass.is_continue());
        assert_eq!((most, w.signatures.len()), (0, before));
    }
}

#[test]
fn signatures_that_are_asked_for_are_made_anew_ahead_of_time() {
    let w = world(Denial::Compact);
    let mut view = w.view();
    let mut d = Desk::new(&w);
    outcome(&mut d, &w, "www.example.com", rtype::A);
    let lifetime = w.keys.zones.values().next().unwrap().lifetime;
    let due = UNIX + (lifetime.valid - lifetime.refresh).as_secs();
    view.parts.wall = Wall::new(Moment::ZERO, Duration::from_secs(due));
    let mut made = 0;
    let mut pass = |view: &crate::snapshot::View| {
        let told = refresh(view, Moment::ZERO, 3_600, |n| {
            made = n;
            ControlFlow::Continue(())
        });
        assert!(told.is_continue());
        std::mem::take(&mut made)
    };
    assert_eq!(pass(&view), 1);
    assert_eq!(pass(&view), 0, "it is new");
    let mut d = Desk {
        scratch: d.scratch,
        ..Desk::at(Arc::new(view))
    };
    let before = d.scratch.counters.get(DnsEvent::SignatureMade);
    d.udp(&ask("www.example.com", rtype::A).dnssec());
    assert_eq!(d.scratch.counters.get(DnsEvent::SignatureMade), before);
}
