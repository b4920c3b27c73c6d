//! Keys of signed zones on the real binary: made, shown, rolled under the eyes of a validator,
//! imported, and safe from crashes and full disks.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::support::daemon::{Daemon, answers};
use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node, folder};
use crate::support::{dns, http, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// A signed parent and a signed child with TTLs of a second, so that rolls take seconds.
fn config(keys: &str, algorithm: &str, more: &str) -> String {
    format!(
        r#"
dnssec = "quick"
[zones."test"]
file = "test.zone"
dnssec = "quick-csk"
[dnssec.quick]
keys = "{keys}"
algorithm = "{algorithm}"
{TIMES}
{more}
[dnssec.quick-csk]
{TIMES}
[pools.eu]
region = "eu"
endpoints = [{{ name = "eu-1", address = "192.0.2.1" }}]
[policies.any]
stages = [{{ failover = {{}} }}, {{ random = {{}} }}]
[names."app.gslb.test"]
pools = ["eu"]
policy = "any"
ttl = {{ min = "1s", max = "1s" }}
"#
    )
}

const TIMES: &str = r#"
dnskey-ttl = "1s"
propagation-delay = "1s"
parent-ds-ttl = "1s"
parent-propagation-delay = "0s"
"#;

const CHILD: &str = "\
$TTL 1
@       IN SOA ns1 hostmaster 1 3600 600 86400 1
        IN NS  ns1
ns1     IN A   127.0.0.1
www     IN A   192.0.2.80
*.wild  IN A   192.0.2.99
";

fn parent(ds: &str) -> String {
    format!(
        "$TTL 1\n@ IN SOA ns1.gslb.test. h.test. 1 3600 600 86400 1\n@ IN NS ns1.gslb.test.\n\
         gslb IN NS ns1.gslb.test.\nns1.gslb IN A 127.0.0.1\n{ds}"
    )
}

/// The configuration, with a state directory for the node.
fn whole(rest: &str) -> String {
    let head = HEAD.replace("[nodes.n1]\n", "[nodes.n1]\nstate-dir = \"state\"\n");
    format!("{head}{rest}")
}

fn start(rest: &str) -> Node {
    let dir = folder(&whole(rest));
    std::fs::write(dir.path().join("gslb.test.zone"), CHILD).unwrap();
    std::fs::write(dir.path().join("test.zone"), parent("")).unwrap();
    Node::start_in(dir)
}

fn dnssec_output(dir: &Path, args: &[&str]) -> Output {
    tradewind()
        .arg("dnssec")
        .args(args)
        .arg("--config")
        .arg(dir.join("tradewind.toml"))
        .args(["--node", "n1"])
        .output()
        .unwrap()
}

/// What the command prints; it must succeed.
fn dnssec(node: &Node, args: &[&str]) -> String {
    let out = dnssec_output(node.dir.path(), args);
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {text}{errors}");
    text
}

/// What the command says when it fails.
fn refused(dir: &Path, args: &[&str]) -> String {
    let out = dnssec_output(dir, args);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
    text
}

fn status(node: &Node, zone: &str) -> Value {
    let text = dnssec(node, &["status", zone, "--json"]);
    serde_json::from_str::<Value>(&text).unwrap()["zones"][0].clone()
}

/// The keys that are not removed: role, algorithm, state.
fn live(status: &Value) -> Vec<(String, u64, String)> {
    let keys = status["keys"].as_array().unwrap().iter();
    let of = |k: &Value, field: &str| k[field].as_str().unwrap().to_owned();
    keys.map(|k| {
        let algorithm = k["algorithm"].as_u64().unwrap();
        (of(k, "role"), algorithm, of(k, "state"))
    })
    .filter(|(_, _, state)| state != "removed")
    .collect()
}

fn wait_keys(node: &Node, zone: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, LONG, || {
        let status = status(node, zone);
        is(&status).then_some(status)
    })
}

/// All keys serve, and nothing is awaited.
fn settled(status: &Value) -> bool {
    let keys = live(status);
    !keys.is_empty()
        && keys.iter().all(|(_, _, state)| state == "active")
        && status["awaits_parent"] == false
        && status["keys"]
            .as_array()
            .unwrap()
            .iter()
            .all(|k| k["ds"]["state"] != "rumoured" && k["signatures"]["state"] != "rumoured")
}

/// Gives the parent the DS set that the command prints.
fn parent_follows(node: &Node) {
    wait_keys(node, "gslb.test", "a DS to submit", |s| {
        s["awaits_parent"] == true
    });
    let ds = dnssec(node, &["ds", "gslb.test"]);
    assert!(
        ds.lines().any(|l| l.starts_with("gslb.test. IN DS ")),
        "{ds}"
    );
    std::fs::write(node.file("test.zone"), parent(&ds)).unwrap();
    reload(node);
}

fn reload(node: &Node) {
    let answer = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// unbound with one trust anchor, that of the parent zone; it caches.
fn validator(node: &Node, anchor: &str) -> Daemon {
    let dir = node.dir.path();
    let anchor: String = anchor
        .lines()
        .filter(|l| !l.starts_with(';'))
        .map(|l| format!("{l}\n"))
        .collect();
    assert!(anchor.contains(" DS "), "{anchor}");
    std::fs::write(dir.join("anchor"), anchor).unwrap();
    let stubs: String = ["test", "gslb.test"]
        .map(|z| {
            let to = node.dns.port();
            format!("stub-zone:\n  name: {z}\n  stub-addr: 127.0.0.1@{to}\n")
        })
        .concat();
    let command = |port| {
        let text = format!(
            "server:\n  interface: 127.0.0.1@{port}\n  do-ip6: no\n  do-daemonize: no\n  \
             chroot: \"\"\n  username: \"\"\n  directory: \"{0}\"\n  pidfile: \"\"\n  \
             use-syslog: no\n  do-not-query-localhost: no\n  trust-anchor-file: \"{0}/anchor\"\n  \
             local-zone: \"test.\" nodefault\n  module-config: \"validator iterator\"\n  \
             harden-algo-downgrade: yes\n  num-threads: 1\n\
             remote-control:\n  control-enable: no\n{stubs}",
            dir.display()
        );
        std::fs::write(dir.join("unbound.conf"), text).unwrap();
        let mut c = Command::new("unbound");
        c.args(["-d", "-c"]).arg(dir.join("unbound.conf"));
        c
    };
    let query = dns::query("test.", RecordType::SOA, None);
    Daemon::start("unbound", dir, command, |at| answers(at, &query).is_some())
}

/// Asks a validator; the response code and whether it is secure.
fn validated(at: SocketAddr, name: &str, rtype: RecordType) -> (ResponseCode, bool) {
    let mut packet = dns::query(name, rtype, None);
    packet[2] |= 0x01; // RD
    packet[3] |= 0x20; // AD: wants to know (RFC 6840 section 5.7)
    let answer = dns::udp(at, &packet);
    (
        answer.metadata.response_code,
        answer.metadata.authentic_data,
    )
}

/// Validates all kinds of answers until told to stop.
struct Watch {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Watch {
    fn start(at: SocketAddr) -> Watch {
        let (over, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let thread = std::thread::spawn({
            let (over, asked) = (over.clone(), asked.clone());
            move || {
                let mut bad = Vec::new();
                let mut n = 0u64;
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    for (name, rtype) in [
                        ("www.gslb.test.".to_owned(), RecordType::A),
                        ("app.gslb.test.".to_owned(), RecordType::A),
                        ("www.gslb.test.".to_owned(), RecordType::TXT),
                        (format!("n{n}.gslb.test."), RecordType::A),
                        (format!("w{n}.wild.gslb.test."), RecordType::A),
                        ("gslb.test.".to_owned(), RecordType::DNSKEY),
                    ] {
                        let (code, secure) = validated(at, &name, rtype);
                        asked.fetch_add(1, Ordering::Relaxed);
                        if code == ResponseCode::ServFail || !secure {
                            bad.push(format!("{name} {rtype}: {code}, secure {secure}"));
                        }
                    }
                    std::thread::park_timeout(Duration::from_millis(30));
                }
                bad
            }
        });
        Watch {
            over,
            asked,
            thread: Some(thread),
        }
    }

    fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        let bad = self.thread.take().unwrap().join().unwrap();
        let asked = self.asked.load(Ordering::Relaxed);
        assert!(asked > 200, "only {asked} questions");
        assert!(
            bad.is_empty(),
            "{} of {asked} bad:\n{}",
            bad.len(),
            bad.join("\n")
        );
    }
}

#[test]
fn o10_nothing_is_bogus_while_zsk_ksk_and_algorithm_roll() {
    let node = start(&config("ksk-zsk", "ecdsa-p256", ""));
    // The anchor of the parent, and the first DS of the child.
    wait_keys(&node, "test", "a DS for the anchor", |s| {
        s["awaits_parent"] == true
    });
    let anchor = dnssec(&node, &["ds", "test"]);
    parent_follows(&node);
    let said = dnssec(&node, &["ds-seen", "gslb.test"]);
    assert!(said.contains("the node has taken the order"), "{said}");
    wait_keys(&node, "gslb.test", "the first chain of trust", settled);
    let validator = validator(&node, &anchor);
    wait_for("a secure answer", LONG, || {
        (validated(validator.addr, "www.gslb.test.", RecordType::A)
            == (ResponseCode::NoError, true))
            .then_some(())
    });
    let watch = Watch::start(validator.addr);

    let tags = |s: &Value| -> Vec<u64> {
        let keys = s["keys"].as_array().unwrap().iter();
        keys.filter(|k| k["state"] != "removed")
            .map(|k| k["tag"].as_u64().unwrap())
            .collect()
    };
    let before = tags(&status(&node, "gslb.test"));
    dnssec(&node, &["roll", "gslb.test", "zsk"]);
    let e = refused(node.dir.path(), &["roll", "gslb.test", "zsk"]);
    assert!(e.contains("a roll-over is under way"), "{e}");
    let s = wait_keys(&node, "gslb.test", "the ZSK roll", |s| {
        settled(s) && tags(s).iter().filter(|t| before.contains(t)).count() == 1
    });
    assert_eq!(live(&s).len(), 2, "{s:#}");

    dnssec(&node, &["roll", "gslb.test", "ksk"]);
    parent_follows(&node);
    dnssec(&node, &["ds-seen", "gslb.test"]);
    let s = wait_keys(&node, "gslb.test", "the KSK roll", |s| {
        settled(s) && tags(s).iter().all(|t| !before.contains(t))
    });
    assert_eq!(live(&s).len(), 2, "{s:#}");

    // The node looks for the DS itself now: it is its own parent.
    let check = format!("parent-check = [\"{}\"]", node.dns);
    let text = whole(&config("ksk-zsk", "ed25519", &check));
    std::fs::write(node.file("tradewind.toml"), text).unwrap();
    reload(&node);
    parent_follows(&node);
    let s = wait_keys(&node, "gslb.test", "the algorithm roll", |s| {
        settled(s) && live(s).iter().all(|(_, algorithm, _)| *algorithm == 15)
    });
    assert_eq!(live(&s).len(), 2, "{s:#}");
    watch.end();
    assert!(node.logged("has its DS at the parent"));
    // No secret of a key that is gone is left.
    let left = std::fs::read_dir(node.file("state/keys/gslb.test")).unwrap();
    let left = left
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "pem")
        })
        .count();
    assert_eq!(left, 2);
}

fn dnskeys(node: &Node) -> usize {
    let answer = dns::udp(
        node.dns,
        &dns::query("gslb.test.", RecordType::DNSKEY, None),
    );
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    answer.answers.len()
}

#[test]
fn o10_a_crash_at_any_step_of_a_roll_does_no_harm() {
    let mut node = start(&config("csk", "ecdsa-p256", ""));
    parent_follows(&node);
    dnssec(&node, &["ds-seen", "gslb.test"]);
    wait_keys(&node, "gslb.test", "the first chain of trust", settled);
    let first = status(&node, "gslb.test")["keys"][0]["tag"]
        .as_u64()
        .unwrap();
    dnssec(&node, &["roll", "gslb.test"]);
    let gone = |s: &Value| {
        let keys = s["keys"].as_array().unwrap().iter();
        keys.filter(|k| k["state"] == "removed")
            .any(|k| k["tag"] == first)
    };
    let mut told = false;
    for crash in 0..60 {
        node.crash_and_restart();
        let s = status(&node, "gslb.test");
        let published = |k: &&Value| {
            ["rumoured", "omnipresent"].contains(&k["dnskey"]["state"].as_str().unwrap())
        };
        let served = dnskeys(&node);
        let count = s["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(published)
            .count();
        // A step may lie between the two looks.
        let again = status(&node, "gslb.test");
        let count2 = again["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(published)
            .count();
        assert!(
            served == count || served == count2,
            "{served} {s:#} {again:#}"
        );
        if again["awaits_parent"] == true && !told {
            dnssec(&node, &["ds-seen", "gslb.test"]);
            told = true;
        }
        if gone(&again) {
            assert!(crash >= 3, "that was no test");
            break;
        }
        std::thread::park_timeout(Duration::from_millis(300));
    }
    let s = wait_keys(&node, "gslb.test", "the roll's end", |s| {
        settled(s) && gone(s)
    });
    assert_eq!(live(&s).len(), 1, "{s:#}");
}

#[test]
fn o10_a_full_disk_stops_a_roll_and_not_the_node() {
    let node = start(&config("csk", "ecdsa-p256", ""));
    parent_follows(&node);
    dnssec(&node, &["ds-seen", "gslb.test"]);
    wait_keys(&node, "gslb.test", "the first chain of trust", settled);
    // Nothing can be written where a folder stands in the way, not even by root.
    let blocker = node.file("state/keys/gslb.test/state.json.new");
    std::fs::create_dir(&blocker).unwrap();
    dnssec(&node, &["roll", "gslb.test"]);
    node.wait_logged("the zone goes on with the keys it has");
    let troubles = || {
        let page = http::get(node.admin, "/metrics").body;
        let line = |l: &str| Some(l.strip_prefix("tradewind_dnssec_key_troubles ")?.to_owned());
        page.lines().find_map(line).unwrap()
    };
    assert_eq!(troubles(), "1");
    assert_eq!(dnskeys(&node), 1);
    std::fs::remove_dir(&blocker).unwrap();
    wait_for("the trouble is over", LONG, || {
        (troubles() == "0").then_some(())
    });
}

#[test]
fn s3_damaged_or_shared_state_ends_the_start_and_is_never_overwritten() {
    let node = start(&config("csk", "ecdsa-p256", ""));
    let state = node.file("state/keys/gslb.test/state.json");
    let run = |dir: &Path| {
        let out = tradewind()
            .args(["run", "--node", "n1", "--config"])
            .arg(dir.join("tradewind.toml"))
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let e = run(node.dir.path());
    assert!(e.contains("is in use by another process"), "{e}");
    let dir = tempfile::tempdir().unwrap();
    for file in ["tradewind.toml", "gslb.test.zone", "test.zone"] {
        std::fs::copy(node.file(file), dir.path().join(file)).unwrap();
    }
    let copy = dir.path().join("state/keys/gslb.test");
    std::fs::create_dir_all(&copy).unwrap();
    let text = std::fs::read_to_string(&state).unwrap();
    let half = &text[..text.len() / 2];
    std::fs::write(copy.join("state.json"), half).unwrap();
    let e = run(dir.path());
    assert!(
        e.contains("state.json` is damaged") && e.contains("backup"),
        "{e}"
    );
    assert_eq!(
        std::fs::read_to_string(copy.join("state.json")).unwrap(),
        half
    );
    // The secret is gone, the state is not.
    std::fs::write(copy.join("state.json"), &text).unwrap();
    let e = run(dir.path());
    assert!(e.contains("key file `") && e.contains(".pem"), "{e}");
    assert_eq!(
        std::fs::read_to_string(copy.join("state.json")).unwrap(),
        text
    );
}

#[test]
fn orders_without_a_node_are_carried_out_and_errors_say_what_to_do() {
    let node = start(&config("ksk-zsk", "ecdsa-p256", ""));
    let dir = tempfile::tempdir().unwrap();
    for file in ["tradewind.toml", "gslb.test.zone", "test.zone"] {
        std::fs::copy(node.file(file), dir.path().join(file)).unwrap();
    }
    let e = refused(dir.path(), &["status", "gslb.test"]);
    assert!(
        e.contains("has no keys in") && e.contains("when the node starts"),
        "{e}"
    );
    let e = refused(node.dir.path(), &["status", "glb.test"]);
    assert!(
        e.contains("zone `glb.test` is not signed; signed are"),
        "{e}"
    );
    let e = refused(node.dir.path(), &["roll", "gslb.test"]);
    assert!(e.contains("say which to roll: ksk or zsk"), "{e}");
    let e = refused(node.dir.path(), &["roll", "gslb.test", "csk"]);
    assert!(
        e.contains("the zone has no CSK to roll; it has: ksk, zsk"),
        "{e}"
    );
    let e = refused(node.dir.path(), &["ds-seen", "gslb.test"]);
    assert!(e.contains("nothing is asked of the parent now"), "{e}");
    let early = dnssec(&node, &["ds", "gslb.test"]);
    assert!(
        early.contains("is not in every cache yet: give this to the parent from 20"),
        "{early}"
    );
    let shown = dnssec(&node, &["status"]);
    for part in [
        "zone test",
        "zone gslb.test",
        "policy quick (KSK and ZSK)",
        "ecdsa-p256",
        "next:",
    ] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    // The same state without a node.
    let copied = Command::new("cp")
        .arg("-r")
        .arg(node.file("state"))
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let out = dnssec_output(dir.path(), &["roll", "gslb.test", "zsk"]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success() && said.contains("done; no node runs"),
        "{said}"
    );
    let e = refused(dir.path(), &["roll", "gslb.test", "zsk"]);
    assert!(e.contains("a roll-over is under way"), "{e}");
}

/// Runs a key tool in a folder; what it prints.
fn tool(dir: &Path, command: &str, args: &[&str]) -> String {
    let out = Command::new(command)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    assert!(
        out.status.success(),
        "{command}: {text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    text
}

fn import(dir: &Path, keys: &str, files: &[String]) -> Output {
    let list: Vec<String> = files.iter().map(|f| format!("\"{f}\"")).collect();
    let text = config(keys, "ecdsa-p256", "");
    let text = text.replacen(
        "dnssec = \"quick\"\n",
        &format!("dnssec = \"quick\"\nkey-files = [{}]\n", list.join(", ")),
        1,
    );
    std::fs::write(dir.join("tradewind.toml"), whole(&text)).unwrap();
    std::fs::write(dir.join("gslb.test.zone"), CHILD).unwrap();
    std::fs::write(dir.join("test.zone"), parent("")).unwrap();
    tradewind()
        .arg("check")
        .arg(dir.join("tradewind.toml"))
        .output()
        .unwrap()
}

/// The DS records that the command prints, now or for later.
fn printed_ds(node: &Node) -> Vec<String> {
    let text = dnssec(node, &["ds", "gslb.test"]);
    let lines = text.lines().map(|l| l.trim_start_matches("; "));
    lines
        .filter(|l| l.starts_with("gslb.test. IN DS "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn keys_of_bind_are_imported() {
    for (algorithm, more) in [("13", &[][..]), ("15", &[]), ("8", &["-b", "2048"])] {
        let dir = tempfile::tempdir().unwrap();
        let make = |flags: &[&str]| {
            let args = [&["-q", "-a", algorithm], more, flags, &["gslb.test"]].concat();
            tool(dir.path(), "dnssec-keygen", &args)
        };
        let (ksk, zsk) = (make(&["-f", "KSK"]), make(&[]));
        let files = [format!("{ksk}.private"), format!("{zsk}.private")];
        let out = import(dir.path(), "ksk-zsk", &files);
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let want = tool(
            dir.path(),
            "dnssec-dsfromkey",
            &["-2", &format!("{ksk}.key")],
        );
        let node = Node::start_in(dir);
        let s = status(&node, "gslb.test");
        let tags: Vec<u64> = s["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|k| k["tag"].as_u64().unwrap())
            .collect();
        let of = |name: &str| -> u64 { name.rsplit('+').next().unwrap().parse().unwrap() };
        assert_eq!(tags, [of(&ksk), of(&zsk)]);
        assert_eq!(printed_ds(&node), [want]);
        assert_eq!(dnskeys(&node), 2);
        assert!(!node.file("state/keys/gslb.test").join("ksk.pem").exists());
    }
}

#[test]
fn keys_of_knot_and_openssl_are_imported() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("kasp")).unwrap();
    let id = tool(
        dir.path(),
        "keymgr",
        &[
            "-D",
            "kasp",
            "gslb.test.",
            "generate",
            "algorithm=ECDSAP256SHA256",
            "ksk=yes",
            "zsk=yes",
        ],
    );
    let id = id.split_whitespace().last().unwrap().to_owned();
    let want = tool(
        dir.path(),
        "keymgr",
        &["-D", "kasp", "gslb.test.", "ds", &id],
    );
    let want = want
        .lines()
        .find(|l| l.contains(" 13 2 "))
        .unwrap()
        .to_uppercase();
    let out = import(dir.path(), "csk", &[format!("kasp/keys/{id}.pem")]);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let node = Node::start_in(dir);
    let digest = want.split_whitespace().last().unwrap();
    assert!(printed_ds(&node)[0].ends_with(digest), "{want}");

    for args in [
        &["-algorithm", "ED25519"][..],
        &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        tool(
            dir.path(),
            "openssl",
            &[&["genpkey", "-out", "own.pem"], args].concat(),
        );
        let out = import(dir.path(), "csk", &["own.pem".to_owned()]);
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}
