//! `[admin]`, and what `[nodes.NAME.admin]` says beside `listen`.

use std::path::PathBuf;
use std::time::Duration;

use hashbrown::HashMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::options;
use crate::config::spec::{
    AdminRole, AdminSpec, CertificateIs, ClientCertificateSpec, NodeAdminSpec, Sha256, TokenSpec,
};
use crate::config::tree::{Table, Value};
use crate::config::{Marked, Span};
use crate::net::Prefix;
use crate::time::utc;

use super::context::Context;
use super::reader::{Reader, Subject};
use super::value::{NAME_RULE, is_name};

const HASH: &str = "sha256:";

/// Reads `[admin]`.
pub(super) fn decode(cx: &mut Context<'_>, root: &Table, top: &Reader<'_>) -> AdminSpec {
    let r = top.sub(cx, "admin");
    let table = root.table("admin");
    let loopback: Marked<String> = r.get_or(cx, "loopback", "none".to_owned());
    let metrics: Marked<String> = r.get_or(cx, "metrics", "viewer".to_owned());
    let mark = cx.mark();
    let tokens = tokens(cx, table);
    let certificates = certificates(cx, table);
    let complete = cx.clean_since(mark);
    AdminSpec {
        client_ca: r
            .get::<PathBuf>(cx, "client-ca")
            .map(|f| super::path(cx, f)),
        loopback: AdminRole::from_word(&loopback),
        metrics_open: metrics.value == "open",
        requests_per_second: r.get_or(cx, "requests-per-second", 0).value,
        failures_per_minute: r.get_or(cx, "failures-per-minute", 10).value,
        body_limit: r.get_or(cx, "body-limit", 0).value,
        session: r.get_or(cx, "session", Duration::from_secs(60)).value,
        tokens,
        certificates,
        complete,
    }
}

/// Reads the rest of `[nodes.NAME.admin]`.
pub(super) fn node(cx: &mut Context<'_>, admin: &Reader<'_>) -> NodeAdminSpec {
    let mut file = |key: &str| -> Option<Marked<PathBuf>> {
        let path = admin.get(cx, key)?;
        Some(super::path(cx, path))
    };
    let (certificate, key) = (file("certificate"), file("key"));
    for (option, other) in [("certificate", "key"), ("key", "certificate")] {
        if admin.has(option) && admin.lacks(other) {
            cx.absence(
                Diagnostic::error(
                    admin.span_of(option),
                    format!("{} is given without `{other}`", admin.name_of(option)),
                )
                .help(format!(
                    "add `{other} = \"admin.{}\"`",
                    match other {
                        "key" => "key",
                        _ => "pem",
                    }
                )),
            );
        }
    }
    NodeAdminSpec {
        certificate,
        key,
        max_connections: admin.get_or(cx, "max-connections", 512).value,
    }
}

fn tokens(cx: &mut Context<'_>, admin: Option<&Table>) -> Vec<TokenSpec> {
    let mut tokens: Vec<TokenSpec> = Vec::new();
    let mut seen: HashMap<Sha256, Span> = HashMap::new();
    for (name, r) in named(cx, admin, "tokens", "token") {
        let hash: Option<Marked<String>> = r.get(cx, "hash");
        let hash = hash.and_then(|text| sha256(cx, &r, "hash", &text));
        let role = role(cx, &r);
        let expires: Option<Marked<String>> = r.get(cx, "expires");
        let expires = expires.and_then(|text| time(cx, &r, &text));
        let from = from(cx, &r);
        let (Some(hash), Some(role)) = (hash, role) else {
            continue;
        };
        if let Some(first) = seen.insert(hash.value, hash.span) {
            cx.push(
                Diagnostic::error(
                    hash.span,
                    format!(
                        "{} is that of another token: who holds it could be either",
                        r.name_of("hash")
                    ),
                )
                .related(first, "the other one")
                .help("make a token for each with `tradewind admin token NAME`"),
            );
        }
        tokens.push(TokenSpec {
            name,
            hash,
            role,
            expires,
            from,
        });
    }
    tokens
}

fn certificates(cx: &mut Context<'_>, admin: Option<&Table>) -> Vec<ClientCertificateSpec> {
    let mut certificates: Vec<ClientCertificateSpec> = Vec::new();
    for (name, r) in named(cx, admin, "certificates", "client certificate") {
        let is = which(cx, &r);
        let role = role(cx, &r);
        let from = from(cx, &r);
        let (Some(is), Some(role)) = (is, role) else {
            continue;
        };
        if let Some(other) = certificates.iter().find(|c| c.is == is.value) {
            let first = other.span;
            cx.push(
                Diagnostic::error(
                    is.span,
                    format!("{} means the same as another one", r.subject()),
                )
                .related(first, "the other one")
                .help("remove one of the two"),
            );
        }
        certificates.push(ClientCertificateSpec {
            name,
            span: is.span,
            is: is.value,
            role,
            from,
        });
    }
    certificates
}

fn which(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Marked<CertificateIs>> {
    let kinds = ["subject", "san", "fingerprint"];
    let kind = r.one_of(cx, &kinds, "mark")?;
    let text: Marked<String> = r.get(cx, kind)?;
    Some(match kind {
        "subject" => text.map(CertificateIs::Subject),
        "san" => text.map(CertificateIs::San),
        _ => sha256(cx, r, kind, &text)?.map(CertificateIs::Fingerprint),
    })
}

fn role(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<AdminRole> {
    let word: Marked<String> = r.get(cx, "role")?;
    AdminRole::from_word(&word)
}

fn from(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<Prefix> {
    let from: Vec<Marked<Prefix>> = r.list(cx, "from").unwrap_or_default();
    from.into_iter().map(|p| p.value).collect()
}

/// The text is not told: it may be the token itself.
fn sha256(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    key: &str,
    text: &Marked<String>,
) -> Option<Marked<Sha256>> {
    let digits = text.strip_prefix(HASH).unwrap_or(&text.value);
    // Fingerprints are often shown with colons.
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
    let octets = octets.ok().and_then(|o| Sha256::try_from(o).ok());
    match octets.filter(|_| text.starts_with(HASH)) {
        Some(octets) => Some(Marked::new(octets, text.span)),
        None => {
            let help = match key {
                "hash" => "`tradewind admin token NAME` makes a token and prints its hash",
                _ => "`openssl x509 -noout -fingerprint -sha256 -in FILE` prints it",
            };
            cx.push(
                Diagnostic::error(
                    text.span,
                    format!(
                        "{} must be `{HASH}` and 64 hexadecimal digits; it has {} characters",
                        r.name_of(key),
                        text.chars().count()
                    ),
                )
                .help(help),
            );
            None
        }
    }
}

fn time(cx: &mut Context<'_>, r: &Reader<'_>, text: &Marked<String>) -> Option<Marked<u64>> {
    let unix = utc::parse(text);
    if unix.is_none() {
        cx.push(
            Diagnostic::error(
                text.span,
                format!(
                    "{} is `{}`, which is no time in UTC",
                    r.name_of("expires"),
                    text.value
                ),
            )
            .help("write it as \"2027-01-31T00:00:00Z\""),
        );
    }
    Some(Marked::new(unix?, text.span))
}

/// The tables in `[admin.KIND]`.
fn named<'t>(
    cx: &mut Context<'_>,
    admin: Option<&'t Table>,
    kind: &'static str,
    word: &'static str,
) -> Vec<(Marked<String>, Reader<'t>)> {
    let Some(entry) = admin.and_then(|t| t.get(kind)) else {
        return Vec::new();
    };
    let Value::Table(table) = &entry.node.value else {
        let found = entry.node.value.kind();
        let message = format!("`admin.{kind}` must be a table, but it is {found}");
        cx.error(entry.node.span, message);
        return Vec::new();
    };
    let section = options::section(match kind {
        "tokens" => "admin.tokens.NAME",
        _ => "admin.certificates.NAME",
    });
    let mut found = Vec::new();
    for entry in &table.entries {
        let subject = Subject::Object(word, &entry.key);
        if !is_name(&entry.key) {
            cx.error(
                entry.key_span,
                format!("{subject}: `{}` is not {NAME_RULE}", entry.key),
            );
        }
        let Value::Table(inner) = &entry.node.value else {
            let found = entry.node.value.kind();
            cx.error(
                entry.node.span,
                format!("{subject} must be a table, but it is {found}"),
            );
            continue;
        };
        let name = Marked::new(entry.key.clone(), entry.key_span);
        found.push((name, Reader::new(cx, inner, section, subject)));
    }
    found
}
