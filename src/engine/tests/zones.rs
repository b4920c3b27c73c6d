//! Static data: RFC 1034, 2308, 4592, 8482, 9471.

use crate::dns::message::flags::{AA, TC};
use crate::dns::rtype;
use crate::engine::testkit::{Desk, World, ask};
use crate::telemetry::DnsEvent;

const ZONE: &str = r#"
$TTL 3600
@         SOA ns1 admin 1 7200 3600 604800 60
@         NS  ns1
@         NS  ns2.elsewhere.test.
ns1       A   192.0.2.53
www       A   192.0.2.80
www       AAAA 2001:db8::80
www       TXT "x"
WWW       MX  10 www
a.b.c     TXT "deep"
*.wild    A   192.0.2.99
alias     CNAME www
alias2    CNAME alias
lost      CNAME nothing
half      CNAME a.b.c
abroad    CNAME www.elsewhere.test.
tocut     CNAME host.sub
l0        CNAME l1
l1        CNAME l2
l2        CNAME l3
l3        CNAME l4
l4        CNAME l5
l5        CNAME l6
l6        CNAME l7
l7        CNAME l8
l8        CNAME l9
l9        CNAME www
sub       NS  ns.sub
sub       NS  ns2.sub
sub       NS  ns.other.test.
ns.sub    A   192.0.2.1
ns.sub    AAAA 2001:db8::1
ns2.sub   A   192.0.2.2
"#;

fn world() -> World {
    let mut text = ZONE.to_owned();
    for i in 0..60 {
        text += &format!("big A 192.0.2.{i}\n");
        text += &format!("mid A 192.0.{}.1\n", i % 30);
    }
    for i in 0..13 {
        text += &format!(
            "many NS server{i}.many\nserver{i}.many AAAA 2001:db8::{i:x}\nserver{i}.many A 192.0.3.{i}\n"
        );
    }
    World::new("example.com", &text)
}

fn desk() -> Desk {
    Desk::new(&world())
}

const SOA: &str = "example.com. 60 SOA ns1.example.com. admin.example.com. 1 7200 3600 604800 60";

#[test]
fn rfc1034_4_3_2_3a_exact_match() {
    let got = desk().udp(&ask("www.example.com", rtype::A));
    assert_eq!(got.rcode(), "NoError");
    assert!(got.flag(AA) && !got.flag(TC));
    assert_eq!(got.answers(), ["www.example.com. 3600 A 192.0.2.80"]);
    assert!(got.authorities().is_empty() && got.additionals().is_empty());
    assert_eq!(got.opt(), None);
    assert_eq!(got.bytes.len(), 12 + 21 + 16, "the owner is a pointer");
}

#[test]
fn a6_case_of_the_question_is_kept() {
    let got = desk().udp(&ask("wWw.eXample.COM", rtype::MX));
    assert_eq!(&got.bytes[12..29], b"\x03wWw\x07eXample\x03COM\0");
    // The exchange is compressed against the question, whatever its case.
    assert_eq!(
        got.answers(),
        ["wWw.eXample.COM. 3600 MX 10 wWw.eXample.COM."]
    );
    // Header, question, MX, and its host's A and AAAA, each by pointers.
    assert_eq!(got.bytes.len(), 12 + 21 + 16 + 16 + 28);
}

#[test]
fn a2_apex_soa_and_ns() {
    let mut d = desk();
    assert_eq!(d.udp(&ask("example.com", rtype::SOA)).answers().len(), 1);
    assert_eq!(d.udp(&ask("example.com", rtype::NS)).answers().len(), 2);
}

#[test]
fn a1_rfc2308_2_2_nodata_with_the_negative_ttl() {
    let mut d = desk();
    for (q, t) in [
        ("www.example.com", rtype::HTTPS),
        ("c.example.com", rtype::A),
    ] {
        let got = d.udp(&ask(q, t));
        assert_eq!(got.rcode(), "NoError");
        assert!(got.flag(AA) && got.answers().is_empty());
        assert_eq!(got.authorities(), [SOA], "{q}");
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::NoData), 2);
}

#[test]
fn rfc2308_2_1_nxdomain_with_the_negative_ttl() {
    let mut d = desk();
    let got = d.udp(&ask("nothing.example.com", rtype::A));
    assert_eq!(got.rcode(), "NXDomain");
    assert!(got.flag(AA));
    assert_eq!(got.authorities(), [SOA]);
    assert_eq!(d.scratch.counters.get(DnsEvent::NxDomain), 1);
}

#[test]
fn rfc4592_2_wildcards() {
    let mut d = desk();
    let got = d.udp(&ask("any.thing.WILD.example.com", rtype::A));
    assert_eq!(
        got.answers(),
        ["any.thing.WILD.example.com. 3600 A 192.0.2.99"]
    );
    // A wildcard without the type is no data, not NXDOMAIN.
    let got = d.udp(&ask("x.wild.example.com", rtype::AAAA));
    assert_eq!(
        (got.rcode().as_str(), got.authorities()),
        ("NoError", vec![SOA.to_owned()])
    );
}

#[test]
fn a3_outside_every_zone_is_refused() {
    let mut d = desk();
    for q in ["www.example.org", "aexample.com", "com", "."] {
        let got = d.udp(&ask(q, rtype::A).edns(1232));
        assert_eq!(got.rcode(), "Refused", "{q}");
        assert!(!got.flag(AA));
        assert_eq!(got.ede().unwrap().0, 20);
        assert!(got.authorities().is_empty());
    }
}

#[test]
fn rfc1034_4_3_2_3a_alias_chains() {
    let mut d = desk();
    let got = d.udp(&ask("alias2.example.com", rtype::A));
    assert_eq!(
        got.answers(),
        [
            "alias.example.com. 3600 CNAME www.example.com.",
            "alias2.example.com. 3600 CNAME alias.example.com.",
            "www.example.com. 3600 A 192.0.2.80",
        ]
    );
    assert!(got.flag(AA));
    // Asked for itself, an alias is not followed.
    let got = d.udp(&ask("alias2.example.com", rtype::CNAME));
    assert_eq!(
        got.answers(),
        ["alias2.example.com. 3600 CNAME alias.example.com."]
    );
    // Out of our zones it ends.
    let got = d.udp(&ask("abroad.example.com", rtype::A));
    assert_eq!(
        got.answers(),
        ["abroad.example.com. 3600 CNAME www.elsewhere.test."]
    );
    assert_eq!(got.rcode(), "NoError");
    assert_eq!(got.ede(), None);
}

#[test]
fn rfc6604_3_the_last_name_of_a_chain_gives_the_code() {
    let mut d = desk();
    let got = d.udp(&ask("lost.example.com", rtype::A));
    assert_eq!(got.rcode(), "NXDomain");
    assert_eq!(got.answers().len(), 1);
    assert_eq!(got.authorities(), [SOA]);
    let got = d.udp(&ask("half.example.com", rtype::A));
    assert_eq!(
        (got.rcode().as_str(), got.authorities()),
        ("NoError", vec![SOA.to_owned()])
    );
}

#[test]
fn a6_chains_end_after_eight_links() {
    let got = desk().udp(&ask("l0.example.com", rtype::A));
    assert_eq!(got.rcode(), "NoError");
    assert_eq!(got.answers().len(), 9);
    let got = desk().udp(&ask("l2.example.com", rtype::A));
    assert_eq!(got.answers().len(), 9, "eight links and the address");
}

#[test]
fn rfc1034_4_3_2_3b_referral_with_glue() {
    let mut d = desk();
    for q in [
        "sub.example.com",
        "host.sub.example.com",
        "ns.sub.example.com",
    ] {
        for t in [rtype::A, rtype::NS, rtype::ANY] {
            let got = d.udp(&ask(q, t));
            assert_eq!(got.rcode(), "NoError");
            assert!(!got.flag(AA), "{q}");
            assert!(got.answers().is_empty());
            assert_eq!(
                got.authorities(),
                [
                    "sub.example.com. 3600 NS ns.other.test.",
                    "sub.example.com. 3600 NS ns.sub.example.com.",
                    "sub.example.com. 3600 NS ns2.sub.example.com.",
                ]
            );
            assert_eq!(
                got.additionals(),
                [
                    "ns.sub.example.com. 3600 A 192.0.2.1",
                    "ns.sub.example.com. 3600 AAAA 2001:db8::1",
                    "ns2.sub.example.com. 3600 A 192.0.2.2",
                ]
            );
        }
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::NoError), 9);
}

#[test]
fn rfc4035_3_1_4_1_ds_is_the_parents() {
    let got = desk().udp(&ask("sub.example.com", rtype::DS));
    assert!(got.flag(AA));
    assert_eq!(got.authorities(), [SOA]);
}

#[test]
fn rfc1034_4_3_1_alias_into_a_delegation() {
    let got = desk().udp(&ask("tocut.example.com", rtype::A));
    assert!(got.flag(AA), "of the first owner");
    assert_eq!(got.answers().len(), 1);
    assert_eq!(got.authorities().len(), 3);
}

#[test]
fn rfc9471_3_1_glue_that_does_not_fit_truncates() {
    let mut d = desk();
    let got = d.udp(&ask("x.many.example.com", rtype::A));
    assert!(got.flag(TC));
    assert!(got.authorities().is_empty() && got.additionals().is_empty());
    let got = d.tcp(&ask("x.many.example.com", rtype::A));
    assert_eq!((got.authorities().len(), got.additionals().len()), (13, 26));
}

#[test]
fn rfc8482_4_1_any_gets_one_rrset() {
    let got = desk().udp(&ask("www.example.com", rtype::ANY));
    assert_eq!(got.answers(), ["www.example.com. 3600 TXT x"]);
}

#[test]
fn a5_truncation_is_whole_and_tcp_works() {
    let mut d = desk();
    // 30 records of 16 octets: over 512, under 1232.
    let got = d.udp(&ask("mid.example.com", rtype::A));
    assert!(got.flag(TC) && got.flag(AA) && got.answers().is_empty());
    assert_eq!(got.bytes.len(), 12 + 21);
    assert_eq!(
        d.udp(&ask("mid.example.com", rtype::A).edns(1232))
            .answers()
            .len(),
        30
    );
    // 60 records: over 1232 when the OPT record counts.
    let mut d = desk();
    for i in [512, 1232, 4096, 65535] {
        let got = d.udp(&ask("mid.example.com", rtype::A).edns(i));
        assert_eq!(got.flag(TC), i == 512);
        assert!(got.opt().is_some());
        assert!(got.bytes.len() <= usize::from(i.clamp(512, 1232)));
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::Truncated), 1);
    let got = d.tcp(&ask("big.example.com", rtype::A));
    assert!(!got.flag(TC));
    assert_eq!(got.answers().len(), 60);
}
