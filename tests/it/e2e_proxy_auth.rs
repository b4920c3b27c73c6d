//! Another service is asked whether a request may pass.

use std::time::Duration;

use crate::e2e_proxy_fields::config;
use crate::support::backend::{After, Backend, answer, send, stall};
use crate::support::proxy::{Answer, Proxy, Raw, backend_entry};

/// An authorisation service: lets `Authorization: good` pass as `ann`, sends others to log in.
fn service() -> Backend {
    Backend::with(|got, stream| {
        match got.field("authorization") {
            Some("good") => send(
                stream,
                b"HTTP/1.1 200 OK\r\nX-User: ann\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\nok",
            ),
            Some("broken") => answer(stream, 500, b"broken"),
            Some("silent") => {
                stall(stream);
                return After::Close;
            }
            _ => send(
                stream,
                b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 6\r\n\r\nlog in",
            ),
        }
        After::Next
    })
}

fn start(service: &Backend, backend: &Backend, more: &str) -> Proxy {
    let auth = format!(
        "[auth.sso]\nupstream = \"sso\"\npath = \"/verify?x=1\"\ncopy-headers = [\"x-user\"]\n\
         timeout = \"300ms\"\n{more}\n[upstreams.sso]\nfirst-byte-timeout = \"5s\"\n{}",
        backend_entry("sso", "s0", service.addr)
    );
    Proxy::start(&config("", "auth = \"sso\"", &auth, backend))
}

fn post(proxy: &Proxy, authorization: &str) -> Answer {
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(
        format!(
            "POST /buy?y=2 HTTP/1.1\r\nHost: shop.example\r\nAuthorization: {authorization}\r\n\
             X-User: root\r\nX_User: root\r\nX-Forwarded-Uri: /forged\r\nX-Real-IP: 6.6.6.6\r\n\
             X_Forwarded_For: 6.6.6.6\r\nIf-None-Match: \"a\"\r\nContent-Length: 4\r\n\r\nbody"
        )
        .as_bytes(),
    );
    raw.answer()
}

#[test]
fn a_request_that_is_allowed_passes_with_what_the_service_says_of_its_client() {
    let (service, backend) = (service(), Backend::start());
    let proxy = start(&service, &backend, "");
    assert_eq!(post(&proxy, "good").status, 200);
    let asked = service.got().pop().unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/verify?x=1")
    );
    assert!(asked.body.is_empty(), "the body is not for the service");
    assert_eq!(asked.field("x-forwarded-method"), Some("POST"));
    assert_eq!(asked.field("x-forwarded-uri"), Some("/buy?y=2"));
    assert_eq!(asked.field("x-forwarded-host"), Some("shop.example"));
    assert_eq!(asked.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(asked.field("x-user"), None, "a client cannot say who it is");
    for gone in ["x_user", "x-real-ip", "x_forwarded_for", "if-none-match"] {
        assert_eq!(asked.field(gone), None, "{gone}");
    }
    let got = backend.got().pop().unwrap();
    for gone in ["x_user", "x-real-ip", "x_forwarded_for"] {
        assert_eq!(got.field(gone), None, "{gone}");
    }
    assert_eq!(got.field("if-none-match"), Some("\"a\""));
    assert_eq!(got.body, b"body");
    assert_eq!((got.field("x-user"), got.count("x-user")), (Some("ann"), 1));
    assert_eq!(got.field("x-secret"), None);
}

#[test]
fn a_refusal_is_the_clients_answer_and_the_backend_sees_nothing() {
    let (service, backend) = (service(), Backend::start());
    let proxy = start(&service, &backend, "");
    let got = post(&proxy, "bad");
    assert_eq!((got.status, got.field("location")), (302, Some("/login")));
    assert_eq!(got.text(), "log in");
    assert_eq!(backend.requests(), 0);
}

#[test]
fn a_service_that_cannot_be_asked_denies() {
    let (service, backend) = (service(), Backend::start());
    let proxy = start(&service, &backend, "");
    for how in ["broken", "silent"] {
        assert_eq!(post(&proxy, how).status, 503, "{how}");
    }
    drop(service);
    crate::support::wait_for("the service is gone", Duration::from_secs(5), || {
        (post(&proxy, "good").status == 503).then_some(())
    });
    assert_eq!(backend.requests(), 0);
}

#[test]
fn or_lets_pass_without_what_the_client_pretends() {
    let (service, backend) = (service(), Backend::start());
    let proxy = start(&service, &backend, "on-error = \"allow\"");
    assert_eq!(post(&proxy, "broken").status, 200);
    assert_eq!(backend.got().pop().unwrap().field("x-user"), None);
    assert_eq!(
        post(&proxy, "bad").status,
        302,
        "a refusal is one all the same"
    );
}

#[test]
fn what_is_cached_for_one_client_is_not_given_to_another() {
    let service = Backend::with(|got, stream| {
        let user = got.field("authorization").unwrap_or_default();
        let head = format!("HTTP/1.1 200 OK\r\nX-User: {user}\r\nContent-Length: 0\r\n\r\n");
        send(stream, head.as_bytes());
        After::Next
    });
    let backend = Backend::with(|got, stream| {
        let user = got.field("x-user").unwrap_or_default();
        let head =
            "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nContent-Length: 3\r\n\r\n";
        send(stream, format!("{head}{user}").as_bytes());
        After::Next
    });
    let rest = format!(
        "[auth.sso]\nupstream = \"sso\"\ncopy-headers = [\"x-user\"]\n[caches.some]\n[upstreams.sso]\n{}",
        backend_entry("sso", "s0", service.addr)
    );
    let route = "auth = \"sso\"\ncache = \"some\"";
    let proxy = Proxy::start(&config("", route, &rest, &backend));
    let get = |user: &str| {
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(
            format!("GET /me HTTP/1.1\r\nHost: a\r\nAuthorization: {user}\r\n\r\n").as_bytes(),
        );
        raw.answer().text()
    };
    for user in ["ann", "bob", "ann"] {
        assert_eq!(get(user), user);
    }
    assert_eq!(
        backend.requests(),
        2,
        "the second answer to ann is the cache's"
    );
}
