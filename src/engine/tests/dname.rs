//! DNAME: RFC 6672.

use crate::dns::message::flags::AA;
use crate::dns::rtype::{A, ANY, CNAME, DNAME, TXT};
use crate::engine::testkit::{Desk, Steer, World, ask};

/// `new.x.test` on the wire, in base64: the library that reads answers here does not know the type.
const NEW: &str = "A25ldwF4BHRlc3QA";

const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn desk() -> Desk {
    let zone = format!(
        r#"
$TTL 300
@        SOA ns1 admin 1 7200 3600 604800 60
@        NS  ns1
ns1      A   192.0.2.53
old      120 DNAME new
old      TXT "of its own"
www.new  A   192.0.2.80
geo.new  CNAME steered
out      DNAME x.elsewhere.test.
far      DNAME {LONG}.{LONG}.{LONG}.x.test.
two      DNAME old
b0       DNAME b1
b1       DNAME b0
"#
    );
    Desk::new(&World::new("x.test", &zone).steer(Steer::new("steered.x.test", "geo")))
}

#[test]
fn rfc6672_3_1_names_below_are_redirected() {
    let mut d = desk();
    let got = d.udp(&ask("WWW.old.x.test", A));
    assert!(got.flag(AA));
    let mut lines: Vec<String> = got
        .message
        .answers
        .iter()
        .map(ToString::to_string)
        .collect();
    lines
        .iter_mut()
        .for_each(|l| *l = l.replace(" IN ", " ").replace(NEW, "new.x.test."));
    assert_eq!(
        lines,
        [
            "old.x.test. 120 DNAME new.x.test.",
            "WWW.old.x.test. 120 CNAME www.new.x.test.",
            "www.new.x.test. 300 A 192.0.2.80"
        ],
        "the DNAME, the CNAME it means with its TTL, and what stands there"
    );
    // Through several: each brings its own.
    assert_eq!(d.udp(&ask("www.two.x.test", A)).answers().len(), 5);
    // Out of our zones: the client goes on by itself.
    let got = d.udp(&ask("a.b.out.x.test", A));
    assert_eq!(
        got.answers(),
        [
            "a.b.out.x.test. 300 CNAME a.b.x.elsewhere.test.",
            "out.x.test. 300 DNAME AXgJZWxzZXdoZXJlBHRlc3QA"
        ]
    );
    // To a steered name, with its scope.
    let got = d.udp(&ask("geo.old.x.test", A).ecs("192.0.2.0/24"));
    assert_eq!((got.answers().len(), got.scope()), (4, Some(24)));
}

#[test]
fn rfc6672_2_3_the_owner_itself_is_not_redirected() {
    let mut d = desk();
    assert_eq!(
        d.udp(&ask("old.x.test", DNAME)).answers(),
        [format!("old.x.test. 120 DNAME {NEW}")]
    );
    assert_eq!(d.udp(&ask("old.x.test", TXT)).answers().len(), 1);
    let got = d.udp(&ask("old.x.test", A));
    assert_eq!(
        (got.rcode(), got.answers().len(), got.authorities().len()),
        ("NoError".into(), 0, 1)
    );
}

#[test]
fn rfc1034_3_6_2_the_cname_itself_may_be_asked_for() {
    let mut d = desk();
    for qtype in [CNAME, ANY] {
        assert_eq!(d.udp(&ask("www.old.x.test", qtype)).answers().len(), 2);
    }
}

#[test]
fn rfc6604_3_the_code_is_that_of_the_last_name() {
    let got = desk().udp(&ask("nothing.old.x.test", A));
    assert_eq!(got.rcode(), "NXDomain");
    assert_eq!((got.answers().len(), got.authorities().len()), (2, 1));
}

#[test]
fn rfc6672_2_2_a_name_that_gets_too_long() {
    let got = desk().udp(&ask(&format!("{LONG}.far.x.test"), A));
    assert_eq!(got.rcode(), "YXDomain");
    let answers = got.answers();
    assert!(
        answers.len() == 1 && answers[0].starts_with("far.x.test. 300 DNAME"),
        "{answers:?}"
    );
    assert_eq!(desk().udp(&ask("s.far.x.test", A)).rcode(), "NXDomain");
}

#[test]
fn circles_end() {
    let got = desk().udp(&ask("a.b0.x.test", A));
    assert!(got.answers().len() <= 18, "{:?}", got.answers());
}

#[test]
fn explain_follows() {
    let text = desk()
        .tcp(&ask("_explain.geo.old.x.test", TXT))
        .data()
        .join("\n");
    assert!(text.contains("alias of geo.new.x.test"), "{text}");
    assert!(text.contains("alias of steered.x.test"), "{text}");
}
