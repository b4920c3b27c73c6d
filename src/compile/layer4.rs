//! What listeners carry, with what they refer to.

use hashbrown::HashMap;

use crate::config::spec::{ListenerSpec, ProtocolSpec, TcpSpec, UdpSpec};
use crate::ids::{ListenerId, UpstreamId};
use crate::traffic::{Protocol, Target, TcpRules, UdpRules};

use super::Problems;

/// What a listener carries.
pub(super) fn protocol(
    s: &ListenerSpec,
    upstreams: &HashMap<&str, UpstreamId>,
    listeners: &HashMap<&str, ListenerId>,
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
        ProtocolSpec::Tcp(TcpSpec {
            timeouts,
            refusal,
            sni,
        }) => Protocol::Tcp(Box::new(TcpRules {
            target: match sni {
                Some(sni) if sni.refuse_others => Target::Close,
                _ => Target::Upstream(forward()),
            },
            timeouts: *timeouts,
            refusal: *refusal,
            sni: sni
                .as_ref()
                .map(|sni| Box::new(super::sni::rules(sni, upstreams, listeners, p))),
        })),
        ProtocolSpec::Udp(UdpSpec { rules }) => Protocol::Udp(Box::new(UdpRules {
            upstream: forward(),
            ..rules.clone()
        })),
    }
}
