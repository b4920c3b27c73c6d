//! What is done with the datagrams of a listener.

use std::time::Duration;

use crate::ids::UpstreamId;

/// What is done with the datagrams of a listener.
#[derive(Clone, PartialEq, Debug)]
pub struct UdpRules {
    /// Where they go.
    pub upstream: UpstreamId,
    /// How long a session lasts without a datagram in either direction.
    pub idle: Duration,
    /// Sessions at once, of all workers together.
    pub max_sessions: u32,
}

impl UdpRules {
    /// To an upstream, with the defaults.
    pub fn to(upstream: UpstreamId) -> UdpRules {
        UdpRules {
            upstream,
            idle: Duration::from_secs(30),
            max_sessions: 65_536,
        }
    }
}
