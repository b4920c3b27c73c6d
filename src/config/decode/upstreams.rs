//! `[upstreams.NAME]` and its backends.

use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{BackendSpec, UpstreamSpec};
use crate::config::tree::{Table, Value, twice};
use crate::config::{Marked, Span};
use crate::message::Name;
use crate::traffic::{
    Algorithm, Backend, HashKey, HashMethod, Hashing, Upstream, upstream::UpstreamTimeouts,
};

use super::connections;
use super::context::Context;
use super::objects::objects;
use super::origin;
use super::proxy_tls;
use super::reader::Reader;
use super::resilience;
use super::sessions;
use super::value::{is_header, nearest};

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<UpstreamSpec> {
    objects(cx, root, "upstreams", false)
        .into_iter()
        .map(|(name, r)| upstream(cx, name, &r))
        .collect()
}

fn upstream(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> UpstreamSpec {
    let mark = cx.mark();
    let mut files = Vec::new();
    let backends = backends(cx, &name.value, r);
    let settings = Upstream {
        name: name.as_str().into(),
        backends: Vec::new(),
        algorithm: algorithm(cx, r),
        zone_first: r.get_or(cx, "zone-first", 0).value,
        session: sessions::decode(cx, r),
        http2: r.get_or(cx, "http2", false).value,
        timeouts: timeouts(cx, r),
        resilience: resilience::resilience(cx, r),
        tls: proxy_tls::upstream(cx, r, &mut files),
        proxy_protocol: proxy_tls::proxy_version(cx, r),
        origin: origin::decode(cx, r, &backends),
    };
    let monitor = r.get(cx, "monitor");
    UpstreamSpec {
        name,
        settings,
        monitor,
        backends,
        files,
        one_layer: connections::one_layer(r),
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    }
}

fn timeouts(cx: &mut Context<'_>, r: &Reader<'_>) -> UpstreamTimeouts {
    let instead = UpstreamTimeouts::default();
    UpstreamTimeouts {
        connect: r.get_or(cx, "connect-timeout", instead.connect).value,
        first_byte: r.get_or(cx, "first-byte-timeout", instead.first_byte).value,
        idle: r.get_or(cx, "idle-timeout", instead.idle).value,
        total: r
            .get(cx, "total-timeout")
            .map(|d: Marked<Duration>| d.value),
        keep: r.get_or(cx, "keep-alive-timeout", instead.keep).value,
    }
}

fn algorithm(cx: &mut Context<'_>, r: &Reader<'_>) -> Algorithm {
    let word: Option<Marked<String>> = r.get(cx, "algorithm");
    let hash = if r.has("hash") {
        let hash = r.sub(cx, "hash");
        hashing(cx, &hash)
    } else {
        None
    };
    let Some(word) = word else {
        return Algorithm::default();
    };
    if word.value != "hash" && r.has("hash") {
        cx.push(
            Diagnostic::error(
                r.span_of("hash"),
                format!(
                    "{} is set, but `algorithm` is `{}`",
                    r.name_of("hash"),
                    *word
                ),
            )
            .help("write `algorithm = \"hash\"` or remove the table"),
        );
    }
    match word.value.as_str() {
        "least-connections" => Algorithm::LeastConnections,
        "least-time" => Algorithm::LeastTime,
        "two-choices" => Algorithm::TwoChoices,
        "random" => Algorithm::Random,
        "hash" => {
            if r.lacks("hash") {
                cx.absence(
                    Diagnostic::error(
                        word.span,
                        format!("{} has the algorithm `hash` but no `hash`", r.subject()),
                    )
                    .help("say what is hashed: `hash = { on = \"source\" }`"),
                );
            }
            hash.map_or(Algorithm::RoundRobin, Algorithm::Hash)
        }
        _ => Algorithm::RoundRobin,
    }
}

fn hashing(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Hashing> {
    let on: Option<Marked<String>> = r.get(cx, "on");
    let method = r.get_or(cx, "method", String::new());
    let bound: Option<Marked<f64>> = r.get(cx, "bound");
    let method = match method.value.as_str() {
        "modulo" => HashMethod::Modulo,
        "ring" => HashMethod::Ring,
        _ => HashMethod::Maglev,
    };
    if let Some(bound) = bound.as_ref().filter(|_| method == HashMethod::Modulo) {
        cx.push(
            Diagnostic::error(
                bound.span,
                format!("{} is set, but `method` is `modulo`", r.name_of("bound")),
            )
            .help("write `method = \"maglev\"` or `\"ring\"`, or remove `bound`"),
        );
    }
    Some(Hashing {
        on: match on? {
            word if word.value == "tuple" => HashKey::Tuple,
            word => key(cx, r, "on", &word)?,
        },
        method,
        bound: bound.map(|b| b.value),
    })
}

const WORDS: [&str; 7] = [
    "source", "host", "path", "uri", "header:", "cookie:", "query:",
];

/// What of a request an option of `r` names.
pub(super) fn key(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    option: &str,
    text: &Marked<String>,
) -> Option<HashKey> {
    let found = match text.split_once(':') {
        None => match text.as_str() {
            "source" => Some(HashKey::Source),
            "host" => Some(HashKey::Host),
            "path" => Some(HashKey::Path),
            "uri" => Some(HashKey::Uri),
            _ => None,
        },
        // `Host` is no field of a request head here.
        Some(("header", name)) if name.eq_ignore_ascii_case("host") => Some(HashKey::Host),
        Some(("header", name)) if is_header(name) => {
            Some(HashKey::Header(Name::new(name.as_bytes())))
        }
        Some(("cookie", name)) if is_header(name) => Some(HashKey::Cookie(name.as_bytes().into())),
        Some(("query", name)) if is_parameter(name) => Some(HashKey::Query(name.as_bytes().into())),
        _ => None,
    };
    if found.is_none() {
        let near = nearest(text, WORDS).map(|near| format!("did you mean `{near}`?"));
        let help = near.filter(|_| !text.contains(':')).unwrap_or_else(|| {
            "write `source`, `host`, `path`, `uri`, `header:NAME`, `cookie:NAME` or `query:NAME`"
                .to_owned()
        });
        cx.push(
            Diagnostic::error(
                text.span,
                format!(
                    "{} is `{}`, which names no part of a request",
                    r.name_of(option),
                    **text
                ),
            )
            .help(help),
        );
    }
    found
}

/// Whether a query parameter can be called so, as it stands in a target.
pub(super) fn is_parameter(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"&=#?".contains(&b))
}

/// Backends of one upstream; the tables of hashes number them with 16 bits.
const MOST: usize = 10_000;

/// Where each name, and each address in a region, was seen first.
#[derive(Default)]
struct Seen {
    names: HashMap<String, Span>,
    addresses: HashMap<(SocketAddr, Option<String>), (String, Span)>,
}

fn backends(cx: &mut Context<'_>, upstream: &str, r: &Reader<'_>) -> Vec<BackendSpec> {
    let readers = r.tables(cx, "backends", |at, table| {
        match table.get("name").map(|e| &e.node.value) {
            Some(Value::String(name)) => format!("backend `{name}` of upstream `{upstream}`"),
            _ => format!("backend {at} of upstream `{upstream}`"),
        }
    });
    if readers.len() > MOST {
        cx.error(
            r.span_of("backends"),
            format!(
                "{} has {} items; the largest allowed number is {MOST}",
                r.name_of("backends"),
                readers.len()
            ),
        );
    }
    let mut seen = Seen::default();
    readers
        .iter()
        .filter_map(|reader| backend(cx, reader, &mut seen))
        .collect()
}

fn backend(cx: &mut Context<'_>, r: &Reader<'_>, seen: &mut Seen) -> Option<BackendSpec> {
    let name: Option<Marked<String>> = r.get(cx, "name");
    let address: Option<Marked<SocketAddr>> = r.get(cx, "address");
    let weight = r.get_or(cx, "weight", 0_u32);
    let backup = r.get_or(cx, "backup", false);
    let max_connections = resilience::number(cx, r, "max-connections");
    let region: Option<Marked<String>> = r.get(cx, "region");
    let zone: Option<Marked<String>> = r.get(cx, "zone");
    let enabled = r.get_or(cx, "enabled", false);
    if let Some(name) = &name {
        match seen.names.get(&name.value) {
            Some(first) => cx.push(twice(&r.subject().to_string(), name.span, *first)),
            None => {
                seen.names.insert(name.value.clone(), name.span);
            }
        }
    }
    if let Some(address) = &address {
        check_address(cx, r, address);
    }
    let (name, address) = (name?, address?);
    let place = (address.value, region.as_ref().map(|r| r.value.clone()));
    match seen.addresses.get(&place) {
        Some((first, span)) if *first != name.value => cx.push(
            Diagnostic::error(
                address.span,
                format!(
                    "{} has the same address as backend `{first}`, {}",
                    r.subject(),
                    address.value
                ),
            )
            .related(*span, "the same address here")
            .help("keep one of them and give it twice the weight"),
        ),
        Some(_) => {}
        None => {
            let first = (name.value.clone(), address.span);
            seen.addresses.insert(place, first);
        }
    }
    Some(BackendSpec {
        settings: Backend {
            weight: weight.value,
            backup: backup.value,
            max_connections,
            zone: zone.map(|z| z.value.into()),
            ..Backend::new(&name.value, address.value)
        },
        name,
        region,
        enabled: enabled.value,
    })
}

/// A backend is somewhere one can connect to.
fn check_address(cx: &mut Context<'_>, r: &Reader<'_>, address: &Marked<SocketAddr>) {
    let what = r.name_of("address");
    if address.port() == 0 {
        cx.error(
            address.span,
            format!("{what} has port 0; the smallest allowed is 1 (range 1 to 65535)"),
        );
    }
    if address.ip().is_unspecified() || address.ip().is_multicast() {
        cx.error(
            address.span,
            format!("{what} is {}, which nobody can connect to", address.value),
        );
    }
}
