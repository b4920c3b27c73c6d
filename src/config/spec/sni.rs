//! `[[listeners.NAME.sni]]` and the options that go with it.

use std::time::Duration;

use crate::config::Marked;
use crate::traffic::route::HostPattern;

/// Where connections go by what their TLS asks for.
#[derive(Clone, PartialEq, Debug)]
pub struct SniSpec {
    /// In the order of the file.
    pub rules: Vec<SniRuleSpec>,
    /// `tcp.hello-timeout`
    pub timeout: Duration,
    /// `tcp.max-hello`, in octets.
    pub most: usize,
    /// `tcp.unmatched = "refuse"`
    pub refuse_others: bool,
}

/// One of them.
#[derive(Clone, PartialEq, Debug)]
pub struct SniRuleSpec {
    /// `names`
    pub names: Vec<HostPattern>,
    /// `alpn`; empty: any.
    pub alpn: Vec<Box<[u8]>>,
    /// `forward` or `listener`.
    pub target: SniTarget,
}

/// Where a rule sends connections.
#[derive(Clone, PartialEq, Debug)]
pub enum SniTarget {
    /// It could not be read.
    Unread,
    /// `forward`
    Upstream(Marked<String>),
    /// `listener`
    Listener(Marked<String>),
}
