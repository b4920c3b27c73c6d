//! `[dns.access]`, `[dns.rate-limit]`, `[dns.cookies]` and `[dns.chaos]`.

use std::collections::HashMap;

use crate::config::spec::{AccessSpec, ChaosSpec, CookiesSpec, RateLimitSpec};
use crate::config::{Diagnostic, Span};
use crate::net::Prefix;

use super::context::Context;
use super::reader::Reader;

pub(super) fn access(cx: &mut Context<'_>, dns: &Reader<'_>) -> AccessSpec {
    let r = dns.sub(cx, "access");
    let spec = AccessSpec {
        allow: r.list(cx, "allow").unwrap_or_default(),
        deny: r.list(cx, "deny").unwrap_or_default(),
        drop: r
            .get::<String>(cx, "denied")
            .is_some_and(|d| d.value == "drop"),
    };
    let allowed: HashMap<Prefix, Span> = spec.allow.iter().map(|p| (p.value, p.span)).collect();
    for denied in &spec.deny {
        if let Some(first) = allowed.get(&denied.value) {
            cx.push(
                Diagnostic::error(
                    denied.span,
                    format!("network {} is both allowed and denied", denied.value),
                )
                .related(*first, "allowed here")
                .help(
                    "remove it from one of the lists; the longest network around a client decides",
                ),
            );
        }
    }
    spec
}

pub(super) fn rate_limit(cx: &mut Context<'_>, dns: &Reader<'_>) -> RateLimitSpec {
    let r = dns.sub(cx, "rate-limit");
    RateLimitSpec {
        responses_per_second: r.get_or(cx, "responses-per-second", 0).value,
        queries_per_second: r.get_or(cx, "queries-per-second", 0).value,
        slip: r.get_or(cx, "slip", 0).value,
        prefix4: r.get_or(cx, "prefix4", 24).value,
        prefix6: r.get_or(cx, "prefix6", 56).value,
        table_size: r.get_or(cx, "table-size", 0).value,
        exempt: r.list(cx, "exempt").unwrap_or_default(),
    }
}

pub(super) fn cookies(cx: &mut Context<'_>, dns: &Reader<'_>) -> CookiesSpec {
    let r = dns.sub(cx, "cookies");
    CookiesSpec {
        enforce: r
            .get::<String>(cx, "enforce")
            .is_some_and(|e| e.value == "always"),
        secrets: r.list(cx, "secrets").unwrap_or_default(),
        rotate: r
            .get_or(cx, "rotate", std::time::Duration::from_secs(86_400))
            .value,
    }
}

pub(super) fn chaos(cx: &mut Context<'_>, dns: &Reader<'_>) -> ChaosSpec {
    let r = dns.sub(cx, "chaos");
    ChaosSpec {
        version: r.get_or(cx, "version", String::new()).value,
        id: r.get(cx, "id").map(|id| id.value),
    }
}
