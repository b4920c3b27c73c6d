//! What a route asks of a request beyond host and path.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::message::{Method, Name};
use crate::net::Prefix;
use crate::traffic::route::{Condition, PathPattern, Test};

use super::context::Context;
use super::reader::Reader;
use super::routes::{hosts, paths, pattern};

/// The conditions of a route: its own keys, then those of `match`.
pub(super) fn conditions(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<Condition> {
    let mut all = plain(cx, r);
    if r.has("match") {
        let inner = r.sub(cx, "match");
        all.extend(nested(cx, &inner));
    }
    all
}

/// The conditions of a `match` table or of one within; all of them must hold.
fn nested(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<Condition> {
    let mark = cx.mark();
    let mut all = Vec::new();
    let hosts = hosts(cx, r);
    if !hosts.is_empty() {
        all.push(Condition::Host(hosts));
    }
    let paths: Vec<PathPattern> = paths(cx, r);
    if !paths.is_empty() {
        all.push(Condition::Path(paths));
    }
    all.extend(plain(cx, r));
    for (key, make) in [
        ("all", Condition::All as fn(Vec<Condition>) -> Condition),
        ("any", Condition::Any),
    ] {
        if !r.has(key) {
            continue;
        }
        let subject = r.subject().to_string();
        let tables = r.tables_like(cx, key, r.section(), |at, _| {
            format!("item {at} of `{key}` in {subject}")
        });
        let parts = tables.iter().map(|t| one(nested(cx, t))).collect();
        all.push(make(parts));
    }
    if r.has("not") {
        let inner = r.sub_like(cx, "not", r.section());
        all.push(Condition::Not(Box::new(one(nested(cx, &inner)))));
    }
    if all.is_empty() && cx.clean_since(mark) && r.misspelt().is_empty() {
        cx.absence(
            Diagnostic::error(r.span(), format!("a condition of {} is empty", r.subject()))
                .help("say what must hold: `{ methods = [\"GET\"] }`"),
        );
    }
    all
}

fn one(mut all: Vec<Condition>) -> Condition {
    match all.len() {
        1 => all.remove(0),
        _ => Condition::All(all),
    }
}

/// The conditions that do not nest.
fn plain(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<Condition> {
    let mut all = Vec::new();
    if let Some(methods) = r.list::<String>(cx, "methods") {
        let methods = methods.iter().map(|m| Method::new(m.value.as_bytes()));
        all.push(Condition::Method(methods.collect()));
    }
    if let Some(sources) = r.list::<Prefix>(cx, "sources") {
        all.push(Condition::Source(sources.iter().map(|s| s.value).collect()));
    }
    if let Some(types) = r.list::<String>(cx, "content-types") {
        let types = types.into_iter().filter_map(|t| media_type(cx, r, &t));
        all.push(Condition::ContentType(types.collect()));
    }
    all.extend(tests(cx, r, "headers", "header", |name, test| {
        Condition::Header(Name::new(name), test)
    }));
    all.extend(tests(cx, r, "cookies", "cookie", |name, test| {
        Condition::Cookie(name.into(), test)
    }));
    all.extend(tests(cx, r, "query", "query parameter", |name, test| {
        Condition::Query(name.into(), test)
    }));
    all
}

fn media_type(cx: &mut Context<'_>, r: &Reader<'_>, text: &Marked<String>) -> Option<Box<[u8]>> {
    let lower = text.value.to_ascii_lowercase();
    let is_part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_graphic() && b != b';');
    match lower.split_once('/') {
        Some((kind, sub)) if is_part(kind) && is_part(sub) && !kind.contains('*') => {
            Some(lower.into_bytes().into())
        }
        _ => {
            let what = r.name_of("content-types");
            cx.push(
                Diagnostic::error(
                    text.span,
                    format!("{what} has `{}`, which is not a media type", text.value),
                )
                .help("write `application/json` or `text/*`, without parameters"),
            );
            None
        }
    }
}

/// The tables under `key`, each with a name and at most one test.
fn tests(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    key: &str,
    word: &str,
    make: impl Fn(&[u8], Test) -> Condition,
) -> Vec<Condition> {
    if !r.has(key) {
        return Vec::new();
    }
    let subject = r.subject().to_string();
    let tables = r.tables(cx, key, |at, _| format!("{word} {at} of {subject}"));
    let mut all = Vec::new();
    for table in tables {
        let name: Option<Marked<String>> = table.get(cx, "name");
        let test = test(cx, &table);
        let Some(name) = name else { continue };
        if word == "header" && name.value.eq_ignore_ascii_case("host") {
            cx.push(
                Diagnostic::error(name.span, format!("{} is `host`", table.subject()))
                    .help("write `hosts = [\"example.com\"]` instead"),
            );
            continue;
        }
        all.extend(test.map(|test| make(name.value.as_bytes(), test)));
    }
    all
}

fn test(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Test> {
    let given: Vec<&str> = ["exact", "prefix", "regex"]
        .into_iter()
        .filter(|key| r.has(key))
        .collect();
    if let [_, second, ..] = given[..] {
        let all: Vec<String> = given.iter().map(|k| format!("`{k}`")).collect();
        cx.push(
            Diagnostic::error(
                r.span_of(second),
                format!(
                    "{} has {}; at most 1 of them is allowed",
                    r.subject(),
                    all.join(" and ")
                ),
            )
            .help("make two of it, both of which must hold"),
        );
        return None;
    }
    let octets = |t: Marked<String>| t.value.into_bytes().into_boxed_slice();
    match given[..] {
        ["exact"] => r.get(cx, "exact").map(octets).map(Test::Exact),
        ["prefix"] => r.get(cx, "prefix").map(octets).map(Test::Prefix),
        ["regex"] => {
            let text: Marked<String> = r.get(cx, "regex")?;
            pattern(cx, || r.name_of("regex"), &text).map(Test::Regex)
        }
        _ => Some(Test::Present),
    }
}
