//! Signed zones, end to end, in the eyes of other people's validators: delv (BIND), unbound, drill
//! (ldns). Positive, NODATA, NXDOMAIN, wildcard, alias, delegation and steered answers; before,
//! during and after a failover and a roll of the ZSK.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tradewind::dnssec::key::ZONE_KEY;
use tradewind::dnssec::{Algorithm, Denial};
use tradewind::telemetry::DnsEvent;

use crate::support::daemon::Daemon;
use crate::support::signed::{Signed, key};

const DATA: &str = "; fully validated";
const ABSENT: &str = "; negative response, fully validated";

/// Names below `gslb.test` and types, and what delv has to say.
const QUESTIONS: &[(&str, &str, &str)] = &[
    ("www", "A", DATA),
    ("www", "AAAA", DATA),
    ("www", "TXT", DATA),
    ("www", "HTTPS", ABSENT),
    ("nothing", "A", ABSENT),
    ("not.at.all", "TXT", ABSENT),
    ("c", "A", ABSENT),
    ("x.wild", "A", DATA),
    ("x.y.wild", "A", DATA),
    ("x.wild", "AAAA", ABSENT),
    ("alias2", "A", DATA),
    ("lost", "A", DATA),
    ("app", "A", DATA),
    ("app", "AAAA", DATA),
    ("app", "TXT", ABSENT),
    ("q.steer", "A", DATA),
    ("tosteer", "AAAA", DATA),
    ("plain", "DS", ABSENT),
    ("safe", "DS", DATA),
];

fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

/// What delv says of a name below the zone.
fn delv(s: &Signed, name: &str, qtype: &str) -> String {
    let anchor = s.anchor();
    let mut words = anchor.split_whitespace().skip(4);
    let mut word = || words.next().unwrap();
    let text = format!(
        "trust-anchors {{ gslb.test. static-key {} {} {} \"{}\"; }};\n",
        word(),
        word(),
        word(),
        word()
    );
    let file = s.write("delv.conf", &text);
    output(
        Command::new("delv")
            .arg(format!("@{}", s.addr.ip()))
            .args(["-p", &s.addr.port().to_string(), "-a", &file])
            .args(["+root=gslb.test", &format!("{name}.gslb.test"), qtype]),
    )
}

fn delv_is_content(s: &Signed) {
    for (name, qtype, expected) in QUESTIONS {
        let said = delv(s, name, qtype);
        assert!(
            said.lines().any(|l| l.starts_with(expected)),
            "{name} {qtype}:\n{said}"
        );
        assert!(!said.contains("unsigned"), "{name} {qtype}:\n{said}");
    }
}

#[test]
fn o10_delv_validates_compact_denial() {
    delv_is_content(&Signed::start(Algorithm::EcdsaP256, Denial::Compact));
}

#[test]
fn o10_delv_validates_nsec3() {
    delv_is_content(&Signed::start(Algorithm::EcdsaP256, Denial::Nsec3));
}

#[test]
fn o10_delv_validates_ed25519() {
    delv_is_content(&Signed::start(Algorithm::Ed25519, Denial::Compact));
}

#[test]
fn o10_drill_chases_signatures() {
    let s = Signed::start(Algorithm::EcdsaP256, Denial::Compact);
    let file = s.write("anchor.key", &s.anchor());
    for (name, qtype) in [
        ("www", "A"),
        ("www", "HTTPS"),
        ("nothing", "A"),
        ("x.wild", "A"),
        ("app", "A"),
    ] {
        let said = output(
            Command::new("drill")
                .args(["-p", &s.addr.port().to_string(), "-k", &file, "-S"])
                .args([&format!("{name}.gslb.test"), "@127.0.0.1", qtype]),
        );
        assert!(
            said.contains(";; Chase successful"),
            "{name} {qtype}:\n{said}"
        );
    }
}

/// A validating resolver that asks our server and caches nothing.
struct Unbound(Daemon);

impl Unbound {
    fn start(s: &Signed) -> Unbound {
        let anchor = s.write("anchor.key", &s.anchor());
        let dir = s.dir.path().display();
        let zones: String = ["gslb.test", "safe.gslb.test", "plain.gslb.test"]
            .iter()
            .map(|z| {
                format!(
                    "stub-zone:\n  name: {z}\n  stub-addr: 127.0.0.1@{}\n",
                    s.addr.port()
                )
            })
            .collect();
        let command = |port| {
            let file = s.write(
                "unbound.conf",
                &format!(
                    "server:\n  interface: 127.0.0.1@{port}\n  do-ip6: no\n  do-daemonize: no\n  \
                     chroot: \"\"\n  username: \"\"\n  directory: \"{dir}\"\n  pidfile: \"\"\n  \
                     use-syslog: no\n  do-not-query-localhost: no\n  trust-anchor-file: \"{anchor}\"\n  \
                     local-zone: \"test.\" nodefault\n  module-config: \"validator iterator\"\n  \
                     cache-max-ttl: 0\n  cache-max-negative-ttl: 0\n  num-threads: 1\n\
                     remote-control:\n  control-enable: no\n{zones}"
                ),
            );
            let mut c = Command::new("unbound");
            c.args(["-d", "-c", &file]);
            c
        };
        Unbound(Daemon::start("unbound", s.dir.path(), command, |at| {
            ask(at, "ns1", "A").contains("status: NOERROR")
        }))
    }

    fn ask(&self, name: &str, qtype: &str) -> String {
        ask(self.0.addr, name, qtype)
    }

    /// The answer of a query that must be secure.
    fn secure(&self, name: &str, qtype: &str) -> String {
        let said = self.ask(name, qtype);
        let flags = said
            .lines()
            .find(|l| l.starts_with(";; flags:"))
            .unwrap_or("");
        let flags = flags.split(';').nth(2).unwrap_or("");
        assert!(flags.contains(" ad"), "{name} {qtype}:\n{said}");
        said
    }
}

fn ask(at: SocketAddr, name: &str, qtype: &str) -> String {
    output(
        Command::new("dig")
            .args(["@127.0.0.1", "-p", &at.port().to_string(), "+dnssec"])
            .args(["+tries=2", "+time=3", &format!("{name}.gslb.test"), qtype]),
    )
}

#[test]
fn o10_unbound_validates_every_kind_of_answer() {
    for denial in [Denial::Compact, Denial::Nsec3] {
        let s = Signed::start(Algorithm::EcdsaP256, denial);
        let unbound = Unbound::start(&s);
        for (name, qtype, _) in QUESTIONS {
            unbound.secure(name, qtype);
        }
        // Through the delegations: a chain of trust, and a proof that there is none.
        assert!(unbound.secure("x.safe", "A").contains("192.0.2.81"));
        unbound.secure("y.safe", "A");
        let plain = unbound.ask("x.plain", "A");
        assert!(
            plain.contains("192.0.2.81") && !plain.contains(" ad;"),
            "{plain}"
        );
    }
}

#[test]
fn o10_nothing_is_bogus_before_during_and_after_a_failover() {
    let s = Arc::new(Signed::start(Algorithm::EcdsaP256, Denial::Compact));
    let unbound = Unbound::start(&s);
    assert!(unbound.secure("app", "A").contains("192.0.2.1"));
    let over = Arc::new(AtomicBool::new(false));
    let flipping = std::thread::spawn({
        let (s, over) = (s.clone(), over.clone());
        move || {
            let mut flips = 0;
            while !over.load(Ordering::Relaxed) {
                for dead in [&["eu"][..], &["eu-1", "us-2"], &["eu", "us"], &[]] {
                    s.publish(dead);
                    flips += 1;
                    std::thread::park_timeout(Duration::from_millis(3));
                }
            }
            s.publish(&["eu"]);
            flips
        }
    });
    for _ in 0..40 {
        for (name, qtype) in [
            ("app", "A"),
            ("app", "AAAA"),
            ("tosteer", "A"),
            ("app", "TXT"),
        ] {
            unbound.secure(name, qtype);
        }
    }
    over.store(true, Ordering::Relaxed);
    let flips = flipping.join().unwrap();
    assert!(flips > 100, "only {flips} views");
    let after = unbound.secure("app", "A");
    assert!(
        after.contains("192.0.2.3") && !after.contains("192.0.2.1\n"),
        "{after}"
    );
    assert_eq!(s.counters.get(DnsEvent::SignatureDeferred), 0);
}

#[test]
fn o10_nothing_is_bogus_before_during_and_after_a_zsk_roll() {
    let s = Signed::start(Algorithm::EcdsaP256, Denial::Compact);
    let check = |step: &str| {
        for (name, qtype, expected) in &QUESTIONS[..8] {
            let said = delv(&s, name, qtype);
            assert!(
                said.lines().any(|l| l.starts_with(expected)),
                "{step}: {name} {qtype}:\n{said}"
            );
        }
    };
    check("before");
    // RFC 6781 section 4.1.1.1: pre-publish, sign, withdraw.
    let next = key(Algorithm::EcdsaP256, ZONE_KEY);
    let old = {
        let mut keys = s.keys.lock().unwrap();
        keys.generation += 1;
        keys.dnskey.push(next.dnskey().into());
        keys.dnskey.sort();
        keys.zone_signing[0].clone()
    };
    s.publish(&[]);
    let made = s.counters.get(DnsEvent::SignatureMade);
    check("published");
    assert_eq!(
        s.counters.get(DnsEvent::SignatureMade) - made,
        1,
        "a key that only stands there changes the DNSKEY set's signature alone"
    );
    s.keys.lock().unwrap().zone_signing = vec![next];
    s.publish(&[]);
    check("signing");
    s.keys
        .lock()
        .unwrap()
        .dnskey
        .retain(|d| **d != *old.dnskey());
    s.publish(&[]);
    check("after");
}
