//! Rows of `[routes]`.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::opt;

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "routes.NAME.priority",
        Kind::Integer(-1_000_000, 1_000_000),
        Default("0"),
        "Of the routes that match a request the one with the highest priority is taken; of equal ones the one with the more specific host, then path (exact, regular expression, longer prefix), then with more conditions. Two that are equal in all of it are an error, and so is a route that others hide entirely.",
        "100",
    ),
    opt(
        "routes.NAME.hosts",
        Kind::List(&Kind::Text, 1),
        Optional("any host"),
        "Hosts, without port. `*.example.com` is every name below, at any depth, and not `example.com` itself.",
        r#"["api.example.com", "*.example.com"]"#,
    ),
    opt(
        "routes.NAME.paths",
        Kind::List(&Kind::UrlPath, 1),
        Optional("any path, where no prefix and no expression is given either"),
        "Exact paths.",
        r#"["/status"]"#,
    ),
    opt(
        "routes.NAME.path-prefixes",
        Kind::List(&Kind::UrlPath, 1),
        Optional("see `paths`"),
        "Prefixes of whole segments: `/v1` is for `/v1` and `/v1/x`, not for `/v10`; `/v1/` is for `/v1/x`, not for `/v1`.",
        r#"["/v1"]"#,
    ),
    opt(
        "routes.NAME.path-regexes",
        Kind::List(&Kind::Text, 1),
        Optional("see `paths`"),
        "Regular expressions, found anywhere in the path unless `^` and `$` say otherwise.",
        r#"["^/x[0-9]+$"]"#,
    ),
    opt(
        "routes.NAME.forward",
        Kind::Ref("upstreams"),
        Optional("one action"),
        "Upstream that answers.",
        r#""api""#,
    ),
];
