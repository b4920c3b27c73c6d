//! What is done with the connections of a listener of layer 4.

use std::time::Duration;

use crate::ids::{ListenerId, UpstreamId};

use super::sni::SniRules;

/// What is done with the connections of a listener.
#[derive(Clone, PartialEq, Debug)]
pub struct TcpRules {
    /// Where they go, those for which no rule of `sni` is.
    pub target: Target,
    /// Where they go by what their TLS asks for; `None`: nobody looks at what they begin with.
    pub sni: Option<Box<SniRules>>,
    /// How long they may be silent.
    pub timeouts: TcpTimeouts,
    /// What a client sees when it is refused.
    pub refusal: Refusal,
}

/// What a client sees of a connection that is not carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Refusal {
    /// It ends without an octet.
    #[default]
    Close,
    /// It is reset: for clients that take an end for an answer.
    Reset,
}

/// Where a connection goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// To a backend of an upstream.
    Upstream(UpstreamId),
    /// To another listener of the same node, as if it had come there.
    Listener(ListenerId),
    /// Nowhere: it is closed.
    Close,
}

/// How long the connections of a listener may be silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpTimeouts {
    /// Without an octet in either direction.
    pub idle: Duration,
    /// Without an octet, once one side has ended its own.
    pub half_close: Duration,
}

impl Default for TcpTimeouts {
    fn default() -> TcpTimeouts {
        TcpTimeouts {
            idle: Duration::from_secs(600),
            half_close: Duration::from_secs(60),
        }
    }
}
