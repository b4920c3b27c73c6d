//! Additional data: RFC 1035 section 3.3, RFC 2782, RFC 9460 section 4.1, requirement E2.

use crate::dns::rtype::{HTTPS, MX, NS, SRV, SVCB};
use crate::dns::svcb::Service;
use crate::engine::testkit::{Desk, Steer, World, ask};

const ZONE: &str = r#"
$TTL 300
@       SOA ns1 admin 1 7200 3600 604800 60
@       NS  ns1
@       NS  ns2.elsewhere.test.
@       MX  10 mail
@       MX  20 MAIL2
@       MX  30 mail.elsewhere.test.
ns1     A   192.0.2.53
ns1     AAAA 2001:db8::53
mail    A   192.0.2.25
mail2   AAAA 2001:db8::25
null    MX  0 .
_a._tcp SRV 0 0 443 geo
_b._tcp SRV 0 0 443 geo
_b._tcp SRV 1 0 443 ns1
_c._tcp SRV 0 0 443 deaf
_d._tcp SRV 0 0 443 x.wild
_e._tcp SRV 0 0 0 .
svc     HTTPS 1 pool port=8443
pool    A   192.0.2.7
own     HTTPS 1 . alpn=h2
own     A   192.0.2.8
al      HTTPS 0 svc
alc     HTTPS 0 link
link    CNAME svc
alg     HTTPS 0 geo
self    HTTPS 0 self
no      SVCB  0 .
*.wild  A   192.0.2.99
"#;

fn world() -> World {
    World::new("x.test", ZONE)
        .steer(Steer {
            https: Some(Service::new(1, &["h2"], true, None)),
            ..Steer::new("geo.x.test", "geo")
        })
        .steer(Steer {
            ignore_ecs: true,
            ..Steer::new("deaf.x.test", "geo")
        })
        .steer(Steer {
            cname: true,
            ..Steer::new("cdn.x.test", "geo")
        })
}

fn extra(owner: &str, qtype: u16) -> Vec<String> {
    let got = Desk::new(&world()).udp(&ask(owner, qtype));
    assert_eq!(got.rcode(), "NoError");
    assert!(!got.answers().is_empty());
    got.additionals()
}

#[test]
fn rfc1035_3_3_hosts_of_mx_and_ns_bring_their_addresses() {
    assert_eq!(
        extra("x.test", MX),
        [
            "mail.x.test. 300 A 192.0.2.25",
            "mail2.x.test. 300 AAAA 2001:db8::25"
        ]
    );
    assert_eq!(
        extra("x.test", NS),
        [
            "ns1.x.test. 300 A 192.0.2.53",
            "ns1.x.test. 300 AAAA 2001:db8::53"
        ]
    );
    // RFC 7505: the null MX names no host.
    assert_eq!(extra("null.x.test", MX), Vec::<String>::new());
}

#[test]
fn rfc2782_srv_hosts() {
    assert_eq!(
        extra("_d._tcp.x.test", SRV),
        ["x.wild.x.test. 300 A 192.0.2.99"]
    );
    assert_eq!(extra("_e._tcp.x.test", SRV), Vec::<String>::new());
}

#[test]
fn rfc9460_4_1_service_and_alias_targets() {
    assert_eq!(extra("svc.x.test", HTTPS), ["pool.x.test. 300 A 192.0.2.7"]);
    assert_eq!(extra("own.x.test", HTTPS), ["own.x.test. 300 A 192.0.2.8"]);
    assert_eq!(
        extra("al.x.test", HTTPS),
        ["svc.x.test. 300 HTTPS 1 pool.x.test. port=8443"]
    );
    assert_eq!(
        extra("alc.x.test", HTTPS),
        [
            "link.x.test. 300 CNAME svc.x.test.",
            "svc.x.test. 300 HTTPS 1 pool.x.test. port=8443"
        ]
    );
    assert_eq!(extra("self.x.test", HTTPS), Vec::<String>::new());
    assert_eq!(extra("no.x.test", SVCB), Vec::<String>::new());
}

#[test]
fn e2_steered_hosts_answer_this_client_and_give_the_scope() {
    let mut d = Desk::new(&world());
    for (net, region, scope) in [
        ("192.0.2.0/24", "1", 24),
        ("198.51.100.0/25", "2", 24),
        ("2001:db8:3::/48", "3", 48),
    ] {
        let got = d.udp(&ask("_a._tcp.x.test", SRV).ecs(net));
        assert_eq!(
            got.answers(),
            ["_a._tcp.x.test. 300 SRV 0 0 443 geo.x.test."]
        );
        let [a, aaaa] = &got.additionals()[..] else {
            panic!("{:?}", got.additionals())
        };
        assert!(
            a.starts_with(&format!("geo.x.test. 60 A 127.{region}.")),
            "{a}"
        );
        assert!(
            aaaa.contains(&format!(" 60 AAAA 2001:db8:f::{region}:")),
            "{aaaa}"
        );
        assert_eq!(got.scope(), Some(scope), "{net}");
    }
    // Beside static hosts the scope is the decision's all the same.
    let got = d.udp(&ask("_b._tcp.x.test", SRV).ecs("192.0.2.0/24"));
    assert_eq!(got.additionals().len(), 4);
    assert_eq!(got.scope(), Some(24));
    // A name that ignores the option keeps scope 0 (E4), and so does what is static.
    let got = d.udp(&ask("_c._tcp.x.test", SRV).ecs("192.0.2.0/24"));
    assert_eq!((got.additionals().len(), got.scope()), (2, Some(0)));
    let got = d.udp(&ask("x.test", MX).ecs("192.0.2.0/24"));
    assert_eq!(got.scope(), Some(0));
}

#[test]
fn rfc9460_4_1_an_alias_of_a_steered_service_brings_it_along() {
    let got = Desk::new(&world()).udp(&ask("alg.x.test", HTTPS).ecs("192.0.2.0/24"));
    let all = got.additionals();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[2].starts_with("geo.x.test. 60 HTTPS 1 . alpn=h2, ipv4hint=127.1."));
    // One draw: the hints are the addresses beside them.
    for line in &all[..2] {
        let address = line.rsplit(' ').next().unwrap();
        assert!(all[2].contains(&format!("hint={address},")), "{all:?}");
    }
    assert_eq!(got.scope(), Some(24));
}

#[test]
fn rfc2181_9_what_does_not_fit_is_left_out_whole() {
    let mut text = ZONE.to_owned();
    for i in 0..40 {
        text += &format!("big A 192.0.3.{i}\n");
    }
    text += "crowd MX 1 big\ncrowd MX 2 mail\n_f._tcp SRV 0 0 1 big\n_f._tcp SRV 0 0 1 geo\n";
    let mut w = world();
    w.zones[0].1 = text;
    let mut d = Desk::new(&w);
    let got = d.udp(&ask("crowd.x.test", MX));
    assert_eq!(got.answers().len(), 2);
    assert!(!got.message.metadata.truncation);
    assert_eq!(got.additionals(), ["mail.x.test. 300 A 192.0.2.25"]);
    assert_eq!(d.tcp(&ask("crowd.x.test", MX)).additionals().len(), 41);
    // What was left out does not narrow the scope; what stands there does.
    for i in 0..40 {
        w.zones[0].1 += &format!("_g._tcp SRV 0 0 {i} h{i}.elsewhere.test.\n");
    }
    w.zones[0].1 += "_g._tcp SRV 0 0 99 geo\n";
    let mut d = Desk::new(&w);
    let got = d.udp(&ask("_f._tcp.x.test", SRV).ecs("192.0.2.0/24"));
    assert_eq!((got.additionals().len(), got.scope()), (42, Some(24)));
}

/// The work for one answer is bounded: no more hosts are looked up than the limit.
#[test]
fn many_hosts_are_cut_off() {
    let mut w = world();
    for i in 0..30 {
        w.zones[0].1 += &format!("many MX {i} h{i}\nh{i} A 192.0.4.{i}\n");
    }
    let got = Desk::new(&w).tcp(&ask("many.x.test", MX));
    assert_eq!((got.answers().len(), got.additionals().len()), (30, 16));
}
