//! Requirement H8: certificate and SNI are verified unless told not to.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::HttpProbe;
use crate::health::HttpCheck;
use crate::probe::testing::*;

/// A server with a certificate for `names` from an authority of its own.
struct Secure {
    server: Server,
    ca: String,
}

async fn secure(names: &[&str], expired: bool) -> Secure {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();

    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    if expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_with(answers("200 OK", "ok"), Some(acceptor)).await;
    Secure {
        server,
        ca: ca.pem(),
    }
}

fn https(ca: Option<&str>) -> HttpCheck {
    HttpCheck {
        tls: true,
        ca_pem: ca.map(Into::into),
        expect_body: Some("ok".into()),
        ..http()
    }
}

async fn probe(check: &HttpCheck, server: &Server) -> Result<(), String> {
    let probe = HttpProbe::new(check, server.addr);
    let clock = RuntimeClock::start();
    let run = tokio::time::timeout(BOUND, probe.run(&clock));
    run.await
        .expect("must end")
        .map(|_| ())
        .map_err(|e| e.to_string())
}

#[tokio::test]
async fn h8_a_certificate_of_the_given_authority_for_the_name_passes_and_the_name_is_sent() {
    let s = secure(&["www.gslb.example"], false).await;
    let named = HttpCheck {
        server_name: Some("www.gslb.example".into()),
        ..https(Some(&s.ca))
    };
    assert_eq!(probe(&named, &s.server).await, Ok(()));
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
        server_name: Some("origin.gslb.example".into()),
        host: Some("www.gslb.example".into()),
        ..https(Some(&s.ca))
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
    let other = HttpCheck {
        server_name: Some("127.0.0.9".into()),
        ..https(Some(&s.ca))
    };
    let words = probe(&other, &s.server).await.unwrap_err();
    assert!(
        words.contains("cannot be verified for the other address 127.0.0.9"),
        "{words}"
    );
}

#[tokio::test]
async fn h8_an_unknown_authority_a_wrong_name_and_an_expired_certificate_fail_each_in_words() {
    let good = secure(&["www.gslb.example"], false).await;
    let old = secure(&["www.gslb.example"], true).await;
    let named = |name: &str, ca| HttpCheck {
        server_name: Some(name.into()),
        ..https(ca)
    };
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
    let check = HttpCheck {
        verify: false,
        server_name: Some("api.gslb.example".into()),
        ..https(None)
    };
    assert_eq!(probe(&check, &s.server).await, Ok(()));
    assert_eq!(s.server.names(), [Some("api.gslb.example".to_owned())]);
}

#[tokio::test]
async fn h8_a_server_without_tls_fails() {
    let server = Server::start(Does::TalksFirst).await;
    let words = probe(
        &HttpCheck {
            verify: false,
            ..https(None)
        },
        &server,
    )
    .await
    .unwrap_err();
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
