//! `[listeners.NAME.tls]`, `[upstreams.NAME.tls]`, and the PROXY protocol on both sides.

use std::path::PathBuf;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::TlsFile;
use crate::message::Name;
use crate::net::Prefix;
use crate::traffic::proxy_protocol::{ProxyProtocol, ProxyVersion, TIMEOUT};
use crate::traffic::tls::{
    CIPHERS, CertificateFiles, ClientAuth, ListenerTls, Tickets, TlsPolicy, TlsVersion, UpstreamTls,
};

use super::context::Context;
use super::reader::Reader;

/// TLS of a listener; `None` without the table. Its files are added to `files`.
pub(super) fn listener(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    files: &mut Vec<TlsFile>,
) -> Option<Box<ListenerTls>> {
    if !r.has("tls") {
        return None;
    }
    let subject = r.subject().to_string();
    let listener = r;
    let r = r.sub(cx, "tls");
    let readers = r.tables(cx, "certificates", |at, _| {
        format!("certificate {at} of {subject}")
    });
    let certificates = readers
        .iter()
        .filter_map(|r| certificate(cx, r, files))
        .collect();
    Some(Box::new(ListenerTls {
        certificates,
        policy: policy(cx, &r),
        tickets: tickets(cx, &r, files),
        client: client(cx, &r, files),
        strict_sni: r.get_or(cx, "strict-sni", false).value,
        handshake_timeout: r.get(cx, "handshake-timeout").map(|d| d.value),
        alpn: super::sni::alpn(cx, listener, &r),
    }))
}

/// A path, seen from the file that says it, noted with the option that names it.
fn file(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    (key, option): (&str, &'static str),
    secret: bool,
    files: &mut Vec<TlsFile>,
) -> Option<PathBuf> {
    let path: Marked<PathBuf> = r.get(cx, key)?;
    let path = super::path(cx, path);
    files.push(TlsFile {
        option,
        path: path.clone(),
        secret,
    });
    Some(path.value)
}

fn certificate(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    files: &mut Vec<TlsFile>,
) -> Option<CertificateFiles> {
    let chain = file(
        cx,
        r,
        ("certificate", "tls.certificates[].certificate"),
        false,
        files,
    );
    let key = file(cx, r, ("key", "tls.certificates[].key"), true, files);
    let ocsp = file(cx, r, ("ocsp", "tls.certificates[].ocsp"), false, files);
    Some(CertificateFiles {
        certificate: chain?,
        key: key?,
        ocsp,
    })
}

fn version(text: &str) -> TlsVersion {
    if text == "1.2" {
        TlsVersion::V12
    } else {
        TlsVersion::V13
    }
}

fn policy(cx: &mut Context<'_>, r: &Reader<'_>) -> TlsPolicy {
    let min = r.get_or(cx, "min-version", "1.2".to_owned());
    let max = r.get_or(cx, "max-version", "1.3".to_owned());
    let listed: Option<Vec<Marked<String>>> = r.list(cx, "ciphers");
    let known = |name: &str| CIPHERS.iter().map(|(n, _)| *n).find(|n| *n == name);
    let policy = TlsPolicy {
        min: version(&min),
        max: version(&max),
        ciphers: listed
            .iter()
            .flatten()
            .filter_map(|name| known(name))
            .collect(),
    };
    if policy.min > policy.max {
        cx.push(
            Diagnostic::error(
                min.span,
                format!(
                    "{} is {}, above `max-version`, which is {}: no handshake could succeed",
                    r.name_of("min-version"),
                    *min,
                    *max
                ),
            )
            .help("lower it, or raise `max-version`"),
        );
    } else if let Some(without) = policy.impossible().filter(|_| listed.is_some()) {
        let (number, other) = match without {
            TlsVersion::V12 => ("1.2", "`min-version = \"1.3\"`"),
            TlsVersion::V13 => ("1.3", "`max-version = \"1.2\"`"),
        };
        let example = CIPHERS.iter().find(|(_, v)| *v == without);
        cx.push(
            Diagnostic::error(
                r.span_of("ciphers"),
                format!(
                    "{} has no cipher suite of TLS {number}, which is allowed",
                    r.name_of("ciphers")
                ),
            )
            .help(format!(
                "add one, such as `{}`, or write {other}",
                example.map_or("", |(name, _)| name)
            )),
        );
    }
    policy
}

fn tickets(cx: &mut Context<'_>, r: &Reader<'_>, files: &mut Vec<TlsFile>) -> Option<Tickets> {
    let r = r.sub(cx, "tickets");
    let enabled = r.get_or(cx, "enabled", true);
    let found = Tickets {
        count: r.get_or(cx, "count", 2).value,
        rotation: r
            .get_or(cx, "rotation", std::time::Duration::from_secs(43_200))
            .value,
        secrets: file(cx, &r, ("secrets", "tls.tickets.secrets"), true, files),
    };
    if !enabled.value {
        for key in ["count", "rotation", "secrets"] {
            if r.has(key) {
                cx.push(
                    Diagnostic::warning(
                        r.span_of(key),
                        format!("{} has no effect with `enabled = false`", r.name_of(key)),
                    )
                    .help("remove one of them"),
                );
            }
        }
        files.retain(|f| f.option != "tls.tickets.secrets");
        return None;
    }
    Some(found)
}

fn client(cx: &mut Context<'_>, r: &Reader<'_>, files: &mut Vec<TlsFile>) -> Option<ClientAuth> {
    let auth: Option<Marked<String>> = r.get(cx, "client-auth");
    let authorities = file(cx, r, ("client-ca", "tls.client-ca"), false, files);
    let revocations = file(cx, r, ("client-crl", "tls.client-crl"), false, files);
    let header: Option<Marked<String>> = r.get(cx, "client-subject-header");
    let Some(auth) = auth else {
        // Whoever names authorities believes that clients are checked.
        for key in ["client-ca", "client-crl", "client-subject-header"] {
            if r.has(key) && r.lacks("client-auth") {
                cx.absence(
                    Diagnostic::error(
                        r.span_of(key),
                        format!(
                            "{} is given without `client-auth`: no client would be asked for a \
                             certificate",
                            r.name_of(key)
                        ),
                    )
                    .help("add `client-auth = \"require\"` or `\"optional\"`, or remove it"),
                );
            }
        }
        return None;
    };
    if r.lacks("client-ca") {
        cx.absence(
            Diagnostic::error(
                auth.span,
                format!(
                    "{} needs `client-ca`, which is missing",
                    r.name_of("client-auth")
                ),
            )
            .help("add `client-ca = \"clients.pem\"`, the authorities of your clients"),
        );
    }
    Some(ClientAuth {
        required: auth.value == "require",
        authorities: authorities?,
        revocations,
        subject_header: header.map(|h| Name::new(h.as_bytes())),
    })
}

/// What stands before HTTP and TLS on a listener.
pub(super) fn proxy_protocol(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Box<ProxyProtocol>> {
    if !r.has("proxy-protocol") {
        return None;
    }
    let r = r.sub(cx, "proxy-protocol");
    let from: Vec<Marked<Prefix>> = r.list(cx, "from").unwrap_or_default();
    let others = r.get_or(cx, "others", String::new());
    Some(Box::new(ProxyProtocol {
        from: from.into_iter().map(|p| p.value).collect(),
        refuse_others: others.value == "refuse",
        timeout: r.get_or(cx, "timeout", TIMEOUT).value,
    }))
}

/// How backends are told whom a connection is for.
pub(super) fn proxy_version(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<ProxyVersion> {
    let word: Marked<String> = r.get(cx, "proxy-protocol")?;
    Some(if word.value == "v1" {
        ProxyVersion::V1
    } else {
        ProxyVersion::V2
    })
}

/// TLS to the backends of an upstream; `None` without the table. Its files are added to `files`.
pub(super) fn upstream(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    files: &mut Vec<TlsFile>,
) -> Option<Box<UpstreamTls>> {
    if !r.has("tls") {
        return None;
    }
    let r = r.sub(cx, "tls");
    let verify = r.get_or(cx, "verify", true);
    let authorities = file(cx, &r, ("ca", "tls.ca"), false, files);
    let server_name: Option<Marked<String>> = r.get(cx, "server-name");
    let chain = file(cx, &r, ("certificate", "tls.certificate"), false, files);
    let key = file(cx, &r, ("key", "tls.key"), true, files);
    if r.has("ca") && !verify.value {
        cx.push(
            Diagnostic::warning(
                r.span_of("ca"),
                format!("{} has no effect with `verify = false`", r.name_of("ca")),
            )
            .related(verify.span, "nothing is verified")
            .help("remove one of them"),
        );
    }
    if let Some(name) = &server_name
        && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
    {
        cx.push(
            Diagnostic::error(
                name.span,
                format!(
                    "{} is `{}`, which is neither a DNS name nor an address",
                    r.name_of("server-name"),
                    **name
                ),
            )
            .help("write the name that the backends' certificate is for, without a port"),
        );
    }
    for (option, other) in [("certificate", "key"), ("key", "certificate")] {
        if r.has(option) && r.lacks(other) {
            cx.absence(
                Diagnostic::error(
                    r.span_of(option),
                    format!("{} is given without `{other}`", r.name_of(option)),
                )
                .help(format!("add `{other} = \"{other}.pem\"`")),
            );
        }
    }
    let certificate = chain.zip(key).map(|(certificate, key)| CertificateFiles {
        certificate,
        key,
        ocsp: None,
    });
    Some(Box::new(UpstreamTls {
        verify: verify.value,
        authorities,
        server_name: server_name.map(|n| n.value.into()),
        certificate,
        policy: policy(cx, &r),
        resumption: r.get_or(cx, "resumption", true).value,
    }))
}
