//! `[waf.NAME]`

use hashbrown::HashMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::spec::WafSpec;
use crate::config::tree::{Table, Value, twice};
use crate::config::{Marked, Span};
use crate::message::{Method, Name};
use crate::traffic::route::PathPattern;
use crate::traffic::waf::{Mode, Place, Rule, RuleSet, Sizes};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;
use super::routes::{pattern, plain_path};
use super::value::{is_header, nearest};

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<WafSpec> {
    objects(cx, root, "waf", false)
        .into_iter()
        .map(|(name, r)| rule_set(cx, name, &r))
        .collect()
}

fn rule_set(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> WafSpec {
    let mode: Marked<String> = r.get_or(cx, "mode", String::new());
    let threshold = r.get_or(cx, "threshold", 1).value;
    let mut set = RuleSet::default();
    set.name = name.as_str().into();
    set.mode = match mode.value.as_str() {
        "detect" => Mode::Detect,
        _ => Mode::Block,
    };
    set.threshold = threshold;
    set.status = r.get_or(cx, "status", 403).value;
    set.inspect_body = r.get_or(cx, "inspect-body", 0).value;
    let subject = r.subject().to_string();
    let tables = r.tables(cx, "rules", |at, table| {
        match table.get("name").map(|e| &e.node.value) {
            Some(Value::String(name)) => format!("rule `{name}` of {subject}"),
            _ => format!("rule {at} of {subject}"),
        }
    });
    let mut seen: HashMap<String, Span> = HashMap::new();
    let mut rules = Vec::new();
    for table in tables {
        rules.extend(rule(cx, &table, threshold, &mut seen));
    }
    let read = set.clone().with(rules);
    if let Err(e) = &read {
        cx.error(r.span_of("rules"), format!("{subject} {e}"));
    }
    WafSpec {
        name,
        rules: read.unwrap_or(set),
    }
}

fn rule(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    threshold: u32,
    seen: &mut HashMap<String, Span>,
) -> Option<Rule> {
    let name: Option<Marked<String>> = r.get(cx, "name");
    if let Some(name) = &name
        && let Some(first) = seen.insert(name.value.clone(), name.span)
    {
        let d = twice(&r.subject().to_string(), name.span, first);
        cx.push(d);
    }
    let score: Option<Marked<u32>> = r.get(cx, "score");
    let methods: Vec<Marked<String>> = r.list(cx, "methods").unwrap_or_default();
    let mut paths = Vec::new();
    for text in r.list::<String>(cx, "path-prefixes").unwrap_or_default() {
        paths.extend(plain_path(cx, r, "path-prefixes", &text).map(PathPattern::Prefix));
    }
    let mut places = Vec::new();
    for text in r.list::<String>(cx, "in").unwrap_or_default() {
        places.extend(place(cx, r, &text));
    }
    let mut patterns = Vec::new();
    for text in r.list::<String>(cx, "patterns").unwrap_or_default() {
        patterns.extend(pattern(cx, || r.name_of("patterns"), &text));
    }
    if r.has("in") != r.has("patterns") && r.misspelt().is_empty() {
        let (has, lacks) = match r.has("in") {
            true => ("in", "patterns"),
            false => ("patterns", "in"),
        };
        let what = r.name_of(has);
        cx.absence(
            Diagnostic::error(
                r.span_of(has),
                format!("{what} is set, but `{lacks}` is not"),
            )
            .help("write `in = [\"query\"]` and `patterns = ['<script']`"),
        );
    }
    let mut size = |key: &str| r.get::<usize>(cx, key).map(|n| n.value);
    let larger = Sizes {
        path: size("max-path"),
        query: size("max-query"),
        header: size("max-header"),
        body: size("max-body").map(|n| n as u64),
    };
    let asks = ["methods", "path-prefixes", "patterns", "in"];
    let sizes = ["max-path", "max-query", "max-header", "max-body"];
    if asks.iter().chain(&sizes).all(|key| r.lacks(key)) && r.misspelt().is_empty() {
        cx.absence(
            Diagnostic::error(
                r.span(),
                format!(
                    "{} asks for nothing: it would match every request",
                    r.subject()
                ),
            )
            .help("add `methods`, `path-prefixes`, `patterns` or a size such as `max-query`"),
        );
    }
    if larger != Sizes::default() && r.has("patterns") {
        cx.push(
            Diagnostic::error(
                r.span_of("patterns"),
                format!(
                    "{} has both `patterns` and a size; 1 of them is allowed",
                    r.subject()
                ),
            )
            .help("make two rules of it, whose scores add up"),
        );
    }
    Some(Rule {
        name: name?.value.into(),
        score: score.map_or(threshold, |s| s.value),
        methods: methods.iter().map(|m| Method::new(m.as_bytes())).collect(),
        paths,
        places,
        patterns,
        larger,
    })
}

const PLACES: [&str; 4] = ["path", "query", "headers", "body"];

fn place(cx: &mut Context<'_>, r: &Reader<'_>, text: &Marked<String>) -> Option<Place> {
    Some(match text.value.as_str() {
        "path" => Place::Path,
        "query" => Place::Query,
        "headers" => Place::Headers,
        "body" => Place::Body,
        other => match other.strip_prefix("header:") {
            Some(name) if is_header(name) => Place::Header(Name::new(name.as_bytes())),
            _ => {
                let what = r.name_of("in");
                let help = match nearest(other, PLACES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write `path`, `query`, `headers`, `header:NAME` or `body`".to_owned(),
                };
                cx.push(
                    Diagnostic::error(
                        text.span,
                        format!("{what} has `{other}`, which is no part of a request"),
                    )
                    .help(help),
                );
                return None;
            }
        },
    })
}
