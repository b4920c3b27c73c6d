//! Rows of `[health]`.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{HOUR, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "health.quorum",
        Kind::Quorum,
        Default(r#""majority""#),
        "How many sites (a region and, where given, an `asn`) must say \"down\" before an endpoint is down: the majority of those that vote, a share of them, or a number. With `majority` or a share at least two must where two or more vote; a tie changes nothing; with a number nothing goes down while fewer vote.",
        r#""majority""#,
    ),
    opt(
        "health.brake",
        Kind::Choice(&["off"]),
        Optional("the brake is on; a table sets it"),
        "`\"off\"`: endpoints are taken out however many fail at once.",
        r#""off""#,
    ),
    opt(
        "health.brake.max-removal",
        Kind::Percent(1, 100),
        Default(r#""70%""#),
        "Automation takes out at most this share of a name's capacity (the sum of its endpoints' weights) within the window; further endpoints stay in, shown as \"held by brake\". Endpoints of one region may all go while another region serves.",
        r#""70%""#,
    ),
    opt(
        "health.brake.window",
        Kind::Duration(secs(1), HOUR, false),
        Default(r#""60s""#),
        "Time over which removals add up, and for which a suspect monitor is not believed.",
        r#""60s""#,
    ),
    opt(
        "health.discount-suspect-monitors",
        Kind::Bool,
        Default("true"),
        "A monitor that fails on all endpoints of a name within one window, where it probes all of them and they are two or more, is suspect itself: they stay in for one window, then the monitor is believed.",
        "true",
    ),
    opt(
        "health.reference-targets",
        Kind::List(&Kind::Socket, 0),
        Default("[]"),
        "What every probing node connects to over TCP every 5 seconds; one that reaches fewer than half of them is blind and has no vote.",
        r#"["192.0.2.53:53"]"#,
    ),
];
