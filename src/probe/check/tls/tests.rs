//! The TLS check against servers with certificates of an authority of the test's own.

use crate::health::{TlsCheck, TlsTrust};
use crate::probe::check::Shared;
use crate::probe::testing::*;

use super::TlsProbe;

fn check(name: &str, ca: Option<&str>, alpn: &[&str]) -> TlsCheck {
    TlsCheck {
        trust: TlsTrust {
            server_name: Some(name.into()),
            ..trust(ca)
        },
        alpn: alpn.iter().map(|p| (*p).into()).collect(),
    }
}

async fn probe(check: &TlsCheck, server: &Server) -> Result<(), String> {
    let client = Shared::default().tls(&check.trust, &check.alpn);
    let probe = TlsProbe::new(check, client, server.addr);
    let clock = RuntimeClock::start();
    let run = tokio::time::timeout(BOUND, probe.run(None, &clock)).await;
    let result = run.expect("must end").map(drop).map_err(|e| e.to_string());
    assert_eq!(
        probe.expiry.get().is_some(),
        !matches!(&result, Err(e) if e.starts_with("TLS"))
    );
    result
}

#[tokio::test]
async fn a_handshake_that_verifies_passes_without_a_request() {
    let s = secure(&["www.gslb.example"], false).await;
    let good = check("www.gslb.example", Some(&s.ca), &[]);
    assert_eq!(probe(&good, &s.server).await, Ok(()));
    assert_eq!(s.server.connections(), 1);
    assert!(s.server.requests().is_empty());
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_fails_in_words() {
    let s = secure(&["www.gslb.example"], false).await;
    let old = secure(&["www.gslb.example"], true).await;
    let table = [
        (
            probe(&check("www.gslb.example", None, &[]), &s.server).await,
            "unknown",
        ),
        (
            probe(&check("api.gslb.example", Some(&s.ca), &[]), &s.server).await,
            "not valid for name",
        ),
        (
            probe(&check("www.gslb.example", Some(&old.ca), &[]), &old.server).await,
            "expired",
        ),
    ];
    for (result, part) in table {
        let words = result.expect_err("must fail").to_ascii_lowercase();
        assert!(words.starts_with("tls failed: certificate: "), "{words}");
        assert!(words.contains(part), "{words}");
    }
}

#[tokio::test]
async fn the_server_must_choose_one_of_the_protocols() {
    let name = "www.gslb.example";
    let two = secure_with(&[name], false, &["h2"], answers("200 OK", "")).await;
    let none = secure(&[name], false).await;
    let want = |s: &Secure, alpn| check(name, Some(&s.ca), alpn);
    assert_eq!(
        probe(&want(&two, &["http/1.1", "h2"]), &two.server).await,
        Ok(())
    );
    let words = probe(&want(&two, &["imap"]), &two.server)
        .await
        .unwrap_err();
    assert!(words.starts_with("TLS failed: "), "{words}");
    assert_eq!(
        probe(&want(&none, &["h2", "imap"]), &none.server).await,
        Err("the server chose no protocol by ALPN, expected `h2` or `imap`".to_owned())
    );
}
