//! The proxy's cache on real sockets: RFC 9111, RFC 5861, RFC 9211, waiting for one fetch, purging.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::backend::{After, Backend, Got, send};
use crate::support::demo::tradewind;
use crate::support::node::{Node, folder};
use crate::support::proxy::{Answer, Proxy, Raw, WEB, backend_entry, head};
use crate::support::{http, wait_for};

/// [`WEB`] with the cache `c`, of which `rules` says more.
fn proxy(backend: &Backend, rules: &str) -> Proxy {
    let web = WEB.replace("forward = \"app\"", "forward = \"app\"\ncache = \"c\"");
    let entry = backend_entry("app", "b0", backend.addr);
    Proxy::start(&format!(
        "{web}{entry}\n[caches.c]\nsize = \"16MiB\"\nmax-object = \"1MiB\"\n{rules}"
    ))
}

/// A backend that answers with these fields, and with a body that counts its answers.
fn counting(fields: &'static str) -> Backend {
    let count = AtomicUsize::new(0);
    Backend::with(move |_, stream| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        respond(stream, "200 OK", fields, &format!("answer {n}"));
        After::Next
    })
}

fn respond(stream: &mut TcpStream, status: &str, fields: &str, body: &str) {
    let fields: String = fields
        .split('|')
        .filter(|f| !f.is_empty())
        .map(|f| format!("{f}\r\n"))
        .collect();
    let text = format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(stream, text.as_bytes());
}

fn ask(proxy: &Proxy, method: &str, path: &str, fields: &str) -> Answer {
    let fields: String = fields
        .split('|')
        .filter(|f| !f.is_empty())
        .map(|f| format!("{f}\r\n"))
        .collect();
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: www.example\r\n{fields}\r\n").as_bytes());
    raw.try_answer(method == "HEAD").expect("a whole answer")
}

fn status_of(answer: &Answer) -> &str {
    answer.field("cache-status").unwrap_or_default()
}

#[test]
fn rfc9111_a_fresh_response_is_answered_from_the_cache() {
    let backend = counting("Cache-Control: max-age=60|ETag: \"a\"|X-Own: 1");
    let proxy = proxy(&backend, "");
    let first = proxy.get("/a");
    assert_eq!(first.text(), "answer 0");
    assert_eq!(status_of(&first), "tradewind; fwd=uri-miss; stored");
    let again = proxy.get("/a");
    assert_eq!((again.status, again.text().as_str()), (200, "answer 0"));
    assert_eq!(again.field("x-own"), Some("1"));
    assert!(again.field("age").unwrap().parse::<u32>().unwrap() < 10);
    assert!(
        status_of(&again).starts_with("tradewind; hit; ttl="),
        "{again:?}"
    );
    assert_eq!(proxy.get("/b").text(), "answer 1");
    let head = ask(&proxy, "HEAD", "/a", "");
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("8"))
    );
    let part = ask(&proxy, "GET", "/a", "Range: bytes=0-2");
    assert_eq!((part.status, part.text().as_str()), (206, "ans"));
    assert_eq!(part.field("content-range"), Some("bytes 0-2/8"));
    let beyond = ask(&proxy, "GET", "/a", "Range: bytes=100-");
    assert_eq!(
        (beyond.status, beyond.field("content-range")),
        (416, Some("bytes */8"))
    );
    let known = ask(&proxy, "GET", "/a", "If-None-Match: \"a\"");
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(backend.requests(), 2);
}

#[test]
fn rfc9111_what_must_not_be_stored_is_not() {
    let backend = Backend::with(|got: &Got, stream| {
        let fields = match got.target.as_str() {
            "/no-store" => "Cache-Control: no-store",
            "/private" => "Cache-Control: private, max-age=60",
            "/cookie" => "Cache-Control: max-age=60|Set-Cookie: sid=1",
            "/star" => "Cache-Control: max-age=60|Vary: *",
            "/plain" => "X: 1",
            _ => "Cache-Control: max-age=60",
        };
        respond(stream, "200 OK", fields, "body");
        After::Next
    });
    let proxy = proxy(&backend, "");
    for path in ["/no-store", "/private", "/cookie", "/star", "/plain"] {
        for _ in 0..2 {
            let answer = proxy.get(path);
            assert!(!status_of(&answer).contains("hit"), "{path} {answer:?}");
        }
    }
    for _ in 0..2 {
        let answer = ask(&proxy, "GET", "/secret", "Authorization: Basic x");
        assert!(!status_of(&answer).contains("hit"), "{answer:?}");
        ask(&proxy, "POST", "/post", "Content-Length: 0");
    }
    assert_eq!(backend.requests(), 14);
}

#[test]
fn rfc9111_4_1_variants_and_the_key() {
    let backend = Backend::with(|got: &Got, stream| {
        let language = got.field("accept-language").unwrap_or("none");
        let body = format!("{language} {}", got.target);
        respond(
            stream,
            "200 OK",
            "Cache-Control: max-age=60|Vary: Accept-Language",
            &body,
        );
        After::Next
    });
    let proxy = proxy(
        &backend,
        "key.query-without = [\"utm_*\"]\nkey.headers = [\"X-Tenant\"]\n",
    );
    let get = |path: &str, fields: &str| ask(&proxy, "GET", path, fields).text();
    assert_eq!(get("/a?x=1", "Accept-Language: de"), "de /a?x=1");
    assert_eq!(get("/a?x=1", "Accept-Language: en"), "en /a?x=1");
    assert_eq!(
        get("/a?utm_source=b&x=1", "Accept-Language: DE"),
        "de /a?x=1"
    );
    assert_eq!(backend.requests(), 2);
    get("/a?x=1", "Accept-Language: de|X-Tenant: t");
    get("/a?x=2", "Accept-Language: de");
    assert_eq!(backend.requests(), 4);
}

#[test]
fn rfc9111_4_3_a_stale_response_is_validated() {
    let backend = Backend::with(|got: &Got, stream| {
        match got.field("if-none-match") {
            Some("\"a\"") => respond(
                stream,
                "304 Not Modified",
                "X-Round: 2|Cache-Control: max-age=60",
                "",
            ),
            _ => respond(
                stream,
                "200 OK",
                "ETag: \"a\"|X-Round: 1|Cache-Control: no-cache",
                "body",
            ),
        }
        After::Next
    });
    let proxy = proxy(&backend, "");
    assert_eq!(proxy.get("/a").field("x-round"), Some("1"));
    let validated = proxy.get("/a");
    assert_eq!(
        (validated.text().as_str(), validated.field("x-round")),
        ("body", Some("2"))
    );
    assert_eq!(status_of(&validated), "tradewind; fwd=stale; stored");
    assert!(status_of(&proxy.get("/a")).contains("hit"));
    assert_eq!(backend.requests(), 2);
}

#[test]
fn rfc9111_4_4_a_change_invalidates() {
    let backend = Backend::with(|got: &Got, stream| {
        let fields = match got.method.as_str() {
            "POST" => "Location: /b",
            _ => "Cache-Control: max-age=60",
        };
        respond(stream, "200 OK", fields, "body");
        After::Next
    });
    let proxy = proxy(&backend, "");
    for path in ["/a", "/b", "/c"] {
        proxy.get(path);
    }
    ask(&proxy, "POST", "/a", "Content-Length: 0");
    assert!(!status_of(&proxy.get("/a")).contains("hit"));
    assert!(!status_of(&proxy.get("/b")).contains("hit"));
    assert!(status_of(&proxy.get("/c")).contains("hit"));
}

#[test]
fn rfc9111_5_2_1_clients_directives() {
    let backend = counting("Cache-Control: max-age=60");
    let proxy = proxy(&backend, "");
    let missing = ask(&proxy, "GET", "/a", "Cache-Control: only-if-cached");
    assert_eq!(missing.status, 504);
    assert_eq!(backend.requests(), 0);
    proxy.get("/a");
    let cached = ask(&proxy, "GET", "/a", "Cache-Control: only-if-cached");
    assert_eq!(cached.text(), "answer 0");
    let newer = ask(&proxy, "GET", "/a", "Cache-Control: no-cache");
    assert_eq!(newer.text(), "answer 1");
    assert_eq!(proxy.get("/a").text(), "answer 1");
}

#[test]
fn rfc5861_stale_while_it_is_fetched_anew() {
    let backend = counting("Cache-Control: max-age=0, stale-while-revalidate=60");
    let proxy = proxy(&backend, "");
    assert_eq!(proxy.get("/a").text(), "answer 0");
    let stale = proxy.get("/a");
    assert_eq!(stale.text(), "answer 0");
    wait_for(
        "the object is fetched anew",
        Duration::from_secs(10),
        || (backend.requests() >= 2 && proxy.get("/a").text() != "answer 0").then_some(()),
    );
}

#[test]
fn rfc5861_stale_when_the_upstream_fails() {
    let broken = Arc::new(AtomicBool::new(false));
    let fails = broken.clone();
    let backend = Backend::with(move |got: &Got, stream| {
        if fails.load(Ordering::SeqCst) {
            match got.target.as_str() {
                "/closes" => return After::Close,
                _ => respond(stream, "503 Service Unavailable", "", "broken"),
            }
        } else {
            let fields = match got.target.as_str() {
                "/strict" => "Cache-Control: max-age=0, must-revalidate|ETag: \"a\"",
                _ => "Cache-Control: max-age=0|ETag: \"a\"",
            };
            respond(stream, "200 OK", fields, "good");
        }
        After::Next
    });
    let proxy = proxy(&backend, "stale-if-error = \"1h\"\n");
    for path in ["/closes", "/fails", "/strict"] {
        assert_eq!(proxy.get(path).text(), "good");
    }
    broken.store(true, Ordering::SeqCst);
    for path in ["/closes", "/fails"] {
        let stale = proxy.get(path);
        assert_eq!(
            (stale.status, stale.text().as_str()),
            (200, "good"),
            "{path}"
        );
        assert!(status_of(&stale).contains("hit"), "{stale:?}");
    }
    assert_eq!(proxy.get("/strict").status, 503);
}

#[test]
fn many_requests_for_one_thing_make_one_fetch() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let body = "0123456789".repeat(20_000);
    let whole = body.clone();
    let backend = Backend::with(move |_, stream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: {}\r\n\r\n",
            whole.len()
        );
        send(stream, head.as_bytes());
        send(stream, &whole.as_bytes()[..1000]);
        wait_for("the gate opens", Duration::from_secs(10), || {
            gate.load(Ordering::SeqCst).then_some(())
        });
        send(stream, &whole.as_bytes()[1000..]);
        After::Next
    });
    let proxy = proxy(&backend, "");
    let addr = proxy.addr("web");
    let mut clients: Vec<Raw> = (0..8)
        .map(|_| {
            let mut raw = Raw::connect(addr);
            raw.send(b"GET /big HTTP/1.1\r\nHost: www.example\r\n\r\n");
            raw
        })
        .collect();
    // One that goes away in the middle cuts nobody off, even if it was the first.
    wait_for("the backend was asked", Duration::from_secs(10), || {
        (backend.requests() == 1).then_some(())
    });
    drop(clients.remove(0));
    open.store(true, Ordering::SeqCst);
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!(answer.status, 200);
        assert!(
            answer.body == body.as_bytes(),
            "{} octets",
            answer.body.len()
        );
    }
    assert_eq!(backend.requests(), 1);
    assert!(status_of(&proxy.get("/big")).contains("hit"));
}

#[test]
fn what_cannot_be_stored_makes_nobody_wait_twice() {
    let backend = counting("Cache-Control: no-store");
    let proxy = proxy(&backend, "");
    for n in 0..4 {
        assert_eq!(proxy.get("/a").text(), format!("answer {n}"));
    }
}

#[test]
fn a_body_that_is_cut_is_not_stored() {
    let backend = Backend::with(|got: &Got, stream| {
        match got.target.as_str() {
            "/length" => send(stream, b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 100000\r\n\r\n0123"),
            _ => send(stream, b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n64\r\nab"),
        }
        After::Close
    });
    let proxy = proxy(&backend, "");
    for path in ["/length", "/chunked"] {
        for round in 1..=2 {
            let before = backend.requests();
            let mut raw = Raw::connect(proxy.addr("web"));
            raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
            assert!(raw.try_answer(false).is_none(), "{path}");
            assert_eq!(backend.requests(), before + 1, "{path} {round}");
        }
    }
}

#[test]
fn chunked_bodies_are_stored_and_long_ones_pass_by() {
    let backend = Backend::with(|got: &Got, stream| {
        let size: usize = got.target[1..].parse().unwrap();
        send(
            stream,
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for part in vec![b'x'; size].chunks(10_000) {
            send(
                stream,
                &[format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat(),
            );
        }
        send(stream, b"0\r\n\r\n");
        After::Next
    });
    let proxy = proxy(&backend, "");
    for (size, stored) in [(50_000, true), (2_000_000, false)] {
        let path = format!("/{size}");
        assert_eq!(proxy.get(&path).body.len(), size);
        let again = proxy.get(&path);
        assert_eq!(again.body.len(), size);
        assert_eq!(status_of(&again).contains("hit"), stored, "{}", again.head);
    }
}

#[test]
fn purge_by_url_prefix_tag_and_all() {
    let backend = Backend::with(|got: &Got, stream| {
        let tag = match got.target.as_str() {
            "/a/1" => "red",
            _ => "blue, green",
        };
        respond(
            stream,
            "200 OK",
            &format!("Cache-Control: max-age=60|Cache-Tag: {tag}"),
            "body",
        );
        After::Next
    });
    let proxy = proxy(&backend, "");
    let fill = || {
        for path in ["/a/1", "/a/2", "/b"] {
            proxy.get(path);
        }
    };
    let hits = || {
        let all = ["/a/1", "/a/2", "/b"];
        all.map(|p| {
            u8::from(
                status_of(&ask(&proxy, "GET", p, "Cache-Control: only-if-cached")).contains("hit"),
            )
        })
    };
    let purge = |args: &[&str]| {
        let server = format!("http://{}", proxy.node.admin);
        let out = tradewind()
            .args(["proxy", "purge", "c", "--server", &server])
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    };
    fill();
    assert!(
        purge(&["--url", "http://www.example/a/1"]).starts_with("1 response purged from cache c")
    );
    assert_eq!(hits(), [0, 1, 1]);
    fill();
    assert!(purge(&["--prefix", "www.example/a/"]).starts_with("2 responses"));
    assert_eq!(hits(), [0, 0, 1]);
    fill();
    assert!(purge(&["--tag", "green"]).starts_with("2 responses"));
    assert_eq!(hits(), [1, 0, 0]);
    fill();
    assert!(purge(&["--all"]).starts_with("3 responses"));
    assert_eq!(hits(), [0, 0, 0]);

    let none = http::request(proxy.node.admin, "POST", "/v1/proxy/caches/none/purge");
    assert!((400..500).contains(&none.status), "{none:?}");
    let caches = http::get(proxy.node.admin, "/v1/proxy/caches").json();
    assert_eq!(caches["caches"][0]["name"], "c");
    let page = http::get(proxy.node.admin, "/metrics").body;
    assert!(
        page.contains("tradewind_proxy_cache_purged_total{cache=\"c\"} 8"),
        "{page}"
    );
    assert!(page.contains("tradewind_proxy_cache_requests_total{cache=\"c\",outcome=\"hit\"}"));
}

#[test]
fn a_reload_keeps_what_is_cached() {
    let backend = counting("Cache-Control: max-age=60");
    let proxy = proxy(&backend, "");
    proxy.get("/a");
    let file = proxy.node.dir.path().join("tradewind.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("size = \"16MiB\"", "size = \"32MiB\"")).unwrap();
    let reloaded = http::request(proxy.node.admin, "POST", "/v1/reload");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
    assert!(status_of(&proxy.get("/a")).contains("hit"));
    let caches = http::get(proxy.node.admin, "/v1/proxy/caches").json();
    assert_eq!(caches["caches"][0]["size-bytes"], 32 << 20);
}

#[test]
fn what_is_on_disk_is_found_after_a_crash_and_damage_is_noticed() {
    let backend = counting("Cache-Control: max-age=600|ETag: \"a\"");
    let web = WEB.replace("forward = \"app\"", "forward = \"app\"\ncache = \"c\"");
    let entry = backend_entry("app", "b0", backend.addr);
    let head = head().replace("roles =", "state-dir = \"state\"\nroles =");
    let dir = folder(&format!(
        "{head}{web}{entry}\n[caches.c]\ndisk = \"16MiB\"\n"
    ));
    let mut proxy = Proxy {
        node: Node::start_in(dir),
    };
    proxy.get("/a");
    let place = |proxy: &Proxy| proxy.node.dir.path().join("state/cache/c");
    let objects = |proxy: &Proxy| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(place(proxy)).into_iter().flatten();
        let paths = entries.map(|e| e.unwrap().path());
        paths
            .filter(|p| p.extension().is_some_and(|e| e == "obj"))
            .collect()
    };
    let bound = Duration::from_secs(10);
    wait_for("it is on disk", bound, || {
        (!objects(&proxy).is_empty()).then_some(())
    });

    proxy.node.crash_and_restart();
    wait_for("it is found", bound, || {
        let answer = ask(&proxy, "GET", "/a", "Cache-Control: only-if-cached");
        (answer.status == 200).then(|| assert_eq!(answer.text(), "answer 0"))
    });
    assert_eq!(backend.requests(), 1);

    let file = objects(&proxy).remove(0);
    let mut octets = std::fs::read(&file).unwrap();
    let last = octets.len() - 6;
    octets[last] ^= 1;
    std::fs::write(&file, octets).unwrap();
    proxy.node.crash_and_restart();
    // It is asked for until the damage was met.
    wait_for("the damaged file is gone", bound, || {
        let answer = ask(&proxy, "GET", "/a", "Cache-Control: only-if-cached");
        assert_eq!(answer.status, 504);
        objects(&proxy).is_empty().then_some(())
    });
    assert_eq!(proxy.get("/a").text(), "answer 1");
}
