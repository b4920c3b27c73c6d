//! `at=`: the view of another time in place of the one in force.

use std::sync::Arc;

use crate::admin::history::NoThen;
use crate::admin::problem::Problem;
use crate::admin::state::State;
use crate::admin::view::events::BasedOn;
use crate::snapshot::View;
use crate::time::{Moment, when};

/// Times that a client's clock may be ahead, in milliseconds.
const AHEAD_MS: u64 = 2_000;

/// The view in force, or that of the time `at`, with that time as its moments are counted and what it is
/// based on.
pub(super) async fn view(
    state: &State,
    at: Option<&str>,
) -> Result<(Arc<View>, Moment, Option<BasedOn>), Problem> {
    let now = state.clock.now();
    let Some(text) = at else {
        return Ok((state.publisher.latest(), now, None));
    };
    let at_ms = past(state, "at", text)?;
    match state.history.then(at_ms).await {
        Ok(then) => Ok((then.view, then.now, Some(then.based.into()))),
        Err(NoThen::Blank(why) | NoThen::Unknown(why)) => Err(Problem::no_such(
            "at",
            format!("nothing can be told of {}: {why}", when::show(at_ms)),
        )),
        Err(NoThen::Trouble(why)) => Err(Problem::unavailable(format!(
            "the history cannot be read: {why}"
        ))),
    }
}

/// Reads a time that is not later than now.
pub(super) fn past(state: &State, parameter: &'static str, text: &str) -> Result<u64, Problem> {
    let now_ms = state.clock.wall().unix_ms(state.clock.now());
    let at_ms = time(parameter, text, now_ms)?;
    if at_ms > now_ms + AHEAD_MS {
        return Err(Problem::parameter(
            parameter,
            format!(
                "{} is later than now, {}: what will be is not recorded",
                when::show(at_ms),
                when::show(now_ms)
            ),
        ));
    }
    Ok(at_ms.min(now_ms))
}

/// Reads a time, or says how to write one.
pub(super) fn time(parameter: &'static str, text: &str, now_ms: u64) -> Result<u64, Problem> {
    when::parse(text, now_ms).ok_or_else(|| {
        Problem::parameter(
            parameter,
            format!(
                "`{text}` is not a time; write it as {} (a `+` of an offset as %2B) or, so long ago, as \
                 -15m, with s, m, h or d",
                when::show(now_ms)
            ),
        )
    })
}
