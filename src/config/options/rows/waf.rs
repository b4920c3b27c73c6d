//! Rows of `[waf]`.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::opt;

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "waf.NAME.mode",
        Kind::Choice(&["block", "detect"]),
        Default(r#""block""#),
        "`block` refuses requests whose score reaches the threshold; `detect` only logs and counts them.",
        r#""detect""#,
    ),
    opt(
        "waf.NAME.threshold",
        Kind::Integer(1, 1_000_000),
        Default("5"),
        "Score at which a request is refused. The scores of all rules that match are added.",
        "5",
    ),
    opt(
        "waf.NAME.status",
        Kind::Integer(400, 599),
        Default("403"),
        "Status of refused requests.",
        "403",
    ),
    opt(
        "waf.NAME.inspect-body",
        Kind::Size(0, 16 << 20),
        Default(r#""64KiB""#),
        "So much of a body's beginning is held and looked at, when a rule asks for bodies; the rest flows on unseen.",
        r#""64KiB""#,
    ),
    opt(
        "waf.NAME.rules",
        Kind::Tables(1),
        Required,
        "The rules, each a `[[waf.NAME.rules]]` table. A rule matches when all that it says holds.",
        r#"[{ name = "sqli", in = ["query", "body"], patterns = ['(?i)union\s+select'] }]"#,
    ),
    opt(
        "waf.NAME.rules[].name",
        Kind::NewName,
        Required,
        "Name, unique within the set; the log says it.",
        r#""sqli""#,
    ),
    opt(
        "waf.NAME.rules[].score",
        Kind::Integer(0, 1_000_000),
        Optional("the set's `threshold`: a match alone is refused"),
        "What a match adds.",
        "3",
    ),
    opt(
        "waf.NAME.rules[].methods",
        Kind::List(&Kind::Token, 1),
        Optional("any"),
        "One of these methods.",
        r#"["TRACE"]"#,
    ),
    opt(
        "waf.NAME.rules[].path-prefixes",
        Kind::List(&Kind::UrlPath, 1),
        Optional("any"),
        "A path below one of these prefixes of whole segments.",
        r#"["/admin"]"#,
    ),
    opt(
        "waf.NAME.rules[].in",
        Kind::List(&Kind::Text, 1),
        Optional("required with `patterns`"),
        "Where the patterns are looked for: `path`, `query`, `headers` (the values of all), `header:NAME`, `body`. Each is looked at as sent, decoded, and decoded twice.",
        r#"["query", "header:user-agent"]"#,
    ),
    opt(
        "waf.NAME.rules[].patterns",
        Kind::List(&Kind::Text, 1),
        Optional("none"),
        "Regular expressions over octets, of which one is found. `(?i)` ignores case.",
        r#"['(?i)union\s+select']"#,
    ),
    opt(
        "waf.NAME.rules[].max-path",
        Kind::Size(0, 1 << 20),
        Optional("any size"),
        "The path is longer than this. Of several sizes one must be exceeded.",
        r#""2KiB""#,
    ),
    opt(
        "waf.NAME.rules[].max-query",
        Kind::Size(0, 1 << 20),
        Optional("any size"),
        "The query is longer than this.",
        r#""2KiB""#,
    ),
    opt(
        "waf.NAME.rules[].max-header",
        Kind::Size(0, 1 << 20),
        Optional("any size"),
        "The value of a header field is longer than this.",
        r#""4KiB""#,
    ),
    opt(
        "waf.NAME.rules[].max-body",
        Kind::Size(0, 1 << 40),
        Optional("any size"),
        "The body is declared to be longer than this, or what was looked at of it is. One whose length nobody declared, of a request that this rule would have refused, is cut there with 413. `max-body` of the listener holds for all bodies.",
        r#""1MiB""#,
    ),
];
