//! `[monitors.NAME.tls]`, `[monitors.NAME.grpc]`, and what HTTPS has in common with them.

use std::path::PathBuf;

use crate::config::Marked;
use crate::config::decode::context::Context;
use crate::config::decode::reader::Reader;
use crate::config::diagnostic::Diagnostic;
use crate::health::{GrpcCheck, TlsCheck, TlsTrust};

use super::text;

/// The options of the trust that a monitor's table has.
const TRUST: [&str; 4] = ["verify", "ca-file", "server-name", "warn-days"];

/// Whom to trust.
pub(super) fn trust(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<TlsTrust> {
    let verify: Option<Marked<bool>> = r.get(cx, "verify");
    let file: Option<Marked<PathBuf>> = r.get(cx, "ca-file");
    if let (Some(verify), Some(file)) = (&verify, &file)
        && !verify.value
    {
        let what = r.name_of("ca-file");
        cx.push(
            Diagnostic::warning(
                file.span,
                format!("{what} has no effect with `verify = false`"),
            )
            .related(verify.span, "nothing is verified")
            .help("remove one of them"),
        );
    }
    let ca_pem = file.and_then(|file| ca_file(cx, file));
    let server_name = text(cx, r, "server-name");
    let warn_days: Option<Marked<u32>> = r.get(cx, "warn-days");
    Some(TlsTrust {
        verify: verify?.value,
        ca_pem,
        server_name,
        warn_days: warn_days?.value,
    })
}

/// Whom to trust where the option `tls` says that there is TLS at all; `None` when it is wrong.
pub(super) fn trust_if_tls(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Option<TlsTrust>> {
    let tls: Option<Marked<bool>> = r.get(cx, "tls");
    let trust = trust(cx, r);
    if tls?.value {
        return trust.map(Some);
    }
    for key in TRUST.into_iter().filter(|key| r.has(key)) {
        cx.push(
            Diagnostic::warning(
                r.span_of(key),
                format!("{} has no effect without `tls = true`", r.name_of(key)),
            )
            .help("add `tls = true` or remove it"),
        );
    }
    Some(None)
}

pub(super) fn tls_check(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<TlsCheck> {
    let trust = trust(cx, r);
    let alpn = r.list::<String>(cx, "alpn");
    Some(TlsCheck {
        trust: trust?,
        alpn: alpn?.into_iter().map(|p| p.value.into()).collect(),
    })
}

pub(super) fn grpc_check(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<GrpcCheck> {
    let tls = trust_if_tls(cx, r);
    let service = text(cx, r, "service");
    let host = text(cx, r, "host");
    Some(GrpcCheck {
        service: service.unwrap_or_default(),
        host,
        tls: tls?,
    })
}

fn ca_file(cx: &mut Context<'_>, file: Marked<PathBuf>) -> Option<Box<str>> {
    let file = super::super::path(cx, file);
    let problem = match (cx.read_file)(&file.value) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => return Some(text.into()),
            _ => "it holds no PEM certificate".to_owned(),
        },
        Err(e) => e.to_string(),
    };
    cx.error(
        file.span,
        format!(
            "cannot use trust anchors `{}`: {problem}",
            file.value.display()
        ),
    );
    None
}
