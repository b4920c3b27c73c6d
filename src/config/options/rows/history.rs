//! Rows of `[history]`: what is kept of what happened.

use super::super::Kind;
use super::super::OptionRow;
use super::super::Presence::Default;
use super::{YEAR, opt, secs};

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "history.keep",
        Kind::Duration(secs(60), YEAR, false),
        Default(r#""7d""#),
        "How long a node keeps events and what `explain --at` needs.",
        r#""7d""#,
    ),
    opt(
        "history.max-size",
        Kind::Size(1 << 20, 1 << 36),
        Default(r#""64MiB""#),
        "Size of the file `history.redb` in the state directory at most; what is oldest makes room, also before `keep` is over. Without state directory the same in memory, at most 16 MiB.",
        r#""64MiB""#,
    ),
];
