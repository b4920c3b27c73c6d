//! Bad input from both sides: malformed HTTP, slow clients, endless heads and bodies, backends that die,
//! lie or never answer. Everything ends in bounded time and memory with an answer that fits, and the
//! proxy goes on.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::backend::{After, Backend, answer, send};
use crate::support::proxy::{Proxy, Raw, WEB, backend_entry, get, web};
use crate::support::wait_for;

/// A fixed sequence, so that a failure can be repeated.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 24) as u8
    };
    std::iter::repeat_with(step).take(len).collect()
}

#[test]
fn p3_noise_is_refused_and_the_proxy_goes_on() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let addr = proxy.addr("web");
    for seed in 0..100 {
        let mut raw = Raw::connect(addr);
        let octets = match seed % 3 {
            0 => noise(seed, 300),
            // Sound at first.
            1 => [b"GET / HTTP/1.1\r\n".to_vec(), noise(seed, 300)].concat(),
            _ => {
                let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
                [head.to_vec(), noise(seed, 300)].concat()
            }
        };
        raw.send(&octets);
        raw.shut();
        let all = raw.rest();
        assert!(
            all.is_empty() || all.starts_with("HTTP/1.1 4"),
            "{seed}: {all:?}"
        );
    }
    assert_eq!(backend.requests(), 0);
    // A TLS client at a plain port learns at once that this is none.
    let all = proxy.exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(all.starts_with("HTTP/1.1 400 "), "{all:?}");
    proxy.assert_serves();
    assert!(!proxy.node.logged("panicked"));
}

#[test]
fn p3_heads_without_end_are_refused_at_their_bounds() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for (what, start, more, status) in [
        ("target", "GET /", "aaaaaaaaaaaaaaaa", 414),
        ("method", "G", "GGGGGGGGGGGGGGGG", 501),
        (
            "value",
            "GET / HTTP/1.1\r\nHost: a\r\nX: ",
            "aaaaaaaaaaaaaaaa",
            431,
        ),
        (
            "fields",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "X-Many: aaaaaaa\r\n",
            431,
        ),
        (
            "name",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "XXXXXXXXXXXXXXXX",
            431,
        ),
    ] {
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(start.as_bytes());
        let chunk = more.repeat(64);
        let mut sent = 0;
        while sent < 64 << 20 && raw.send(chunk.as_bytes()) {
            sent += chunk.len();
        }
        assert!(sent < 64 << 20, "{what}: takes it all");
        if let Some(answer) = raw.try_answer(false) {
            assert_eq!(answer.status, status, "{what}");
        }
        // The same in one piece, which always gets its answer.
        let all = proxy.exchange(format!("{start}{}", more.repeat(1_024)).as_bytes());
        assert!(
            all.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {all:?}"
        );
    }
    assert_eq!(backend.requests(), 0);
    proxy.assert_serves();
}

#[test]
fn p3_bodies_without_end_are_refused_at_their_bound() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    // Told before: refused before anything of it is read.
    let all = proxy.exchange(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
    );
    assert!(all.starts_with("HTTP/1.1 413 "), "{all:?}");
    assert_eq!(backend.connections(), 0);
    // Not told before.
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [&b"4000\r\n"[..], &[b'x'; 0x4000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 256 << 20 && raw.send(&chunk) {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "{sent} octets were taken");
    if let Some(answer) = raw.try_answer(false) {
        assert_eq!(answer.status, 413);
    }
    assert_eq!(backend.requests(), 0);
    // One that just fits.
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n");
    raw.send(&vec![b'x'; 1 << 20]);
    assert_eq!(raw.answer().status, 200);
    assert_eq!(backend.got()[0].body.len(), 1 << 20);
}

#[test]
fn p3_slow_clients_are_given_up() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let addr = proxy.addr("web");
    // One octet of the head every now and then does not keep the connection.
    let began = Instant::now();
    let mut raw = Raw::connect(addr);
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n");
    while raw.send(b"X: y\r\n") && began.elapsed() < Duration::from_secs(10) {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    // Silence in the head, in the body, and behind `100 (Continue)`.
    for (octets, interim) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-", false),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
            true,
        ),
    ] {
        let began = Instant::now();
        let mut raw = Raw::connect(addr);
        raw.send(octets.as_bytes());
        if interim {
            assert_eq!(raw.answer().status, 100);
        }
        assert_eq!(raw.answer().status, 408, "{octets:?}");
        assert!(raw.rest().is_empty());
        assert!(began.elapsed() < Duration::from_secs(15), "{octets:?}");
    }
    assert_eq!(backend.requests(), 0);
    proxy.assert_serves();
}

/// A client that asks for much and takes in nothing holds neither memory nor the backend for long.
#[test]
fn p3_clients_that_do_not_read_are_given_up() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let before = proxy.node.memory("VmRSS");
    let mut lazy: Vec<Raw> = (0..50)
        .map(|_| {
            let mut raw = Raw::connect(proxy.addr("web"));
            raw.send(get("/endless").as_bytes());
            raw
        })
        .collect();
    wait_for("all reach the backend", Duration::from_secs(20), || {
        (backend.requests() >= 50).then_some(())
    });
    wait_for("all are given up", Duration::from_secs(40), || {
        (backend.busy() == 0).then_some(())
    });
    let grown = proxy.node.memory("VmHWM").saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for 50 clients");
    assert!(
        lazy.iter_mut()
            .all(|raw| raw.is_closed_within(Duration::from_secs(20)))
    );
    proxy.assert_serves();
}

/// When the client goes away in the middle, so does the request at the backend.
#[test]
fn p1_a_client_that_leaves_takes_its_request_with_it() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(get("/endless").as_bytes());
    raw.octets(1_000);
    drop(raw);
    wait_for(
        "the backend's connection ends",
        Duration::from_secs(10),
        || (backend.requests() == 1 && backend.busy() == 0).then_some(()),
    );
    proxy.assert_serves();
}

#[test]
fn p1_backends_that_fail_are_answered_for() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for (path, status) in [
        ("/close", 502),
        ("/garbage", 502),
        ("/big-head", 502),
        ("/many-fields", 502),
        ("/both-lengths", 502),
        ("/interim-for-ever", 502),
        ("/unasked-upgrade", 502),
        ("/silent", 504),
        ("/half-head", 504),
    ] {
        let began = Instant::now();
        let answer = proxy.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(began.elapsed() < Duration::from_secs(20), "{path}");
        // The client's connection is none the worse for it.
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(get(path).as_bytes());
        assert_eq!(raw.last_answer().status, status, "{path}");
        raw.send(get("/after").as_bytes());
        assert_eq!(raw.answer().status, 200, "{path}");
    }
    assert!(!proxy.node.logged("panicked"));
}

#[test]
fn p1_a_port_where_nobody_listens() {
    let gone = Backend::start();
    let entry = backend_entry("app", "gone", gone.addr);
    drop(gone);
    let proxy = Proxy::start(&format!("{WEB}{entry}"));
    assert!(matches!(proxy.get("/").status, 502 | 503));
    // Without an access log the reason is in the log.
    crate::support::wait_for("the reason", Duration::from_secs(5), || {
        let told = proxy.node.logged("request failed: ") && proxy.node.logged("\"gone\"");
        told.then_some(())
    });
}

/// A part of an answer is never passed off as the whole.
#[test]
fn p1_an_answer_that_is_cut_is_seen_to_be_cut() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for path in ["/cut", "/cut-chunked", "/stall", "/bad-chunk"] {
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(get(path).as_bytes());
        match raw.try_answer(false) {
            None => {}
            // It may have been found before the head went out.
            Some(answer) => assert!(matches!(answer.status, 502 | 504), "{path}: {answer:?}"),
        }
        assert!(raw.is_closed_within(Duration::from_secs(20)), "{path}");
    }
    proxy.assert_serves();
}

#[test]
fn answers_of_every_framing_get_through() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let chunked = proxy.get("/chunked");
    assert_eq!(chunked.text(), "hello world");
    // A trailer that would change the message is not passed on.
    assert_eq!(chunked.trailers, "x-sum: 11\r\n");
    assert_eq!(proxy.get("/until-close").text(), "all of it");
    assert_eq!(proxy.get("/no-content").status, 204);
    // Interim answers come before it (RFC 9110 section 15.2); HTTP/1.0 has none.
    let all = proxy.exchange(b"GET /interim HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let statuses: Vec<_> = all.lines().filter(|l| l.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(statuses.len(), 3, "{all:?}");
    assert!(all.contains("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 "));
    let all = proxy.exchange(b"GET /interim HTTP/1.0\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 200 "), "{all:?}");
    assert_eq!(proxy.get("/size/3000000").body.len(), 3_000_000);
    assert_eq!(proxy.get("/size/0").body.len(), 0);
    // HTTP/1.0: no chunks, and the connection ends unless it was asked to stay.
    let all = proxy.exchange(b"GET /chunked HTTP/1.0\r\n\r\n");
    assert!(all.ends_with("\r\n\r\nhello world"), "{all:?}");
    assert!(!all.contains("transfer-encoding"), "{all:?}");
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"GET /size/5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(raw.answer().field("connection"), Some("keep-alive"));
    // HEAD: the fields of GET, and no body.
    raw.send(b"HEAD /size/5 HTTP/1.1\r\nHost: a\r\n\r\n");
    raw.send(get("/after").as_bytes());
    let head = raw.try_answer(true).unwrap();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("5"))
    );
    assert_eq!(raw.answer().text(), "ok");
}

/// The answer comes before the request is over: it gets through, whatever is still being sent.
#[test]
fn an_early_answer_is_passed_on() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    for _ in 0..10 {
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
        raw.send(&[b'x'; 1_000]);
        let answer = raw.answer();
        assert_eq!((answer.status, answer.text()), (413, "too much".to_owned()));
    }
    proxy.assert_serves();
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_the_body_is_wanted() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(raw.answer().status, 100);
    raw.send(b"hello");
    assert_eq!(raw.answer().json()["body"], "hello");
}

/// A backend that closes idle connections in the very moment in which they are used again: requests that
/// may be repeated are, others never reach it twice.
#[test]
fn p1_connections_that_close_in_the_very_moment() {
    let backend = Backend::with(|got, stream| {
        answer(stream, 200, b"bye");
        // Every other time the end comes after the next request may already be under way.
        if got.connection % 2 == 0 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        After::Close
    });
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    for n in 0..300 {
        raw.send(get(&format!("/{n}")).as_bytes());
        assert_eq!(raw.answer().status, 200, "{n}");
    }
    for n in 0..300 {
        let body = format!("POST /post/{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        raw.send(body.as_bytes());
        assert!(matches!(raw.answer().status, 200 | 502), "{n}");
    }
    let mut posts: Vec<String> = backend.got().into_iter().map(|g| g.target).collect();
    posts.retain(|t| t.starts_with("/post/"));
    let all = posts.len();
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), all, "a POST reached the backend twice");
}

/// A POST that a backend took and did not answer is not sent again.
#[test]
fn p1_what_may_have_been_done_is_not_done_twice() {
    let backend = Backend::with(|got, stream| match &*got.method {
        "POST" => After::Close,
        _ => {
            answer(stream, 200, b"ok");
            After::Next
        }
    });
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    // On a new connection to the backend, and on one that was used before.
    for n in 0..2 {
        // One without a body could be repeated, and must not be either.
        for body in ["Content-Length: 1\r\n\r\nx", "Content-Length: 0\r\n\r\n"] {
            if n == 1 {
                raw.send(get("/warm").as_bytes());
                assert_eq!(raw.answer().status, 200);
            }
            let before = backend.requests();
            raw.send(format!("POST /x HTTP/1.1\r\nHost: a\r\n{body}").as_bytes());
            assert_eq!(raw.answer().status, 502, "{body:?}");
            assert_eq!(backend.requests(), before + 1, "{n} {body:?}");
        }
    }
}

#[test]
fn p3_more_connections_than_allowed_are_closed_at_once() {
    let backend = Backend::start();
    let few = web(&[&backend]).replace(
        "bind = [\"127.0.0.1:0\"]",
        "bind = [\"127.0.0.1:0\"]\nmax-connections = 20",
    );
    let proxy = Proxy::start(&few);
    let mut first: Vec<Raw> = (0..20).map(|_| Raw::connect(proxy.addr("web"))).collect();
    for raw in &mut first {
        raw.send(get("/x").as_bytes());
        assert_eq!(raw.answer().status, 200);
    }
    for _ in 0..20 {
        let mut more = Raw::connect(proxy.addr("web"));
        assert!(more.is_closed_within(Duration::from_secs(20)));
    }
    for raw in &mut first {
        raw.send(get("/x").as_bytes());
        assert_eq!(raw.answer().status, 200);
    }
    drop(first);
    wait_for("there is room again", Duration::from_secs(10), || {
        let mut stream = TcpStream::connect(proxy.addr("web")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        stream.write_all(get("/x").as_bytes()).ok()?;
        let mut octets = [0; 12];
        let n = std::io::Read::read(&mut stream, &mut octets).ok()?;
        octets[..n].starts_with(b"HTTP/1.1 200").then_some(())
    });
}

/// `slowhttptest` in each of its modes: the service stays available to others, and nothing of it is left
/// when it is over.
#[test]
fn p3_slowhttptest_finds_the_service_available() {
    let backend = Backend::start();
    let proxy = Proxy::web(&[&backend]);
    let url = format!("http://{}/size/200000", proxy.addr("web"));
    let modes: [&[&str]; 4] = [
        &["-H", "-i", "1"],
        &["-B", "-i", "1", "-s", "100000"],
        &["-R", "-a", "1", "-b", "300"],
        &[
            "-X", "-k", "3", "-w", "10", "-y", "20", "-n", "1", "-z", "5",
        ],
    ];
    let running = modes.map(|mode| {
        Command::new("slowhttptest")
            .args(mode)
            .args(["-c", "150", "-r", "100", "-l", "6", "-p", "3", "-u", &url])
            .output()
    });
    for (mode, out) in modes.iter().zip(running) {
        let out = out.expect("slowhttptest is installed");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let last = text.rsplit("service available:").next().unwrap_or_default();
        assert!(last.contains("YES"), "{mode:?}\n{text}");
    }
    wait_for("no connection is left", Duration::from_secs(30), || {
        (backend.busy() == 0).then_some(())
    });
    proxy.assert_serves();
    assert!(!proxy.node.logged("panicked"));
}

#[test]
fn interim_answers_reach_a_client_of_http_1_1() {
    let backend = Backend::with(|_, stream| {
        send(
            stream,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\
              Connection: X-Hop\r\nX-Hop: 1\r\n\r\n",
        );
        answer(stream, 200, b"final");
        After::Next
    });
    let proxy = Proxy::web(&[&backend]);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(get("/x").as_bytes());
    let hints = raw.answer();
    assert_eq!(hints.status, 103);
    assert_eq!(hints.field("link"), Some("</a.css>"));
    assert_eq!(hints.field("x-hop"), None);
    assert_eq!(raw.answer().text(), "final");
    // A client of HTTP/1.0 knows no such thing.
    let all = proxy.exchange(b"GET /x HTTP/1.0\r\nHost: x\r\n\r\n");
    assert!(all.starts_with("HTTP/1.1 200"), "{all:?}");
}

/// P1: whatever is not answered as it was meant is in the access log, with the reason, and counted.
#[test]
fn p1_every_failure_is_logged_with_its_reason_and_counted() {
    let backend = Backend::start();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("web.log");
    let to = format!(
        "bind = [\"127.0.0.1:0\"]\naccess-log = {{ to = \"{}\", sample = \"0%\" }}",
        log.display()
    );
    let config = web(&[&backend]).replace("bind = [\"127.0.0.1:0\"]", &to);
    let proxy = Proxy::start(&config);
    proxy.assert_serves();
    for (octets, reason) in [
        (get("/close"), "backend-closed"),
        (get("/silent"), "backend-timeout"),
        (get("/garbage"), "backend-malformed"),
        (get("/both-lengths"), "backend-malformed"),
        (get("/big-head"), "backend-head-too-long"),
        (get("/cut"), "backend-cut"),
        (get("/stall"), "backend-silent"),
        (
            "GET /\u{e9} HTTP/1.1\r\n".to_owned() + "Host: a\r\n\r\n",
            "malformed-target",
        ),
        ("GET / HTTP/1.1\nHost: a\n\n".to_owned(), "bare-line-end"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
                .to_owned(),
            "both-lengths",
        ),
        ("GET / HTTP/1.1\r\nHost".to_owned(), "slow-head"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx".to_owned(),
            "slow-body",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n".to_owned(),
            "body-too-long",
        ),
    ] {
        let quoted = format!("\"{reason}\"");
        let lines = || -> Vec<String> {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let of_it = text.lines().filter(|l| l.contains(&quoted));
            of_it.map(str::to_owned).collect()
        };
        let (before, logged) = (failures(&proxy), lines().len());
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(octets.as_bytes());
        raw.try_answer(false);
        drop(raw);
        let line = wait_for(reason, Duration::from_secs(20), || {
            lines().into_iter().nth(logged)
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line["failure"] == reason || line["end"] == reason, "{line}");
        assert_eq!(failures(&proxy), before + 1, "{reason}");
    }
    // What went well is not sampled.
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("/after"), "{text}");
}

fn failures(proxy: &Proxy) -> u64 {
    let name = "tradewind_proxy_listener_failures_total{listener=\"web\"}";
    proxy.node.metric(name)
}

#[test]
fn p1_an_upload_may_take_longer_than_a_backend_may_be_silent() {
    let backend = Backend::start();
    let config = web(&[&backend]).replace("idle-timeout = \"4s\"", "idle-timeout = \"500ms\"");
    let proxy = Proxy::start(&config);
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
    for octet in b"twelve bytes" {
        // A client on a slow line.
        std::thread::park_timeout(std::time::Duration::from_millis(250));
        raw.send(&[*octet]);
    }
    let answer = raw.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["body"], "twelve bytes");
    // Within body-timeout, but not within the backend's.
    raw.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na");
    std::thread::park_timeout(std::time::Duration::from_millis(750));
    raw.send(b"b");
    assert_eq!(raw.answer().status, 200);
}
