//! Rows of what a proxy remembers of the way to its clients, and of how that comes to steer.

use super::super::Kind;
use super::super::Presence::Default;
use super::{OptionRow, YEAR, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "nodes.NAME.proxy.client-prefixes",
        Kind::Integer(0, 10_000_000),
        Default("65536"),
        "Client prefixes (/24, /48) of which the proxy remembers round-trip times and retransmits, about 250 octets each; those seldom seen give way. 0: none.",
        "65536",
    ),
    opt(
        "nodes.NAME.proxy.client-samples",
        Kind::Integer(0, 1_000_000),
        Default("1000"),
        "How many connections of clients each thread of the proxy asks the kernel about (`TCP_INFO`), per second. 0: none.",
        "1000",
    ),
    opt(
        "nodes.NAME.proxy.client-tell",
        Kind::Integer(0, 4096),
        Default("1024"),
        "Client prefixes of which the proxy tells the fleet what it measured, those with most connections first; about 75 octets each, told again when they changed. 0: none.",
        "1024",
    ),
    opt(
        "clients.dwell",
        Kind::Duration(secs(1), secs(3600), false),
        Default(r#""60s""#),
        "What clients' connections measured stands for so long before it counts; TTLs of names whose policy goes by it are no longer.",
        r#""60s""#,
    ),
    opt(
        "clients.expire",
        Kind::Duration(secs(3), YEAR, false),
        Default(r#""1h""#),
        "What no connection confirmed for so long does not count any more; at least three times `dwell`.",
        r#""1h""#,
    ),
];
