//! `[history]`

use crate::config::spec::HistorySpec;

use super::context::Context;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, top: &Reader<'_>) -> HistorySpec {
    let r = top.sub(cx, "history");
    let default = HistorySpec::default();
    HistorySpec {
        keep: r.get_or(cx, "keep", default.keep).value,
        max_size: r.get_or(cx, "max-size", default.max_size).value,
    }
}
