//! Record types, redirection and additional data as another server has them (Knot DNS from Debian),
//! and steered HTTPS records and aliases on the real binary.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::svcb::SvcParamValue;
use hickory_proto::rr::{RData, Record, RecordType};
use tempfile::TempDir;

use crate::support::daemon::{Daemon, answers};
use crate::support::node::{HEAD, Node, ZONE, folder};
use crate::support::{dns, http, wait_for};

/// A zone with most types, DNAME, wildcards and hosts to point to.
const TYPES: &str = r#"
m       MX    10 mail
m       MX    20 mail6
m       MX    30 mx.other.
mail    A     192.0.2.25
mail6   AAAA  2001:db8::25
p       PTR   0/25.a_b
h       HINFO PC "my os"
t       TXT   "a" "b c" "\200\""
rp      RP    admin txt.other.
afs     AFSDB 1 mail
kx      KX    10 mail
loc     LOC   42 21 54.500 N 71 06 18 W -24m 30m
loc     LOC   31 S 106 28 29 E 10m
_s._tcp SRV   1 2 443 mail
_s._tcp SRV   1 2 443 mail6
nap     NAPTR 100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.gatech.edu.
cert    CERT  PKIX 1 RSASHA256 AQIDBA==
sub     NS    ns.sub
sub     DS    60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118
ns.sub  A     192.0.2.54
ssh     SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
dhc     DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
tlsa    TLSA  3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
smi     SMIMEA 3 0 0 0123456789abcdef
csync   CSYNC 66 3 A NS AAAA
pgp     OPENPGPKEY AQIDBAUGBwgJ
svcb    SVCB  16 mail alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1
svc     HTTPS 1 . alpn=h2 port=8443 ipv6hint=2001:db8::1
svc     A     192.0.2.77
alias   HTTPS 0 svc
nid     NID   10 0014:4fff:ff20:ee64
l32     L32   10 10.1.2.0
l64     L64   10 2001:0DB8:1140:1000
lp      LP    10 l64
eui48   EUI48 00-00-5e-00-53-2a
eui64   EUI64 00-00-5e-ef-10-00-00-2a
uri     URI   10 1 "ftp://ftp1.example/public"
caa     CAA   0 issue "ca.example; account=1"
unknown TYPE65280 \# 3 abcdef
octets  A     \# 4 c0000207
named   TYPE15 \# 7 000a 0161 0162 00
old     120 DNAME new
www.new A     192.0.2.80
far     DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.gslb.test.
two     DNAME old
out     DNAME other.
c       CNAME www.old
*.wild  A     192.0.2.90
$GENERATE 1-3 host$ A 192.0.3.${10}
"#;

/// Knot DNS with the zone `gslb.test`.
struct Knot {
    daemon: Daemon,
    _dir: TempDir,
}

impl Knot {
    fn start(zone: &str) -> Knot {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path();
        std::fs::write(home.join("gslb.test.zone"), zone).unwrap();
        let command = |port| {
            let config = format!(
                "server:\n    rundir: \"{0}\"\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n\
                 database:\n    storage: \"{0}\"\nlog:\n  - target: stderr\n    any: warning\n\
                 template:\n  - id: default\n    storage: \"{0}\"\n    semantic-checks: off\n\
                 zone:\n  - domain: gslb.test\n    file: gslb.test.zone\n",
                home.display(),
            );
            std::fs::write(home.join("knot.conf"), config).unwrap();
            let mut c = Command::new("knotd");
            c.arg("-c").arg(home.join("knot.conf"));
            c
        };
        let query = dns::query("gslb.test.", RecordType::SOA, None);
        let daemon = Daemon::start("knotd", home, command, |at| {
            answers(at, &query)
                .and_then(|answer| Message::from_vec(&answer).ok())
                .is_some_and(|answer| answer.answers.len() == 1)
        });
        Knot { daemon, _dir: dir }
    }
}

/// Records in an order of no meaning, names in one case.
fn set(records: &[Record]) -> BTreeSet<String> {
    records
        .iter()
        .map(|r| format!("{r}").to_ascii_lowercase())
        .collect()
}

fn ask(at: SocketAddr, name: &str, rtype: u16) -> Message {
    let rtype = RecordType::from(rtype);
    dns::udp(at, &dns::query(&format!("{name}gslb.test."), rtype, None))
}

#[test]
fn a6_types_redirections_and_additional_data_are_those_of_knot() {
    let zone = format!("{ZONE}{TYPES}");
    // Knot has no $GENERATE.
    let plain: String = zone
        .lines()
        .filter(|l| !l.starts_with('$') || l.starts_with("$TTL"))
        .map(|l| format!("{l}\n"))
        .collect();
    let hosts = "host1 A 192.0.3.11\nhost2 A 192.0.3.12\nhost3 A 192.0.3.13\n";
    let knot = Knot::start(&format!("{plain}{hosts}"));
    let dir = folder(HEAD);
    std::fs::write(dir.path().join("gslb.test.zone"), &zone).unwrap();
    let node = Node::start_in(dir);
    let owners: BTreeSet<String> = format!("{TYPES}{hosts}")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('$'))
        .map(|l| format!("{}.", l.split_whitespace().next().unwrap()))
        .chain(
            [
                "", "x.old.", "www.old.", "a.b.out.", "www.two.", "a.wild.", "x.sub.", "none.",
            ]
            .map(String::from),
        )
        .collect();
    let types = [
        1, 2, 5, 6, 12, 13, 15, 16, 17, 18, 28, 29, 33, 35, 36, 37, 39, 43, 44, 49, 52, 53, 61, 62,
        64, 65, 104, 105, 106, 107, 108, 109, 256, 257, 65280,
    ];
    let mut wrong = Vec::new();
    let (mut answered, mut extra) = (0, 0);
    for owner in &owners {
        for rtype in types {
            let (ours, theirs) = (
                ask(node.dns, owner, rtype),
                ask(knot.daemon.addr, owner, rtype),
            );
            let parts = |m: &Message| {
                (
                    m.metadata.response_code,
                    m.metadata.authoritative,
                    set(&m.answers),
                    set(&m.authorities),
                )
            };
            if parts(&ours) != parts(&theirs) {
                wrong.push(format!(
                    "{owner} {rtype}: {:?}\n  knot {:?}",
                    parts(&ours),
                    parts(&theirs)
                ));
            }
            answered += usize::from(!ours.answers.is_empty());
            // What Knot adds we add; of service bindings it adds less than RFC 9460 section 4.1 asks.
            let (here, there) = (set(&ours.additionals), set(&theirs.additionals));
            extra += there.len();
            if !there.is_subset(&here) || (here != there && !matches!(rtype, 64 | 65)) {
                wrong.push(format!(
                    "{owner} {rtype} additional: {here:?}\n  knot {there:?}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // RFC 6672 section 3.2 step 3C says YXDOMAIN; Knot 3.2.6 says NXDOMAIN, with the same DNAME.
    let long = format!("{}.far.", "a".repeat(63));
    let (ours, theirs) = (ask(node.dns, &long, 1), ask(knot.daemon.addr, &long, 1));
    assert_eq!(ours.metadata.response_code, ResponseCode::YXDomain);
    assert_eq!(set(&ours.answers), set(&theirs.answers));
    assert!(answered > 60 && extra > 5, "{answered} {extra}");
}

/// The hints of the HTTPS records of an answer.
fn hints(m: &Message) -> BTreeSet<IpAddr> {
    let mut all = BTreeSet::new();
    for record in &m.answers {
        let RData::HTTPS(https) = &record.data else {
            continue;
        };
        for (_, value) in &https.0.svc_params {
            match value {
                SvcParamValue::Ipv4Hint(l) => all.extend(l.0.iter().map(|a| IpAddr::V4(a.0))),
                SvcParamValue::Ipv6Hint(l) => all.extend(l.0.iter().map(|a| IpAddr::V6(a.0))),
                _ => {}
            }
        }
    }
    all
}

#[test]
fn a4_a_dead_endpoint_leaves_hints_apex_and_srv_with_its_addresses() {
    let first = TcpListener::bind("127.14.2.1:0").unwrap();
    let second = TcpListener::bind("127.14.2.2:0").unwrap();
    let at = |l: &TcpListener| l.local_addr().unwrap();
    let rest = format!(
        r#"
[monitors.m]
interval = "200ms"
timeout = "190ms"
fall = 2
tcp = {{}}
[pools.one]
region = "eu"
monitor = "m"
endpoints = [{{ name = "one", address = "{}", port = {} }}]
[pools.two]
region = "eu"
monitor = "m"
endpoints = [{{ name = "two", address = "{}", port = {} }}]
[policies.order]
stages = [{{ failover = {{}} }}]
[names."www.gslb.test"]
pools = ["one", "two"]
policy = "order"
https = {{ alpn = ["h2"], port = 8443 }}
[names."gslb.test"]
alias-of = "www.gslb.test"
"#,
        at(&first).ip(),
        at(&first).port(),
        at(&second).ip(),
        at(&second).port()
    );
    let dir = folder(&format!("{HEAD}{rest}"));
    let zone = format!("{ZONE}_s._tcp IN SRV 0 0 443 www\n@ IN MX 10 @\n");
    std::fs::write(dir.path().join("gslb.test.zone"), zone).unwrap();
    let node = Node::start_in(dir);
    let all = |name: &str| -> BTreeSet<IpAddr> {
        let one = |qtype| dns::udp(node.dns, &dns::query(name, qtype, None));
        let srv = dns::udp(
            node.dns,
            &dns::query("_s._tcp.gslb.test.", RecordType::SRV, None),
        );
        let mx = dns::udp(node.dns, &dns::query("gslb.test.", RecordType::MX, None));
        let added = srv.additionals.iter().chain(&mx.additionals);
        hints(&one(RecordType::HTTPS))
            .into_iter()
            .chain(dns::addresses(&one(RecordType::A)))
            .chain(added.filter_map(|r| r.data.ip_addr()))
            .collect()
    };
    let now = |want: IpAddr| {
        wait_for("every answer has moved", Duration::from_secs(20), || {
            let moved = |name| all(name) == BTreeSet::from([want]);
            (moved("www.gslb.test.") && moved("gslb.test.")).then_some(())
        });
    };
    now(at(&first).ip());
    let text = kdig(node.dns, &["gslb.test", "HTTPS", "+short"]);
    assert_eq!(text.trim(), "1 . alpn=h2 port=8443 ipv4hint=127.14.2.1");
    // The apex keeps what makes it one (A2).
    let soa = dns::udp(node.dns, &dns::query("gslb.test.", RecordType::SOA, None));
    assert_eq!(soa.answers.len(), 1);
    drop(first);
    now(at(&second).ip());
    let why = http::get(
        node.admin,
        "/v1/explain?name=gslb.test&type=HTTPS&client=192.0.2.1",
    )
    .json();
    assert_eq!(why["owner"], "www.gslb.test");
    assert_eq!(why["type"], "HTTPS");
    assert_eq!(why["answer"][0]["address"], "127.14.2.2");
    let names = http::get(node.admin, "/v1/names").json();
    let name = &names["names"][0];
    assert_eq!(name["aliases"][0], "gslb.test");
    assert_eq!(name["types"], serde_json::json!(["A", "HTTPS"]));
    // An alias goes as it came, with a reload.
    node.rewrite(rest.split("[names.\"gslb.test\"]").next().unwrap());
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    let gone = dns::udp(node.dns, &dns::query("gslb.test.", RecordType::A, None));
    assert!(gone.answers.is_empty() && gone.authorities.len() == 1);
}

fn kdig(at: SocketAddr, args: &[&str]) -> String {
    let out = Command::new("kdig")
        .arg(format!("@{}", at.ip()))
        .args(["-p", &at.port().to_string()])
        .args(args)
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}
