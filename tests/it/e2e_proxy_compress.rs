//! The proxy's compression on real sockets.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::backend::{After, Backend, Got, send};
use crate::support::proxy::{Answer, Proxy, Raw, WEB, backend_entry};
use crate::support::wait_for;

fn proxy(backend: &Backend, route: &str, rest: &str) -> Proxy {
    let web = WEB.replace("forward = \"app\"", &format!("forward = \"app\"\n{route}"));
    let entry = backend_entry("app", "b0", backend.addr);
    Proxy::start(&format!("{web}{entry}{rest}"))
}

fn text() -> String {
    "The quick brown fox jumps over the lazy dog. ".repeat(200)
}

/// Answers as the path says: `/KIND/TYPE/SUBTYPE`.
fn backend() -> Backend {
    Backend::with(|got: &Got, stream| {
        let mut parts = got.target[1..].splitn(2, '/');
        let (kind, media) = (parts.next().unwrap(), parts.next().unwrap_or("text/html"));
        let body = match kind {
            "short" => "short".to_owned(),
            _ => text(),
        };
        let more = match kind {
            "encoded" => "Content-Encoding: x-own\r\n",
            "plain" => "Cache-Control: no-transform\r\n",
            "fresh" => "Cache-Control: max-age=60\r\n",
            _ => "",
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nETag: \"a\"\r\n{more}");
        if kind == "chunked" {
            send(
                stream,
                format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(),
            );
            for part in body.as_bytes().chunks(700) {
                send(stream, format!("{:x}\r\n", part.len()).as_bytes());
                send(stream, part);
                send(stream, b"\r\n");
            }
            send(stream, b"0\r\n\r\n");
        } else {
            send(
                stream,
                format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
            );
            send(stream, body.as_bytes());
        }
        After::Next
    })
}

fn ask(proxy: &Proxy, method: &str, path: &str, fields: &str) -> Answer {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
    raw.try_answer(method == "HEAD").expect("a whole answer")
}

fn plain(answer: &Answer) -> String {
    let mut out = String::new();
    let octets = &answer.body[..];
    match answer.field("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(octets).read_to_string(&mut out),
        Some("br") => brotli::Decompressor::new(octets, 4096).read_to_string(&mut out),
        Some("zstd") => zstd::stream::read::Decoder::new(octets)
            .unwrap()
            .read_to_string(&mut out),
        _ => return answer.text(),
    }
    .unwrap();
    out
}

#[test]
fn each_coding_is_negotiated_and_reads_back() {
    let backend = backend();
    let proxy = proxy(&backend, "compression = {}", "");
    for path in ["/whole/text/html", "/chunked/text/html"] {
        for (accept, coding) in [
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, br", Some("br")),
            ("gzip;q=1, br;q=0.5", Some("gzip")),
            ("deflate", None),
            ("gzip;q=0", None),
        ] {
            let answer = ask(
                &proxy,
                "GET",
                path,
                &format!("Accept-Encoding: {accept}\r\n"),
            );
            assert_eq!(answer.field("content-encoding"), coding, "{path} {accept}");
            assert_eq!(answer.field("vary"), Some("accept-encoding"));
            assert_eq!(plain(&answer), text());
            let tag = if coding.is_some() { "W/\"a\"" } else { "\"a\"" };
            assert_eq!(answer.field("etag"), Some(tag));
            if coding.is_some() {
                assert!(answer.body.len() < text().len() / 5);
            }
        }
    }
    let none = ask(&proxy, "GET", "/whole/text/html", "");
    assert_eq!(
        (none.field("content-encoding"), none.text()),
        (None, text())
    );
}

#[test]
fn what_is_not_compressed() {
    let backend = backend();
    let proxy = proxy(&backend, "compression = { types = [\"text/*\"] }", "");
    for path in [
        "/short/text/html",
        "/whole/image/png",
        "/encoded/text/html",
        "/plain/text/html",
    ] {
        let answer = ask(&proxy, "GET", path, "Accept-Encoding: gzip\r\n");
        assert_ne!(answer.field("content-encoding"), Some("gzip"), "{path}");
        assert!(answer.field("content-length").is_some(), "{path}");
    }
    let head = ask(
        &proxy,
        "HEAD",
        "/whole/text/html",
        "Accept-Encoding: gzip\r\n",
    );
    assert_eq!(head.field("content-encoding"), Some("gzip"));
    assert_eq!(head.field("content-length"), None);
}

#[test]
fn a_listeners_compression_holds_where_a_route_says_nothing() {
    let backend = backend();
    let routes = "\n[routes.off]\npath-prefixes = [\"/short\"]\nforward = \"app\"\ncompression = { algorithms = [] }\n";
    let web = WEB.replace(
        "[routes.all]",
        "compression = { min-size = \"0B\" }\n\n[routes.all]",
    );
    let entry = backend_entry("app", "b0", backend.addr);
    let proxy = Proxy::start(&format!("{web}{entry}{routes}"));
    let on = ask(&proxy, "GET", "/whole/text/css", "Accept-Encoding: br\r\n");
    assert_eq!(on.field("content-encoding"), Some("br"));
    let off = ask(&proxy, "GET", "/short/text/css", "Accept-Encoding: br\r\n");
    assert_eq!(
        (off.field("content-encoding"), off.field("vary")),
        (None, None)
    );
}

#[test]
fn a_slow_stream_is_not_held_back() {
    let seen = Arc::new(AtomicBool::new(false));
    let gate = seen.clone();
    let backend = Backend::with(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        send(stream, head.as_bytes());
        send(stream, b"9\r\ndata: 1\n\n\r\n");
        wait_for(
            "the client has the first event",
            Duration::from_secs(10),
            || gate.load(Ordering::SeqCst).then_some(()),
        );
        send(stream, b"9\r\ndata: 2\n\n\r\n0\r\n\r\n");
        After::Next
    });
    let route = "compression = { types = [\"text/event-stream\"], algorithms = [\"gzip\"] }";
    let proxy = proxy(&backend, route, "");
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    // The head, then the first chunk: a gzip header and an event that can be read already.
    let mut octets = Vec::new();
    while !octets.ends_with(b"\r\n\r\n") {
        octets.extend(raw.octets(1));
    }
    let mut compressed = Vec::new();
    let mut out = String::new();
    while !out.contains("data: 1") {
        let mut line = String::new();
        while !line.ends_with("\r\n") {
            line.push(char::from(raw.octets(1)[0]));
        }
        let size = usize::from_str_radix(line.trim(), 16).unwrap();
        compressed.extend(raw.octets(size));
        raw.octets(2);
        out.clear();
        let mut decoder = flate2::read::GzDecoder::new(&compressed[..]);
        let mut byte = [0];
        while let Ok(1) = decoder.read(&mut byte) {
            out.push(char::from(byte[0]));
        }
    }
    seen.store(true, Ordering::SeqCst);
}

#[test]
fn the_cache_keeps_one_object_per_coding() {
    let backend = backend();
    let route = "compression = {}\ncache = \"c\"";
    let proxy = proxy(&backend, route, "\n[caches.c]\n");
    for round in 0..2 {
        for (accept, coding) in [("gzip", Some("gzip")), ("br", Some("br")), ("x", None)] {
            let fields = format!("Accept-Encoding: {accept}\r\n");
            let answer = ask(&proxy, "GET", "/fresh/text/html", &fields);
            assert_eq!(answer.field("content-encoding"), coding);
            assert_eq!(plain(&answer), text());
            let status = answer.field("cache-status").unwrap();
            assert_eq!(status.contains("hit"), round > 0, "{accept} {status}");
        }
    }
    // Another way to ask for the same coding finds the same object.
    let same = ask(
        &proxy,
        "GET",
        "/fresh/text/html",
        "Accept-Encoding: deflate, gzip;q=0.9\r\n",
    );
    assert!(same.field("cache-status").unwrap().contains("hit"));
    // What is not compressed is kept once for all.
    for accept in ["gzip", "br"] {
        let fields = format!("Accept-Encoding: {accept}\r\n");
        ask(&proxy, "GET", "/fresh/image/png", &fields);
    }
    let pictures = backend
        .got()
        .iter()
        .filter(|g| g.target.ends_with("png"))
        .count();
    assert_eq!(pictures, 1);
}
