//! TLS of the proxy, end to end, judged by OpenSSL and curl: certificates by name, renewal under load,
//! staples, resumption, client certificates, policy, re-encryption, broken handshakes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::support::backend::Backend;
use crate::support::certs::{Ca, curl, put, s_client, text};
use crate::support::proxy::{Proxy, Raw, backend_entry, get};
use crate::support::wait_for;

/// A listener `web` with TLS, one route to all, one backend.
fn web(tls: &str, backend: &Backend) -> String {
    format!(
        r#"
[listeners.web]
bind = ["127.0.0.1:0"]
head-timeout = "2s"
[listeners.web.tls]
{tls}
[routes.all]
path-prefixes = ["/"]
forward = "app"
[upstreams.app]
{}"#,
        backend_entry("app", "b0", backend.addr)
    )
}

const ONE: &str = r#"certificates = [{ certificate = "www.pem", key = "www.key" }]"#;

/// A proxy with the certificate of `www.example`, by a fresh authority.
fn one(more: &str, backend: &Backend) -> (Proxy, Ca) {
    let ca = Ca::new("test");
    let config = web(&format!("{ONE}\n{more}"), backend);
    let proxy = Proxy::start_with(&config, |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
    });
    (proxy, ca)
}

/// A client of rustls that trusts these authorities; one of these per test shares sessions.
fn client(authorities: &[&Ca], alpn: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for ca in authorities {
        let der = CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap();
        roots.add(der).unwrap();
    }
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn shake(addr: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> std::io::Result<Tls> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tls = ClientConnection::new(config.clone(), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// One request on a connection that lives on; its answer is `ok`.
fn ask(tls: &mut Tls) -> std::io::Result<()> {
    tls.write_all(b"GET / HTTP/1.1\r\nHost: www.example\r\n\r\n")?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\nok") {
        let mut octets = [0; 1024];
        let n = tls.read(&mut octets)?;
        if n == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        seen.extend_from_slice(&octets[..n]);
    }
    Ok(())
}

/// How a new connection's handshake went, once it has been asked something.
fn kind(addr: SocketAddr, config: &Arc<ClientConfig>) -> HandshakeKind {
    let mut tls = shake(addr, config, "www.example").unwrap();
    ask(&mut tls).unwrap();
    tls.conn.handshake_kind().unwrap()
}

#[test]
fn certificates_are_chosen_by_name_and_elliptic_curves_come_first() {
    let backend = Backend::start();
    let ca = Ca::new("test");
    let tls = |more: &str| {
        let names = ["first", "any", "rsa", "www"];
        let list: Vec<String> = names
            .iter()
            .map(|n| format!("{{ certificate = \"{n}.pem\", key = \"{n}.key\" }}"))
            .collect();
        format!("certificates = [{}]\n{more}", list.join(", "))
    };
    let files = |dir: &Path| {
        ca.issue("first", &["first.example"], 1).write(dir, "first");
        ca.issue("any", &["*.example.com"], 2).write(dir, "any");
        ca.issue_rsa("rsa", &["www.example.com"], 3)
            .write(dir, "rsa");
        ca.issue("www", &["www.example.com"], 4).write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
    };
    let proxy = Proxy::start_with(&web(&tls(""), &backend), files);
    let addr = proxy.addr("web");
    let authorities = text(&proxy.node.file("ca.pem"));
    let shown = |addr, args: &[&str]| {
        let trusted = ["-brief", "-CAfile", &authorities];
        s_client(addr, &[&trusted, args].concat(), "")
    };
    let old = [
        "-sigalgs",
        "RSA-PSS+SHA256",
        "-servername",
        "www.example.com",
    ];
    for (args, common, kind) in [
        (&["-servername", "www.example.com"][..], "www", "ECDSA"),
        (&["-servername", "WWW.Example.COM"], "www", "ECDSA"),
        (&old, "rsa", "RSA-PSS"),
        (&["-servername", "api.example.com"], "any", "ECDSA"),
        (&["-servername", "a.b.example.com"], "first", "ECDSA"),
        (&["-servername", "other.example"], "first", "ECDSA"),
        (&["-noservername"], "first", "ECDSA"),
    ] {
        let said = shown(addr, args);
        let want = [
            format!("CN = {common}\n"),
            format!("Signature type: {kind}"),
        ];
        assert!(want.iter().all(|w| said.contains(w)), "{args:?}: {said}");
        assert!(said.contains("Verification: OK"), "{said}");
    }
    let strict = Proxy::start_with(&web(&tls("strict-sni = true"), &backend), files);
    let addr = strict.addr("web");
    assert!(shown(addr, &["-servername", "api.example.com"]).contains("CN = any\n"));
    for args in [&["-servername", "other.example"][..], &["-noservername"]] {
        let said = shown(addr, args);
        assert!(
            !said.contains("Ciphersuite") && said.contains("alert"),
            "{said}"
        );
    }
}

#[test]
fn the_protocol_is_what_the_listener_speaks_and_plain_http_is_told_so() {
    let backend = Backend::start();
    for (more, want) in [("", "2"), ("http2 = false\n", "1.1")] {
        let ca = Ca::new("test");
        let config = web(ONE, &backend).replace("head-timeout", &format!("{more}head-timeout"));
        let proxy = Proxy::start_with(&config, |dir| {
            ca.issue("www", &["www.example"], 1).write(dir, "www");
            put(dir, "ca.pem", ca.pem().as_bytes());
        });
        let addr = proxy.addr("web");
        let port = addr.port();
        let (ok, said) = curl(&[
            "--cacert",
            &text(&proxy.node.file("ca.pem")),
            "--resolve",
            &format!("www.example:{port}:127.0.0.1"),
            "--write-out",
            " %{http_version} %{ssl_verify_result}",
            &format!("https://www.example:{port}/echo"),
        ]);
        assert!(ok && said.ends_with(&format!(" {want} 0")), "{said}");
        assert!(said.contains(r#"["x-forwarded-proto","https"]"#), "{said}");
        let mut plain = Raw::connect(addr);
        plain.send(get("/").as_bytes());
        let answer = plain.answer();
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("speaks HTTPS"), "{answer:?}");
        assert_eq!(plain.rest(), "", "and the connection ends");
    }
}

#[test]
fn p2_a_renewal_fails_no_handshake_and_ends_no_connection() {
    let backend = Backend::start();
    let (proxy, old) = one("", &backend);
    let new = Ca::new("renewed");
    let addr = proxy.addr("web");
    let both = client(&[&old, &new], b"http/1.1");
    let mut living = shake(addr, &both, "www.example").unwrap();
    ask(&mut living).unwrap();
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let hammer = std::thread::spawn({
        let (stop, count) = (stop.clone(), count.clone());
        let config = both.clone();
        move || {
            while !stop.load(Ordering::Relaxed) {
                let mut tls = shake(addr, &config, "www.example").expect("a handshake");
                ask(&mut tls).expect("an answer");
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Noticed without anybody telling.
    let dir = proxy.node.dir.path();
    new.issue("www", &["www.example"], 9).write(dir, "www");
    let only_new = client(&[&new], b"http/1.1");
    let is_new = || shake(addr, &only_new, "www.example").ok();
    wait_for("the new certificate", Duration::from_secs(20), is_new);
    // A key that is not the certificate's: said, and the old pair stays.
    let other = new.issue("other", &["www.example"], 10);
    put(dir, "www.key", other.key.as_bytes());
    wait_for("the log", Duration::from_secs(30), || {
        proxy
            .node
            .logged("the TLS files in force stay")
            .then_some(())
    });
    assert!(shake(addr, &only_new, "www.example").is_ok());
    // By a reload: refused as a whole while the files are wrong, taken when they are right.
    proxy.node.signal("-HUP");
    proxy.node.wait_logged("reload refused");
    assert!(shake(addr, &only_new, "www.example").is_ok());
    old.issue("www", &["www.example"], 11).write(dir, "www");
    proxy.node.signal("-HUP");
    let only_old = client(&[&old], b"http/1.1");
    let is_old = || shake(addr, &only_old, "www.example").ok();
    wait_for("the reloaded certificate", Duration::from_secs(20), is_old);
    stop.store(true, Ordering::Relaxed);
    hammer.join().expect("no handshake failed");
    assert!(count.load(Ordering::Relaxed) > 20);
    ask(&mut living).expect("a connection of the first certificate lives on");
}

#[test]
fn an_ocsp_response_is_stapled_until_it_expires() {
    let backend = Backend::start();
    let ca = Ca::new("test");
    let tls = r#"certificates = [{ certificate = "www.pem", key = "www.key", ocsp = "www.ocsp" }]"#;
    let proxy = Proxy::start_with(&web(tls, &backend), |dir| {
        ca.issue("www", &["www.example"], 0x11).write(dir, "www");
        put(dir, "ca.pem", ca.pem().as_bytes());
        put(dir, "ca.key", ca.key().as_bytes());
    });
    let addr = proxy.addr("web");
    let (dir, authorities) = (proxy.node.dir.path(), text(&proxy.node.file("ca.pem")));
    let status = || {
        let args = [
            "-status",
            "-CAfile",
            &authorities,
            "-servername",
            "www.example",
        ];
        s_client(addr, &args, "")
    };
    // The file is not there yet, which is said and keeps nothing from working.
    assert!(proxy.node.logged("staples no OCSP response"));
    assert!(status().contains("OCSP response: no response sent"));
    // What a responder says about serial number 0x11, good for an hour from then on.
    let respond = |index: &str, then: &str| {
        put(dir, "index.txt", index.as_bytes());
        let mut command = Command::new("faketime");
        command
            .current_dir(dir)
            .args([
                "-f",
                then,
                "openssl",
                "ocsp",
                "-index",
                "index.txt",
                "-CA",
                "ca.pem",
            ])
            .args(["-rsigner", "ca.pem", "-rkey", "ca.key", "-issuer", "ca.pem"])
            .args(["-cert", "www.pem", "-nmin", "60", "-respout", "new.ocsp"]);
        // faketime calls a semaphore by its process number, and those of processes that were killed stay: the
        // next number may be free.
        wait_for(
            "a response of the responder",
            Duration::from_secs(20),
            || {
                let made = command.output().unwrap();
                let is_there = dir.join("new.ocsp").exists();
                if !is_there {
                    eprintln!("{made:?}");
                }
                is_there.then_some(())
            },
        );
        std::fs::rename(dir.join("new.ocsp"), dir.join("www.ocsp")).unwrap();
    };
    let good = "V\t490101000000Z\t\t11\tunknown\t/CN=www\n";
    respond(good, "+0s");
    let said = wait_for("a staple", Duration::from_secs(20), || {
        let said = status();
        said.contains("OCSP Response Status: successful")
            .then_some(said)
    });
    assert!(said.contains("Cert Status: good"), "{said}");
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    // What says that the certificate is revoked, and what has expired, is not stapled.
    let revoked = "R\t490101000000Z\t200101000000Z\t11\tunknown\t/CN=www\n";
    for (index, then) in [(revoked, "+0s"), (good, "-3h")] {
        respond(index, then);
        wait_for("no staple", Duration::from_secs(20), || {
            let said = status();
            said.contains("OCSP response: no response sent")
                .then_some(())
        });
        respond(good, "+0s");
        wait_for("a staple again", Duration::from_secs(20), || {
            status().contains("Cert Status: good").then_some(())
        });
    }
    assert!(proxy.node.logged("it says that the certificate is revoked"));
}

#[test]
fn sessions_are_resumed_across_rotation_reload_and_proxies() {
    let backend = Backend::start();
    let ca = Ca::new("test");
    let pair = ca.issue("www", &["www.example"], 1);
    let secret = "5a".repeat(32);
    let start = |tls: &str| {
        Proxy::start_with(&web(&format!("{ONE}\n{tls}"), &backend), |dir| {
            pair.write(dir, "www");
            put(dir, "tickets", format!("# shared\n{secret}\n").as_bytes());
        })
    };
    let shared = r#"tickets = { secrets = "tickets", rotation = "2s", count = 1 }"#;
    let (a, b) = (start(shared), start(shared));
    let config = client(&[&ca], b"http/1.1");
    assert_eq!(kind(a.addr("web"), &config), HandshakeKind::Full);
    assert_eq!(kind(a.addr("web"), &config), HandshakeKind::Resumed);
    assert_eq!(
        kind(b.addr("web"), &config),
        HandshakeKind::Resumed,
        "another proxy"
    );
    // The key changes every two seconds, and the one before is accepted: no session is lost.
    let end = std::time::Instant::now() + Duration::from_secs(6);
    while std::time::Instant::now() < end {
        assert_eq!(kind(a.addr("web"), &config), HandshakeKind::Resumed);
        std::thread::park_timeout(Duration::from_millis(100));
    }
    a.node.signal("-HUP");
    wait_for("a reload", Duration::from_secs(20), || {
        assert_eq!(kind(a.addr("web"), &config), HandshakeKind::Resumed);
        a.node.logged("reloaded").then_some(())
    });
    assert_eq!(kind(a.addr("web"), &config), HandshakeKind::Resumed);
    // A proxy without the secret, and one without tickets, resume nothing of it.
    let alone = start("");
    assert_eq!(kind(alone.addr("web"), &config), HandshakeKind::Full);
    assert_eq!(kind(alone.addr("web"), &config), HandshakeKind::Resumed);
    let none = start("tickets = { enabled = false }");
    let config = client(&[&ca], b"http/1.1");
    assert_eq!(kind(none.addr("web"), &config), HandshakeKind::Full);
    assert_eq!(kind(none.addr("web"), &config), HandshakeKind::Full);
    // As OpenSSL sees it, in both versions.
    for version in ["-tls1_2", "-tls1_3"] {
        let session = text(&alone.node.file("session"));
        let request = "GET / HTTP/1.1\r\nHost: www.example\r\nConnection: close\r\n\r\n";
        let with = |io: &str| {
            let args = [
                version,
                "-ign_eof",
                "-servername",
                "www.example",
                io,
                &session,
            ];
            s_client(alone.addr("web"), &args, request)
        };
        assert!(with("-sess_out").contains("\nNew, "), "{version}");
        let again = with("-sess_in");
        assert!(again.contains("\nReused, "), "{version}: {again}");
    }
}

#[test]
fn client_certificates_are_verified_and_told_to_backends() {
    let backend = Backend::start();
    let clients = Ca::new("clients");
    let (good, gone) = (
        clients.issue("client, one", &[], 0x21),
        clients.issue("gone", &[], 0x22),
    );
    let stranger = Ca::new("others").issue("stranger", &[], 0x23);
    let ca = Ca::new("test");
    let start = |auth: &str| {
        let tls = format!(
            "{ONE}\nclient-auth = \"{auth}\"\nclient-ca = \"clients.pem\"\n\
             client-crl = \"clients.crl\"\nclient-subject-header = \"X-Client-Subject\""
        );
        // A plain listener beside it must not be a way around.
        let config = web(&tls, &backend)
            + "\n[listeners.plain]\nbind = [\"127.0.0.1:0\"]\n\
               [routes.root]\nheaders = [{ name = \"x-client-subject\", exact = \"CN=root\" }]\n\
               respond = { status = 200, body = \"GET for root\" }\n";
        Proxy::start_with(&config, |dir| {
            ca.issue("www", &["www.example"], 1).write(dir, "www");
            put(dir, "ca.pem", ca.pem().as_bytes());
            put(dir, "clients.pem", clients.pem().as_bytes());
            put(dir, "clients.crl", clients.revoke(&[&gone]).as_bytes());
            good.write(dir, "good");
            gone.write(dir, "gone");
            stranger.write(dir, "stranger");
        })
    };
    let forged = "X-Client-Subject: CN=root";
    let ask = |proxy: &Proxy, own: Option<&str>| {
        let port = proxy.addr("web").port();
        let file = |name: &str| text(&proxy.node.file(name));
        let mut args: Vec<String> = vec!["--cacert".into(), file("ca.pem")];
        args.extend(["--resolve".into(), format!("www.example:{port}:127.0.0.1")]);
        args.extend(["--header".into(), forged.into()]);
        if let Some(own) = own {
            args.extend(["--cert".into(), file(&format!("{own}.pem"))]);
            args.extend(["--key".into(), file(&format!("{own}.key"))]);
        }
        args.push(format!("https://www.example:{port}/echo"));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        curl(&args)
    };
    let subject = r#"["x-client-subject","CN=client\\, one"]"#;
    let required = start("require");
    let (ok, said) = ask(&required, Some("good"));
    assert!(ok && said.contains(subject), "{said}");
    assert!(!said.contains("root"), "{said}");
    for own in [None, Some("gone"), Some("stranger")] {
        let (ok, said) = ask(&required, own);
        assert!(!ok && !said.contains("GET"), "{own:?}: {said}");
    }
    let plain = {
        let mut raw = Raw::connect(required.addr("plain"));
        raw.send(
            format!(
                "GET /echo HTTP/1.1\r\nHost: a\r\n{forged}\r\nX_Client_Subject: CN=root\r\n\r\n"
            )
            .as_bytes(),
        );
        raw.answer().text()
    };
    assert!(!plain.contains("root"), "{plain}");
    let optional = start("optional");
    let (ok, said) = ask(&optional, Some("good"));
    assert!(ok && said.contains(subject), "{said}");
    let (ok, said) = ask(&optional, None);
    assert!(ok && !said.contains("x-client-subject"), "{said}");
    for own in ["gone", "stranger"] {
        assert!(!ask(&optional, Some(own)).0, "{own}");
    }
}

#[test]
fn versions_and_ciphers_are_those_of_the_policy() {
    let backend = Backend::start();
    let handshake = |proxy: &Proxy, args: &[&str]| {
        let all = [&["-brief", "-servername", "www.example"][..], args].concat();
        s_client(proxy.addr("web"), &all, "")
    };
    let (new, _) = one(
        "min-version = \"1.3\"\nciphers = [\"TLS_CHACHA20_POLY1305_SHA256\"]",
        &backend,
    );
    let said = handshake(&new, &[]);
    let want = "Protocol version: TLSv1.3\nCiphersuite: TLS_CHACHA20_POLY1305_SHA256";
    assert!(said.contains(want), "{said}");
    assert!(!handshake(&new, &["-tls1_2"]).contains("Ciphersuite"));
    let (old, _) = one("max-version = \"1.2\"", &backend);
    let said = handshake(&old, &[]);
    assert!(said.contains("Protocol version: TLSv1.2\n"), "{said}");
    assert!(!handshake(&old, &["-tls1_3"]).contains("Ciphersuite"));
    let weak = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    assert!(!handshake(&old, &weak).contains("Ciphersuite"));
}

/// An inner proxy that wants a client certificate and an outer one that re-encrypts to it.
#[test]
fn backends_are_spoken_to_over_tls_verified_named_and_with_a_certificate() {
    let backend = Backend::start();
    let (ca, clients) = (Ca::new("backends"), Ca::new("clients"));
    let tls = format!(
        "{ONE}\nstrict-sni = true\nclient-auth = \"require\"\nclient-ca = \"clients.pem\"\n\
         client-subject-header = \"X-Client-Subject\""
    );
    let inner = Proxy::start_with(&web(&tls, &backend), |dir| {
        ca.issue("www", &["www.example"], 1).write(dir, "www");
        put(dir, "clients.pem", clients.pem().as_bytes());
    });
    let outer = |http2: bool, tls: &str| {
        let entry = backend_entry("inner", "i", inner.addr("web"));
        let config = format!(
            "[listeners.web]\nbind = [\"127.0.0.1:0\"]\n[routes.all]\npath-prefixes = [\"/\"]\n\
             forward = \"inner\"\n[upstreams.inner]\nhttp2 = {http2}\n[upstreams.inner.tls]\n{tls}\n{entry}"
        );
        Proxy::start_with(&config, |dir| {
            put(dir, "ca.pem", ca.pem().as_bytes());
            put(dir, "other.pem", Ca::new("other").pem().as_bytes());
            clients.issue("proxy", &[], 2).write(dir, "own");
        })
    };
    let own = "certificate = \"own.pem\"\nkey = \"own.key\"";
    let good = format!("ca = \"ca.pem\"\nserver-name = \"www.example\"\n{own}");
    for http2 in [false, true] {
        let proxy = outer(http2, &good);
        for _ in 0..3 {
            let answer = proxy.get("/echo");
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(
                answer.text().contains(r#"["x-client-subject","CN=proxy"]"#),
                "{answer:?}"
            );
        }
    }
    let unverified = format!("verify = false\nserver-name = \"www.example\"\n{own}");
    assert_eq!(outer(false, &unverified).get("/echo").status, 200);
    for (tls, want) in [
        (
            format!("ca = \"other.pem\"\nserver-name = \"www.example\"\n{own}"),
            "UnknownIssuer",
        ),
        // The address is not what the certificate is for, and without SNI the inner one is strict.
        (format!("ca = \"ca.pem\"\n{own}"), "no TLS with backend"),
        (
            format!("ca = \"ca.pem\"\nserver-name = \"api.example\"\n{own}"),
            "no TLS with backend",
        ),
    ] {
        let proxy = outer(false, &tls);
        assert!(proxy.get("/echo").status >= 502, "{tls}");
        proxy.node.wait_logged(want);
    }
}

#[test]
fn sessions_with_backends_are_resumed_and_their_certificate_can_change() {
    // OpenSSL as the backend: it says which handshakes were resumed.
    let ca = Ca::new("backends");
    let dir = tempfile::tempdir().unwrap();
    ca.issue("b", &["b.example"], 1).write(dir.path(), "b");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut server = Command::new("openssl")
        .current_dir(dir.path())
        .args([
            "s_server",
            "-accept",
            &port.to_string(),
            "-cert",
            "b.pem",
            "-key",
            "b.key",
            "-www",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for("s_server", Duration::from_secs(10), || {
        TcpStream::connect(addr).ok()
    });
    let entry = backend_entry("b", "b0", addr);
    let config = format!(
        "[listeners.web]\nbind = [\"127.0.0.1:0\"]\n[routes.all]\npath-prefixes = [\"/\"]\n\
         forward = \"b\"\n[upstreams.b]\n[upstreams.b.tls]\nca = \"ca.pem\"\n\
         server-name = \"b.example\"\n{entry}"
    );
    let proxy = Proxy::start_with(&config, |to| put(to, "ca.pem", ca.pem().as_bytes()));
    // One status page per connection: s_server closes behind it.
    let page = || proxy.get("/").text();
    let first = page();
    let second = page();
    let _ = server.kill();
    let _ = server.wait();
    assert!(first.contains("New, TLSv1.3"), "{first}");
    assert!(second.contains("Reused, TLSv1.3"), "{second}");
}

#[test]
fn broken_handshakes_are_bounded_and_hurt_nobody() {
    let backend = Backend::start();
    let (proxy, ca) = one("handshake-timeout = \"1s\"", &backend);
    let addr = proxy.addr("web");
    // The start of a ClientHello, as OpenSSL sends it.
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 64]].concat();
    let mut stalled: Vec<Raw> = (0..20).map(|_| Raw::connect(addr)).collect();
    for raw in &mut stalled {
        raw.send(&hello);
    }
    let mut silent = Raw::connect(addr);
    let junk: [&[u8]; 6] = [
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        b"\x80\x2e\x01\x00\x02",
        b"\0\0\0\0\0\0\0\0",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x17\x03\x03\x00\x10aaaaaaaaaaaaaaaa",
    ];
    for octets in junk {
        let mut raw = Raw::connect(addr);
        raw.send(octets);
        assert!(raw.is_closed_within(Duration::from_secs(10)), "{octets:?}");
    }
    for octets in [&b""[..], &hello] {
        let mut raw = Raw::connect(addr);
        raw.send(octets);
        raw.shut();
        assert!(raw.is_closed_within(Duration::from_secs(10)), "{octets:?}");
    }
    let config = client(&[&ca], b"http/1.1");
    assert_eq!(
        kind(addr, &config),
        HandshakeKind::Full,
        "meanwhile others are served"
    );
    for raw in &mut stalled {
        assert!(raw.is_closed_within(Duration::from_secs(10)));
    }
    assert!(silent.is_closed_within(Duration::from_secs(10)));
    assert_eq!(kind(addr, &config), HandshakeKind::Resumed);
}

/// What `tradewind check` says of a listener with this TLS, and whether it is satisfied.
fn checked(ca: &Ca, tls: &str) -> (bool, String) {
    let backend: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let config = format!(
        "{}\n[listeners.web]\nbind = [\"127.0.0.1:0\"]\n[listeners.web.tls]\n{tls}\n\
         [routes.all]\npath-prefixes = [\"/\"]\nforward = \"app\"\n[upstreams.app]\n{}",
        crate::support::proxy::head(),
        backend_entry("app", "b0", backend)
    );
    let dir = crate::support::node::folder(&config);
    ca.issue("www", &["www.example"], 1)
        .write(dir.path(), "www");
    ca.issue("two", &["www.example"], 2)
        .write(dir.path(), "two");
    put(dir.path(), "ca.pem", ca.pem().as_bytes());
    put(dir.path(), "junk", b"junk");
    let old = ca.issue_until("old", &["www.example"], 3, 2021);
    old.write(dir.path(), "old");
    let done = crate::support::demo::tradewind()
        .args(["check", "--node", "n1"])
        .arg(dir.path().join("tradewind.toml"))
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn o4_faults_of_tls_files_are_told_at_their_places() {
    let ca = Ca::new("test");
    let one = |c: &str, k: &str| format!("{{ certificate = \"{c}\", key = \"{k}\" }}");
    for (certificates, more, is_good, want) in [
        (one("www.pem", "www.key"), "", true, ""),
        (one("none.pem", "www.key"), "", false, "cannot read"),
        (
            one("www.pem", "two.key"),
            "",
            false,
            "it is not the key of the certificate",
        ),
        (
            one("junk", "www.key"),
            "",
            false,
            "it holds no PEM certificate",
        ),
        (one("old.pem", "old.key"), "", true, "expired on"),
        (
            format!(
                "{}, {}",
                one("www.pem", "www.key"),
                one("two.pem", "two.key")
            ),
            "",
            true,
            "certificate 2 of listener `web` is never shown",
        ),
        (
            one("www.pem", "www.key"),
            "client-auth = \"require\"\nclient-ca = \"junk\"",
            false,
            "`tls.client-ca` of listener `web`: cannot use",
        ),
        (
            one("www.pem", "www.key"),
            "tickets = { secrets = \"junk\" }",
            false,
            "line 1 is not 64 hexadecimal digits",
        ),
        (
            one("www.pem", "www.key").replace(" }", ", ocsp = \"junk\" }"),
            "",
            true,
            "it is no OCSP response in DER form",
        ),
    ] {
        let (good, said) = checked(&ca, &format!("certificates = [{certificates}]\n{more}"));
        assert_eq!(good, is_good, "{certificates} {more}: {said}");
        assert!(said.contains(want), "{want}: {said}");
        assert!(
            want.is_empty() || said.contains("tradewind.toml:"),
            "{said}"
        );
    }
}
