//! Rows of `[caches]`, and of compression.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{HOUR, YEAR, opt, secs};

const CODINGS: &[&str] = &["zstd", "br", "gzip"];
const TYPES: Kind = Kind::List(&Kind::Text, 0);
const ALGORITHMS: Kind = Kind::List(&Kind::Choice(CODINGS), 0);

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "caches.NAME.size",
        Kind::Size(1 << 20, 1 << 42),
        Default(r#""64MiB""#),
        "Octets in memory, shared by all workers of a node. What is asked for least makes room for new objects.",
        r#""64MiB""#,
    ),
    opt(
        "caches.NAME.max-object",
        Kind::Size(1 << 10, 1 << 38),
        Default(r#""4MiB""#),
        "The longest body that is kept, at most an eighth of `size`; longer ones pass by.",
        r#""4MiB""#,
    ),
    opt(
        "caches.NAME.disk",
        Kind::Size(1 << 20, 1 << 45),
        Optional("nothing is kept on disk"),
        "Octets on disk, in `cache/NAME` below the node's `state-dir`: what memory has no room for any more is found there, also after a restart.",
        r#""1GiB""#,
    ),
    opt(
        "caches.NAME.default-ttl",
        Kind::Duration(secs(0), YEAR, true),
        Default(r#""0s""#),
        "How long a response is fresh that says nothing of it; 0: such a response is not fresh at all.",
        r#""1m""#,
    ),
    opt(
        "caches.NAME.heuristic-ttl",
        Kind::Duration(secs(0), YEAR, true),
        Default(r#""1d""#),
        "A response that says no more than when it was changed last is fresh for a tenth of that time, but no longer than this (RFC 9111 section 4.2.2).",
        r#""1d""#,
    ),
    opt(
        "caches.NAME.stale-while-revalidate",
        Kind::Duration(secs(0), YEAR, true),
        Default(r#""0s""#),
        "How long after its time a response still serves while it is fetched anew, where it says nothing of it itself (RFC 5861).",
        r#""30s""#,
    ),
    opt(
        "caches.NAME.stale-if-error",
        Kind::Duration(secs(0), YEAR, true),
        Default(r#""0s""#),
        "How long after its time a response still serves when the upstream fails, where it says nothing of it itself. Never, where it says `must-revalidate`.",
        r#""1h""#,
    ),
    opt(
        "caches.NAME.wait",
        Kind::Duration(secs(0), HOUR, false),
        Default(r#""5s""#),
        "How long a request waits for another one that fetches the same, before it asks the upstream itself; 0: it does not wait.",
        r#""5s""#,
    ),
    opt(
        "caches.NAME.set-cookie",
        Kind::Choice(&["pass", "store"]),
        Default(r#""pass""#),
        "Whether responses that set cookies are stored, cookies included, when they may be. With `pass` they are not: a cookie is rarely meant for everybody.",
        r#""pass""#,
    ),
    opt(
        "caches.NAME.client-directives",
        Kind::Bool,
        Default("true"),
        "Whether clients may ask by `Cache-Control` for what is newer, or for nothing to be stored. `only-if-cached` is always obeyed.",
        "true",
    ),
    opt(
        "caches.NAME.key.query",
        Kind::Choice(&["all", "none"]),
        Default(r#""all""#),
        "Whether URLs that differ in their query are different.",
        r#""all""#,
    ),
    opt(
        "caches.NAME.key.query-without",
        Kind::List(&Kind::Text, 1),
        Optional("all parameters count"),
        "Parameters that do not count; a `*` at the end stands for any rest of a name.",
        r#"["utm_*", "fbclid"]"#,
    ),
    opt(
        "caches.NAME.key.query-only",
        Kind::List(&Kind::Text, 1),
        Optional("all parameters count"),
        "The only parameters that count.",
        r#"["id", "page"]"#,
    ),
    opt(
        "caches.NAME.key.headers",
        Kind::List(&Kind::Token, 0),
        Default("[]"),
        "Request fields whose values tell responses apart, whatever `Vary` says.",
        r#"["X-Tenant"]"#,
    ),
    opt(
        "routes.NAME.cache",
        Kind::Ref("caches"),
        Optional("nothing is cached"),
        "Cache that keeps the route's responses. Routes never share objects, even of one URL.",
        r#""static""#,
    ),
    opt(
        "routes.NAME.compression.algorithms",
        ALGORITHMS,
        Default(r#"["zstd", "br", "gzip"]"#),
        "Codings for clients that take them, the preferred one first; an empty list: nothing is compressed, whatever the listener says.",
        r#"["br", "gzip"]"#,
    ),
    opt(
        "routes.NAME.compression.types",
        TYPES,
        Optional("text of the web"),
        "Media types that are compressed; a `*` at the end stands for any rest.",
        r#"["text/*", "application/json"]"#,
    ),
    opt(
        "routes.NAME.compression.min-size",
        Kind::Size(0, 1 << 30),
        Default(r#""1KiB""#),
        "The shortest body that is compressed, where its length is known before.",
        r#""1KiB""#,
    ),
    opt(
        "routes.NAME.compression.level",
        Kind::Integer(1, 9),
        Default("4"),
        "Effort, as gzip counts it; the other codings make about the same.",
        "4",
    ),
    opt(
        "listeners.NAME.compression.algorithms",
        ALGORITHMS,
        Default(r#"["zstd", "br", "gzip"]"#),
        "As `routes.NAME.compression.algorithms`, for routes that say nothing of compression.",
        r#"["br", "gzip"]"#,
    ),
    opt(
        "listeners.NAME.compression.types",
        TYPES,
        Optional("text of the web"),
        "As `routes.NAME.compression.types`.",
        r#"["text/*", "application/json"]"#,
    ),
    opt(
        "listeners.NAME.compression.min-size",
        Kind::Size(0, 1 << 30),
        Default(r#""1KiB""#),
        "As `routes.NAME.compression.min-size`.",
        r#""1KiB""#,
    ),
    opt(
        "listeners.NAME.compression.level",
        Kind::Integer(1, 9),
        Default("4"),
        "As `routes.NAME.compression.level`.",
        "4",
    ),
];
