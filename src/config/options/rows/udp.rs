//! Rows of `[listeners.NAME.udp]`.

use super::super::Presence::{Default, Optional};
use super::super::{Kind, OptionRow};
use super::{DAY, ms, opt};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.udp.idle-timeout",
        Kind::Duration(ms(100), DAY, false),
        Default(r#""30s""#),
        "How long a session lasts without a datagram in either direction.",
        r#""30s""#,
    ),
    opt(
        "listeners.NAME.udp.max-sessions",
        Kind::Integer(1, 1_000_000),
        Default("16384"),
        "Sessions at once, for each address of `bind`, of all workers together; never more than leave half of the descriptors that the process may open. When all are taken, a new one takes the place of the one that was silent for longest among those whose clients have not yet sent again after an answer; where there is none it is refused.",
        "16384",
    ),
    opt(
        "listeners.NAME.udp.responses",
        Kind::Integer(0, 1_000_000),
        Optional("nobody knows: sessions end by `idle-timeout`"),
        "Answers to one datagram of a client. A session whose answers have all come is over: 1 for DNS. With 0 (syslog) there are no answers and no sessions: every datagram goes to the backend whose turn it is.",
        "1",
    ),
    opt(
        "listeners.NAME.udp.requests",
        Kind::Integer(1, 1_000_000),
        Optional("a client keeps its session"),
        "After so many datagrams of a client the next one begins a new session, perhaps with another backend. The old one goes on until its answers have come.",
        "1",
    ),
    opt(
        "listeners.NAME.udp.affinity",
        Kind::Choice(&["tuple", "quic"]),
        Default(r#""tuple""#),
        "What keeps a client with its backend: its address and port; or also the QUIC connection ids that backends issue, for clients whose address changes.",
        r#""quic""#,
    ),
];
