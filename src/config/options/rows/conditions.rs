//! Rows of what a route asks of a request: in the route itself, and in its `match`.

use super::super::Presence::Optional;
use super::super::{Kind, OptionRow};
use super::opt;

macro_rules! conditions {
    ($base:literal) => {
        &[
            opt(
                concat!($base, ".methods"),
                Kind::List(&Kind::Token, 1),
                Optional("any"),
                "Methods. HEAD is not GET: name both.",
                r#"["GET", "HEAD"]"#,
            ),
            opt(
                concat!($base, ".sources"),
                Kind::List(&Kind::Network, 1),
                Optional("any"),
                "Networks of the clients.",
                r#"["10.0.0.0/8"]"#,
            ),
            opt(
                concat!($base, ".content-types"),
                Kind::List(&Kind::Text, 1),
                Optional("any"),
                "Media types of the request's body, without parameters; `text/*` is every text.",
                r#"["application/json"]"#,
            ),
            opt(
                concat!($base, ".headers"),
                Kind::Tables(1),
                Optional("any"),
                "Header fields; all of the tables must hold. Without `exact`, `prefix` and `regex` the field must be there; otherwise one of its lines must be so.",
                r#"[{ name = "x-version", exact = "2" }]"#,
            ),
            opt(
                concat!($base, ".headers[].name"),
                Kind::Token,
                crate::config::options::Presence::Required,
                "Name of the field.",
                r#""x-version""#,
            ),
            opt(
                concat!($base, ".headers[].exact"),
                Kind::Phrase(4096),
                Optional("at most one of the three"),
                "The value is this.",
                r#""2""#,
            ),
            opt(
                concat!($base, ".headers[].prefix"),
                Kind::Phrase(4096),
                Optional("at most one of the three"),
                "The value starts so.",
                r#""2.""#,
            ),
            opt(
                concat!($base, ".headers[].regex"),
                Kind::Text,
                Optional("at most one of the three"),
                "The regular expression is found in the value.",
                r#""^[0-9]+$""#,
            ),
            opt(
                concat!($base, ".cookies"),
                Kind::Tables(1),
                Optional("any"),
                "Cookies, as `headers`.",
                r#"[{ name = "beta", exact = "yes" }]"#,
            ),
            opt(
                concat!($base, ".cookies[].name"),
                Kind::Token,
                crate::config::options::Presence::Required,
                "Name of the cookie.",
                r#""beta""#,
            ),
            opt(
                concat!($base, ".cookies[].exact"),
                Kind::Phrase(4096),
                Optional("at most one of the three"),
                "The value is this.",
                r#""yes""#,
            ),
            opt(
                concat!($base, ".cookies[].prefix"),
                Kind::Phrase(4096),
                Optional("at most one of the three"),
                "The value starts so.",
                r#""y""#,
            ),
            opt(
                concat!($base, ".cookies[].regex"),
                Kind::Text,
                Optional("at most one of the three"),
                "The regular expression is found in the value.",
                r#""^y""#,
            ),
            opt(
                concat!($base, ".query"),
                Kind::Tables(1),
                Optional("any"),
                "Parameters of the query, decoded, as `headers`.",
                r#"[{ name = "debug" }]"#,
            ),
            opt(
                concat!($base, ".query[].name"),
                Kind::Text,
                crate::config::options::Presence::Required,
                "Name of the parameter.",
                r#""debug""#,
            ),
            opt(
                concat!($base, ".query[].exact"),
                Kind::Phrase(4096),
                Optional("at most one of the three"),
                "The value is this.",
                r#""1""#,
            ),
            opt(
                concat!($base, ".query[].prefix"),
                Kind::Phrase(4096),
                Optional("at most one of the three"),
                "The value starts so.",
                r#""1""#,
            ),
            opt(
                concat!($base, ".query[].regex"),
                Kind::Text,
                Optional("at most one of the three"),
                "The regular expression is found in the value.",
                r#""^[01]$""#,
            ),
        ]
    };
}

pub(super) const ROUTE: &[OptionRow] = conditions!("routes.NAME");

pub(super) const MATCH: &[OptionRow] = conditions!("routes.NAME.match");

pub(super) const NESTED: &[OptionRow] = &[
    opt(
        "routes.NAME.match.hosts",
        Kind::List(&Kind::Text, 1),
        Optional("any"),
        "As `hosts` of the route, which finds the route faster.",
        r#"["*.example.com"]"#,
    ),
    opt(
        "routes.NAME.match.paths",
        Kind::List(&Kind::UrlPath, 1),
        Optional("any"),
        "As `paths` of the route, which finds the route faster.",
        r#"["/status"]"#,
    ),
    opt(
        "routes.NAME.match.path-prefixes",
        Kind::List(&Kind::UrlPath, 1),
        Optional("any"),
        "As `path-prefixes` of the route, which finds the route faster.",
        r#"["/v1"]"#,
    ),
    opt(
        "routes.NAME.match.path-regexes",
        Kind::List(&Kind::Text, 1),
        Optional("any"),
        "As `path-regexes` of the route, which finds the route faster.",
        r#"["^/x[0-9]+$"]"#,
    ),
    opt(
        "routes.NAME.match",
        Kind::Table,
        Optional("nothing more is asked"),
        "Conditions that combine: all keys of a table must hold, and tables nest through `all`, `any` and `not`.",
        r#"{ any = [{ methods = ["GET"] }, { not = { sources = ["10.0.0.0/8"] } }] }"#,
    ),
    opt(
        "routes.NAME.match.all",
        Kind::Tables(1),
        Optional("nothing"),
        "Each of these tables must hold; they have the keys of `match`.",
        r#"[{ methods = ["GET"] }]"#,
    ),
    opt(
        "routes.NAME.match.any",
        Kind::Tables(1),
        Optional("nothing"),
        "At least one of these tables must hold; they have the keys of `match`.",
        r#"[{ methods = ["GET"] }, { methods = ["HEAD"] }]"#,
    ),
    opt(
        "routes.NAME.match.not",
        Kind::Table,
        Optional("nothing"),
        "This table must not hold; it has the keys of `match`.",
        r#"{ sources = ["10.0.0.0/8"] }"#,
    ),
];
