//! Limits: rates, requests under way, connections, octets per second.

use std::time::{Duration, Instant};

use crate::e2e_proxy_fields::config;
use crate::support::backend::Backend;
use crate::support::proxy::{Proxy, Raw, get};
use crate::support::wait_for;

fn status(proxy: &Proxy, path: &str, fields: &str) -> u16 {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: www.example\r\n{fields}\r\n").as_bytes());
    raw.answer().status
}

#[test]
fn a_rate_refuses_with_429_and_says_when_to_come_back() {
    let backend = Backend::start();
    let rates = r#"
[rate-limits.per-key]
key = ["header:X-Key"]
rate = "3/h"
tell = true
"#;
    let proxy = Proxy::start(&config("", "rate-limits = [\"per-key\"]", rates, &backend));
    let mut raw = Raw::connect(proxy.addr("web"));
    let mut ask = |key: &str| {
        raw.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Key: {key}\r\n\r\n").as_bytes());
        raw.answer()
    };
    let told: Vec<_> = (0..3)
        .map(|_| {
            let got = ask("one");
            assert_eq!(got.status, 200);
            got.field("ratelimit").unwrap().to_owned()
        })
        .collect();
    assert!(
        told[0].starts_with("\"per-key\";r=2;") && told[2].contains(";r=0;"),
        "{told:?}"
    );
    let refused = ask("one");
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1100..=1200).contains(&wait), "a third of an hour: {wait}");
    assert_eq!(refused.text(), "429 Too Many Requests\n");
    assert_eq!(ask("two").status, 200, "another key");
    assert_eq!(backend.requests(), 4, "the refused one did not get through");
}

#[test]
fn a_window_counts_over_all_connections_and_reloads() {
    let backend = Backend::start();
    let rates = r#"
[rate-limits.all]
key = []
rate = "5/h"
algorithm = "sliding-window"
status = 503
[rate-limits.watched]
rate = "1/h"
mode = "log"
"#;
    let listener = "rate-limits = [\"all\", \"watched\"]";
    let text = config(listener, "", rates, &backend);
    let proxy = Proxy::start(&text);
    let first: Vec<u16> = (0..4).map(|_| status(&proxy, "/", "")).collect();
    assert_eq!(first, [200; 4], "`log` refuses nothing");
    let changed = format!("{}{text}\n# changed\n", crate::support::proxy::head());
    std::fs::write(proxy.node.file("tradewind.toml"), changed).unwrap();
    proxy.node.signal("-HUP");
    proxy.node.wait_logged("reloaded");
    let then: Vec<u16> = (0..3).map(|_| status(&proxy, "/", "")).collect();
    assert_eq!(then, [200, 503, 503]);
    let exceeded = |limit: &str| {
        let labels = format!("{{limit=\"{limit}\"}}");
        let metric = format!("tradewind_proxy_rate_limit_exceeded_total{labels}");
        proxy.node.metric(&metric)
    };
    assert_eq!(exceeded("all"), 2);
    assert!(exceeded("watched") >= 4, "`log` counts all the same");
}

#[test]
fn sources_behind_a_trusted_proxy_are_counted_apart() {
    let backend = Backend::start();
    let rates = "[rate-limits.per-ip]\nrate = \"1/h\"\nprefix4 = 24\n";
    let listener = "trusted-proxies = [\"127.0.0.1/32\"]\nrate-limits = [\"per-ip\"]";
    let proxy = Proxy::start(&config(listener, "", rates, &backend));
    let from = |ip: &str| status(&proxy, "/", &format!("X-Forwarded-For: {ip}\r\n"));
    assert_eq!(from("192.0.2.1"), 200);
    assert_eq!(from("192.0.2.77"), 429, "the same /24");
    assert_eq!(
        from("6.6.6.6, 192.0.2.1"),
        429,
        "a forged address does not help"
    );
    assert_eq!(from("198.51.100.1"), 200);
}

#[test]
fn requests_under_way_are_bounded_until_their_answers_are_sent() {
    let backend = Backend::start();
    let proxy = Proxy::start(&config("", "max-concurrent = 2", "", &backend));
    let slow: Vec<Raw> = (0..2)
        .map(|_| {
            let mut raw = Raw::connect(proxy.addr("web"));
            raw.send(get("/delay/600").as_bytes());
            raw
        })
        .collect();
    wait_for(
        "two requests at the backend",
        Duration::from_secs(5),
        || (backend.busy() == 2).then_some(()),
    );
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(get("/").as_bytes());
    let refused = raw.answer();
    assert_eq!(
        (refused.status, refused.field("retry-after")),
        (503, Some("1"))
    );
    for mut raw in slow {
        assert_eq!(raw.answer().status, 200);
    }
    wait_for("room again", Duration::from_secs(5), || {
        (status(&proxy, "/", "") == 200).then_some(())
    });
}

#[test]
fn a_source_has_so_many_connections() {
    let backend = Backend::start();
    let proxy = Proxy::start(&config("connections-per-source = 2", "", "", &backend));
    let ok = |raw: &mut Raw| {
        raw.send(get("/").as_bytes());
        raw.try_answer(false).map(|a| a.status) == Some(200)
    };
    let mut open: Vec<Raw> = (0..2).map(|_| Raw::connect(proxy.addr("web"))).collect();
    assert!(open.iter_mut().all(ok));
    assert!(!ok(&mut Raw::connect(proxy.addr("web"))), "closed at once");
    open.pop();
    wait_for("room again", Duration::from_secs(5), || {
        ok(&mut Raw::connect(proxy.addr("web"))).then_some(())
    });
}

#[test]
fn a_source_connects_so_often() {
    let backend = Backend::start();
    let proxy = Proxy::start(&config("connection-rate = \"3/h\"", "", "", &backend));
    let served = (0..6)
        .filter(|_| {
            let mut raw = Raw::connect(proxy.addr("web"));
            raw.send(get("/").as_bytes());
            raw.try_answer(false).is_some()
        })
        .count();
    assert_eq!(served, 3);
}

#[test]
fn a_response_goes_out_at_its_pace_and_others_do_not_wait() {
    let backend = Backend::start();
    let proxy = Proxy::start(&config("", "bandwidth = \"64KiB\"", "", &backend));
    let start = Instant::now();
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(get("/size/100000").as_bytes());
    assert_eq!(status(&proxy, "/", ""), 200);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "another response is not held up"
    );
    let got = raw.answer();
    let took = start.elapsed();
    assert_eq!(got.body.len(), 100_000);
    // 1.53 s less what may go at once.
    assert!(
        (Duration::from_millis(1_200)..Duration::from_secs(4)).contains(&took),
        "{took:?}"
    );
}
