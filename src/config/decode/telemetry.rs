//! `[telemetry]`.

use crate::config::spec::TelemetrySpec;

use super::context::Context;
use super::reader::Reader;

pub(super) fn decode(cx: &mut Context<'_>, top: &Reader<'_>) -> TelemetrySpec {
    let r = top.sub(cx, "telemetry");
    let sampling = r.sub(cx, "sampling");
    let fallback = TelemetrySpec::default().samples_per_second;
    TelemetrySpec {
        samples_per_second: sampling.get_or(cx, "max-per-second", fallback).value,
        otlp: super::exports::otlp(cx, &r),
        dnstap: super::exports::dnstap(cx, &r),
    }
}
