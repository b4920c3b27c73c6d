//! DNS over HTTPS (RFC 8484), end to end, with curl as client.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::support::node::Node;
use crate::support::{dns, tls};

/// What curl got.
struct Got {
    status: u16,
    version: String,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| {
            let (n, v) = l.split_once(':')?;
            n.eq_ignore_ascii_case(name).then(|| v.trim())
        })
    }

    fn message(&self) -> Message {
        assert_eq!(self.status, 200, "{}", self.head);
        assert_eq!(self.header("content-type"), Some("application/dns-message"));
        Message::from_vec(&self.body).unwrap()
    }
}

fn curl(node: &Node, path: &str, args: &[&str]) -> Got {
    let addr = node.doh.unwrap();
    let body: PathBuf = node.file("body.bin");
    drop(std::fs::remove_file(&body));
    let out = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(node.file("c.pem"))
        .args(["--connect-to", &format!("::{addr}")])
        .args(["--dump-header", "-", "--output"])
        .arg(&body)
        .args(["--write-out", "\nstatus %{http_code} %{http_version}\n"])
        .args(args)
        .arg(format!("https://{}:{}{path}", tls::NAME, addr.port()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (head, last) = text.rsplit_once("\nstatus ").unwrap();
    let (status, version) = last.trim().split_once(' ').unwrap();
    Got {
        status: status.parse().unwrap(),
        version: version.to_owned(),
        head: head.to_owned(),
        body: std::fs::read(&body).unwrap_or_default(),
    }
}

fn packet(name: &str) -> Vec<u8> {
    dns::query(&format!("{name}.gslb.test"), RecordType::A, None)
}

fn get(name: &str) -> String {
    format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(&packet(name)))
}

/// Posts `body` as a DNS message.
fn post(node: &Node, body: &[u8], more: &[&str]) -> Got {
    let file = node.file("query.bin");
    std::fs::write(&file, body).unwrap();
    let data = format!("@{}", file.display());
    let mut args = vec!["--data-binary", &data];
    args.extend(["-H", "content-type: application/dns-message"]);
    args.extend(more);
    curl(node, "/dns-query", &args)
}

#[test]
fn rfc8484_4_get_and_post_over_http2_and_http1() {
    let node = tls::start("", "");
    for (how, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        for got in [
            curl(&node, &get("static"), &[how]),
            post(&node, &packet("static"), &[how]),
        ] {
            assert_eq!(got.version, version);
            let m = got.message();
            assert_eq!(
                dns::addresses(&m),
                ["192.0.2.80".parse::<std::net::IpAddr>().unwrap()]
            );
            assert_eq!(got.header("cache-control"), Some("private, max-age=300"));
        }
    }
    let whole = curl(&node, &get("static"), &[]).body.len().to_string();
    for how in ["--http2", "--http1.1"] {
        let head = curl(&node, &get("static"), &["--head", how]);
        assert_eq!(head.status, 200, "{how}");
        assert_eq!(head.header("content-length"), Some(whole.as_str()));
    }
    // Over TLS 1.2 as well, and not below.
    let old = ["--tls-max", "1.2"];
    assert_eq!(curl(&node, &get("static"), &old).message().answers.len(), 1);
    let older = ["--tlsv1.0", "--tls-max", "1.1"];
    assert_eq!(curl(&node, &get("static"), &older).status, 0);
}

#[test]
fn rfc8484_5_1_answers_may_be_kept_as_long_as_their_smallest_ttl() {
    let node = tls::start("", "");
    // The zone's SOA has TTL 300 and minimum 60.
    for (name, rcode, keep) in [
        ("static", ResponseCode::NoError, "private, max-age=300"),
        ("text", ResponseCode::NoError, "private, max-age=60"),
        ("none", ResponseCode::NXDomain, "private, max-age=60"),
    ] {
        let got = curl(&node, &get(name), &[]);
        assert_eq!(got.header("cache-control"), Some(keep), "{name}");
        assert_eq!(got.message().metadata.response_code, rcode, "{name}");
    }
    let elsewhere = dns::query("www.elsewhere.test", RecordType::A, None);
    let got = post(&node, &elsewhere, &[]);
    assert_eq!(got.message().metadata.response_code, ResponseCode::Refused);
    assert_eq!(got.header("cache-control"), Some("no-store"));
}

#[test]
fn rfc8484_4_2_1_http_errors_only_for_what_is_no_dns_query() {
    let node = tls::start("", "");
    // A malformed query is a DNS matter.
    let mut cut = packet("static");
    cut.truncate(20);
    let m = post(&node, &cut, &[]).message();
    assert_eq!(m.metadata.response_code, ResponseCode::FormErr);
    let mut response = packet("static");
    response[2] |= 0x80;
    for (body, status) in [
        (&b""[..], 400),
        (b"short", 400),
        (&response, 400),
        (&vec![0; 65_536], 413),
    ] {
        for how in ["--http2", "--http1.1"] {
            let got = post(&node, body, &[how]);
            assert_eq!(got.status, status, "{} octets", body.len());
            let kind = got.header("content-type").unwrap();
            assert!(kind.starts_with("text/plain"), "{kind}");
        }
    }
    // The longest message there is, though no query.
    let longest = post(&node, &vec![0; 65_535], &[]).message();
    assert_eq!(longest.metadata.response_code, ResponseCode::FormErr);
    // Without a length.
    let chunked = ["--http1.1", "-H", "transfer-encoding: chunked"];
    assert_eq!(
        post(&node, &packet("static"), &chunked)
            .message()
            .answers
            .len(),
        1
    );
    assert_eq!(post(&node, &vec![0; 70_000], &chunked).status, 413);
    let json = ["-H", "content-type: application/json", "--data", "{}"];
    assert_eq!(curl(&node, "/dns-query", &json).status, 415);
    for method in ["PUT", "DELETE", "OPTIONS"] {
        let got = curl(&node, &get("static"), &["-X", method]);
        assert_eq!(got.status, 405, "{method}");
        assert_eq!(got.header("allow"), Some("GET, HEAD, POST"));
    }
    assert_eq!(curl(&node, "/", &[]).status, 404);
    assert_eq!(curl(&node, "/dns-query", &[]).status, 400);
    assert_eq!(curl(&node, "/dns-query?dns=AAA=", &[]).status, 400);
    let long = format!("/dns-query?dns={}", "A".repeat(17_000));
    for how in ["--http2", "--http1.1"] {
        assert_eq!(curl(&node, &long, &[how]).status, 414, "{how}");
    }
    let longer = format!("/dns-query?dns={}", "A".repeat(60_000));
    for how in ["--http2", "--http1.1"] {
        let status = curl(&node, &longer, &[how]).status;
        assert!([414, 431].contains(&status), "{how}: {status}");
    }
    assert!(node.metric("tradewind_dns_http_refused_total") >= 16);
}

#[test]
fn the_path_can_be_chosen() {
    let head = tls::head("").replace("https = {", "https = { path = \"/q\",");
    let dir = crate::support::node::folder(&head);
    tls::write_pair(dir.path());
    let node = Node::start_in(dir);
    let query = get("static").replace("/dns-query", "/q");
    assert_eq!(curl(&node, &query, &[]).message().answers.len(), 1);
    assert_eq!(curl(&node, &get("static"), &[]).status, 404);
}

#[test]
fn idle_and_dawdling_connections_are_closed() {
    use std::io::{Read, Write};
    let node = tls::start("tcp-idle-timeout = \"1s\"", "");
    for alpn in [&b"h2"[..], b"http/1.1"] {
        let stream = std::net::TcpStream::connect(node.doh.unwrap()).unwrap();
        let mut stream = tls::shake_hands(tls::trusting(&node, alpn), stream).unwrap();
        // The beginning of a request, and no more of it.
        stream.write_all(b"GET /dns-query").unwrap();
        let since = Instant::now();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest));
        assert!(since.elapsed() < Duration::from_secs(12));
    }
}

#[test]
fn whom_the_access_lists_refuse_may_not_go_on() {
    use std::io::{Read, Write};
    let rest = "[dns.access]\ndeny = [\"127.0.0.0/8\"]\n";
    let node = tls::start("", rest);
    for how in ["--http2", "--http1.1"] {
        let m = curl(&node, &get("static"), &[how]).message();
        assert_eq!(m.metadata.response_code, ResponseCode::Refused);
    }
    // The connection ends after the answer, long before it has idled.
    let stream = std::net::TcpStream::connect(node.doh.unwrap()).unwrap();
    let mut stream = tls::shake_hands(tls::trusting(&node, b"http/1.1"), stream).unwrap();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\n\r\n",
        get("static"),
        tls::NAME
    );
    stream.write_all(request.as_bytes()).unwrap();
    let since = Instant::now();
    let mut all = Vec::new();
    drop(stream.read_to_end(&mut all));
    assert!(all.starts_with(b"HTTP/1.1 200"));
    assert!(since.elapsed() < Duration::from_secs(8));
    let node = tls::start("", &format!("{rest}denied = \"drop\"\n"));
    assert_eq!(curl(&node, &get("static"), &[]).status, 403);
}
