//! What listeners carry, with what they refer to.

use hashbrown::HashMap;

use crate::config::spec::{ListenerSpec, ProtocolSpec, TcpSpec, UdpSpec};
use crate::ids::UpstreamId;
use crate::traffic::{Protocol, Target, TcpRules, UdpRules};

use super::Problems;

/// What a listener carries.
pub(super) fn protocol(
    s: &ListenerSpec,
    upstreams: &HashMap<&str, UpstreamId>,
    p: &mut Problems,
) -> Protocol {
    let mut forward = || {
        let found = s
            .forward
            .as_ref()
            .and_then(|name| upstreams.get(name.as_str()));
        if found.is_none() {
            // What it names is not there, or it names nothing: both were reported.
            p.dangling();
        }
        found.copied().unwrap_or_default()
    };
    match &s.protocol {
        ProtocolSpec::Http => Protocol::Http,
        ProtocolSpec::Tcp(TcpSpec { timeouts, refusal }) => Protocol::Tcp(Box::new(TcpRules {
            target: Target::Upstream(forward()),
            timeouts: *timeouts,
            refusal: *refusal,
        })),
        ProtocolSpec::Udp(UdpSpec { idle, max_sessions }) => Protocol::Udp(Box::new(UdpRules {
            upstream: forward(),
            idle: *idle,
            max_sessions: *max_sessions,
        })),
    }
}
