//! `[[expect]]`: what each says alone.

use std::time::Duration;

use crate::config::diagnostic::Diagnostic;
use crate::config::options;
use crate::config::spec::{AnswerSpec, ExpectSpec, ThingSpec};
use crate::config::{Marked, Span};
use crate::dns::name::WireName;
use crate::net::Prefix;
use crate::overrides::ScopeKind;

use super::context::Context;
use super::reader::{Reader, Subject};

/// Options of which an expectation needs one: without any it expects nothing.
const ASSERTIONS: [&str; 6] = ["answer", "not", "region", "share", "ttl-max", "standing"];

/// Kinds of things, each with its word before a name and its table.
const KINDS: [(ScopeKind, &str, &str); 3] = [
    (ScopeKind::Endpoint, "endpoint", "endpoints"),
    (ScopeKind::Pool, "pool", "pools"),
    (ScopeKind::Region, "region", "regions"),
];

pub(super) fn decode(cx: &mut Context<'_>, top: &Reader<'_>) -> Vec<ExpectSpec> {
    if !top.has("expect") {
        return Vec::new();
    }
    let section = options::section("expect[]");
    let readers = top.tables_like(cx, "expect", section, |at, _| {
        Subject::from(format!("expectation {at}"))
    });
    readers.iter().filter_map(|r| expectation(cx, r)).collect()
}

fn expectation(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<ExpectSpec> {
    let mark = cx.mark();
    let client: Option<Marked<Prefix>> = r.get(cx, "client");
    let client = client.map(|c| {
        let network = cx.text_of(c.span).contains('/');
        (c, network)
    });
    let name: Option<Marked<WireName>> = r.get(cx, "name");
    let qtype = r.get_or(cx, "type", "A".to_owned()).value;
    let answers = |cx: &mut Context<'_>, key: &str| -> Vec<Marked<AnswerSpec>> {
        let texts: Vec<Marked<String>> = r.list(cx, key).unwrap_or_default();
        let user = r.name_of(key);
        let texts = texts.into_iter();
        texts.filter_map(|t| answer(cx, &user, t)).collect()
    };
    let tolerance: Marked<u32> = r.get_or(cx, "share-tolerance", 1);
    if r.has("share-tolerance") && !r.has("share") {
        cx.push(
            Diagnostic::warning(
                tolerance.span,
                format!(
                    "{} has no effect without `share`",
                    r.name_of("share-tolerance")
                ),
            )
            .help("add `share`, or remove it"),
        );
    }
    let spec = ExpectSpec {
        span: r.span(),
        qtype,
        client,
        down: things(cx, r, "down"),
        drained: things(cx, r, "drained"),
        rtt: by_thing::<Duration>(cx, r, "rtt"),
        answer: answers(cx, "answer"),
        not: answers(cx, "not"),
        region: r.get(cx, "region"),
        shares: by_thing::<u32>(cx, r, "share"),
        tolerance: tolerance.value,
        ttl_max: r.get(cx, "ttl-max"),
        standing: r.get(cx, "standing"),
        because: r.get(cx, "because").map(|b: Marked<String>| b.value),
        name: name?,
    };
    if ASSERTIONS.iter().all(|key| r.lacks(key)) {
        cx.absence(
            Diagnostic::error(r.span(), format!("{} expects nothing", r.subject()))
                .help("add `answer`, `not`, `region`, `share`, `ttl-max` or `standing`"),
        );
    }
    sums(cx, r, &spec);
    cx.clean_since(mark).then_some(spec)
}

/// Shares of everything cannot be more than all.
fn sums(cx: &mut Context<'_>, r: &Reader<'_>, spec: &ExpectSpec) {
    for kind in [
        None,
        Some(ScopeKind::Endpoint),
        Some(ScopeKind::Pool),
        Some(ScopeKind::Region),
    ] {
        let those = spec.shares.iter().filter(|(t, _)| t.kind == kind);
        let sum: u32 = those.clone().map(|(_, percent)| percent).sum();
        let count = u32::try_from(those.count()).unwrap_or(u32::MAX);
        // Of things without a kind one may be part of another.
        if kind.is_some() && sum > 100 + spec.tolerance.saturating_mul(count) {
            cx.push(
                Diagnostic::error(
                    r.span_of("share"),
                    format!("{} adds up to {sum}%, more than 100%", r.name_of("share")),
                )
                .help("lower one of the shares"),
            );
        }
    }
}

fn things(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Vec<Marked<ThingSpec>> {
    let texts: Vec<Marked<String>> = r.list(cx, key).unwrap_or_default();
    let user = r.name_of(key);
    let texts = texts.iter();
    texts
        .filter_map(|t| Some(Marked::new(thing(cx, &user, &t.value, t.span)?, t.span)))
        .collect()
}

fn by_thing<T: super::value::FromDatum>(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    key: &str,
) -> Vec<(Marked<ThingSpec>, T)> {
    if !r.has(key) {
        return Vec::new();
    }
    let user = r.name_of(key);
    let all: Vec<(Marked<String>, T)> = r.map(cx, key, "WHAT");
    let mut out = Vec::with_capacity(all.len());
    for (text, value) in all {
        if let Some(thing) = thing(cx, &user, &text.value, text.span) {
            out.push((Marked::new(thing, text.span), value));
        }
    }
    out
}

/// `eu-1`, `region eu`. Reports what is neither.
fn thing(cx: &mut Context<'_>, user: &str, text: &str, span: Span) -> Option<ThingSpec> {
    if let Some((word, name)) = text.split_once(' ') {
        let name = name.trim();
        let Some((kind, _, table)) = KINDS.iter().find(|(_, w, _)| *w == word) else {
            cx.push(
                Diagnostic::error(
                    span,
                    format!("{user} has `{text}`, which begins with no kind of thing"),
                )
                .help("write `endpoint NAME`, `pool NAME` or `region NAME`, or the name alone"),
            );
            return None;
        };
        return cx
            .check_reference(table, name, span, || user.to_owned())
            .then(|| ThingSpec {
                kind: Some(*kind),
                name: name.to_owned(),
            });
    }
    let tables = KINDS.map(|(_, _, table)| table);
    cx.check_any(&tables, text, span, || {
        format!("{user} names `{text}`, which is no endpoint, pool or region")
    })
    .then(|| ThingSpec {
        kind: None,
        name: text.to_owned(),
    })
}

fn answer(cx: &mut Context<'_>, user: &str, text: Marked<String>) -> Option<Marked<AnswerSpec>> {
    let span = text.span;
    let found = match text.as_str() {
        "nodata" => AnswerSpec::NoData,
        "nxdomain" => AnswerSpec::NxDomain,
        "servfail" => AnswerSpec::ServFail,
        other => match (other.parse(), other.parse::<WireName>()) {
            (Ok(address), _) => AnswerSpec::Address(address),
            // Names of things have no dots.
            (_, Ok(target)) if other.contains('.') && !other.contains(' ') => {
                AnswerSpec::Cname(target)
            }
            _ => AnswerSpec::Thing(thing(cx, user, other, span)?),
        },
    };
    Some(Marked::new(found, span))
}
