//! `[caches.NAME]`, and `compression` of routes and listeners.

use crate::caching::key::Query;
use crate::caching::{KeyParts, Rules};
use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_size;
use crate::config::spec::CacheSpec;
use crate::config::tree::Table;
use crate::message::Name;
use crate::traffic::compression::{Coding, Compression};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;
use super::upstreams::is_parameter;

/// An object must fit into one part of the memory, of which there are so many.
const PARTS: u64 = 8;

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<CacheSpec> {
    objects(cx, root, "caches", false)
        .into_iter()
        .map(|(name, r)| cache(cx, name, &r))
        .collect()
}

fn cache(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> CacheSpec {
    let d = Rules::default();
    let size = r.get_or(cx, "size", d.size);
    let max_object = r.get_or(cx, "max-object", d.max_object);
    if max_object.value > size.value / PARTS && (r.has("max-object") || r.has("size")) {
        let place = match r.has("max-object") {
            true => &max_object,
            false => &size,
        };
        cx.push(
            Diagnostic::error(
                place.span,
                format!(
                    "{} is {}; the largest allowed is an eighth of `size`, {}",
                    r.name_of("max-object"),
                    show_size(max_object.value),
                    show_size(size.value / PARTS)
                ),
            )
            .help("give the cache more `size`, or lower `max-object`"),
        );
    }
    let disk: Option<Marked<u64>> = r.get(cx, "disk");
    let of_key = r.sub(cx, "key");
    let set_cookie = r.get_or(cx, "set-cookie", String::new());
    let rules = Rules {
        name: name.as_str().into(),
        size: size.value,
        max_object: max_object.value,
        disk: disk.as_ref().map(|d| d.value),
        default_ttl: r.get_or(cx, "default-ttl", d.default_ttl).value,
        heuristic_ttl: r.get_or(cx, "heuristic-ttl", d.heuristic_ttl).value,
        stale_while_revalidate: r
            .get_or(cx, "stale-while-revalidate", d.stale_while_revalidate)
            .value,
        stale_if_error: r.get_or(cx, "stale-if-error", d.stale_if_error).value,
        wait: r.get_or(cx, "wait", d.wait).value,
        store_set_cookie: set_cookie.value == "store",
        client_directives: r.get_or(cx, "client-directives", d.client_directives).value,
        key: key(cx, &of_key),
    };
    CacheSpec { name, rules, disk }
}

fn key(cx: &mut Context<'_>, r: &Reader<'_>) -> KeyParts {
    let query = r.get_or(cx, "query", String::new());
    let without = parameters(cx, r, "query-without");
    let only = parameters(cx, r, "query-only");
    let headers: Vec<Marked<String>> = r.list(cx, "headers").unwrap_or_default();
    let none = query.value == "none";
    let said = [
        ("query", none),
        ("query-without", without.is_some()),
        ("query-only", only.is_some()),
    ];
    let said: Vec<&str> = said.iter().filter(|(_, s)| *s).map(|(k, _)| *k).collect();
    if let [first, second, ..] = said[..] {
        cx.push(
            Diagnostic::error(
                r.span_of(second),
                format!(
                    "{} is set beside `{first}`; {} of at most 1",
                    r.name_of(second),
                    said.len()
                ),
            )
            .help("keep one of them"),
        );
    }
    KeyParts {
        query: match (none, without, only) {
            (true, ..) => Query::Ignored,
            (_, Some(names), _) => Query::Without(names),
            (_, _, Some(names)) => Query::Only(names),
            _ => Query::All,
        },
        fields: headers
            .iter()
            .map(|h| Name::new(h.value.as_bytes()))
            .collect(),
    }
}

fn parameters(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Vec<Box<[u8]>>> {
    if !r.has(key) {
        return None;
    }
    let names: Vec<Marked<String>> = r.list(cx, key)?;
    for name in &names {
        if !is_parameter(&name.value) {
            let what = r.name_of(key);
            cx.error(
                name.span,
                format!(
                    "{what} has `{}`, which is no name of a query parameter",
                    name.value
                ),
            );
        }
    }
    Some(names.iter().map(|n| n.value.as_bytes().into()).collect())
}

/// `compression` of a route or a listener; `None` where nothing is said.
pub(super) fn compression(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Compression> {
    if !r.has("compression") {
        return None;
    }
    let r = r.sub(cx, "compression");
    let d = Compression::default();
    let algorithms: Option<Vec<Marked<String>>> = r.list(cx, "algorithms");
    let algorithms = algorithms.map(|all| {
        let coding = |a: &Marked<String>| Coding::from_word(a.value.as_bytes());
        all.iter().filter_map(coding).collect()
    });
    let types: Option<Vec<Marked<String>>> = r.list(cx, "types");
    for media in types.iter().flatten() {
        check_type(cx, &r, media);
    }
    let types = types.map(|all| {
        let lower = |t: &Marked<String>| t.value.to_ascii_lowercase().into();
        all.iter().map(lower).collect()
    });
    Some(Compression {
        algorithms: algorithms.unwrap_or(d.algorithms),
        types: types.unwrap_or(d.types),
        min_size: r.get_or(cx, "min-size", d.min_size).value,
        level: r.get_or(cx, "level", d.level).value,
    })
}

fn check_type(cx: &mut Context<'_>, r: &Reader<'_>, media: &Marked<String>) {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-/*".contains(&b);
    let stars = media.value.bytes().filter(|b| *b == b'*').count();
    let star_last = stars == 0 || (stars == 1 && media.value.ends_with('*'));
    if media.value.bytes().all(good) && star_last && media.value.contains('/') {
        return;
    }
    let what = r.name_of("types");
    cx.push(
        Diagnostic::error(
            media.span,
            format!("{what} has `{}`, which is no media type", media.value),
        )
        .help("write `text/html`, or `text/*` for all of a kind"),
    );
}
