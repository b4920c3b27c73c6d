//! Requirement H8: certificate and SNI are verified unless told not to.

use crate::health::{HttpCheck, TlsTrust};
use crate::probe::testing::*;

fn https(ca: Option<&str>) -> HttpCheck {
    HttpCheck {
        tls: Some(trust(ca)),
        expect_body: Some("ok".into()),
        ..http()
    }
}

/// As [`https`], for the name `name`.
fn named(name: &str, ca: Option<&str>) -> HttpCheck {
    HttpCheck {
        tls: Some(TlsTrust {
            server_name: Some(name.into()),
            ..trust(ca)
        }),
        ..https(ca)
    }
}

/// As [`https`], for the name `name`, with nothing verified.
fn unverified(name: Option<&str>) -> HttpCheck {
    HttpCheck {
        tls: Some(TlsTrust {
            verify: false,
            server_name: name.map(Into::into),
            ..trust(None)
        }),
        ..https(None)
    }
}

async fn probe(check: &HttpCheck, server: &Server) -> Result<(), String> {
    let probe = http_probe(check, server.addr);
    let clock = RuntimeClock::start();
    let run = tokio::time::timeout(BOUND, probe.run(None, &clock));
    run.await
        .expect("must end")
        .map(|_| ())
        .map_err(|e| e.to_string())
}

#[tokio::test]
async fn h8_a_certificate_of_the_given_authority_for_the_name_passes_and_the_name_is_sent() {
    let s = secure(&["www.gslb.example"], false).await;
    let own = named("www.gslb.example", Some(&s.ca));
    assert_eq!(probe(&own, &s.server).await, Ok(()));
    // The name of `host` without its port serves as well.
    let hosted = HttpCheck {
        host: Some("www.gslb.example:8443".into()),
        ..https(Some(&s.ca))
    };
    assert_eq!(probe(&hosted, &s.server).await, Ok(()));
    assert_eq!(
        s.server.names(),
        [
            Some("www.gslb.example".to_owned()),
            Some("www.gslb.example".to_owned())
        ]
    );
    assert!(
        s.server.requests()[1]
            .to_ascii_lowercase()
            .contains("host: www.gslb.example:8443\r\n")
    );
}

#[tokio::test]
async fn h8_server_name_and_host_may_differ() {
    let s = secure(&["origin.gslb.example"], false).await;
    let check = HttpCheck {
        host: Some("www.gslb.example".into()),
        ..named("origin.gslb.example", Some(&s.ca))
    };
    assert_eq!(probe(&check, &s.server).await, Ok(()));
    assert_eq!(s.server.names(), [Some("origin.gslb.example".to_owned())]);
    assert!(
        s.server.requests()[0]
            .to_ascii_lowercase()
            .contains("host: www.gslb.example\r\n")
    );
}

#[tokio::test]
async fn h8_without_a_name_the_address_is_verified() {
    let s = secure(&["127.0.0.1"], false).await;
    assert_eq!(probe(&https(Some(&s.ca)), &s.server).await, Ok(()));
    let other = named("127.0.0.9", Some(&s.ca));
    let words = probe(&other, &s.server).await.unwrap_err();
    assert!(words.contains("not valid for name"), "{words}");
    // A certificate for another address is one for a name like any other.
    let s = secure(&["127.0.0.9"], false).await;
    let other = named("127.0.0.9", Some(&s.ca));
    assert_eq!(probe(&other, &s.server).await, Ok(()));
}

#[tokio::test]
async fn h8_an_unknown_authority_a_wrong_name_and_an_expired_certificate_fail_each_in_words() {
    let good = secure(&["www.gslb.example"], false).await;
    let old = secure(&["www.gslb.example"], true).await;
    let table = [
        (
            probe(&named("www.gslb.example", None), &good.server).await,
            "unknown",
        ),
        (
            probe(&named("www.gslb.example", Some(&old.ca)), &good.server).await,
            "",
        ),
        (
            probe(&named("api.gslb.example", Some(&good.ca)), &good.server).await,
            "not valid for name",
        ),
        (
            probe(&named("www.gslb.example", Some(&old.ca)), &old.server).await,
            "expired",
        ),
    ];
    for (result, part) in table {
        let words = result.expect_err("must fail");
        assert!(words.starts_with("TLS failed: certificate: "), "{words}");
        assert!(words.to_ascii_lowercase().contains(part), "{words}");
    }
}

#[tokio::test]
async fn h8_told_not_to_verify_any_certificate_passes_and_the_name_is_still_sent() {
    let s = secure(&["www.gslb.example"], true).await;
    let check = unverified(Some("api.gslb.example"));
    assert_eq!(probe(&check, &s.server).await, Ok(()));
    assert_eq!(s.server.names(), [Some("api.gslb.example".to_owned())]);
}

#[tokio::test]
async fn h8_a_server_without_tls_fails() {
    let server = Server::start(Does::TalksFirst).await;
    let words = probe(&unverified(None), &server).await.unwrap_err();
    assert!(words.starts_with("TLS failed: "), "{words}");
}

#[tokio::test]
async fn h8_a_useless_ca_is_named() {
    let server = Server::start(answers("200 OK", "ok")).await;
    for pem in [
        "",
        "not pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let words = probe(&https(Some(pem)), &server).await.unwrap_err();
        assert!(
            words.starts_with("TLS failed: the `ca` file "),
            "{pem:?}: {words}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_expiry_of_the_certificate_is_seen() {
    let s = secure(&["www.gslb.example"], true).await;
    let probe = http_probe(&unverified(None), s.server.addr);
    assert_eq!(probe.expiry.get(), None);
    probe.run(None, &RuntimeClock::start()).await.unwrap();
    // 2021-01-01T00:00:00Z
    assert_eq!(probe.expiry.get(), Some(1_609_459_200));
}

#[tokio::test]
async fn monitors_of_one_trust_share_its_anchors() {
    let mut shared = crate::probe::check::Shared::default();
    let check = https(None);
    let (one, two) = (shared.template(&check), shared.template(&check));
    assert!(std::sync::Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
    let (a, b) = (trust(None), trust(None));
    assert!(std::sync::Arc::ptr_eq(
        &shared.tls(&a, &["h2"]),
        &shared.tls(&b, &["h2"])
    ));
}
