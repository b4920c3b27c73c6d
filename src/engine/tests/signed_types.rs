//! Signatures of redirections, of steered HTTPS records and of additional data: RFC 4035 section
//! 3.1.1, RFC 6672 section 5.3.

use crate::dns::rtype::{A, AAAA, DNAME, HTTPS, MX, NSEC, SRV, TXT};
use crate::dns::svcb::Service;
use crate::dnssec::Denial;
use crate::engine::testkit::{Desk, Got, Outcome, Steer, Validator, World, ask};
use hickory_proto::rr::RecordType;

const ZONE: &str = r#"
$TTL 300
@        SOA ns1 admin 1 7200 3600 604800 60
@        NS  ns1
@        MX  10 www
ns1      A   192.0.2.53
www      A   192.0.2.80
www      AAAA 2001:db8::80
_s._tcp  SRV 0 0 443 steer
alias    HTTPS 0 steer
old      DNAME new
www.new  A   192.0.2.81
geo.new  CNAME steer
"#;

fn world(denial: Denial) -> World {
    World::new("example.com", ZONE)
        .steer(Steer {
            answers: 2,
            https: Some(Service::new(1, &["h2"], true, None)),
            aliases: vec!["example.com"],
            ..Steer::new("steer.example.com", "weighted")
        })
        .sign("example.com", denial)
}

fn outcome(d: &mut Desk, w: &World, q: &str, qtype: u16) -> (Outcome, Got) {
    let got = d.tcp(&ask(q, qtype).dnssec());
    let said = Validator::new(w).validate(&got, RecordType::from(qtype));
    (said, got)
}

#[test]
fn o10_types_redirections_and_additional_data_validate() {
    for denial in [Denial::Compact, Denial::Nsec3] {
        let w = world(denial);
        let mut d = Desk::new(&w);
        for (q, qtype, count, additional) in [
            ("example.com", MX, 1, 2),
            ("example.com", A, 2, 0),
            ("example.com", AAAA, 2, 0),
            ("example.com", HTTPS, 1, 4),
            ("steer.example.com", HTTPS, 1, 4),
            ("_s._tcp.example.com", SRV, 1, 4),
            ("alias.example.com", HTTPS, 1, 5),
            ("old.example.com", DNAME, 1, 0),
            ("www.old.example.com", A, 1, 0),
            ("geo.old.example.com", A, 2, 0),
        ] {
            // More than once: the draws differ, and nothing that is cached may be of another.
            for _ in 0..8 {
                let (said, got) = outcome(&mut d, &w, q, qtype);
                let Outcome::Data(data) = said else {
                    panic!("{q} {qtype}: {said:?}")
                };
                assert_eq!(data.len(), count, "{q} {qtype}");
                let all = got.message.additionals.iter();
                let plain = all.filter(|r| r.record_type() != RecordType::RRSIG);
                assert_eq!(plain.count(), additional, "{q} {qtype}");
            }
        }
        for (q, qtype, expected) in [
            ("steer.example.com", TXT, Outcome::NoData),
            ("old.example.com", A, Outcome::NoData),
            ("none.old.example.com", A, Outcome::NxDomain),
        ] {
            assert_eq!(outcome(&mut d, &w, q, qtype).0, expected, "{q} {denial:?}");
        }
    }
}

#[test]
fn rfc4034_4_1_2_proofs_list_what_steering_answers() {
    let mut d = Desk::new(&world(Denial::Compact));
    for q in ["steer.example.com", "example.com"] {
        let got = d.tcp(&ask(q, NSEC).dnssec());
        let text = got.answers().join("\n");
        for t in ["A", "AAAA", "HTTPS"] {
            assert!(text.split([' ', '\n']).any(|w| w == t), "{t} in {text}");
        }
    }
    // A DNAME redirects also what signing brings with it.
    let got = d.tcp(&ask("www.old.example.com", NSEC));
    assert!(
        got.answers()[0].starts_with("old.example.com. 300 DNAME"),
        "{got:?}"
    );
}

/// Whatever the draw, one set of members has its hints in one order, and so one signature.
#[test]
fn one_signature_for_hints_of_every_order() {
    let w = world(Denial::Compact);
    let mut d = Desk::new(&w);
    let mut data = std::collections::BTreeSet::new();
    let mut signatures = std::collections::BTreeSet::new();
    for _ in 0..400 {
        let got = d.tcp(&ask("steer.example.com", HTTPS).dnssec());
        for r in &got.message.answers {
            match r.record_type() {
                RecordType::HTTPS => data.insert(r.data.to_string()),
                _ => signatures.insert(r.data.to_string()),
            };
        }
    }
    // Pairs of six, and the same draw for both families.
    assert!(data.len() <= 15 * 15, "{}", data.len());
    assert_eq!(signatures.len(), data.len());
    for text in data {
        let hints: Vec<&str> = text
            .split("ipv4hint=")
            .nth(1)
            .unwrap()
            .split(',')
            .take(2)
            .collect();
        assert!(hints[0] < hints[1], "{text}");
    }
}
