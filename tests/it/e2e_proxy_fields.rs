//! What backends are told of clients, what clients are told by responses, and pages of errors.

use crate::support::backend::{After, Backend, answer, send};
use crate::support::proxy::{Answer, Proxy, Raw, WEB, backend_entry};

/// `WEB` with more lines of the listener and of the route, more tables, and a backend.
pub fn config(listener: &str, route: &str, rest: &str, backend: &Backend) -> String {
    let web = WEB
        .replace(
            "[listeners.web]\n",
            &format!("[listeners.web]\n{listener}\n"),
        )
        .replace("[routes.all]\n", &format!("[routes.all]\n{route}\n"));
    let web = format!("{web}{}", backend_entry("app", "b0", backend.addr));
    format!("{rest}\n{web}")
}

fn ask(proxy: &Proxy, path: &str, fields: &str) -> Answer {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: www.example\r\n{fields}\r\n").as_bytes());
    raw.answer()
}

/// What reached the backend, as pairs.
fn reached(backend: &Backend, name: &str) -> Vec<String> {
    let got = backend.got().pop().unwrap();
    let of = |(n, v): &(String, String)| (n == name).then(|| v.clone());
    got.fields.iter().filter_map(of).collect()
}

const FORGED: &str = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Host: evil.example\r\nX-Real-IP: 6.6.6.6\r\n\
                      Forwarded: for=6.6.6.6\r\nX-Request-Id: forged\r\n\
                      X_Forwarded_For: 6.6.6.6\r\nx-real_ip: 6.6.6.6\r\nX_Own: 1\r\n";

#[test]
fn what_a_stranger_says_of_itself_does_not_reach_the_backend() {
    let backend = Backend::start();
    let proxy = Proxy::start(&config("", "", "", &backend));
    assert_eq!(ask(&proxy, "/", FORGED).status, 200);
    assert_eq!(reached(&backend, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(reached(&backend, "x-forwarded-proto"), ["http"]);
    for gone in [
        "x-forwarded-host",
        "x-real-ip",
        "forwarded",
        "x_forwarded_for",
        "x-real_ip",
    ] {
        assert!(reached(&backend, gone).is_empty(), "{gone}");
    }
    assert_eq!(reached(&backend, "x_own"), ["1"]);
}

#[test]
fn what_a_trusted_proxy_says_is_believed_and_extended() {
    let backend = Backend::start();
    let listener = r#"
trusted-proxies = ["127.0.0.0/8"]
forwarded = ["x-forwarded-for", "x-forwarded-proto", "x-real-ip", "forwarded"]
via = true
request-id = true
trace-context = "start"
request-headers.set = { x-client = "${client-ip}", x-scheme = "${scheme}" }
response-headers.set = { x-request-id = "${request-id}" }
"#;
    let proxy = Proxy::start(&config(listener, "", "", &backend));
    let chain = "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 127.0.0.2\r\n\
                 X-Forwarded-Proto: https\r\nX-Request-Id: req-7\r\nVia: 1.1 edge\r\n";
    let got = ask(&proxy, "/", chain);
    assert_eq!(got.field("x-request-id"), Some("req-7"));
    assert_eq!(got.field("via"), Some("1.1 n1"));
    assert_eq!(
        reached(&backend, "x-client"),
        ["203.0.113.9"],
        "not the forged first one"
    );
    assert_eq!(reached(&backend, "x-real-ip"), ["203.0.113.9"]);
    assert_eq!(
        reached(&backend, "x-forwarded-for"),
        ["6.6.6.6, 203.0.113.9, 127.0.0.2, 127.0.0.1"]
    );
    assert_eq!(reached(&backend, "x-scheme"), ["https"]);
    assert_eq!(reached(&backend, "x-forwarded-proto"), ["https"]);
    assert_eq!(reached(&backend, "via"), ["1.1 edge, 1.1 n1"]);
    let forwarded = reached(&backend, "forwarded").remove(0);
    // What was said of one request says nothing of the next, on whose memory it is read.
    let mut raw = Raw::connect(proxy.addr("web"));
    for (field, scheme) in [("X-Forwarded-Proto: https\r\n", "https"), ("", "http")] {
        let text = format!("GET / HTTP/1.1\r\nHost: www.example\r\n{field}\r\n");
        raw.send(text.as_bytes());
        assert_eq!(raw.answer().status, 200);
        assert_eq!(reached(&backend, "x-scheme"), [scheme]);
    }
    assert!(
        forwarded.starts_with("for=127.0.0.1;by=127.0.0.1;host=\"www.example\""),
        "{forwarded}"
    );
    let trace = reached(&backend, "traceparent").remove(0);
    assert!(
        trace.starts_with("00-") && trace.ends_with("-01") && trace.len() == 55,
        "{trace}"
    );
    // Without an id of its own a request gets one, another each time.
    let made: Vec<String> = (0..2)
        .map(|_| {
            ask(&proxy, "/", "")
                .field("x-request-id")
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(made[0].len() == 32 && made[0] != made[1], "{made:?}");
}

#[test]
fn fields_are_set_added_and_removed_in_both_directions() {
    let backend = Backend::with(|got, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: old\r\nX-Powered-By: PHP\r\n\
                    X-Frame-Options: DENY\r\n\r\nok";
        let _ = got;
        send(stream, head.as_bytes());
        After::Next
    });
    let listener = r#"
request-headers.add = { x-passed = "listener" }
response-headers.set = { x-where = "listener", x-node = "${node}/${region}/${listener}" }
"#;
    let route = r#"
security-headers = true
request-headers.remove = ["x-debug"]
request-headers.set = { host = "inner.${host}", x-path = "${path}?${query}", x-cookie = "${cookie:sid}" }
request-headers.default = { accept-language = "en", x-set = "default" }
request-headers.add = { x-passed = "${route}" }
response-headers.remove = ["server"]
response-headers.set = { x-where = "${upstream}/${backend}", x-status = "${status}" }
"#;
    let proxy = Proxy::start(&config(listener, route, "", &backend));
    let got = ask(
        &proxy,
        "/a%0d%0aX:1?b=2",
        "X-Debug: 1\r\nX-Set: own\r\nCookie: sid=42\r\n",
    );
    assert_eq!(reached(&backend, "host"), ["inner.www.example"]);
    assert_eq!(reached(&backend, "x-path"), ["/a%0D%0AX:1?b=2"]);
    assert_eq!(reached(&backend, "x-cookie"), ["42"]);
    assert_eq!(reached(&backend, "accept-language"), ["en"]);
    assert_eq!(reached(&backend, "x-set"), ["own"]);
    assert_eq!(reached(&backend, "x-passed"), ["listener", "all"]);
    assert!(reached(&backend, "x-debug").is_empty());
    assert_eq!(got.field("server"), None);
    assert_eq!(got.field("x-powered-by"), None);
    assert_eq!(
        got.field("x-frame-options"),
        Some("DENY"),
        "the backend's own word"
    );
    assert_eq!(got.field("x-content-type-options"), Some("nosniff"));
    assert_eq!(got.field("x-where"), Some("app/b0"));
    assert_eq!(got.field("x-node"), Some("n1/eu/web"));
    assert_eq!(got.field("x-status"), Some("200"));
}

#[test]
fn clients_without_tls_are_sent_to_where_there_is_tls() {
    let backend = Backend::start();
    let listener = r#"
redirect-to-https = true
https-port = 8443
trusted-proxies = ["127.0.0.0/8"]
hsts = { max-age = "365d", include-subdomains = true }
"#;
    let proxy = Proxy::start(&config(listener, "", "", &backend));
    let got = ask(&proxy, "/a?b=c", "");
    assert_eq!(got.status, 308);
    assert_eq!(
        got.field("location"),
        Some("https://www.example:8443/a?b=c")
    );
    assert_eq!(
        got.field("strict-transport-security"),
        None,
        "not without TLS"
    );
    assert_eq!(backend.requests(), 0);
    // A proxy in front has taken it over TLS.
    let got = ask(&proxy, "/a?b=c", "X-Forwarded-Proto: https\r\n");
    assert_eq!(got.status, 200);
    assert_eq!(
        got.field("strict-transport-security"),
        Some("max-age=31536000; includeSubDomains")
    );
}

const PAGES: &str = r#"
[error-pages.brand]
intercept = true
[[error-pages.brand.pages]]
status = ["404"]
file = "404.html"
[[error-pages.brand.pages]]
status = ["500-599"]
file = "5xx.html"
[[error-pages.brand.pages]]
status = ["500-599"]
file = "5xx.json"
"#;

fn pages(path: &std::path::Path) {
    let put = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    put("404.html", "<p>no ${path} at ${host}</p>");
    put("5xx.html", "<p>sorry: ${status}</p>");
    put("5xx.json", r#"{"status":${status},"path":"${path}"}"#);
}

#[test]
fn errors_have_the_operators_pages_in_the_form_that_the_client_reads() {
    let backend = Backend::start();
    let config = config("", "error-pages = \"brand\"", PAGES, &backend);
    let proxy = Proxy::start_with(&config, pages);
    let got = ask(&proxy, "/status/404/a&b", "Accept: text/html\r\n");
    assert_eq!(got.status, 404);
    assert_eq!(got.text(), "<p>no /status/404/a&amp;b at www.example</p>");
    assert_eq!(got.field("content-type"), Some("text/html; charset=utf-8"));
    let got = ask(&proxy, "/status/502", "Accept: application/json\r\n");
    assert_eq!(got.json()["path"], "/status/502");
    let got = ask(&proxy, "/status/502", "Accept: text/html, */*;q=0.1\r\n");
    assert_eq!(got.text(), "<p>sorry: 502</p>");
    // The proxy's own: the backend closes without an answer.
    let got = ask(&proxy, "/close", "Accept: text/html\r\n");
    assert_eq!(
        (got.status, got.text().as_str()),
        (502, "<p>sorry: 502</p>")
    );
    assert_eq!(
        ask(&proxy, "/status/410", "").text(),
        "status",
        "there is no page for it"
    );
}

#[test]
fn errors_of_backends_pass_unless_they_are_intercepted() {
    let backend = Backend::start();
    let pages_only = PAGES.replace("intercept = true", "intercept = false");
    let config = config("error-pages = \"brand\"", "", &pages_only, &backend);
    let proxy = Proxy::start_with(&config, pages);
    assert_eq!(ask(&proxy, "/status/404", "").text(), "status");
    assert_eq!(ask(&proxy, "/close", "").text(), "<p>sorry: 502</p>");
}

#[test]
fn without_pages_an_error_is_plain_in_the_form_that_the_client_reads() {
    let backend = Backend::with(|_, stream| {
        answer(stream, 200, b"unused");
        After::Close
    });
    let web = config("", "hosts = [\"other.example\"]", "", &backend);
    let proxy = Proxy::start(&web);
    let got = ask(&proxy, "/", "Accept: application/json\r\n");
    assert_eq!(
        (got.status, got.json()["status"].as_u64()),
        (404, Some(404))
    );
    assert_eq!(got.field("content-type"), Some("application/problem+json"));
    assert_eq!(ask(&proxy, "/", "").text(), "404 Not Found\n");
}
