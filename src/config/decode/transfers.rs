//! `[tsig-keys."NAME"]`, and `transfer` and `notify` of `[zones."NAME"]`

use hashbrown::HashMap;
use std::path::PathBuf;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{NotifySpec, SecretSpec, TransferSpec, TsigKeySpec};
use crate::config::tree::Table;
use crate::dns::tsig::{Algorithm, Secret};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;

/// All keys that could be read.
pub(super) fn keys(cx: &mut Context<'_>, root: &Table) -> Vec<TsigKeySpec> {
    let mut keys = Vec::new();
    let mut seen = HashMap::new();
    for (key, r) in objects(cx, root, "tsig-keys", true) {
        let name = super::domain_key(cx, &key, "TSIG key", &mut seen);
        let algorithm = r.get_or(cx, "algorithm", String::new());
        let secret = secret(cx, &r);
        if let (Some(name), Ok(algorithm), Some(secret)) =
            (name, algorithm.value.parse::<Algorithm>(), secret)
        {
            keys.push(TsigKeySpec {
                key,
                name: name.value,
                algorithm,
                secret,
            });
        }
    }
    keys
}

fn secret(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<SecretSpec> {
    match r.one_of(cx, &["secret", "secret-file"], "secret")? {
        "secret" => {
            let text: Marked<String> = r.get(cx, "secret")?;
            match Secret::from_base64(&text) {
                Ok(secret) => Some(SecretSpec::Inline(secret)),
                Err(e) => {
                    cx.push(
                        Diagnostic::error(text.span, format!("{} {e}", r.name_of("secret")))
                            .help("make one with `openssl rand -base64 32`"),
                    );
                    None
                }
            }
        }
        _ => {
            let file: Marked<PathBuf> = r.get(cx, "secret-file")?;
            Some(SecretSpec::File(super::path(cx, file)))
        }
    }
}

/// `transfer` of a zone.
pub(super) fn transfer(cx: &mut Context<'_>, zone: &Reader<'_>) -> Option<Marked<TransferSpec>> {
    if !zone.has("transfer") {
        return None;
    }
    let mark = cx.mark();
    let r = zone.sub(cx, "transfer");
    let spec = TransferSpec {
        to: r.list(cx, "to").unwrap_or_default(),
        keys: r.list(cx, "keys").unwrap_or_default(),
        unsigned: r.get_or(cx, "unsigned", false).value,
        ixfr_history: r.get_or(cx, "ixfr-history", 0).value,
    };
    let span = zone.span_of("transfer");
    if spec.to.is_empty() && spec.keys.is_empty() && cx.clean_since(mark) {
        cx.push(
            Diagnostic::error(
                span,
                format!(
                    "{} names neither sources nor keys, so nobody could have the zone",
                    zone.name_of("transfer")
                ),
            )
            .help("add `to = [\"192.0.2.53/32\"]`, `keys = [\"NAME\"]` of `[tsig-keys]`, or both"),
        );
    }
    Some(Marked::new(spec, span))
}

/// `notify` of a zone.
pub(super) fn notify(cx: &mut Context<'_>, zone: &Reader<'_>) -> Option<Marked<NotifySpec>> {
    if !zone.has("notify") {
        return None;
    }
    let r = zone.sub(cx, "notify");
    let span = zone.span_of("notify");
    if r.lacks("to") {
        cx.absence(
            Diagnostic::error(
                span,
                format!(
                    "{} lacks `notify.to`, so that nobody is told",
                    zone.subject()
                ),
            )
            .help("add `to = [\"192.0.2.53:53\"]`, or remove the table"),
        );
    }
    let spec = NotifySpec {
        to: r.list(cx, "to").unwrap_or_default(),
        key: r.get(cx, "key"),
    };
    for target in spec.to.iter().filter(|t| t.port() == 0) {
        cx.push(
            Diagnostic::error(
                target.span,
                format!("{} has port 0, where nobody listens", r.name_of("to")),
            )
            .help("secondaries listen on port 53 as a rule"),
        );
    }
    Some(Marked::new(spec, span))
}
