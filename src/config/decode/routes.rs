//! `[routes.NAME]`

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::RouteSpec;
use crate::config::tree::Table;
use crate::traffic::route::path::{EncodedSlashes, PathError, normalize};
use crate::traffic::route::{HostPattern, PathPattern, PathRules, Pattern, Rule};

use super::actions::{action, rewrite};
use super::conditions::conditions;
use super::context::Context;
use super::features;
use super::objects::objects;
use super::reader::Reader;

/// Hosts times paths of one route.
const MOST_PLACES: usize = 100_000;

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<RouteSpec> {
    objects(cx, root, "routes", false)
        .into_iter()
        .map(|(name, r)| route(cx, name, &r))
        .collect()
}

/// `[routing]`
pub(super) fn routing(cx: &mut Context<'_>, top: &Reader<'_>) -> PathRules {
    let r = top.sub(cx, "routing");
    let mut word = |key: &str| r.get_or(cx, key, String::new()).value;
    PathRules {
        encoded_slashes: match word("encoded-slashes").as_str() {
            "decode" => EncodedSlashes::Decode,
            "refuse" => EncodedSlashes::Refuse,
            _ => EncodedSlashes::Keep,
        },
        clamp: word("beyond-root") == "clamp",
        as_sent: word("forward-path") == "as-sent",
        merge_slashes: r.get_or(cx, "merge-slashes", true).value,
    }
}

fn route(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> RouteSpec {
    let mark = cx.mark();
    let listeners = r.list(cx, "listeners").unwrap_or_default();
    let rule = Rule {
        listeners: Vec::new(),
        priority: r.get_or(cx, "priority", 0).value,
        hosts: hosts(cx, r),
        paths: paths(cx, r),
        conditions: conditions(cx, r),
    };
    let places = rule.hosts().len() * rule.paths().len();
    if places > MOST_PLACES {
        cx.push(
            Diagnostic::error(
                r.span(),
                format!(
                    "{} has {} hosts and {} paths, which are {places} combinations; the largest allowed number is {MOST_PLACES}",
                    r.subject(), rule.hosts().len(), rule.paths().len()
                ),
            )
            .help("make several routes of it, or use wildcards and prefixes"),
        );
    }
    let (action, mirror) = action(cx, r);
    let features = features::route(cx, r);
    RouteSpec {
        name,
        listeners,
        rule,
        action,
        mirror,
        rewrite: rewrite(cx, r),
        waf: r.get(cx, "waf"),
        cache: r.get(cx, "cache"),
        compression: super::caches::compression(cx, r),
        features,
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    }
}

/// The hosts under `hosts`.
pub(super) fn hosts(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<HostPattern> {
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
pub(super) fn paths(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<PathPattern> {
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
pub(super) fn plain_path(
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
