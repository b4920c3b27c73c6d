//! `[routes.NAME]`

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{ActionSpec, RouteSpec};
use crate::config::tree::Table;
use crate::traffic::route::path::{PathError, normalize};
use crate::traffic::route::{HostPattern, PathPattern, PathRules, Pattern, Rule};

use super::context::Context;
use super::features;
use super::objects::objects;
use super::reader::Reader;

const ACTIONS: &[&str] = &["forward"];

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<RouteSpec> {
    objects(cx, root, "routes", false)
        .into_iter()
        .map(|(name, r)| route(cx, name, &r))
        .collect()
}

fn route(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> RouteSpec {
    let mark = cx.mark();
    let rule = Rule {
        listeners: Vec::new(),
        priority: r.get_or(cx, "priority", 0).value,
        hosts: hosts(cx, r),
        paths: paths(cx, r),
        conditions: Vec::new(),
    };
    let action = action(cx, r);
    let features = features::route(cx, r);
    RouteSpec {
        name,
        listeners: Vec::new(),
        rule,
        action,
        cache: r.get(cx, "cache"),
        compression: super::caches::compression(cx, r),
        features,
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    }
}

fn action(cx: &mut Context<'_>, r: &Reader<'_>) -> ActionSpec {
    let read = match r.one_of(cx, ACTIONS, "action") {
        Some(_) => r.get(cx, "forward").map(ActionSpec::Forward),
        None => None,
    };
    read.unwrap_or(ActionSpec::Unread)
}

/// The hosts under `hosts`.
fn hosts(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<HostPattern> {
    let texts: Vec<Marked<String>> = r.list(cx, "hosts").unwrap_or_default();
    let mut hosts = Vec::with_capacity(texts.len());
    for text in texts {
        match HostPattern::parse(&text.value) {
            Ok(host) => hosts.push(host),
            Err(e) => {
                let what = r.name_of("hosts");
                cx.push(
                    Diagnostic::error(text.span, format!("{what} has `{}`, which {e}", text.value))
                        .help("write a name such as `api.example.com` or `*.example.com`"),
                );
            }
        }
    }
    hosts
}

/// The paths under `paths`, `path-prefixes` and `path-regexes`.
fn paths(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<PathPattern> {
    let mut paths = Vec::new();
    for text in r.list::<String>(cx, "paths").unwrap_or_default() {
        paths.extend(plain_path(cx, r, "paths", &text).map(PathPattern::Exact));
    }
    for text in r.list::<String>(cx, "path-prefixes").unwrap_or_default() {
        paths.extend(plain_path(cx, r, "path-prefixes", &text).map(PathPattern::Prefix));
    }
    for text in r.list::<String>(cx, "path-regexes").unwrap_or_default() {
        let what = || r.name_of("path-regexes");
        paths.extend(pattern(cx, what, &text).map(PathPattern::Regex));
    }
    paths
}

/// A path in the form in which requests' paths are compared with it.
fn plain_path(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    key: &str,
    text: &Marked<String>,
) -> Option<Box<[u8]>> {
    let mut path = text.value.as_bytes().to_vec();
    let fault = match normalize(&mut path, &PathRules::default()) {
        _ if text.value.contains('?') => {
            "has a `?`, which begins the query; `query` asks for parameters".to_owned()
        }
        Ok(false) => return Some(path.into()),
        Ok(true) => format!(
            "is not how requests' paths are compared; write `{}`",
            String::from_utf8_lossy(&path)
        ),
        Err(PathError::Beyond) => "leads out of the root".to_owned(),
        Err(e) => format!("is no path: {e}"),
    };
    let what = r.name_of(key);
    cx.error(
        text.span,
        format!("{what} has `{}`, which {fault}", text.value),
    );
    None
}

/// A regular expression; `what` names where it stands.
pub(super) fn pattern(
    cx: &mut Context<'_>,
    what: impl Fn() -> String,
    text: &Marked<String>,
) -> Option<Pattern> {
    match Pattern::new(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(e) => {
            let what = what();
            cx.error(
                text.span,
                format!(
                    "{what} has `{}`, which is no regular expression: {e}",
                    text.value
                ),
            );
            None
        }
    }
}
