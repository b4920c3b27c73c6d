//! `[nodes.NAME.dns]`: the encrypted listeners, their certificate, and the trusted proxies.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{EncryptedSpec, NodeSpec};

use super::context::Context;
use super::reader::{Reader, Subject};

/// Where DNS over HTTPS is found where nothing else is said (RFC 8484's own example).
const PATH: &str = "/dns-query";

/// Reads what `dns` says about encryption; `is_served`: the node has the role.
pub(super) fn decode(cx: &mut Context<'_>, dns: &Reader<'_>, is_served: bool) -> EncryptedSpec {
    let https = dns.sub(cx, "https");
    let path = https.get_or(cx, "path", PATH.to_owned());
    if path.contains(['?', '#', '{']) {
        cx.push(
            Diagnostic::error(
                path.span,
                format!(
                    "{} is `{}`, which is more than a path",
                    https.name_of("path"),
                    path.value
                ),
            )
            .help("write it without `{?dns}`, `?` and `#`; clients add the query themselves"),
        );
    }
    let mut listen = |key: &str| -> Vec<Marked<SocketAddr>> {
        let table = dns.sub(cx, key);
        if dns.has(key) && table.lacks("listen") {
            cx.absence(
                Diagnostic::error(
                    dns.span_of(key),
                    format!("{} is missing", table.name_of("listen")),
                )
                .help(format!(
                    "add `{key}.listen = [\"192.0.2.1:{}\"]` or remove the table",
                    if key == "https" { 443 } else { 853 }
                )),
            );
        }
        table.list(cx, "listen").unwrap_or_default()
    };
    let (tls, https, quic) = (listen("tls"), listen("https"), listen("quic"));
    let mut file = |key: &str| -> Option<Marked<PathBuf>> {
        let path = dns.get(cx, key)?;
        Some(super::path(cx, path))
    };
    let (certificate, key) = (file("certificate"), file("key"));
    let first = [("tls", &tls), ("https", &https), ("quic", &quic)]
        .into_iter()
        .find_map(|(kind, listen)| Some((kind, listen.first()?)));
    if is_served {
        for (option, other) in [("certificate", "key"), ("key", "certificate")] {
            if !dns.lacks(option) {
                continue;
            }
            if let Some((kind, listen)) = first {
                let what = dns.name_of(option);
                cx.absence(
                    Diagnostic::error(
                        listen.span,
                        format!("`dns.{kind}.listen` needs {what}, which is missing"),
                    )
                    .help(format!("add `{option} = \"{option}.pem\"` beside `{kind}`")),
                );
            } else if dns.has(other) {
                cx.absence(
                    Diagnostic::error(
                        dns.span_of(other),
                        format!("{} is given without `{option}`", dns.name_of(other)),
                    )
                    .help(format!("add `{option} = \"{option}.pem\"`")),
                );
            }
        }
        if let (None, true, true) = (first, dns.has("certificate"), dns.has("key")) {
            cx.push(
                Diagnostic::warning(
                    dns.span_of("certificate"),
                    format!("{} is used by no listener", dns.name_of("certificate")),
                )
                .help("add `tls.listen`, `https.listen` or `quic.listen`, or remove it"),
            );
        }
    }
    let proxies = dns.sub(cx, "proxy-protocol");
    EncryptedSpec {
        tls,
        https,
        https_path: path.value,
        quic,
        certificate,
        key,
        proxies: proxies.list(cx, "from").unwrap_or_default(),
    }
}

/// Reports listeners that want the same port: TCP, TLS and HTTPS are all TCP, UDP and QUIC both UDP.
pub(super) fn check_ports(cx: &mut Context<'_>, node: &NodeSpec, subject: &Subject<'_>) {
    let e = &node.encrypted;
    let streams = [
        ("dns.listen", &node.dns_listen),
        ("dns.tls.listen", &e.tls),
        ("dns.https.listen", &e.https),
    ];
    let datagrams = [
        ("dns.listen", &node.dns_listen),
        ("dns.quic.listen", &e.quic),
    ];
    for (protocol, kinds) in [("TCP", &streams[..]), ("UDP", &datagrams[..])] {
        let all: Vec<_> = kinds
            .iter()
            .flat_map(|(option, listen)| listen.iter().map(move |a| (*option, a)))
            .collect();
        for (i, (option, addr)) in all.iter().enumerate() {
            let earlier = all[..i]
                .iter()
                .find(|(o, a)| o != option && addr.port() != 0 && a.value == addr.value);
            if let Some((other, first)) = earlier {
                cx.push(
                    Diagnostic::error(
                        addr.span,
                        format!(
                            "`{option}` of {subject} is {}, which `{other}` listens on, both over \
                             {protocol}",
                            addr.value
                        ),
                    )
                    .related(first.span, "the other one")
                    .help(
                        "give each its own port: usual are 53, 853 for TLS and QUIC, 443 for HTTPS",
                    ),
                );
            }
        }
    }
}
