//! Requirement H8, one property each, against servers that misbehave as told.

use std::net::SocketAddr;

use crate::health::{Failure, HttpCheck};
use crate::probe::testing::*;

async fn probe(check: &HttpCheck, addr: SocketAddr) -> Result<(), Failure> {
    let probe = http_probe(check, addr);
    tokio::time::timeout(BOUND, probe.run(None, &RuntimeClock::start()))
        .await
        .expect("a probe of a server that answers must end")
        .map(|_| ())
}

async fn words(check: &HttpCheck, addr: SocketAddr) -> String {
    probe(check, addr).await.expect_err("must fail").to_string()
}

#[tokio::test]
async fn h8_an_expected_answer_passes_and_the_time_is_that_of_the_connect() {
    let server = Server::start(answers("200 OK", "ok")).await;
    let probe = http_probe(&http(), server.addr);
    let rtt = probe.run(None, &RuntimeClock::start()).await.unwrap();
    assert!(rtt < BOUND, "{rtt:?}");
}

#[tokio::test]
async fn h8_status_outside_the_expected_set_fails() {
    let server = Server::start(answers("503 Service Unavailable", "ok")).await;
    assert_eq!(
        words(&http(), server.addr).await,
        "status 503, expected 200-299"
    );
    let check = HttpCheck {
        expect_status: vec![(500, 500), (503, 503)],
        ..http()
    };
    assert_eq!(probe(&check, server.addr).await, Ok(()));
}

#[tokio::test]
async fn h8_the_body_must_contain_the_text() {
    let server = Server::start(answers("200 OK", "all is well")).await;
    let check = |text: &str| HttpCheck {
        expect_body: Some(text.into()),
        ..http()
    };
    assert_eq!(probe(&check("is well"), server.addr).await, Ok(()));
    assert_eq!(
        words(&check("ok"), server.addr).await,
        "body does not contain `ok`"
    );
}

#[tokio::test]
async fn h8_the_body_must_match_the_pattern() {
    let server = Server::start(answers("200 OK", "up 99 days")).await;
    let check = |regex: &str| HttpCheck {
        expect_body_regex: Some(regex.into()),
        ..http()
    };
    assert_eq!(probe(&check("up [0-9]+"), server.addr).await, Ok(()));
    assert_eq!(
        words(&check("^down"), server.addr).await,
        "body does not match `^down`"
    );
    assert!(
        words(&check("("), server.addr)
            .await
            .contains("no regular expression")
    );
}

#[tokio::test]
async fn h8_no_more_than_the_cap_is_read_of_a_body_without_end() {
    let server = Server::start(Does::NeverStops).await;
    let check = HttpCheck {
        expect_body: Some("y".into()),
        max_body: 1000,
        ..http()
    };
    let words = words(&check, server.addr).await;
    assert_eq!(words, "body does not contain `y` in its first 1000 bytes");
    // What lies in the buffers of both sockets, not more.
    assert!(server.sent() < 32 << 20, "{} bytes sent", server.sent());
    assert_eq!(
        probe(
            &HttpCheck {
                expect_body: Some("x".into()),
                ..check
            },
            server.addr
        )
        .await,
        Ok(())
    );
}

#[tokio::test]
async fn h8_text_beyond_the_cap_does_not_count() {
    let server = Server::start(answers("200 OK", "0123456789ok")).await;
    let check = |max_body| HttpCheck {
        expect_body: Some("ok".into()),
        max_body,
        ..http()
    };
    assert_eq!(probe(&check(12), server.addr).await, Ok(()));
    assert_eq!(
        words(&check(11), server.addr).await,
        "body does not contain `ok` in its first 11 bytes"
    );
}

#[tokio::test]
async fn h8_method_path_headers_host_and_body_are_sent_as_told() {
    let server = Server::start(answers("200 OK", "")).await;
    let check = HttpCheck {
        host: Some("www.elsewhere.invalid".into()),
        method: "POST".into(),
        path: "/health?deep=1".into(),
        headers: vec![
            ("X-One".into(), "1".into()),
            ("X-One".into(), "2".into()),
            ("User-Agent".into(), "me".into()),
        ],
        body: Some("ping".into()),
        ..http()
    };
    assert_eq!(
        probe(&check, server.addr).await,
        Ok(()),
        "reaches the target, whatever the host"
    );
    let request = server.requests().remove(0).to_ascii_lowercase();
    for line in [
        "post /health?deep=1 http/1.1\r\n",
        "\r\nhost: www.elsewhere.invalid\r\n",
        "\r\nx-one: 1\r\n",
        "\r\nx-one: 2\r\n",
        "\r\nuser-agent: me\r\n",
        "\r\nconnection: close\r\n",
        "\r\n\r\nping",
    ] {
        assert!(request.contains(line), "{line:?} not in {request:?}");
    }
    assert_eq!(request.matches("host:").count(), 1);
    assert_eq!(request.matches("user-agent:").count(), 1);
}

#[tokio::test]
async fn h8_the_host_of_another_address_does_not_lead_there() {
    let (target, other) = (
        Server::start(answers("200 OK", "")).await,
        Server::start(answers("200 OK", "")).await,
    );
    let check = HttpCheck {
        host: Some(other.addr.to_string().into()),
        ..http()
    };
    assert_eq!(probe(&check, target.addr).await, Ok(()));
    assert_eq!((target.requests().len(), other.connections()), (1, 0));
}

#[tokio::test]
async fn h8_without_host_the_address_is_sent() {
    let server = Server::start(answers("200 OK", "")).await;
    assert_eq!(probe(&http(), server.addr).await, Ok(()));
    let request = server.requests().remove(0).to_ascii_lowercase();
    assert!(
        request.contains(&format!("\r\nhost: {}\r\n", server.addr)),
        "{request}"
    );
    assert!(
        request.contains("\r\nuser-agent: tradewind-probe/"),
        "{request}"
    );
}

#[tokio::test]
async fn h8_every_probe_opens_one_new_connection() {
    let server = Server::start(answers("200 OK", "ok")).await;
    let probe = http_probe(
        &HttpCheck {
            expect_body: Some("ok".into()),
            ..http()
        },
        server.addr,
    );
    for run in 1..=3 {
        probe.run(None, &RuntimeClock::start()).await.unwrap();
        assert_eq!(server.connections(), run);
    }
}

#[tokio::test]
async fn h8_a_refused_connection_says_so() {
    let words = words(&http(), closed().await).await;
    assert_eq!(words, "connect failed: Connection refused (os error 111)");
}

#[tokio::test]
async fn h8_a_reset_is_a_failure_of_http() {
    let server = Server::start(Does::Resets).await;
    let words = words(&http(), server.addr).await;
    assert!(
        words.starts_with("HTTP failed: ") && words.contains("reset"),
        "{words}"
    );
}

#[tokio::test]
async fn h8_what_is_not_http_fails() {
    let server = Server::start(answers_with(|_| "220 mail.example ESMTP\r\n".to_owned())).await;
    let words = words(&http(), server.addr).await;
    assert!(words.starts_with("HTTP failed: "), "{words}");
}

#[tokio::test]
async fn h8_a_body_cut_short_fails_where_it_matters() {
    let cut = || answers_with(|_| "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok".to_owned());
    let server = Server::start(cut()).await;
    let words = words(
        &HttpCheck {
            expect_body: Some("ok".into()),
            ..http()
        },
        server.addr,
    )
    .await;
    assert!(words.starts_with("HTTP failed: "), "{words}");
}

/// `/` leads to `/1`, that to `/2`, which is there.
async fn redirecting(status: &'static str) -> Server {
    Server::start(answers_with(move |request| {
        match request.split(' ').nth(1) {
            Some("/") => response(status, "Location: /1\r\n", ""),
            Some("/1") => response(status, "Location: 2\r\n", ""),
            Some("/2") => response("200 OK", "", "there"),
            _ => response("404 Not Found", "", ""),
        }
    }))
    .await
}

#[tokio::test]
async fn h8_redirects_are_not_followed_unless_told() {
    let server = redirecting("302 Found").await;
    assert_eq!(
        words(&http(), server.addr).await,
        "status 302, expected 200-299"
    );
    let check = HttpCheck {
        expect_status: vec![(302, 302)],
        ..http()
    };
    assert_eq!(probe(&check, server.addr).await, Ok(()));
}

#[tokio::test]
async fn h8_redirects_are_followed_as_often_as_told() {
    let server = redirecting("302 Found").await;
    let check = |follow_redirects| HttpCheck {
        follow_redirects,
        host: Some("www.gslb.example".into()),
        expect_body: Some("there".into()),
        ..http()
    };
    assert_eq!(probe(&check(2), server.addr).await, Ok(()));
    assert!(server.requests().iter().all(|r| {
        r.to_ascii_lowercase()
            .contains("host: www.gslb.example\r\n")
    }));
    assert_eq!(
        words(&check(1), server.addr).await,
        "more than 1 redirects; the last one to 2"
    );
}

#[tokio::test]
async fn h8_redirects_change_the_method_as_rfc_9110_says() {
    for (status, method) in [("303 See Other", "GET"), ("307 Temporary Redirect", "POST")] {
        let server = redirecting(status).await;
        let check = HttpCheck {
            method: "POST".into(),
            body: Some("ping".into()),
            follow_redirects: 5,
            ..http()
        };
        assert_eq!(probe(&check, server.addr).await, Ok(()));
        let last = server.requests().pop().unwrap();
        assert!(last.starts_with(&format!("{method} /2 ")), "{last}");
        assert_eq!(last.ends_with("ping"), method == "POST", "{last}");
    }
}

#[tokio::test]
async fn h8_a_redirect_off_the_target_is_refused() {
    let other = Server::start(answers("200 OK", "")).await;
    let location = format!("Location: http://{}/\r\n", other.addr);
    let server = Server::start(answers_with(move |_| response("302 Found", &location, ""))).await;
    let words = words(
        &HttpCheck {
            follow_redirects: 5,
            ..http()
        },
        server.addr,
    )
    .await;
    assert!(
        words.starts_with(&format!(
            "redirected to http://{}/, which is not on",
            other.addr
        )),
        "{words}"
    );
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn an_impossible_check_says_why_and_asks_nothing() {
    let server = Server::start(answers("200 OK", "")).await;
    let table = [
        (
            HttpCheck {
                method: "GET /".into(),
                ..http()
            },
            "`GET /` is no request method",
        ),
        (
            HttpCheck {
                headers: vec![("a b".into(), "c".into())],
                ..http()
            },
            "`a b` is no header name",
        ),
        (
            HttpCheck {
                headers: vec![("a".into(), "c\r\nd".into())],
                ..http()
            },
            "header `a` has characters",
        ),
        (
            HttpCheck {
                host: Some("a b".into()),
                ..http()
            },
            "is no URL",
        ),
    ];
    for (check, part) in table {
        let words = words(&check, server.addr).await;
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(server.connections(), 0);
}
