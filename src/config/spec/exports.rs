//! What `[telemetry.otlp]` and `[telemetry.dnstap]` say.

use std::path::PathBuf;
use std::time::Duration;

/// `[telemetry.otlp]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtlpSpec {
    /// `endpoint`: an http or https URL without a slash at its end.
    pub endpoint: String,
    /// `interval`
    pub interval: Duration,
    /// `traces`
    pub traces: bool,
    /// `proxy-traces`; `None`: the proxy's requests are not traced.
    pub proxy: Option<ProxyTraces>,
}

/// Which requests of the proxy are traced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProxyTraces {
    /// `proxy-sample`: 0 (none) to 2³² (all).
    pub share: u64,
    /// `proxy-parents`: whether anybody's `traceparent` counts.
    pub anyones: bool,
}

/// Where dnstap goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DnstapTarget {
    /// `socket`: a collector listens there.
    Socket(PathBuf),
    /// `file`, with `max-size` in octets.
    File(PathBuf, u64),
}

/// `[telemetry.dnstap]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnstapSpec {
    /// `socket` or `file`.
    pub target: DnstapTarget,
    /// `max-per-second`
    pub per_second: u32,
}
