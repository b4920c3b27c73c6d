//! What `[telemetry]` says.

/// `[telemetry]`
#[derive(Clone, PartialEq, Debug)]
pub struct TelemetrySpec {
    /// `sampling.max-per-second`, default 1000.
    pub samples_per_second: u32,
}

impl Default for TelemetrySpec {
    fn default() -> Self {
        TelemetrySpec {
            samples_per_second: 1000,
        }
    }
}
