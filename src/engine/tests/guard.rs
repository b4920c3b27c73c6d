//! Who is answered, and how often: RFC 7873, 9018, 4892, 9824, response rate limiting, access lists.

use std::sync::Arc;
use std::time::Duration;

use crate::dns::message::flags::{AA, TC};
use crate::dns::rtype;
use crate::engine::Transport;
use crate::engine::testkit::{Ask, Desk, Got, Steer, World, ask};
use crate::limit::{
    AccessLists, CookieRules, Limit, Networks, Prefixes, RateTable, Rules, Secrets,
};
use crate::net::Prefix;
use crate::snapshot::ChaosTexts;
use crate::telemetry::DnsEvent;

const ZONE: &str = "
$TTL 300
@   SOA ns1 admin 1 7200 3600 604800 60
@   NS  ns1
ns1 A   192.0.2.53
txt TXT \"hello\"
*.w A   192.0.2.1
sub NS  ns.sub
ns.sub A 192.0.2.2
";

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const CLIENT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// A world with cookies and these rules, which nobody has asked yet.
fn world(rules: Rules) -> World {
    let mut world = World::new("example.com", ZONE).steer(Steer::new("geo.example.com", "geo"));
    world.cookies = Arc::new(Secrets::new([SECRET.parse().unwrap()]));
    world.rates = Arc::new(RateTable::new(1 << 16, [11, 12]));
    world.rules = rules;
    world
}

fn desk(rules: Rules) -> Desk {
    Desk::new(&world(rules))
}

fn enforced() -> Rules {
    Rules {
        cookies: CookieRules {
            enforce: true,
            ..CookieRules::default()
        },
        ..Rules::default()
    }
}

fn limited(per_second: u32, slip: u8) -> Rules {
    Rules {
        responses: Limit::per_second(per_second),
        prefixes: Prefixes::new(24, 56),
        slip,
        ..Rules::default()
    }
}

fn plain() -> Ask {
    ask("ns1.example.com", rtype::A)
}

fn cookie(got: &Got) -> Vec<u8> {
    got.option(10).unwrap()
}

/// The cookie that a client at `d` is given.
fn learn(d: &mut Desk) -> Vec<u8> {
    let given = cookie(&d.udp(&plain().option(10, &CLIENT)));
    assert_eq!((given.len(), &given[..8]), (24, &CLIENT[..]));
    given
}

#[test]
fn rfc7873_5_2_3_a_client_cookie_is_answered_with_ours() {
    let mut d = desk(Rules::default());
    let given = learn(&mut d);
    assert_eq!(d.scratch.counters.get(DnsEvent::CookieClient), 1);
    let got = d.udp(&plain().option(10, &given));
    assert_eq!((got.rcode(), got.answers().len()), ("NoError".into(), 1));
    assert_eq!(cookie(&got), given, "fresh enough to be kept");
    assert_eq!(d.scratch.counters.get(DnsEvent::CookieGood), 1);
    assert_eq!(
        d.udp(&plain().edns(1232)).option(10),
        None,
        "only where asked"
    );
    assert_eq!(cookie(&d.tcp(&plain().option(10, &CLIENT))).len(), 24);
}

#[test]
fn rfc7873_5_2_2_malformed_cookies_get_formerr() {
    let mut d = desk(Rules::default());
    for len in [0, 1, 7, 9, 15, 41, 64] {
        let got = d.udp(&plain().option(10, &vec![7; len]));
        assert_eq!(got.rcode(), "FormErr", "{len}");
        assert!(got.ede().unwrap().1.contains("cookie of"), "{len}");
        assert_eq!(got.option(10), None);
    }
    for len in [8, 16, 24, 40] {
        assert_eq!(
            d.udp(&plain().option(10, &vec![7; len])).rcode(),
            "NoError",
            "{len}"
        );
    }
}

#[test]
fn rfc7873_5_2_only_the_first_of_several_cookies_counts() {
    let mut d = desk(Rules::default());
    let got = d.udp(&plain().option(10, &CLIENT).option(10, &[9; 3]));
    assert_eq!(got.rcode(), "NoError");
    assert_eq!(cookie(&got)[..8], CLIENT);
}

#[test]
fn errors_and_negative_answers_carry_the_cookie_too() {
    let mut d = desk(Rules::default());
    for (q, rcode) in [
        (ask("gone.example.com", rtype::A), "NXDomain"),
        (ask("other.example", rtype::A), "Refused"),
        (ask("example.com", rtype::AXFR), "Refused"),
        (ask("example.com", rtype::NXNAME), "FormErr"),
        (ask("ns1.example.com", rtype::AAAA), "NoError"),
        (ask("geo.example.com", rtype::A), "NoError"),
        (ask("x.sub.example.com", rtype::A), "NoError"),
    ] {
        let got = d.udp(&q.clone().option(10, &CLIENT));
        assert_eq!(
            (got.rcode(), cookie(&got).len()),
            (rcode.into(), 24),
            "{q:?}"
        );
    }
    // A malformed option behind the cookie does not make it unread.
    let got = d.udp(&plain().option(10, &CLIENT).option(8, &[0, 9, 1, 0]));
    assert_eq!((got.rcode(), cookie(&got).len()), ("FormErr".into(), 24));
}

#[test]
fn rfc7873_5_2_1_enforcing_wants_a_good_cookie_of_who_uses_cookies() {
    let mut d = desk(enforced());
    let first = d.udp(&plain().option(10, &CLIENT));
    assert_eq!(
        (first.rcode(), first.answers().len()),
        ("BADCOOKIE".into(), 0)
    );
    assert!(!first.flag(AA) && !first.flag(TC));
    assert_eq!(first.message.queries.len(), 1);
    assert_eq!(d.scratch.counters.get(DnsEvent::BadCookie), 1);
    // With the cookie of the refusal it works.
    let good = d.udp(&plain().option(10, &cookie(&first)));
    assert_eq!((good.rcode(), good.answers().len()), ("NoError".into(), 1));
    // From another address it does not.
    let mut elsewhere = desk(enforced()).from("192.0.2.77");
    let stolen = elsewhere.udp(&plain().option(10, &cookie(&first)));
    assert_eq!(stolen.rcode(), "BADCOOKIE");
    assert_eq!(elsewhere.scratch.counters.get(DnsEvent::CookieBad), 1);
    assert_ne!(
        cookie(&stolen),
        cookie(&first),
        "a fresh one for the new address"
    );
    // TCP proves the address by itself, and who has no cookies is answered.
    assert_eq!(d.tcp(&plain().option(10, &CLIENT)).rcode(), "NoError");
    assert_eq!(d.udp(&plain()).rcode(), "NoError");
}

#[test]
fn rfc9018_4_3_an_old_cookie_is_good_for_an_hour_and_renewed_after_half() {
    let mut d = desk(enforced());
    let given = cookie(&d.udp(&plain().option(10, &CLIENT)));
    d.now = d.now + Duration::from_secs(1_801);
    let renewed = d.udp(&plain().option(10, &given));
    assert_eq!(renewed.rcode(), "NoError");
    assert_ne!(cookie(&renewed), given);
    d.now = d.now + Duration::from_secs(1_800);
    assert_eq!(d.udp(&plain().option(10, &given)).rcode(), "BADCOOKIE");
    assert_eq!(
        d.udp(&plain().option(10, &cookie(&renewed))).rcode(),
        "NoError"
    );
}

/// A query without question but with this cookie.
fn bare(cookie: &[u8]) -> Vec<u8> {
    let mut q = plain().option(10, cookie);
    q.question.clear();
    q.head[5] = 0;
    q.bytes()
}

#[test]
fn rfc7873_5_4_a_cookie_can_be_had_without_question() {
    let mut d = desk(Rules::default());
    let got = Got::new(d.raw(&bare(&CLIENT), Transport::Udp).unwrap());
    assert_eq!(
        (got.rcode(), got.message.queries.len()),
        ("NoError".into(), 0)
    );
    assert_eq!(got.ede(), None);
    let given = cookie(&got);
    let got = Got::new(d.raw(&bare(&given), Transport::Udp).unwrap());
    assert_eq!(
        (got.rcode(), cookie(&got)),
        ("NoError".into(), given.clone())
    );
    let mut forged = given;
    forged[20] ^= 1;
    let got = Got::new(d.raw(&bare(&forged), Transport::Udp).unwrap());
    assert_eq!((got.rcode(), cookie(&got).len()), ("BADCOOKIE".into(), 24));
    // Trailing bytes, or no cookie: a malformed query like any other.
    let mut trailing = bare(&CLIENT);
    trailing.push(0);
    assert_eq!(d.raw(&trailing, Transport::Udp).unwrap()[3] & 0xF, 1);
    let mut q = plain().edns(1232);
    q.question.clear();
    q.head[5] = 0;
    assert_eq!(d.raw(&q.bytes(), Transport::Udp).unwrap()[3] & 0xF, 1);
}

/// Asks `n` times; answers in full, truncated, BADCOOKIE, dropped.
fn flood(d: &mut Desk, q: &Ask, n: usize) -> [usize; 4] {
    let mut seen = [0; 4];
    for _ in 0..n {
        let kind = match d.raw(&q.bytes(), Transport::Udp).map(Got::new) {
            None => 3,
            Some(got) if got.flag(TC) => {
                assert!(got.answers().is_empty() && !got.flag(AA));
                assert_eq!(
                    (got.message.queries.len(), got.rcode()),
                    (1, "NoError".into())
                );
                1
            }
            Some(got) if got.rcode() == "BADCOOKIE" => {
                assert_eq!(cookie(&got).len(), 24);
                2
            }
            Some(_) => 0,
        };
        seen[kind] += 1;
    }
    seen
}

#[test]
fn a8_answers_over_the_limit_are_dropped_or_truncated() {
    for (slip, truncated) in [(0, 0..=0), (1, 900..=900), (2, 380..=520), (5, 120..=240)] {
        let mut d = desk(limited(100, slip));
        let [full, tc, cookies, dropped] = flood(&mut d, &plain(), 1_000);
        assert_eq!((full, cookies), (100, 0), "slip {slip}");
        assert!(truncated.contains(&tc), "slip {slip}: {tc} truncated");
        assert_eq!(dropped, 900 - tc);
        let count = |e| d.scratch.counters.get(e) as usize;
        assert_eq!(count(DnsEvent::LimitedTruncated), tc);
        assert_eq!(count(DnsEvent::Truncated), tc);
        assert_eq!(count(DnsEvent::DroppedResponseRate), dropped);
        d.now = d.now + Duration::from_millis(500);
        assert_eq!(
            flood(&mut d, &plain(), 100)[0],
            50,
            "half a second later, half as many"
        );
    }
}

#[test]
fn a8_each_kind_of_answer_has_its_own_account() {
    let mut d = desk(limited(10, 0));
    let full = |d: &mut Desk, name: &str, qtype| flood(d, &ask(name, qtype), 30)[0];
    assert_eq!(full(&mut d, "ns1.example.com", rtype::A), 10);
    assert_eq!(
        full(&mut d, "txt.example.com", rtype::TXT),
        10,
        "another name"
    );
    assert_eq!(full(&mut d, "geo.example.com", rtype::A), 10, "steered");
    assert_eq!(
        full(&mut d, "geo.example.com", rtype::AAAA),
        0,
        "the same steered name"
    );
    assert_eq!(full(&mut d, "gone.example.com", rtype::A), 10, "NXDOMAIN");
    assert_eq!(
        full(&mut d, "gone2.example.com", rtype::A),
        0,
        "any name that does not exist"
    );
    assert_eq!(full(&mut d, "txt.example.com", rtype::A), 10, "NODATA");
    assert_eq!(
        full(&mut d, "ns1.example.com", rtype::MX),
        0,
        "any that has no such data"
    );
    assert_eq!(
        full(&mut d, "example.com", rtype::DNSKEY),
        10,
        "the keys of a zone"
    );
    assert_eq!(full(&mut d, "a.w.example.com", rtype::A), 10, "a wildcard");
    assert_eq!(
        full(&mut d, "b.w.example.com", rtype::A),
        0,
        "any name it stands for"
    );
    assert_eq!(
        full(&mut d, "a.sub.example.com", rtype::A),
        10,
        "a referral"
    );
    assert_eq!(
        full(&mut d, "b.sub.example.com", rtype::A),
        0,
        "any name below the cut"
    );
    assert_eq!(full(&mut d, "other.example", rtype::A), 10, "errors");
    assert_eq!(full(&mut d, "example.com", rtype::AXFR), 0, "any error");
}

#[test]
fn a8_explanations_are_limited_too() {
    let mut d = desk(limited(10, 0));
    let explain = ask("_explain.geo.example.com", rtype::TXT);
    assert_eq!(flood(&mut d, &explain.clone().edns(1232), 30)[3], 20);
    assert_eq!(d.scratch.counters.get(DnsEvent::Explained), 10);
    assert!(!d.tcp(&explain).answers().is_empty(), "not over a stream");
}

#[test]
fn a8_prefixes_are_accounted_apart_and_streams_not_at_all() {
    let world = world(limited(10, 0));
    let view = Arc::new(world.view());
    let from = |addr: &str| flood(&mut Desk::at(view.clone()).from(addr), &plain(), 30)[0];
    assert_eq!(from("192.0.2.1"), 10);
    assert_eq!(from("192.0.2.254"), 0, "the same /24, at another worker");
    assert_eq!(from("::ffff:192.0.2.9"), 0, "v4-mapped is IPv4");
    assert_eq!(from("192.0.3.1"), 10);
    assert_eq!(from("2001:db8:0:100::1"), 10);
    assert_eq!(from("2001:db8:0:1ff::1"), 0, "the same /56");
    assert_eq!(from("2001:db8:0:200::1"), 10);
    let mut d = Desk::at(view).from("192.0.2.1");
    for _ in 0..30 {
        assert_eq!(d.tcp(&plain()).answers().len(), 1);
    }
}

#[test]
fn a8_the_exempt_and_those_with_a_good_cookie_are_not_limited() {
    let exempt: Vec<Prefix> = vec!["127.0.0.0/8".parse().unwrap()];
    let rules = Rules {
        networks: Networks::new(AccessLists {
            exempt: &exempt,
            ..AccessLists::default()
        }),
        ..limited(10, 0)
    };
    let view = Arc::new(world(rules).view());
    assert_eq!(flood(&mut Desk::at(view.clone()), &plain(), 50)[0], 50);
    let mut d = Desk::at(view).from("192.0.2.1");
    let given = learn(&mut d);
    assert_eq!(flood(&mut d, &plain().option(10, &given), 50)[0], 50);
    assert_eq!(
        flood(&mut d, &plain(), 50)[0],
        9,
        "the others of the prefix: one was taken"
    );
}

#[test]
fn rfc7873_5_2_3_a_limited_client_with_cookies_gets_one_instead_of_tc() {
    let mut d = desk(limited(10, 1));
    let seen = flood(&mut d, &plain().option(10, &CLIENT), 50);
    assert_eq!(seen, [10, 0, 40, 0]);
    assert_eq!(d.scratch.counters.get(DnsEvent::LimitedCookie), 40);
    assert_eq!(d.scratch.counters.get(DnsEvent::BadCookie), 40);
    let given = learn_limited(&mut d);
    assert_eq!(
        flood(&mut d, &plain().option(10, &given), 50),
        [50, 0, 0, 0]
    );
    // A slip is no free ride: it is as rare as any other.
    let mut d = desk(limited(10, 0));
    assert_eq!(
        flood(&mut d, &plain().option(10, &CLIENT), 50),
        [10, 0, 0, 40]
    );
}

fn learn_limited(d: &mut Desk) -> Vec<u8> {
    let got = d.udp(&plain().option(10, &CLIENT));
    assert_eq!(got.rcode(), "BADCOOKIE");
    cookie(&got)
}

#[test]
fn queries_over_the_limit_are_not_read_or_refused_on_streams() {
    let mut d = desk(Rules {
        queries: Limit::per_second(20),
        prefixes: Prefixes::new(24, 56),
        ..Rules::default()
    });
    // Whatever they ask, and however malformed.
    assert_eq!(flood(&mut d, &plain(), 10)[0], 10);
    assert_eq!(flood(&mut d, &ask("gone.example.com", rtype::A), 5)[0], 5);
    for _ in 0..5 {
        assert_eq!(d.tcp(&plain()).answers().len(), 1);
    }
    assert_eq!(flood(&mut d, &plain(), 10), [0, 0, 0, 10]);
    assert_eq!(d.raw(b"junk", Transport::Udp), None);
    assert_eq!(d.scratch.counters.get(DnsEvent::DroppedQueryRate), 11);
    assert_eq!(d.scratch.counters.get(DnsEvent::Dropped), 0);
    let got = d.tcp(&plain().edns(1232));
    assert_eq!(got.rcode(), "Refused");
    assert_eq!(got.ede().unwrap().1, "too many queries from your network");
    assert_eq!(d.scratch.counters.get(DnsEvent::LimitedRefused), 1);
    d.now = d.now + Duration::from_secs(1);
    assert_eq!(flood(&mut d, &plain(), 30)[0], 20);
}

fn access(allow: &[&str], deny: &[&str], drop_denied: bool) -> Rules {
    let list = |l: &[&str]| -> Vec<Prefix> { l.iter().map(|p| p.parse().unwrap()).collect() };
    Rules {
        networks: Networks::new(AccessLists {
            allow: &list(allow),
            deny: &list(deny),
            exempt: &[],
        }),
        drop_denied,
        ..Rules::default()
    }
}

#[test]
fn rfc8914_4_19_who_may_not_ask_is_refused_or_ignored() {
    let rules = access(&[], &["192.0.2.0/24"], false);
    let view = Arc::new(world(rules).view());
    let mut d = Desk::at(view.clone()).from("192.0.2.1");
    let got = d.udp(&plain().edns(1232));
    assert_eq!((got.rcode(), got.answers().len()), ("Refused".into(), 0));
    assert_eq!(
        got.ede().unwrap(),
        (18, "your network may not ask here".into())
    );
    assert_eq!(d.tcp(&plain()).rcode(), "Refused");
    assert_eq!(d.scratch.counters.get(DnsEvent::AccessRefused), 2);
    assert_eq!(
        Desk::at(view).from("192.0.3.1").udp(&plain()).rcode(),
        "NoError"
    );

    let mut d = desk(access(&["10.0.0.0/8"], &[], true)).from("192.0.2.1");
    assert_eq!(d.raw(&plain().bytes(), Transport::Udp), None);
    assert_eq!(d.raw(&plain().bytes(), Transport::Tcp), None);
    assert_eq!(d.scratch.counters.get(DnsEvent::DroppedAccess), 2);
}

fn chaos(name: &str, qtype: u16) -> Ask {
    let mut q = ask(name, qtype);
    *q.question.last_mut().unwrap() = 3;
    q
}

#[test]
fn rfc4892_class_ch_says_what_the_server_is() {
    let mut world = world(Rules::default());
    world.chaos = ChaosTexts {
        version: "v1".into(),
        id: "node1".into(),
    };
    let mut d = Desk::new(&world);
    for (name, text) in [
        ("version.bind", "v1"),
        ("VERSION.Bind", "v1"),
        ("version.server", "v1"),
        ("id.server", "node1"),
        ("hostname.bind", "node1"),
    ] {
        for qtype in [rtype::TXT, rtype::ANY] {
            let got = d.udp(&chaos(name, qtype));
            assert_eq!(got.rcode(), "NoError", "{name}");
            let [record] = &got.message.answers[..] else {
                panic!("{name}: {got:?}")
            };
            assert_eq!(record.data.to_string(), text);
            assert_eq!(
                (record.ttl, format!("{:?}", record.dns_class)),
                (0, "CH".into())
            );
            assert!(got.flag(AA));
        }
        let nodata = d.udp(&chaos(name, rtype::A));
        assert_eq!(
            (nodata.rcode(), nodata.answers().len()),
            ("NoError".into(), 0)
        );
        // The same name of class IN is a name like any other.
        assert_eq!(d.udp(&ask(name, rtype::TXT)).rcode(), "Refused");
    }
    assert_eq!(d.scratch.counters.get(DnsEvent::Chaos), 15);
    for name in [
        "version.example",
        "bind",
        "authors.bind",
        "ns1.example.com",
        ".",
    ] {
        let got = d.udp(&chaos(name, rtype::TXT).edns(1232));
        assert_eq!(got.rcode(), "Refused", "{name}");
        assert_eq!(got.ede().unwrap().0, 20);
    }
}

#[test]
fn class_ch_says_nothing_where_the_texts_are_empty() {
    let mut d = desk(Rules::default());
    for name in ["version.bind", "id.server"] {
        assert_eq!(d.udp(&chaos(name, rtype::TXT)).rcode(), "Refused");
    }
}

#[test]
fn types_that_nobody_can_ask_for() {
    let mut d = desk(Rules::default());
    for (qtype, rcode, ede) in [
        (rtype::OPT, "FormErr", 30),
        (rtype::TSIG, "FormErr", 30),
        (rtype::NXNAME, "FormErr", 30),
        (rtype::TKEY, "NotImp", 21),
        (rtype::MAILA, "NotImp", 21),
        (rtype::MAILB, "NotImp", 21),
    ] {
        for name in ["example.com", "gone.example.com", "other.example"] {
            let got = d.udp(&ask(name, qtype).edns(1232));
            assert_eq!(
                (got.rcode(), got.ede().unwrap().0),
                (rcode.into(), ede),
                "{qtype}"
            );
            assert_eq!(got.message.queries.len(), 1);
        }
    }
    // RFC 8906 section 3.1.2: unknown types are data like any other.
    for qtype in [1000, 65_280, 129, 248, 0] {
        assert_eq!(
            d.udp(&ask("example.com", qtype)).rcode(),
            "NoError",
            "{qtype}"
        );
    }
}

#[test]
fn rfc8906_3_1_4_notify_update_and_unknown_opcodes_are_told_apart_from_queries() {
    let mut d = desk(Rules::default());
    for opcode in (1..16u8).rev() {
        let mut q = ask("example.com", rtype::SOA).option(10, &CLIENT);
        q.head[2] = opcode << 3;
        let got = d.udp(&q);
        assert_eq!(
            (got.rcode(), got.ede().unwrap().0),
            ("NotImp".into(), 21),
            "{opcode}"
        );
        assert_eq!(cookie(&got).len(), 24);
    }
}

/// RFC 8482: ANY gets one RRset, the smallest, so it amplifies less than the question for any other.
#[test]
fn a5_rfc8482_any_is_never_the_largest_answer() {
    let mut d = desk(Rules::default());
    for name in ["example.com", "ns1.example.com", "geo.example.com"] {
        let any = d.udp(&ask(name, rtype::ANY).edns(1232));
        let types: std::collections::BTreeSet<String> = any
            .message
            .answers
            .iter()
            .map(|r| r.record_type().to_string())
            .collect();
        assert_eq!(types.len(), 1, "{name}");
        let largest = [rtype::A, rtype::AAAA, rtype::NS, rtype::SOA]
            .map(|t| d.udp(&ask(name, t).edns(1232)).bytes.len());
        assert!(any.bytes.len() <= largest.into_iter().max().unwrap());
    }
}
