//! What one probe saw.

use std::time::Duration;

use crate::ids::TargetId;
use crate::time::Moment;

/// One run of a probe against one target.
#[derive(Clone, PartialEq, Debug)]
pub struct Observation {
    /// What was probed.
    pub target: TargetId,
    /// When the probe ended.
    pub at: Moment,
    /// What it saw.
    pub outcome: Outcome,
}

/// Pass or failure.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// The check passed.
    Pass {
        /// Time to connect: the network's distance, without the server's thinking time.
        rtt: Duration,
    },
    /// The check failed.
    Fail(Failure),
}

/// Why a probe failed, in the words shown to the operator.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// No connection.
    #[error("connect failed: {0}")]
    Connect(String),
    /// Took longer than the timeout.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// TLS failed, or the certificate does not verify.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// HTTP was broken.
    #[error("HTTP failed: {0}")]
    Http(String),
    /// Answered, but not as expected.
    #[error("{0}")]
    Unexpected(String),
    /// The probe could not be run on this machine (a right, an address or a socket is missing): it
    /// says nothing about the target and counts neither for nor against it.
    #[error("cannot probe: {0}")]
    Unable(String),
}
