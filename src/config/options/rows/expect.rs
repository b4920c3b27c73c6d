//! Rows of `[[expect]]`: what the configuration's authors expect of its answers.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::{WEEK, ms, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "expect",
        Kind::Tables(0),
        Optional("nothing is expected"),
        "What must be answered, with everything up but what an expectation says otherwise. A configuration that breaks one is refused: by `check`, at start and at reload. `tradewind test` shows all of them. In a folder each file may have its own. See the guide to expectations.",
        r#"[{ name = "www.gslb.example", down = ["eu-1"], answer = ["eu-2"] }]"#,
    ),
    opt(
        "expect[].name",
        Kind::Domain,
        Required,
        "The name that is asked for.",
        r#""www.gslb.example""#,
    ),
    opt(
        "expect[].type",
        Kind::Choice(&["A", "AAAA", "HTTPS"]),
        Default(r#""A""#),
        "The record type that is asked for. Names that answer a CNAME do so for any.",
        r#""AAAA""#,
    ),
    opt(
        "expect[].client",
        Kind::Network,
        Optional("it must hold for clients everywhere"),
        "Who asks: a network stands for an EDNS Client Subnet option, an address for the resolver itself.",
        r#""192.0.2.0/24""#,
    ),
    opt(
        "expect[].down",
        Kind::List(&Kind::Text, 0),
        Default("[]"),
        "What fails its checks: endpoints, pools and regions by name. Where one name stands for several kinds, say which: `\"region eu\"`, `\"pool eu\"`, `\"endpoint eu\"`.",
        r#"["eu-1", "region us"]"#,
    ),
    opt(
        "expect[].drained",
        Kind::List(&Kind::Text, 0),
        Default("[]"),
        "What an operator has drained, as in `down`. It does not come back by the last resort.",
        r#"["region eu"]"#,
    ),
    opt(
        "expect[].rtt.WHAT",
        Kind::Duration(ms(0), secs(60), false),
        Optional("no round-trip time is known"),
        "The round-trip time from every vantage to an endpoint, a pool or a region, for policies that go by it.",
        r#""40ms""#,
    ),
    opt(
        "expect[].answer",
        Kind::List(&Kind::Text, 1),
        Optional("any answer"),
        "What may be answered: nothing else, and something of each. Addresses, endpoints, pools, regions (as in `down`), the target of a CNAME, `nodata`, `nxdomain` or `servfail`.",
        r#"["region us"]"#,
    ),
    opt(
        "expect[].not",
        Kind::List(&Kind::Text, 1),
        Optional("nothing is ruled out"),
        "What must not be answered, as in `answer`.",
        r#"["region ap"]"#,
    ),
    opt(
        "expect[].region",
        Kind::Ref("regions"),
        Optional("any region"),
        "The region of whatever is answered.",
        r#""us""#,
    ),
    opt(
        "expect[].share.WHAT",
        Kind::Percent(0, 100),
        Optional("any share"),
        "The share of such queries whose first answer is an endpoint, or one of a pool or a region. It is computed from the weights, not drawn.",
        r#""80%""#,
    ),
    opt(
        "expect[].share-tolerance",
        Kind::Percent(0, 100),
        Default(r#""1%""#),
        "How many percentage points a share may be off, either way.",
        r#""1%""#,
    ),
    opt(
        "expect[].ttl-max",
        Kind::Duration(secs(0), WEEK, true),
        Optional("any TTL"),
        "The largest TTL that may be answered.",
        r#""30s""#,
    ),
    opt(
        "expect[].standing",
        Kind::Choice(&["normal", "degraded", "last-resort"]),
        Optional("any standing"),
        "How good the answer is: `normal`, `degraded` (backups, endpoints of weight 0, pools below `min-live`), or `last-resort`.",
        r#""normal""#,
    ),
    opt(
        "expect[].because",
        Kind::Text,
        Optional("no reason is given"),
        "Why it is expected; shown when it is broken.",
        r#""data of EU users stays in the EU""#,
    ),
];
