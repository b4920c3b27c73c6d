//! The demo, end to end: three client networks get three regions, a failure moves the answer, and
//! explain says why. Real binary, real sockets, real deaths.

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use crate::support::demo::{Demo, package, signal};
use crate::support::{dns, http, wait_for};

const EU: &str = "192.0.2.0/24";
const US: &str = "198.51.100.0/24";
const AP: &str = "203.0.113.0/24";

fn ask(demo: &Demo, name: &str, client: &str) -> hickory_proto::op::Message {
    dns::udp(demo.dns4, &dns::query(name, RecordType::A, Some(client)))
}

fn ips(list: &[&str]) -> Vec<IpAddr> {
    list.iter().map(|a| a.parse().unwrap()).collect()
}

#[test]
fn three_client_networks_get_three_regions() {
    let demo = Demo::start();
    for (client, client6, want) in [
        (EU, "2001:db8:1::/48", ["127.1.0.11", "127.1.0.12"]),
        (US, "2001:db8:2::/48", ["127.2.0.11", "127.2.0.12"]),
        (AP, "2001:db8:3::/48", ["127.3.0.11", "127.3.0.12"]),
    ] {
        for client in [client, client6] {
            let packet = dns::query("www.gslb.example", RecordType::A, Some(client));
            let over_udp = dns::udp(demo.dns4, &packet);
            let over_tcp = dns::tcp(demo.dns4, &packet);
            assert_eq!(dns::addresses(&over_udp), ips(&want), "{client}");
            assert_eq!(dns::addresses(&over_tcp), ips(&want), "{client} over TCP");
            assert!(over_udp.metadata.authoritative);
            let scope = dns::scope(&over_udp).unwrap();
            assert!(
                scope > 0,
                "an answer that depends on the client carries a scope"
            );
            if let Some(v6) = demo.dns6 {
                assert_eq!(
                    dns::addresses(&dns::udp(v6, &packet)),
                    ips(&want),
                    "over IPv6"
                );
            }
        }
    }
}

#[test]
fn real_dig_agrees() {
    let demo = Demo::start();
    let out = Command::new("dig")
        .args([
            &format!("@{}", demo.dns4.ip()),
            "-p",
            &demo.dns4.port().to_string(),
        ])
        .args([
            "www.gslb.example",
            "A",
            &format!("+subnet={US}"),
            "+short",
            "+tries=1",
        ])
        .output()
        .expect("dig is installed by tests/run");
    let mut lines: Vec<String> = String::from_utf8_lossy(&out.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    assert_eq!(lines, ["127.2.0.11", "127.2.0.12"]);
}

/// Whoever pastes what the demo prints gets an answer.
#[test]
fn the_printed_lines_work() {
    let demo = Demo::start();
    let commands: Vec<&str> = demo
        .banner
        .lines()
        .filter(|l| l.starts_with("  ") && !l.contains(" pid ") && !l.contains("kill -9"))
        // A page is for a browser, and a drill is for somebody with time.
        .filter(|l| !l.contains("/ui/") && !l.contains(" drill "))
        .collect();
    assert!(commands.len() >= 6, "{}", demo.banner);
    for line in &commands {
        let out = Command::new("sh")
            .args(["-c", line])
            .current_dir(package())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(
            out.status.success(),
            "{line}\n{}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(
            said.contains("127.") || said.contains("generation"),
            "{line}\n{said}"
        );
    }
    let kill = demo
        .banner
        .lines()
        .find(|l| l.trim().starts_with("kill -9"))
        .unwrap();
    let out = Command::new("sh").args(["-c", kill]).output().unwrap();
    assert!(out.status.success(), "{kill}");
    wait_for(
        "the kill line moves eu's clients",
        Duration::from_secs(8),
        || {
            (dns::addresses(&ask(&demo, "www.gslb.example", EU))
                == ips(&["127.2.0.11", "127.2.0.12"]))
            .then_some(())
        },
    );
}

#[test]
fn origins_start_again_where_asked() {
    let demo = Demo::start_with(&["--restart-origins"]);
    demo.kill("eu-");
    for (name, pid) in demo.origins.iter().filter(|(n, _)| n.starts_with("eu-")) {
        // Reaped: from here on only a new process can listen there.
        wait_for(name, Duration::from_secs(5), || {
            (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
        });
    }
    let listen: Vec<std::net::SocketAddr> = demo
        .banner
        .lines()
        .filter(|l| l.starts_with("  eu-"))
        .filter_map(|l| l.split("http://").nth(1)?.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(listen.len(), 2, "{}", demo.banner);
    for at in listen {
        wait_for("the origin is back", Duration::from_secs(5), || {
            std::net::TcpStream::connect(at).ok()
        });
    }
    let both = ips(&["127.1.0.11", "127.1.0.12"]);
    wait_for("eu is back", Duration::from_secs(15), || {
        (dns::addresses(&ask(&demo, "www.gslb.example", EU)) == both).then_some(())
    });
}

#[test]
fn f3_t1_o11_a_failure_moves_the_answer_within_the_computed_bound_and_last_resort_is_loud() {
    let demo = Demo::start();
    let names = http::get(demo.admin, "/v1/names").json();
    let www = names["names"]
        .as_array()
        .unwrap()
        .iter()
        .find(|n| n["name"] == "www.gslb.example")
        .unwrap()
        .clone();
    let failover = &www["failover"];
    let bound = failover["detection_seconds"].as_f64().unwrap()
        + failover["publish_seconds"].as_f64().unwrap();
    // The bound holds on a quiet machine; a second is allowed for a busy one.
    let bound = Duration::from_secs_f64(bound) + Duration::from_secs(1);

    demo.kill("eu-1");
    let died = Instant::now();
    wait_for("eu-1 leaves the answer", bound, || {
        (dns::addresses(&ask(&demo, "www.gslb.example", EU)) == ips(&["127.1.0.12"])).then_some(())
    });
    demo.kill("eu-2");
    wait_for("the answer leaves eu", bound, || {
        let now = dns::addresses(&ask(&demo, "www.gslb.example", EU));
        assert!(!now.is_empty(), "F5: never an empty answer");
        (now == ips(&["127.2.0.11", "127.2.0.12"])).then_some(())
    });
    eprintln!("both deaths were obeyed after {:?}", died.elapsed());
    // The others are where they were.
    assert_eq!(
        dns::addresses(&ask(&demo, "www.gslb.example", AP)),
        ips(&["127.3.0.11", "127.3.0.12"])
    );

    let why = http::get(
        demo.admin,
        &format!("/v1/explain?name=www.gslb.example&client={EU}"),
    );
    assert_eq!(why.status, 200, "{}", why.body);
    assert!(why.body.contains("eu-1"), "{}", why.body);
    assert!(
        why.body.contains("refused") || why.body.contains("connect"),
        "{}",
        why.body
    );

    // With everything dead the last resort is all, loudly: an extended error and a counter.
    demo.kill("us-");
    demo.kill("ap-");
    let all = ips(&[
        "127.1.0.11",
        "127.1.0.12",
        "127.2.0.11",
        "127.2.0.12",
        "127.3.0.11",
        "127.3.0.12",
    ]);
    wait_for("last resort", bound, || {
        let now = dns::addresses(&ask(&demo, "www.gslb.example", EU));
        (!now.is_empty() && now.iter().all(|a| all.contains(a)))
            .then(|| demo.metric("tradewind_steered_answers_total{standing=\"last-resort\"}"))
            .filter(|n| *n > 0)
    });
    let answer = ask(&demo, "www.gslb.example", EU);
    assert!(
        dns::extended_error(&answer).is_some_and(|text| text.contains("last resort")),
        "F3: an extended error says so"
    );
}

/// Over one TCP connection `_explain` tells the draw that the next query gets; with it the API
/// explains exactly that query, also where the answer is a matter of chance.
#[test]
fn explain_equals_dig() {
    let demo = Demo::start();
    let names = ["www", "split", "sticky", "primary"].map(|n| format!("{n}.gslb.example"));
    let clients = [EU, US, AP, "2001:db8:2::/48", "10.0.0.0/8", "8.8.8.0/24"];
    for name in &names {
        for client in clients {
            let mut connection = dns::connect(demo.dns4);
            let mut ask = |name: &str, rtype| {
                dns::exchange(&mut connection, &dns::query(name, rtype, Some(client)))
            };
            let texts = dns::texts(&ask(&format!("_explain.{name}"), RecordType::TXT));
            let answer = ask(name, RecordType::A);
            let draw = texts
                .iter()
                .find_map(|l| l.strip_prefix("draw "))
                .unwrap_or_else(|| panic!("no draw in {texts:#?}"))
                .replace(" turn ", ":");
            let path = format!(
                "/v1/explain?name={name}&type=A&client={client}&resolver=127.0.0.1&draw={draw}"
            );
            let why = http::get(demo.admin, &path).json();
            let mut chosen: Vec<IpAddr> = why["answer"]
                .as_array()
                .unwrap_or_else(|| panic!("{why:#}"))
                .iter()
                .map(|a| a["address"].as_str().unwrap().parse().unwrap())
                .collect();
            chosen.sort();
            let subject = format!("{name} for {client}: {why:#}");
            assert_eq!(dns::addresses(&answer), chosen, "{subject}");
            assert_eq!(
                dns::scope(&answer).map(u64::from),
                why["scope"].as_u64(),
                "{subject}"
            );
            assert_eq!(
                Some(u64::from(answer.answers[0].ttl)),
                why["ttl"].as_u64(),
                "{subject}"
            );
            // The ways to ask show the same trace, but for the generation they looked at.
            let lines = why["lines"].as_array().unwrap();
            let lines: Vec<&str> = lines.iter().map(|l| l.as_str().unwrap()).collect();
            let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let same = |l: &&str| !l.contains("at generation");
            texts.retain(same);
            let mut lines: Vec<&str> = lines.into_iter().filter(same).collect();
            texts.sort_unstable();
            lines.sort_unstable();
            assert_eq!(texts, lines);
        }
    }
}

#[test]
fn explain_replays_a_draw() {
    let demo = Demo::start();
    let path = format!("/v1/explain?name=split.gslb.example&client={EU}");
    let first = http::get(demo.admin, &path).json();
    let draw = first["draw"].as_str().unwrap();
    for _ in 0..20 {
        let again = http::get(demo.admin, &format!("{path}&draw={draw}")).json();
        assert_eq!(first["answer"], again["answer"]);
    }
}

#[test]
fn counters_add_up_on_both_families() {
    let demo = Demo::start();
    let servers: Vec<_> = [Some(demo.dns4), demo.dns6].into_iter().flatten().collect();
    for server in servers {
        let family = if server.is_ipv4() { "ipv4" } else { "ipv6" };
        let received =
            format!("tradewind_dns_queries_total{{transport=\"udp\",family=\"{family}\"}}");
        let ok = "tradewind_dns_responses_total{rcode=\"NOERROR\"}";
        let nx = "tradewind_dns_responses_total{rcode=\"NXDOMAIN\"}";
        let before = (demo.metric(&received), demo.metric(ok), demo.metric(nx));
        for _ in 0..10 {
            dns::udp(
                server,
                &dns::query("www.gslb.example", RecordType::A, Some(EU)),
            );
        }
        for i in 0..3 {
            dns::udp(
                server,
                &dns::query(
                    &format!("none{i}.nowhere.gslb.example"),
                    RecordType::A,
                    None,
                ),
            );
        }
        let after = (demo.metric(&received), demo.metric(ok), demo.metric(nx));
        assert_eq!(after.0 - before.0, 13, "queries over {family}");
        assert_eq!(
            (after.1 - before.1) + (after.2 - before.2),
            13,
            "every query over {family} is counted as one response"
        );
    }
}

#[test]
fn stops_cleanly_and_takes_its_origins_with_it() {
    let demo = Demo::start();
    let origins = demo.origins.clone();
    assert_eq!(origins.len(), 6);
    assert_eq!(demo.stop(), Some(0));
    for (name, pid) in origins {
        assert!(
            !std::path::Path::new(&format!("/proc/{pid}")).exists(),
            "origin {name} outlives the demo"
        );
    }
}

#[test]
fn origins_end_when_the_demo_is_killed() {
    let demo = Demo::start();
    let origins = demo.origins.clone();
    signal("-KILL", demo.pid());
    wait_for("the origins end", Duration::from_secs(5), || {
        origins
            .iter()
            .all(|(_, pid)| !std::path::Path::new(&format!("/proc/{pid}")).exists())
            .then_some(())
    });
}
