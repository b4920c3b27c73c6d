//! Rows of what a proxy remembers of the way to its clients.

use super::super::Kind;
use super::super::Presence::Default;
use super::{OptionRow, opt};

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
];
