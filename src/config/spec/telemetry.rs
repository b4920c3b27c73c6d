//! What `[telemetry]` says.

use super::{DnstapSpec, OtlpSpec};

/// `[telemetry]`
#[derive(Clone, PartialEq, Debug)]
pub struct TelemetrySpec {
    /// `sampling.max-per-second`, default 1000.
    pub samples_per_second: u32,
    /// `otlp`; `None`: nothing is exported.
    pub otlp: Option<OtlpSpec>,
    /// `dnstap`; `None`: no queries are logged.
    pub dnstap: Option<DnstapSpec>,
}

impl Default for TelemetrySpec {
    fn default() -> Self {
        TelemetrySpec {
            samples_per_second: 1000,
            otlp: None,
            dnstap: None,
        }
    }
}
