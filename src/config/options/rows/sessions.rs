//! Rows of `[upstreams.NAME.session]`: clients that are kept with one backend.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{YEAR, opt, secs};

const MONTH: std::time::Duration = secs(30 * 86_400);

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "upstreams.NAME.session.cookie",
        Kind::Table,
        Optional("one of `cookie`, `prefix`, `learn`, `on`"),
        "A cookie that the proxy sets names the backend, opaque and signed.",
        r#"{ name = "SRV" }"#,
    ),
    opt(
        "upstreams.NAME.session.cookie.name",
        Kind::Token,
        Required,
        "Name of the cookie; each upstream of a host needs its own.",
        r#""SRV""#,
    ),
    opt(
        "upstreams.NAME.session.cookie.path",
        Kind::UrlPath,
        Default(r#""/""#),
        "`Path` of the cookie.",
        r#""/""#,
    ),
    opt(
        "upstreams.NAME.session.cookie.domain",
        Kind::Domain,
        Optional("the cookie goes back to the host that set it"),
        "`Domain` of the cookie.",
        r#""example.com""#,
    ),
    opt(
        "upstreams.NAME.session.cookie.secure",
        Kind::Bool,
        Optional("when the client speaks TLS"),
        "Whether the cookie is marked `Secure`.",
        "true",
    ),
    opt(
        "upstreams.NAME.session.cookie.http-only",
        Kind::Bool,
        Default("true"),
        "Whether the cookie is marked `HttpOnly`.",
        "true",
    ),
    opt(
        "upstreams.NAME.session.cookie.same-site",
        Kind::Choice(&["lax", "strict", "none"]),
        Default(r#""lax""#),
        "`SameSite` of the cookie; browsers want `secure` with `none`.",
        r#""lax""#,
    ),
    opt(
        "upstreams.NAME.session.cookie.max-age",
        Kind::Duration(secs(1), YEAR, true),
        Optional("until the browser is closed"),
        "`Max-Age` of the cookie, counted from when it was set.",
        r#""8h""#,
    ),
    opt(
        "upstreams.NAME.session.cookie.indirect",
        Kind::Bool,
        Default("true"),
        "The backend does not see the cookie.",
        "true",
    ),
    opt(
        "upstreams.NAME.session.cookie.no-cache",
        Kind::Bool,
        Default("true"),
        "Answers that set the cookie say `Cache-Control: private`, so that no shared cache gives one client's cookie to others.",
        "true",
    ),
    opt(
        "upstreams.NAME.session.prefix",
        Kind::Token,
        Optional("one of `cookie`, `prefix`, `learn`, `on`"),
        "A cookie of the application: the proxy writes the backend before its value, and takes it off again on the way to the backend.",
        r#""JSESSIONID""#,
    ),
    opt(
        "upstreams.NAME.session.learn",
        Kind::Token,
        Optional("one of `cookie`, `prefix`, `learn`, `on`"),
        "A cookie of the application, unchanged: a table remembers which backend set which value.",
        r#""PHPSESSID""#,
    ),
    opt(
        "upstreams.NAME.session.on",
        Kind::Text,
        Optional("one of `cookie`, `prefix`, `learn`, `on`"),
        "Something that clients send, written as in `hash.on`: `source`, `query:NAME`, `header:NAME` and so on. A table remembers which backend was chosen for it first; a hash needs no table, but moves clients when backends change.",
        r#""query:session""#,
    ),
    opt(
        "upstreams.NAME.session.on-gone",
        Kind::Choice(&["reassign", "refuse"]),
        Default(r#""reassign""#),
        "What happens to a client whose backend cannot serve: it goes to another, and its session with it, or is answered with 503.",
        r#""reassign""#,
    ),
    opt(
        "upstreams.NAME.session.entries",
        Kind::Integer(100, 10_000_000),
        Default("100000"),
        "Sessions that the table of `learn` or `on` remembers, at 48 octets each; the one that was unused for the longest makes room.",
        "100000",
    ),
    opt(
        "upstreams.NAME.session.ttl",
        Kind::Duration(secs(1), MONTH, false),
        Default(r#""30m""#),
        "How long the table remembers a session that is not used.",
        r#""30m""#,
    ),
    opt(
        "upstreams.NAME.session.share",
        Kind::Bool,
        Default("false"),
        "The proxies of the region remember together what the table of `learn` or `on` holds: each tells the others, through the fleet, which client it gave which backend.",
        "true",
    ),
    opt(
        "upstreams.NAME.session.secrets",
        Kind::List(&Kind::Secret, 1),
        Optional("each process draws one at its start, so sessions end with it"),
        "What the names of backends in `cookie` and `prefix` are signed with: the first signs, all are accepted. The proxies of a region must share them. Make one with `openssl rand -hex 16`.",
        r#"["000102030405060708090a0b0c0d0e0f"]"#,
    ),
];
