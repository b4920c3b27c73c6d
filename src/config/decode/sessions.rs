//! `[upstreams.NAME.session]`

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::dns::name::WireName;
use crate::traffic::session::{Binding, InsertedCookie, OnGone, SameSite, Session};

use super::context::Context;
use super::reader::Reader;
use super::upstreams;

const KINDS: [&str; 4] = ["cookie", "prefix", "learn", "on"];

/// `session` of an upstream; `None` when it has none, or none that could be read.
pub(super) fn decode(cx: &mut Context<'_>, upstream: &Reader<'_>) -> Option<Session> {
    if !upstream.has("session") {
        return None;
    }
    let r = upstream.sub(cx, "session");
    if !upstream.is_table("session") {
        return None;
    }
    let binding = match r.one_of(cx, &KINDS, "kind") {
        Some("cookie") => cookie(cx, &r),
        Some("prefix") => named(cx, &r, "prefix").map(Binding::Prefix),
        Some("learn") => named(cx, &r, "learn").map(Binding::Learn),
        Some(_) => {
            let on: Option<Marked<String>> = r.get(cx, "on");
            on.and_then(|on| upstreams::key(cx, &r, "on", &on))
                .map(Binding::Key)
        }
        None => None,
    };
    let on_gone = r.get_or(cx, "on-gone", String::new());
    let session = Session {
        on_gone: match on_gone.value.as_str() {
            "refuse" => OnGone::Refuse,
            _ => OnGone::Reassign,
        },
        entries: r.get_or(cx, "entries", 100_000).value,
        ttl: r.get_or(cx, "ttl", Duration::from_secs(1_800)).value,
        is_shared: r.get_or(cx, "share", false).value,
        secrets: r
            .list(cx, "secrets")
            .unwrap_or_default()
            .into_iter()
            .map(|s| s.value)
            .collect(),
        binding: binding?,
    };
    if session.is_shared && !session.binding.wants_table() {
        cx.push(
            Diagnostic::error(
                r.span_of("share"),
                format!(
                    "{} is true, but only `learn` and `on` have a table that can be shared",
                    r.name_of("share")
                ),
            )
            .help("remove it: proxies with the same `secrets` read each other's cookies"),
        );
    }
    unused(cx, &r, &session);
    Some(session)
}

fn named(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Box<[u8]>> {
    let name: Option<Marked<String>> = r.get(cx, key);
    name.map(|n| n.as_bytes().into())
}

fn cookie(cx: &mut Context<'_>, session: &Reader<'_>) -> Option<Binding> {
    let r = session.sub(cx, "cookie");
    let name: Option<Marked<String>> = r.get(cx, "name");
    let path = r.get_or(cx, "path", "/".to_owned());
    let domain: Option<Marked<WireName>> = r.get(cx, "domain");
    let secure: Option<Marked<bool>> = r.get(cx, "secure");
    let same_site = r.get_or(cx, "same-site", String::new());
    let http_only = r.get_or(cx, "http-only", true).value;
    let max_age: Option<Marked<Duration>> = r.get(cx, "max-age");
    let indirect = r.get_or(cx, "indirect", true).value;
    let no_cache = r.get_or(cx, "no-cache", true).value;
    if path.contains([';', ',']) {
        cx.error(
            path.span,
            format!(
                "{} is `{}`, which a cookie cannot say: it holds `;` or `,`",
                r.name_of("path"),
                *path
            ),
        );
    }
    if let Some(secure) = secure.as_ref().filter(|s| !s.value)
        && same_site.value == "none"
    {
        cx.push(
            Diagnostic::error(
                secure.span,
                format!(
                    "{} is false, but `same-site` is `none`: browsers drop such a cookie",
                    r.name_of("secure")
                ),
            )
            .related(same_site.span, "`same-site` is set here")
            .help("write `secure = true`, or `same-site = \"lax\"`"),
        );
    }
    Some(Binding::Insert(InsertedCookie {
        name: name?.value.into(),
        path: path.value.into(),
        domain: domain.map(|d| d.value.to_string().trim_end_matches('.').into()),
        secure: secure.map(|s| s.value),
        http_only,
        same_site: match same_site.value.as_str() {
            "strict" => SameSite::Strict,
            "none" => SameSite::None,
            _ => SameSite::Lax,
        },
        max_age: max_age.map(|d| d.value),
        indirect,
        no_cache,
    }))
}

/// What is set and has no effect.
fn unused(cx: &mut Context<'_>, r: &Reader<'_>, session: &Session) {
    let (keys, needs): (&[&str], &str) = if session.binding.wants_table() {
        (
            &["secrets"],
            "only `cookie` and `prefix` sign names of backends",
        )
    } else {
        (&["entries", "ttl"], "only `learn` and `on` have a table")
    };
    for key in keys.iter().filter(|key| r.has(key)) {
        cx.push(
            Diagnostic::warning(
                r.span_of(key),
                format!("{} has no effect: {needs}", r.name_of(key)),
            )
            .help("remove it"),
        );
    }
}
