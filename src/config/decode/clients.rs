//! `[clients]`

use crate::config::diagnostic::Diagnostic;
use crate::config::spec::ClientsSpec;
use crate::health::clients::ClientPace;

use super::context::Context;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, top: &Reader<'_>) -> ClientsSpec {
    let r = top.sub(cx, "clients");
    let default = ClientPace::default();
    let dwell = r.get_or(cx, "dwell", default.dwell).value;
    let expire = r.get_or(cx, "expire", default.expire);
    if expire.value < dwell * 3 {
        cx.push(
            Diagnostic::error(
                expire.span,
                format!(
                    "`expire` of {:?} is less than three times `dwell`, {:?}: what clients measured would be gone \
                     before it counts",
                    expire.value, dwell
                ),
            )
            .help("make `expire` longer, or `dwell` shorter"),
        );
    }
    ClientsSpec {
        dwell,
        expire: expire.value,
    }
}
