//! Steering, end to end: what the configuration says is what clients get, by every kind of stage.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, TcpListener};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::support::demo::{package, tradewind};
use crate::support::node::{HEAD, Node, ZONE, folder};
use crate::support::{dns, http, wait_for};

/// Two further regions, and pools that nobody probes: they are up for good.
const POOLS: &str = r#"
[regions.us]
latitude = 39.04
longitude = -77.49
[regions.ap]
latitude = 1.35
longitude = 103.82

[pools.eu]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }]
[pools.us]
region = "us"
endpoints = [{ name = "us-1", address = "192.0.2.2" }]
[pools.ap]
region = "ap"
endpoints = [{ name = "ap-1", address = "192.0.2.3" }]

# Nothing listens there: down after the first probe.
[monitors.dead]
interval = "20s"
fall = 1
tcp = {}
[pools.dead]
region = "eu"
monitor = "dead"
endpoints = [
    { name = "dead-1", address = "127.12.1.1", port = 1 },
    { name = "dead-2", address = "127.12.1.2", port = 1 },
    { name = "dead-off", address = "127.12.1.3", port = 1, enabled = false },
]

[policies.order]
stages = [{ failover = {} }, { random = {} }]
"#;

const EU: &str = "192.0.2.1";
const US: &str = "192.0.2.2";
const AP: &str = "192.0.2.3";

fn start(rest: &str) -> Node {
    Node::start(&format!("{POOLS}{rest}"))
}

fn ask_as(node: &Node, name: &str, client: Option<&str>) -> Message {
    dns::udp(node.dns, &dns::query(name, RecordType::A, client))
}

fn ask(node: &Node, name: &str) -> Message {
    ask_as(node, name, None)
}

fn got(m: &Message) -> Vec<String> {
    dns::addresses(m).iter().map(ToString::to_string).collect()
}

fn ttl(m: &Message) -> u32 {
    m.answers[0].ttl
}

/// Whether the network that a scope names around `client` holds `other`.
fn covers(client: &str, scope: u8, other: &str) -> bool {
    let bits = |a: &str| u32::from(a.parse::<std::net::Ipv4Addr>().unwrap());
    let mask = u32::MAX.checked_shl(32 - u32::from(scope)).unwrap_or(0);
    bits(client) & mask == bits(other) & mask
}

#[test]
fn f1_failover_takes_the_first_live_pool_in_order() {
    let node = start(
        r#"
[names."order.gslb.test"]
pools = ["dead", "ap", "us"]
policy = "order"
[names."said.gslb.test"]
pools = ["dead", "ap", "us"]
policy = "order"
priorities = { dead = 3, ap = 2, us = 1 }
"#,
    );
    for _ in 0..20 {
        assert_eq!(got(&ask(&node, "order.gslb.test")), [AP]);
        assert_eq!(got(&ask(&node, "said.gslb.test")), [US]);
    }
    assert_eq!(
        dns::extended_error(&ask(&node, "order.gslb.test")),
        None,
        "a failover that was planned is no emergency"
    );
}

#[test]
fn f1_f3_each_last_resort_answers_as_configured_and_says_so() {
    let mut rest = String::new();
    let kinds = [
        ("all", "{ all = {} }"),
        ("pinned", "{ endpoints = [\"us-1\", \"ap-1\"] }"),
        ("dead-pin", "{ endpoints = [\"dead-2\"] }"),
        ("pool", "{ pool = \"us\" }"),
        ("cname", "{ cname = \"sorry.example.net\" }"),
        ("servfail", "{ servfail = {} }"),
    ];
    for (name, kind) in kinds {
        rest.push_str(&format!(
            "[names.\"{name}.gslb.test\"]\npools = [\"dead\"]\npolicy = \"order\"\nanswers = 8\nttl = {{ min = \"7s\", max = \"60s\" }}\nlast-resort = {kind}\n"
        ));
    }
    let node = start(&rest);
    for (name, want) in [
        // Never the disabled one.
        ("all", &["127.12.1.1", "127.12.1.2"][..]),
        ("pinned", &[US, AP]),
        ("dead-pin", &["127.12.1.2"]),
        ("pool", &[US]),
    ] {
        let m = ask(&node, &format!("{name}.gslb.test"));
        assert_eq!(got(&m), want, "{name}");
        assert_eq!(ttl(&m), 7, "T3: {name}");
        assert!(
            dns::extended_error(&m).unwrap().contains("last resort"),
            "{name}"
        );
    }
    let m = ask(&node, "cname.gslb.test");
    assert_eq!(m.answers.len(), 1);
    assert!(
        matches!(&m.answers[0].data, RData::CNAME(c) if c.0.to_ascii() == "sorry.example.net."),
        "{:?}",
        m.answers
    );
    assert_eq!(ttl(&m), 7);
    assert!(dns::extended_error(&m).unwrap().contains("last resort"));
    let m = ask(&node, "servfail.gslb.test");
    assert_eq!(m.metadata.response_code, ResponseCode::ServFail);
    assert!(m.answers.is_empty());
    assert!(dns::extended_error(&m).is_some());
    let page = http::get(node.admin, "/metrics").body;
    assert!(
        page.contains("tradewind_steered_answers_total{standing=\"last-resort\"} 6"),
        "{page}"
    );
}

#[test]
fn o9_a_disabled_endpoint_is_neither_answered_nor_probed() {
    let node = start(
        r#"
[pools.part]
region = "eu"
endpoints = [
    { name = "on", address = "192.0.2.10" },
    { name = "off", address = "192.0.2.11", enabled = false },
]
[names."part.gslb.test"]
pools = ["part"]
policy = "order"
answers = 8
[names."pinned.gslb.test"]
pools = ["dead"]
policy = "order"
answers = 8
last-resort = { endpoints = ["dead-off", "dead-1"] }
"#,
    );
    assert_eq!(got(&ask(&node, "part.gslb.test")), ["192.0.2.10"]);
    assert_eq!(got(&ask(&node, "pinned.gslb.test")), ["127.12.1.1"]);
    let health = http::get(node.admin, "/v1/health").json();
    let targets: Vec<&str> = health["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets, ["127.12.1.1:1", "127.12.1.2:1"]);
    let off = health["endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["name"] == "dead-off")
        .unwrap();
    assert_eq!(off["serves"], false, "{off}");
    assert!(off["cause"].as_str().unwrap().contains("disabled"), "{off}");
}

/// A target that can be taken down and up again on the same address.
struct Door {
    listener: Option<TcpListener>,
    at: std::net::SocketAddr,
}

impl Door {
    fn open(ip: &str) -> Door {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        Door {
            at: listener.local_addr().unwrap(),
            listener: Some(listener),
        }
    }

    fn close(&mut self) {
        self.listener = None;
    }

    fn reopen(&mut self) {
        self.listener = Some(TcpListener::bind(self.at).unwrap());
    }

    fn endpoint(&self, name: &str, more: &str) -> String {
        format!(
            "{{ name = \"{name}\", address = \"{}\", port = {}{more} }}",
            self.at.ip(),
            self.at.port()
        )
    }
}

const QUICK: &str = "
[monitors.quick]
interval = \"300ms\"
timeout = \"290ms\"
rise = 2
fall = 2
tcp = {}
";

#[test]
fn f2_backups_and_zero_weights_serve_only_when_the_others_are_gone() {
    let mut first = Door::open("127.12.2.1");
    let zero = Door::open("127.12.2.2");
    let backup = Door::open("127.12.2.3");
    let node = start(&format!(
        "{QUICK}
[pools.mix]
region = \"eu\"
monitor = \"quick\"
endpoints = [{}, {}, {}]
[pools.first]
region = \"eu\"
monitor = \"quick\"
endpoints = [{}]

[names.\"mix.gslb.test\"]
pools = [\"mix\"]
policy = \"order\"
ttl = {{ min = \"3s\", max = \"60s\" }}

[policies.share]
stages = [{{ weighted = {{}} }}]
[names.\"pools.gslb.test\"]
pools = [\"first\", \"us\", \"ap\"]
policy = \"share\"
weights = {{ us = 0 }}
backup = [\"ap\"]
",
        first.endpoint("first", ""),
        zero.endpoint("zero", ", weight = 0"),
        backup.endpoint("backup", ", backup = true"),
        first.endpoint("again", ""),
    ));
    let both = |ask: &dyn Fn() -> Message| -> BTreeSet<String> {
        (0..60).flat_map(|_| got(&ask())).collect()
    };
    let mix = || ask(&node, "mix.gslb.test");
    let pools = || ask(&node, "pools.gslb.test");
    let set = |list: &[&str]| {
        list.iter()
            .map(|s| (*s).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(both(&mix), set(&["127.12.2.1"]));
    assert_eq!(both(&pools), set(&["127.12.2.1"]));
    first.close();
    wait_for(
        "the reserve of the pool serves",
        Duration::from_secs(15),
        || (got(&mix()) != ["127.12.2.1"] && got(&pools()) != ["127.12.2.1"]).then_some(()),
    );
    assert_eq!(both(&mix), set(&["127.12.2.2", "127.12.2.3"]));
    assert_eq!(both(&pools), set(&[US, AP]));
    let m = mix();
    assert!(dns::extended_error(&m).unwrap().contains("degraded"));
    assert_eq!(ttl(&m), 3, "T3: a degraded answer has the smallest TTL");
    first.reopen();
    wait_for("the first choice is back", Duration::from_secs(15), || {
        (got(&mix()) == ["127.12.2.1"] && got(&pools()) == ["127.12.2.1"]).then_some(())
    });
    assert_eq!(both(&mix), set(&["127.12.2.1"]));
}

#[test]
fn e2_nested_networks_get_scopes_that_do_not_cover_each_other() {
    let stages = |mode: &str| {
        format!(
            "[policies.{mode}]
stages = [{{ geo = {{ mode = \"{mode}\", rules = [
    {{ networks = [\"1.0.0.0/8\"], regions = [\"us\"] }},
    {{ networks = [\"1.2.3.0/24\"], regions = [\"ap\"] }},
    {{ default = true, regions = [\"eu\"] }},
] }} }}, {{ random = {{}} }}]
[names.\"{mode}.gslb.test\"]
pools = [\"eu\", \"us\", \"ap\"]
policy = \"{mode}\"
"
        )
    };
    let node = start(&format!("{}{}", stages("prefer"), stages("fence")));
    // The address of the client, what it must get, the scope, and who must not be in the scope.
    let cases = [
        ("1.9.9.0", US, Some(13), &["1.2.3.0", "9.9.9.0"][..]),
        ("1.2.3.0", AP, Some(24), &["1.2.2.0", "1.9.9.0"]),
        ("1.2.2.0", US, Some(24), &["1.2.3.0"]),
        ("1.2.4.0", US, Some(22), &["1.2.3.0"]),
        ("9.9.9.0", EU, None, &["1.2.3.0", "1.9.9.0", "10.0.0.0"]),
        ("200.1.2.0", EU, None, &["1.2.3.0", "1.9.9.0"]),
        ("0.9.9.0", EU, None, &["1.2.3.0", "1.9.9.0"]),
    ];
    for mode in ["prefer", "fence"] {
        for (client, want, scope, outside) in cases {
            if client.starts_with("0.") {
                continue; // special-purpose space: the resolver decides
            }
            let m = ask_as(
                &node,
                &format!("{mode}.gslb.test"),
                Some(&format!("{client}/24")),
            );
            assert_eq!(got(&m), [want], "{mode} {client}");
            let said = dns::scope(&m).unwrap();
            assert!(said > 0, "{mode}: an unmatched client must not get scope 0");
            if let Some(scope) = scope {
                assert_eq!(said, scope, "E3: {mode} {client}");
            }
            for other in outside {
                assert!(
                    !covers(client, said, other),
                    "{mode}: {client}/{said} covers {other}"
                );
            }
        }
    }
}

#[test]
fn f1_a_fence_holds_even_when_all_inside_are_down() {
    let node = start(
        r#"
[policies.fence]
stages = [{ geo = { mode = "fence", rules = [
    { networks = ["1.2.3.0/24"], pools = ["dead"] },
    { networks = ["5.0.0.0/8"], pools = ["us"] },
] } }, { random = {} }]
[names."fence.gslb.test"]
pools = ["dead", "us"]
policy = "fence"
answers = 8
[names."pinned.gslb.test"]
pools = ["dead", "us"]
policy = "fence"
answers = 8
last-resort = { pool = "us" }
"#,
    );
    let m = ask_as(&node, "fence.gslb.test", Some("1.2.3.0/24"));
    assert_eq!(got(&m), ["127.12.1.1", "127.12.1.2"]);
    assert!(dns::extended_error(&m).unwrap().contains("last resort"));
    let m = ask_as(&node, "fence.gslb.test", Some("5.5.5.0/24"));
    assert_eq!(got(&m), [US]);
    // Fenced out by name and by client: nothing may come back as a last resort.
    for (name, client) in [
        ("pinned.gslb.test", "1.2.3.0/24"),
        ("fence.gslb.test", "7.7.7.0/24"),
    ] {
        let m = ask_as(&node, name, Some(client));
        assert_eq!(m.metadata.response_code, ResponseCode::ServFail, "{name}");
        assert!(m.answers.is_empty());
        assert!(dns::extended_error(&m).is_some());
        if let Some(scope) = dns::scope(&m) {
            let other = if client.starts_with('1') {
                "5.5.5.0"
            } else {
                "1.2.3.0"
            };
            let client = client.trim_end_matches("/24");
            assert!(!covers(client, scope, other), "{client}/{scope}");
        }
    }
}

const BY_COUNTRY: &str = r#"
[geoip]
databases = ["demo.mmdb"]
networks = "own.csv"
[policies.country]
stages = [{ geo = { rules = [
    { countries = ["DE"], regions = ["eu"] },
    { countries = ["US"], regions = ["us"] },
    { default = true, regions = ["ap"] },
] } }, { random = {} }]
[names."www.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "country"
"#;

#[test]
fn own_networks_win_over_the_databases() {
    let dir = folder(&format!("{HEAD}{POOLS}{BY_COUNTRY}"));
    std::fs::copy(
        package().join("geoip/demo.mmdb"),
        dir.path().join("demo.mmdb"),
    )
    .unwrap();
    std::fs::write(
        dir.path().join("own.csv"),
        "network,continent,country\n192.0.2.128/25,NA,US\n100.64.5.0/24,EU,DE\n",
    )
    .unwrap();
    let node = Node::start_in(dir);
    for (client, want) in [
        ("192.0.2.0/25", EU),
        ("192.0.2.128/25", US),
        ("192.0.2.200/32", US),
        ("198.51.100.0/24", US),
        ("203.0.113.0/24", AP),
        // Special-purpose space that an own network places is a place like any other.
        ("100.64.5.0/24", EU),
    ] {
        let m = ask_as(&node, "www.gslb.test", Some(client));
        assert_eq!(got(&m), [want], "{client}");
    }
    // Half of the /24 is elsewhere, so the scope must not be the whole of it.
    let m = ask_as(&node, "www.gslb.test", Some("192.0.2.0/24"));
    assert_eq!(dns::scope(&m), Some(25));
    let why = http::get(
        node.admin,
        "/v1/explain?name=www.gslb.test&client=192.0.2.200/32",
    );
    assert!(why.body.contains("own networks"), "{}", why.body);
    // The database puts the address into Hesse, which is no part of the United States.
    let client = &why.json()["client"];
    assert_eq!(client["country"], "US", "{client}");
    assert!(client["subdivision"].is_null(), "{client}");
    // Without the file the database decides.
    let without = format!("{POOLS}{BY_COUNTRY}").replace("networks = \"own.csv\"\n", "");
    node.rewrite(&without);
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    assert_eq!(
        got(&ask_as(&node, "www.gslb.test", Some("192.0.2.128/25"))),
        [EU]
    );
}

#[test]
fn a4_both_families_come_from_the_same_pool() {
    let mut six = None;
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        six = Some(Door {
            at: listener.local_addr().unwrap(),
            listener: Some(listener),
        });
    }
    let Some(mut six) = six else {
        eprintln!("no IPv6 here: not tested");
        return;
    };
    let four = Door::open("127.12.3.1");
    let node = start(&format!(
        "{QUICK}
[pools.dual]
region = \"eu\"
monitor = \"quick\"
endpoints = [{}, {}]
[pools.other]
region = \"us\"
endpoints = [{{ name = \"o4\", address = \"192.0.2.9\" }}, {{ name = \"o6\", address = \"2001:db8::9\" }}]
[names.\"dual.gslb.test\"]
pools = [\"dual\", \"other\"]
policy = \"order\"
",
        four.endpoint("d4", ""),
        six.endpoint("d6", ""),
    ));
    let both = || {
        let of = |t| dns::addresses(&dns::udp(node.dns, &dns::query("dual.gslb.test", t, None)));
        [of(RecordType::A), of(RecordType::AAAA)]
    };
    let ip = |t: &str| vec![t.parse::<IpAddr>().unwrap()];
    assert_eq!(both(), [ip("127.12.3.1"), ip("::1")]);
    // One family of the pool dies: both families move, or a client would be split over two regions.
    six.close();
    wait_for("both families have moved", Duration::from_secs(15), || {
        (both() == [ip("192.0.2.9"), ip("2001:db8::9")]).then_some(())
    });
}

#[test]
fn a1_e5_a_family_that_no_pool_has_is_nodata_for_everybody() {
    let node = start("[names.\"four.gslb.test\"]\npools = [\"eu\"]\npolicy = \"order\"\n");
    let m = dns::udp(
        node.dns,
        &dns::query("four.gslb.test", RecordType::AAAA, Some("1.2.3.0/24")),
    );
    assert_eq!(m.metadata.response_code, ResponseCode::NoError);
    assert!(m.answers.is_empty());
    assert_eq!(m.authorities.len(), 1, "the SOA");
    assert_eq!(dns::scope(&m), Some(0));
}

#[test]
fn o4_a_name_whose_families_differ_by_pool_is_an_error() {
    let rest = r#"
[pools.six]
region = "us"
endpoints = [{ name = "s4", address = "192.0.2.9" }, { name = "s6", address = "2001:db8::9" }]
[names."mixed.gslb.test"]
pools = ["eu", "six"]
policy = "order"
"#;
    let check = |text: &str| {
        let dir = folder(text);
        let out = tradewind().arg("check").arg(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (out.status.code(), said)
    };
    let (code, said) = check(&format!("{HEAD}{POOLS}{rest}"));
    assert_eq!(code, Some(78), "{said}");
    for words in ["mixed.gslb.test", "`six`", "`eu`", "families = [\"ipv4\"]"] {
        assert!(said.contains(words), "{words}:\n{said}");
    }
    // What the help says works.
    let (code, said) = check(&format!("{HEAD}{POOLS}{rest}families = [\"ipv4\"]\n"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a6_a_wildcard_can_be_steered_beside_static_names() {
    let dir = folder(&format!(
        "{HEAD}{POOLS}[names.\"*.w.gslb.test\"]\npools = [\"dead\", \"us\"]\npolicy = \"order\"\n"
    ));
    std::fs::write(
        dir.path().join("gslb.test.zone"),
        format!("{ZONE}fixed.w IN A 192.0.2.77\n"),
    )
    .unwrap();
    let node = Node::start_in(dir);
    for name in ["x.w.gslb.test.", "a.b.w.gslb.test.", "Shop.W.gslb.test."] {
        let m = ask(&node, name);
        assert_eq!(got(&m), [US], "{name}");
        assert_eq!(m.answers[0].name.to_ascii(), name);
    }
    assert_eq!(got(&ask(&node, "fixed.w.gslb.test")), ["192.0.2.77"]);
    // Below a name that exists the wildcard does not reach (RFC 4592 section 2.2.1).
    let m = ask(&node, "x.fixed.w.gslb.test");
    assert_eq!(m.metadata.response_code, ResponseCode::NXDomain);
    let m = ask(&node, "w.gslb.test");
    assert_eq!(m.metadata.response_code, ResponseCode::NoError);
    assert!(m.answers.is_empty());
}

#[test]
fn e6_a_steered_cname_is_answered_alone() {
    let node = start(
        r#"
[pools.cdn]
region = "eu"
endpoints = [{ name = "cdn", cname = "static.gslb.test" }]
[names."cdn.gslb.test"]
pools = ["cdn"]
policy = "order"
"#,
    );
    // The target lies in our own zone, and is not followed all the same.
    for kind in [RecordType::A, RecordType::AAAA, RecordType::CNAME] {
        let m = dns::udp(node.dns, &dns::query("cdn.gslb.test", kind, None));
        assert_eq!(m.answers.len(), 1, "{kind}: {:?}", m.answers);
        assert!(
            matches!(&m.answers[0].data, RData::CNAME(c) if c.0.to_ascii() == "static.gslb.test."),
            "{kind}: {:?}",
            m.answers
        );
        assert_eq!(m.metadata.response_code, ResponseCode::NoError);
    }
}

#[test]
fn e4_ignore_ecs_and_source_zero_decide_by_the_resolver_and_return_scope_0() {
    let node = start(
        r#"
[policies.net]
stages = [{ geo = { rules = [
    { networks = ["127.0.0.0/8"], regions = ["us"] },
    { networks = ["1.2.3.0/24"], regions = ["ap"] },
    { default = true, regions = ["eu"] },
] } }, { random = {} }]
[names."ecs.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "net"
[names."ignore.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "net"
ignore-ecs = true
[names."blind.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "order"
"#,
    );
    let client = Some("1.2.3.0/24");
    let m = ask_as(&node, "ecs.gslb.test", client);
    assert_eq!((got(&m), dns::scope(&m)), (vec![AP.to_owned()], Some(24)));
    let m = ask_as(&node, "ignore.gslb.test", client);
    assert_eq!((got(&m), dns::scope(&m)), (vec![US.to_owned()], Some(0)));
    let m = ask_as(&node, "ecs.gslb.test", Some("0.0.0.0/0"));
    assert_eq!((got(&m), dns::scope(&m)), (vec![US.to_owned()], Some(0)));
    let m = ask_as(&node, "blind.gslb.test", client);
    assert_eq!((got(&m), dns::scope(&m)), (vec![EU.to_owned()], Some(0)));
    let m = ask_as(&node, "static.gslb.test", client);
    assert_eq!(dns::scope(&m), Some(0));
    let m = ask(&node, "ecs.gslb.test");
    assert_eq!((got(&m), dns::scope(&m)), (vec![US.to_owned()], None));
}

/// Asks `n` times over one connection.
fn many(node: &Node, name: &str, client: Option<&str>, n: usize) -> Vec<String> {
    let packet = dns::query(name, RecordType::A, client);
    let mut stream = dns::connect(node.dns);
    (0..n)
        .map(|_| {
            let m = dns::exchange(&mut stream, &packet);
            let mut list = got(&m);
            assert_eq!(list.len(), 1);
            list.remove(0)
        })
        .collect()
}

#[test]
fn o7_weighted_shares_hold_within_five_sigma() {
    let node = start(
        r#"
[pools.uneven]
region = "ap"
endpoints = [
    { name = "u1", address = "192.0.2.21", weight = 3 },
    { name = "u2", address = "192.0.2.22", weight = 1 },
]
[policies.share]
stages = [{ weighted = {} }]
[names."share.gslb.test"]
pools = ["eu", "us", "uneven"]
policy = "share"
weights = { eu = 50, us = 30, uneven = 20 }
"#,
    );
    let n = 2000;
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for a in many(&node, "share.gslb.test", None, n) {
        *counts.entry(a).or_default() += 1.0;
    }
    for (address, p) in [
        (EU, 0.50),
        (US, 0.30),
        ("192.0.2.21", 0.15),
        ("192.0.2.22", 0.05),
    ] {
        let mean = n as f64 * p;
        let sigma = (mean * (1.0 - p)).sqrt();
        let count = counts[address];
        assert!(
            (count - mean).abs() <= 5.0 * sigma,
            "{address}: {count} of {n}, expected {mean} ± {:.0}",
            5.0 * sigma
        );
    }
    assert_eq!(counts.len(), 4);
}

#[test]
fn round_robin_takes_exact_turns() {
    let node = start(
        r#"
[policies.turns]
stages = [{ round-robin = {} }]
[names."turns.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "turns"
[names."other.gslb.test"]
pools = ["eu", "us"]
policy = "turns"
"#,
    );
    let list = many(&node, "turns.gslb.test", None, 60);
    let first: BTreeSet<&String> = list[..3].iter().collect();
    assert_eq!(first.len(), 3, "{list:?}");
    for (i, a) in list.iter().enumerate() {
        assert_eq!(*a, list[i % 3], "turn {i}: {list:?}");
    }
    // Turns are each name's own: asking for another in between moves nothing.
    let mut stream = dns::connect(node.dns);
    let turns = dns::query("turns.gslb.test", RecordType::A, None);
    let other = dns::query("other.gslb.test", RecordType::A, None);
    let mixed: Vec<String> = (0..30)
        .map(|i| {
            for _ in 0..i % 4 {
                dns::exchange(&mut stream, &other);
            }
            got(&dns::exchange(&mut stream, &turns)).remove(0)
        })
        .collect();
    for (i, a) in mixed.iter().enumerate() {
        assert_eq!(*a, mixed[i % 3], "turn {i}: {mixed:?}");
    }
}

#[test]
fn e4_sticky_keeps_a_client_network_on_one_endpoint() {
    let node = start(
        r#"
[policies.stick]
stages = [{ sticky = { prefix4 = 24 } }]
[names."stick.gslb.test"]
pools = ["eu", "us", "ap"]
policy = "stick"
"#,
    );
    let mut spread: BTreeMap<String, u32> = BTreeMap::new();
    for net in 0..120 {
        let base = format!("5.{net}.7");
        let m = ask_as(&node, "stick.gslb.test", Some(&format!("{base}.0/24")));
        let first = got(&m);
        assert_eq!(first.len(), 1);
        assert!(dns::scope(&m).unwrap() >= 24, "as long as what is hashed");
        *spread.entry(first[0].clone()).or_default() += 1;
        if net % 10 == 0 {
            // Always the same, over both transports, for every host of the network.
            let client = format!("{base}.200/32");
            for a in many(&node, "stick.gslb.test", Some(&client), 20) {
                assert_eq!(a, first[0]);
            }
            let again = ask_as(&node, "stick.gslb.test", Some(&format!("{base}.9/32")));
            assert_eq!(got(&again), first);
        }
    }
    assert_eq!(spread.len(), 3, "{spread:?}");
    assert!(spread.values().all(|n| *n >= 15), "{spread:?}");
}

#[test]
fn t1_the_ttl_reaches_to_the_first_event_that_could_change_the_answer() {
    let mut failing = Door::open("127.12.4.1");
    let slow = Door::open("127.12.4.2");
    let node = start(&format!(
        "
[monitors.steps]
interval = \"1s\"
timeout = \"500ms\"
fall = 10
rise = 2
jitter = \"0%\"
tcp = {{}}
[monitors.slow]
interval = \"20s\"
timeout = \"1s\"
fall = 3
rise = 2
jitter = \"10%\"
tcp = {{}}
[monitors.gone]
interval = \"30s\"
timeout = \"1s\"
fall = 1
rise = 2
jitter = \"0%\"
tcp = {{}}
[pools.failing]
region = \"eu\"
monitor = \"steps\"
endpoints = [{}]
[pools.slow]
region = \"eu\"
monitor = \"slow\"
endpoints = [{}]
[pools.gone]
region = \"eu\"
monitor = \"gone\"
endpoints = [{{ name = \"gone\", address = \"127.12.4.3\", port = 1 }}]

[names.\"free.gslb.test\"]
pools = [\"eu\"]
policy = \"order\"
ttl = {{ min = \"5s\", max = \"77s\" }}
[names.\"slow.gslb.test\"]
pools = [\"slow\"]
policy = \"order\"
ttl = {{ min = \"5s\", max = \"1h\" }}
[names.\"back.gslb.test\"]
pools = [\"gone\", \"eu\"]
policy = \"order\"
ttl = {{ min = \"5s\", max = \"1h\" }}
[names.\"low.gslb.test\"]
pools = [\"slow\"]
policy = \"order\"
ttl = {{ min = \"5s\", max = \"9s\" }}
[names.\"high.gslb.test\"]
pools = [\"failing\"]
policy = \"order\"
ttl = {{ min = \"100s\", max = \"200s\" }}
[names.\"failing.gslb.test\"]
pools = [\"failing\"]
policy = \"order\"
ttl = {{ min = \"1s\", max = \"1h\" }}
",
        failing.endpoint("failing", ""),
        slow.endpoint("slow", ""),
    ));
    let of = |name: &str| ttl(&ask(&node, &format!("{name}.gslb.test")));
    assert_eq!(of("free"), 77, "no probe can change it: the largest");
    // 3 failures: 2 intervals less the jitter of 2 s and the timeout of 1 s.
    assert_eq!(of("slow"), 37);
    // The first choice may come back after 2 passes: one interval less the timeout.
    assert_eq!(of("back"), 29);
    assert_eq!(of("low"), 9, "never above the largest");
    assert_eq!(of("high"), 100, "never below the smallest");
    // 10 failures: 9 intervals less the timeout of half a second.
    assert_eq!(of("failing"), 8);
    failing.close();
    for most in [7, 6] {
        wait_for("a failure lowers the TTL", Duration::from_secs(10), || {
            let m = ask(&node, "failing.gslb.test");
            assert_eq!(got(&m), ["127.12.4.1"], "it still serves");
            (ttl(&m) <= most).then_some(())
        });
    }
    failing.reopen();
    // `rise` passes clear the failures, and the TTL is what it was.
    wait_for("the TTL is back", Duration::from_secs(15), || {
        (of("failing") == 8).then_some(())
    });
}
