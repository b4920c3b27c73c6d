//! Zone transfers, end to end: AXFR (RFC 5936), IXFR (RFC 1995), NOTIFY (RFC 1996) and TSIG (RFC 8945)
//! with the tools and the servers that others use.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::support::node::{HEAD, Node, folder};
use crate::support::secondary::{Secondary, Server};
use crate::support::{dns, http, wait_for};

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Data that stays, with names of every kind; `SERIAL` and `EXTRA` change.
const ZONE: &str = "\
$TTL 300
@        IN SOA ns1 hostmaster SERIAL 3600 600 86400 60
         IN NS  ns1
         IN NS  ns2
ns1      IN A   192.0.2.53
ns2      IN AAAA 2001:db8::53
static   IN A   192.0.2.80
text     IN TXT \"hello\" \"world\"
mail     IN MX  10 static
www      IN TXT \"beside a steered name\"
*.wild   IN A   192.0.2.81
alias    IN CNAME static
child    IN NS  ns.child
ns.child IN A   192.0.2.82
odd      IN TYPE65280 \\# 4 0a0b0c0d
EXTRA
";

fn zone(serial: u32, extra: &str) -> String {
    ZONE.replace("SERIAL", &serial.to_string())
        .replace("EXTRA", extra)
}

const STEERED: &str = r#"
[pools.eu]
region = "eu"
endpoints = [
    { name = "eu-1", address = "192.0.2.1" },
    { name = "eu-2", address = "192.0.2.2" },
    { name = "eu-3", address = "192.0.2.3", enabled = false },
    { name = "eu-4", address = "192.0.2.4", backup = true },
]
[policies.any]
stages = [{ weighted = {} }]
[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
ttl = { min = "7s", max = "70s" }
"#;

/// The rules: what `transfer` and `notify` of the zone say.
fn rules(transfer: &str, notify: &str) -> String {
    let notify = match notify {
        "" => String::new(),
        some => format!("[zones.\"gslb.test\".notify]\n{some}\n"),
    };
    format!(
        "{STEERED}\n[zones.\"gslb.test\".transfer]\n{transfer}\n{notify}\
         [tsig-keys.\"secondary.example\"]\nsecret = \"{SECRET}\"\n\
         [tsig-keys.\"other.example\"]\nsecret = \"{SECRET}\"\nalgorithm = \"hmac-sha512\"\n"
    )
}

const KEYED: &str = "to = [\"127.0.0.0/8\"]\nkeys = [\"secondary.example\"]";

fn start(rules: &str) -> Node {
    let dir = folder(&format!("{HEAD}{rules}"));
    std::fs::write(dir.path().join("gslb.test.zone"), zone(1, "")).unwrap();
    Node::start_in(dir)
}

/// What dig says, and whether it was content.
fn dig(node: &Node, args: &[&str]) -> String {
    let out = Command::new("dig")
        .args(["@127.0.0.1", "-p", &node.dns.port().to_string()])
        .args(["+tries=1", "+time=20"])
        .args(args)
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn keyed<'a>(name: &'a str, rest: &[&'a str]) -> Vec<String> {
    let key = format!("hmac-sha256:{name}:{SECRET}");
    let mut all = vec!["-y".to_owned(), key];
    all.extend(rest.iter().map(|s| (*s).to_owned()));
    all
}

fn dig_keyed(node: &Node, name: &str, rest: &[&str]) -> String {
    let args = keyed(name, rest);
    dig(node, &args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The records of an output of dig, white space made one, sorted; comments and TSIG left out.
fn records(output: &str) -> BTreeSet<String> {
    output
        .lines()
        .filter(|l| !l.starts_with(';') && !l.is_empty() && !l.contains("\tTSIG\t"))
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn rfc5936_dig_gets_the_whole_zone_and_its_tsig_is_good() {
    let node = start(&rules(KEYED, ""));
    let out = dig_keyed(&node, "secondary.example", &["gslb.test", "axfr"]);
    assert!(!out.contains("WARNING") && !out.contains("failed"), "{out}");
    let soa = "gslb.test. 300 IN SOA ns1.gslb.test. hostmaster.gslb.test. 1 3600 600 86400 60";
    let want: BTreeSet<String> = [
        soa,
        "gslb.test. 300 IN NS ns1.gslb.test.",
        "gslb.test. 300 IN NS ns2.gslb.test.",
        "ns1.gslb.test. 300 IN A 192.0.2.53",
        "ns2.gslb.test. 300 IN AAAA 2001:db8::53",
        "static.gslb.test. 300 IN A 192.0.2.80",
        "text.gslb.test. 300 IN TXT \"hello\" \"world\"",
        "mail.gslb.test. 300 IN MX 10 static.gslb.test.",
        "www.gslb.test. 300 IN TXT \"beside a steered name\"",
        // The last resort: enabled ones of the first choice, at the smallest TTL.
        "www.gslb.test. 7 IN A 192.0.2.1",
        "www.gslb.test. 7 IN A 192.0.2.2",
        "*.wild.gslb.test. 300 IN A 192.0.2.81",
        "alias.gslb.test. 300 IN CNAME static.gslb.test.",
        "child.gslb.test. 300 IN NS ns.child.gslb.test.",
        "ns.child.gslb.test. 300 IN A 192.0.2.82",
        "odd.gslb.test. 300 IN TYPE65280 \\# 4 0A0B0C0D",
    ]
    .iter()
    .map(|s| (*s).to_owned())
    .collect();
    assert_eq!(records(&out), want, "{out}");
    let soas = out.lines().filter(|l| l.contains("\tSOA\t")).count();
    assert_eq!(soas, 2, "first and last:\n{out}");
    node.wait_logged(
        "full zone transfer of `gslb.test` at serial 1 under key `secondary.example`: 17 records",
    );
    let page = http::get(node.admin, "/metrics").body;
    assert!(
        page.contains("tradewind_dns_transfers_total{kind=\"full\"} 1"),
        "{page}"
    );
    // kdig checks each message's TSIG as well.
    let out = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &node.dns.port().to_string(), "-y"])
        .arg(format!("hmac-sha256:secondary.example:{SECRET}"))
        .args(["gslb.test", "AXFR"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}");
    assert!(text.contains("AXFR") && !text.contains("WARNING"), "{text}");
    assert_eq!(records(&text).len(), want.len(), "{text}");
}

#[test]
fn who_may_not_have_the_zone_is_told_why() {
    let node = start(&rules(KEYED, ""));
    let without = dig(&node, &["gslb.test", "axfr"]);
    assert!(without.contains("Transfer failed"), "{without}");
    let other = Command::new("dig")
        .args(["@127.0.0.1", "-p", &node.dns.port().to_string()])
        .args(["-y", &format!("hmac-sha512:other.example:{SECRET}")])
        .args(["gslb.test", "axfr"])
        .output()
        .unwrap();
    let other = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(other.contains("Transfer failed"), "{other}");
    // The same over ordinary questions, where dig shows the answer.
    let soa = |name: &str| dig_keyed(&node, name, &["+norecurse", "gslb.test", "soa"]);
    let unknown = soa("nobody.example");
    assert!(
        unknown.contains("NOTAUTH") && unknown.contains("BADKEY"),
        "{unknown}"
    );
    let wrong = dig(
        &node,
        &[
            "-y",
            "hmac-sha256:secondary.example:AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
            "gslb.test",
            "soa",
        ],
    );
    assert!(
        wrong.contains("NOTAUTH") && wrong.contains("BADSIG"),
        "{wrong}"
    );
    // A known key: the answer is signed, and dig finds it good (RFC 8945 section 5.3).
    let good = soa("secondary.example");
    assert!(
        good.contains("status: NOERROR") && good.contains("TSIG") && !good.contains("WARNING"),
        "{good}"
    );
    // A zone that is none of ours, an AXFR without a stream.
    let none = dig_keyed(&node, "secondary.example", &["www.gslb.test", "axfr"]);
    assert!(none.contains("Transfer failed"), "{none}");
    let m = dns::udp(node.dns, &dns::query("gslb.test", RecordType::AXFR, None));
    assert_eq!(m.metadata.response_code.to_string(), "Query Refused");
    let page = http::get(node.admin, "/metrics").body;
    assert!(
        page.contains("tradewind_dns_transfers_total{kind=\"refused\"} 4"),
        "{page}"
    );
    assert!(!node.logged(SECRET));
}

#[test]
fn a_foreign_address_does_not_get_it_and_udp_is_too_small_for_axfr() {
    let node = start(&rules(
        "to = [\"192.0.2.0/24\"]\nkeys = [\"secondary.example\"]",
        "",
    ));
    let out = dig_keyed(&node, "secondary.example", &["gslb.test", "axfr"]);
    assert!(out.contains("Transfer failed"), "{out}");
    let node = start(&rules("to = [\"127.0.0.1/32\"]", ""));
    let out = dig(&node, &["gslb.test", "axfr"]);
    assert_eq!(records(&out).len(), 16, "{out}");
    // RFC 5936 section 4.2.
    let m = dns::udp(node.dns, &dns::query("gslb.test", RecordType::AXFR, None));
    assert_eq!(
        m.metadata.response_code,
        hickory_proto::op::ResponseCode::FormErr
    );
    let words = dns::extended_error(&m).unwrap();
    assert!(words.contains("AXFR needs TCP"), "{words}");
}

/// Replaces the zone and reloads; waits until the new serial is served.
fn reload(node: &Node, serial: u32, extra: &str) {
    std::fs::write(node.file("gslb.test.zone"), zone(serial, extra)).unwrap();
    node.signal("-HUP");
    wait_for("the new serial", Duration::from_secs(20), || {
        dig(node, &["+short", "gslb.test", "soa"])
            .contains(&format!(" {serial} 3600"))
            .then_some(())
    });
}

#[test]
fn rfc1995_dig_gets_the_changes_between_versions() {
    let node = start(&rules(
        "to = [\"127.0.0.1/32\"]\nixfr-history = \"2KiB\"",
        "",
    ));
    let ixfr = |serial: u32, more: &[&str]| {
        let what = format!("ixfr={serial}");
        let mut args = vec!["gslb.test", &what];
        args.extend(more);
        dig(&node, &args)
    };
    let shown = |out: &str| -> Vec<String> {
        out.lines()
            .filter(|l| !l.starts_with(';') && !l.is_empty())
            .map(|l| {
                let words: Vec<&str> = l.split_whitespace().collect();
                match words[3] {
                    "SOA" => format!("SOA {}", words[6]),
                    kind => format!("{} {kind} {}", words[0], words[4..].join(" ")),
                }
            })
            .collect()
    };
    // RFC 1995 section 2: a client that is current, or ahead, gets the SOA alone.
    for serial in [1, 7] {
        assert_eq!(shown(&ixfr(serial, &[])), ["SOA 1"]);
    }
    reload(&node, 2, "new IN A 192.0.2.99");
    reload(&node, 5, "new IN A 192.0.2.98");
    let change = [
        "SOA 5",
        "SOA 1",
        "SOA 2",
        "new.gslb.test. A 192.0.2.99",
        "SOA 2",
        "new.gslb.test. A 192.0.2.99",
        "SOA 5",
        "new.gslb.test. A 192.0.2.98",
        "SOA 5",
    ];
    assert_eq!(shown(&ixfr(1, &[])), change);
    // Over UDP too, as it fits.
    assert_eq!(shown(&ixfr(1, &["+notcp"])), change);
    assert_eq!(shown(&ixfr(2, &[])).len(), 6);
    // "If incremental zone transfer is not available, the entire zone is returned."
    let whole = shown(&ixfr(4, &[]));
    assert_eq!(whole.len(), 18, "{whole:?}");
    assert_eq!(
        whole[1].split(' ').nth(1),
        Some("NS"),
        "not a change: {whole:?}"
    );
    // Over UDP the whole does not go: the SOA alone says that TCP is needed.
    assert_eq!(shown(&ixfr(4, &["+notcp", "+bufsize=512"])), ["SOA 5"]);
    // More changes than are kept push the oldest out.
    let many: String = (0..120)
        .map(|i| format!("m{i} IN A 192.0.2.{i}\n"))
        .collect();
    reload(&node, 6, &many);
    assert_eq!(
        shown(&ixfr(5, &[])).len(),
        17 + 120,
        "too large: the whole zone"
    );
    reload(&node, 7, &format!("{many}one IN A 192.0.2.1"));
    assert_eq!(shown(&ixfr(6, &[])).len(), 5);
}

#[test]
fn a_change_that_secondaries_cannot_notice_is_told() {
    let node = start(&rules(KEYED, ""));
    std::fs::write(
        node.file("gslb.test.zone"),
        zone(1, "unseen IN A 192.0.2.99"),
    )
    .unwrap();
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains("(0 records removed, 1 added, such as + `unseen.gslb.test` A), but its serial is still 1"),
        "{}",
        answer.body
    );
    std::fs::write(node.file("gslb.test.zone"), zone(0, "")).unwrap();
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert!(
        answer
            .body
            .contains("its serial went from 1 to 0, which is not newer"),
        "{}",
        answer.body
    );
    // What steering is made of counts as well.
    node.rewrite(&rules(KEYED, "").replace("192.0.2.1\"", "192.0.2.9\""));
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert!(
        answer
            .body
            .contains("(1 records removed, 1 added, such as + `www.gslb.test` A)"),
        "{}",
        answer.body
    );
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert!(!answer.body.contains("serial"), "{}", answer.body);
}

/// A secondary transfers the zone, answers static names as the primary does, and follows a reload that
/// it only knows of by NOTIFY: the zone's refresh time is an hour.
fn followed_by(server: Server) {
    let mut node = None;
    let secondary = Secondary::start(server, "gslb.test", SECRET, |port| {
        let notify = format!("to = [\"127.0.0.1:{port}\"]\nkey = \"secondary.example\"");
        node.insert(start(&rules(KEYED, &notify))).dns
    });
    let node = node.unwrap();
    let serial = |want: u32| {
        wait_for(
            &format!("serial {want} at {server:?}"),
            Duration::from_secs(40),
            || {
                let short = secondary.dig(&["+short", "gslb.test", "soa"]);
                short.contains(&format!(" {want} 3600")).then_some(())
            },
        );
    };
    serial(1);
    let same = |question: &[&str]| {
        // What a server adds below an answer is its own affair.
        let mut args = vec!["+noall", "+answer", "+norecurse"];
        if question[0].starts_with("absent") || question[0].starts_with("below") {
            args.push("+authority");
        }
        args.extend(question);
        let (ours, theirs) = (dig(&node, &args), secondary.dig(&args));
        assert_eq!(
            records(&ours),
            records(&theirs),
            "{question:?} at {server:?}"
        );
    };
    for question in [
        ["static.gslb.test", "a"],
        ["text.gslb.test", "txt"],
        ["mail.gslb.test", "mx"],
        ["any.wild.gslb.test", "a"],
        ["below.child.gslb.test", "a"],
        ["odd.gslb.test", "type65280"],
        ["absent.gslb.test", "a"],
        ["gslb.test", "soa"],
    ] {
        same(&question);
    }
    let steered = secondary.dig(&["+short", "www.gslb.test", "a"]);
    let steered: BTreeSet<&str> = steered.lines().collect();
    assert_eq!(steered, ["192.0.2.1", "192.0.2.2"].into());
    reload(&node, 2, "new IN A 192.0.2.99");
    serial(2);
    same(&["new.gslb.test", "a"]);
    node.wait_logged(
        "incremental zone transfer of `gslb.test` at serial 2 from serial 1 under key `secondary.example`",
    );
    node.wait_logged("the secondary took the NOTIFY");
    assert!(!node.logged("does not take the NOTIFY"));
}

#[test]
fn knot_follows_as_a_secondary() {
    followed_by(Server::Knot);
}

#[test]
fn nsd_follows_as_a_secondary() {
    followed_by(Server::Nsd);
}

#[test]
fn rfc5936_a_hundred_thousand_records_arrive_whole() {
    let node = start(&rules(KEYED, ""));
    let all: String = (0..100_000)
        .map(|i| format!("n{i} IN A 10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255))
        .collect();
    reload(&node, 2, &all);
    let out = dig_keyed(&node, "secondary.example", &["gslb.test", "axfr"]);
    assert!(!out.contains("WARNING") && !out.contains("failed"));
    let got = records(&out);
    assert_eq!(got.len(), 100_016);
    for i in 0..100_000 {
        let want = format!(
            "n{i}.gslb.test. 300 IN A 10.{}.{}.{}",
            i >> 16,
            i >> 8 & 255,
            i & 255
        );
        assert!(got.contains(&want), "{want}");
    }
    node.wait_logged("100017 records");
}

/// RFC 7766 section 6.2.1.1: other queries on the connection are answered as well, here after it.
#[test]
fn a_query_behind_a_transfer_is_answered() {
    use std::io::{Read, Write};
    let node = start(&rules("to = [\"127.0.0.1/32\"]", ""));
    let mut stream = dns::connect(node.dns);
    for (id, name, kind) in [
        (1u16, "gslb.test", RecordType::AXFR),
        (2, "static.gslb.test", RecordType::A),
    ] {
        let mut packet = dns::query(name, kind, None);
        packet[..2].copy_from_slice(&id.to_be_bytes());
        let mut framed = (packet.len() as u16).to_be_bytes().to_vec();
        framed.extend(packet);
        stream.write_all(&framed).unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut message).unwrap();
        ids.push(u16::from_be_bytes([message[0], message[1]]));
    }
    assert_eq!(ids, [1, 2]);
}
