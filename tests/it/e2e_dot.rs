//! DNS over TLS (RFC 7858), the certificate that all encrypted listeners share, keepalive and
//! padding, end to end.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::support::demo::tradewind;
use crate::support::node::{Node, folder};
use crate::support::{dns, http, tls, wait_for};

fn static_query() -> Vec<u8> {
    dns::query("static.gslb.test", RecordType::A, None)
}

/// Runs kdig against `addr` with the certificate checked.
fn kdig(node: &Node, addr: SocketAddr, how: &[&str], name: &str, rtype: &str) -> String {
    let out = Command::new("kdig")
        .arg(format!("@{}", addr.ip()))
        .args(["-p", &addr.port().to_string()])
        .arg(format!("+tls-ca={}", node.file("c.pem").display()))
        .arg(format!("+tls-hostname={}", tls::NAME))
        .args(["+time=5", "+retry=1"])
        .args(how)
        .args([name, rtype])
        .output()
        .unwrap();
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

#[test]
fn rfc7858_rfc8484_kdig_gets_the_same_over_tls_and_https() {
    let node = tls::start("", "");
    let (dot, doh) = (node.dot.unwrap(), node.doh.unwrap());
    for (addr, how, session) in [
        (dot, &["+tls"][..], "TLS session"),
        (doh, &["+https"], "HTTP session (HTTP/2-POST)"),
        (doh, &["+https-get"], "HTTP session (HTTP/2-GET)"),
    ] {
        for (name, rtype, status, has) in [
            ("static.gslb.test", "A", "NOERROR", "192.0.2.80"),
            ("gslb.test", "SOA", "NOERROR", "hostmaster"),
            ("none.gslb.test", "A", "NXDOMAIN", "AUTHORITY: 1"),
            ("www.elsewhere.test", "A", "REFUSED", "ANSWER: 0"),
        ] {
            let out = kdig(&node, addr, how, name, rtype);
            for want in [session, &format!("status: {status}"), has] {
                assert!(out.contains(want), "{how:?} {name}: no {want} in\n{out}");
            }
        }
    }
    assert_eq!(
        node.metric("tradewind_dns_queries_total{transport=\"tls\",family=\"any\"}"),
        4
    );
    assert_eq!(
        node.metric("tradewind_dns_queries_total{transport=\"https\",family=\"any\"}"),
        8
    );
}

#[test]
fn rfc7858_3_2_queries_are_pipelined_and_idle_connections_end_properly() {
    let node = tls::start("tcp-idle-timeout = \"1s\"", "");
    let mut stream = tls::connect(&node);
    let packet = static_query();
    let mut many = Vec::new();
    for id in 0..50u16 {
        many.extend((packet.len() as u16).to_be_bytes());
        many.extend(id.to_be_bytes());
        many.extend(&packet[2..]);
    }
    stream.write_all(&many).unwrap();
    for id in 0..50u16 {
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..2], id.to_be_bytes());
    }
    // The end comes with a close_notify: without one rustls reports UnexpectedEof.
    let since = Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(since.elapsed() < Duration::from_secs(10));
}

#[test]
fn rfc7858_a_client_that_does_not_shake_hands_is_cut_off() {
    let node = tls::start("", "");
    let connect = || {
        let stream = TcpStream::connect(node.dot.unwrap()).unwrap();
        let patience = Some(Duration::from_secs(15));
        stream.set_read_timeout(patience).unwrap();
        stream
    };
    let mut silent = connect();
    let mut plain = connect();
    plain.write_all(&static_query()).unwrap();
    let mut rest = Vec::new();
    // Perhaps an alert comes before the end, never an answer.
    drop(plain.read_to_end(&mut rest));
    assert!(rest.len() < 12, "{rest:?}");
    let ended = silent.read(&mut [0; 1]);
    assert!(matches!(ended, Ok(0)) || ended.is_err_and(|e| e.kind() != ErrorKind::WouldBlock));
    let failures = "tradewind_dns_handshake_failures_total{transport=\"tls\"}";
    wait_for("both are counted", Duration::from_secs(5), || {
        (node.metric(failures) == 2).then_some(())
    });
    let gauge = "tradewind_dns_encrypted_connections{transport=\"tls\"}";
    wait_for("both are gone", Duration::from_secs(5), || {
        (node.metric(gauge) == 0).then_some(())
    });
}

#[test]
fn rfc7766_6_2_3_the_longest_idle_tls_connection_makes_room() {
    let node = tls::start("tcp-max-connections = 8", "");
    // One source has a quarter: two.
    let mut first = tls::connect(&node);
    let mut second = tls::connect(&node);
    tls::exchange(&mut first, &static_query());
    tls::exchange(&mut second, &static_query());
    let mut third = tls::connect(&node);
    tls::exchange(&mut third, &static_query());
    assert!(matches!(first.read(&mut [0; 1]), Ok(0) | Err(_)));
    tls::exchange(&mut second, &static_query());
    assert_eq!(node.metric("tradewind_dns_tcp_evicted_total"), 1);
}

#[test]
fn rfc7828_3_3_2_the_idle_timeout_is_told_over_tcp_and_tls_only() {
    let node = tls::start("tcp-idle-timeout = \"7s\"", "");
    let asked = tls::with_option(&static_query(), 11, &[]);
    let over_tcp = tls::exchange(&mut dns::connect(node.dns), &asked);
    assert_eq!(tls::option(&over_tcp, 11), Some(vec![0, 70]));
    let over_tls = tls::exchange(&mut tls::connect(&node), &asked);
    assert_eq!(tls::option(&over_tls, 11), Some(vec![0, 70]));
    let unasked = tls::exchange(&mut dns::connect(node.dns), &static_query());
    assert_eq!(tls::option(&unasked, 11), None);
    // With a timeout in it, it is malformed, but over UDP it is not even read.
    let wrong = tls::with_option(&static_query(), 11, &[0, 70]);
    let m = dns::tcp(node.dns, &wrong);
    assert_eq!(m.metadata.response_code, ResponseCode::FormErr);
    for packet in [asked, wrong] {
        let m = dns::udp(node.dns, &packet);
        assert_eq!(m.metadata.response_code, ResponseCode::NoError);
        assert_eq!(tls::option(&m.to_vec().unwrap(), 11), None);
    }
}

#[test]
fn rfc8467_4_1_answers_are_padded_where_nobody_reads_along_and_it_is_asked() {
    let node = tls::start("", "");
    let padded = tls::with_option(&static_query(), 12, &[0; 64]);
    let mut stream = tls::connect(&node);
    assert_eq!(tls::exchange(&mut stream, &padded).len(), 468);
    assert!(tls::exchange(&mut stream, &static_query()).len() < 100);
    let over_tcp = tls::exchange(&mut dns::connect(node.dns), &padded);
    assert!(over_tcp.len() < 100);
    assert_eq!(tls::option(&over_tcp, 12), None);
}

#[test]
fn a_new_certificate_serves_new_connections_and_the_old_ones_stay() {
    let node = tls::start("", "");
    let doh = node.doh.unwrap();
    let mut old = tls::connect(&node);
    tls::exchange(&mut old, &static_query());
    // By reload.
    let second = tls::write_pair(node.dir.path());
    let trust = tls::trusting(&node, b"dot");
    assert_eq!(http::request(node.admin, "POST", "/v1/reload").status, 200);
    assert_eq!(tls::shown(node.dot.unwrap(), trust), Some(second.clone()));
    let over_https = tls::shown(doh, tls::trusting(&node, b"h2"));
    assert_eq!(over_https, Some(second.clone()));
    tls::exchange(&mut old, &static_query());
    // What cannot be used is said and leaves the old one in force: by reload, and by itself.
    std::fs::write(node.file("k.pem"), "no key\n").unwrap();
    let refused = http::request(node.admin, "POST", "/v1/reload");
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert!(
        refused.body.contains("no PEM private key"),
        "{}",
        refused.body
    );
    wait_for("it is said", Duration::from_secs(30), || {
        node.logged("the TLS certificate in force stays")
            .then_some(())
    });
    let shown = tls::shown(node.dot.unwrap(), tls::trusting(&node, b"dot"));
    assert_eq!(shown, Some(second));
    // By itself, when the files change.
    let third = tls::write_pair(node.dir.path());
    wait_for("the third is shown", Duration::from_secs(30), || {
        let shown = tls::shown(node.dot.unwrap(), tls::trusting(&node, b"dot"));
        (shown.as_ref() == Some(&third)).then_some(())
    });
    let m = Message::from_vec(&tls::exchange(&mut tls::connect(&node), &static_query())).unwrap();
    assert_eq!(dns::addresses(&m).len(), 1);
}

#[test]
fn o4_unusable_certificates_end_the_start_and_old_ones_are_warned_of() {
    let dir = folder(&tls::head(""));
    tls::write_pair(dir.path());
    let key = std::fs::read(dir.path().join("k.pem")).unwrap();
    tls::write_pair(dir.path());
    let check = |how: &[&str]| {
        let out = tradewind()
            .args(how)
            .arg("--config")
            .arg(dir.path().join("tradewind.toml"))
            .args(["--node", "n1"])
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    std::fs::write(dir.path().join("k.pem"), key).unwrap();
    let (code, err) = check(&["run"]);
    assert_eq!(code, Some(78), "{err}");
    assert!(
        err.contains("it is not the key of the certificate"),
        "{err}"
    );
    assert!(err.contains("tradewind.toml:"), "{err}");
    std::fs::remove_file(dir.path().join("c.pem")).unwrap();
    let (code, err) = check(&["run"]);
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("c.pem`: No such file"), "{err}");
    // Checked without being a node, a certificate may be on another machine.
    let out = tradewind()
        .args(["check"])
        .arg(dir.path())
        .output()
        .unwrap();
    let err = String::from_utf8(out.stderr).unwrap();
    assert_eq!((out.status.code(), err.as_str()), (Some(0), ""));
    let out = tradewind()
        .args(["check", "--node", "n1"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(78));
    // Out of date.
    let mut params = rcgen::CertificateParams::new(vec![tls::NAME.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 2, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let old = params.self_signed(&key).unwrap();
    std::fs::write(dir.path().join("c.pem"), old.pem()).unwrap();
    std::fs::write(dir.path().join("k.pem"), key.serialize_pem()).unwrap();
    let node = Node::start_in(dir);
    node.wait_logged("`dns.certificate` of node `n1` expired on Feb  1");
    let not_after = node.metric("tradewind_dns_certificate_not_after_seconds");
    assert_eq!(not_after, 1_580_515_200);
}
