//! `[health]`, and `failback` of a pool.

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::HealthSpec;
use crate::health::council::{Brake, Failback, Quorum};

use super::context::Context;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, top: &Reader<'_>) -> HealthSpec {
    let r = top.sub(cx, "health");
    let off = r.has("brake") && !r.is_table("brake");
    let brake = if off {
        // What is no table can only be the word.
        r.get::<String>(cx, "brake").map(|_| None)
    } else {
        let b = r.sub(cx, "brake");
        let fallback = Brake::default();
        Some(Some(Brake {
            max_removal: b.get_or(cx, "max-removal", fallback.max_removal).value,
            window: b.get_or(cx, "window", fallback.window).value,
        }))
    };
    HealthSpec {
        quorum: r.get_or(cx, "quorum", Quorum::Majority),
        brake: brake.unwrap_or(Some(Brake::default())),
        discount_suspects: r.get_or(cx, "discount-suspect-monitors", true).value,
        references: r.list(cx, "reference-targets").unwrap_or_default(),
    }
}

/// `failback` of a pool: a word, or a table with one key.
pub(super) fn failback(cx: &mut Context<'_>, pool: &Reader<'_>) -> Failback {
    if !pool.is_table("failback") {
        let word: Option<Marked<String>> = pool.get(cx, "failback");
        return match word.as_ref().map(|w| w.value.as_str()) {
            Some("manual") => Failback::Manual,
            _ => Failback::Auto,
        };
    }
    let r = pool.sub(cx, "failback");
    let hold: Option<Marked<Duration>> = r.get(cx, "hold");
    let ramp: Option<Marked<Duration>> = r.get(cx, "ramp");
    match (hold, ramp) {
        (Some(hold), None) => Failback::Hold(hold.value),
        (None, Some(ramp)) => Failback::Ramp(ramp.value),
        (Some(_), Some(ramp)) => {
            cx.push(
                Diagnostic::error(
                    ramp.span,
                    format!(
                        "{} has both `hold` and `ramp`; 2 of at most 1",
                        pool.name_of("failback")
                    ),
                )
                .help("keep one of them: a ramp sends few clients first, a hold none"),
            );
            Failback::Auto
        }
        (None, None) => {
            if r.lacks("hold") && r.lacks("ramp") {
                cx.absence(
                    Diagnostic::error(
                        r.span(),
                        format!("{} has neither `hold` nor `ramp`", pool.name_of("failback")),
                    )
                    .help("write `failback = { hold = \"15m\" }`, or `failback = \"auto\"`"),
                );
            }
            Failback::Auto
        }
    }
}
