//! What the proxy of a node does with traffic: listeners, routes, upstreams. Plain data, and the pure
//! decisions over it.

pub mod access_log;
pub mod algorithm;
pub mod clients;
pub mod compression;
pub mod features;
pub mod fields;
pub mod forwarded;
pub mod guards;
pub mod listener;
pub mod orders;
pub mod origin;
pub mod pages;
pub mod protocol;
pub mod proxy_protocol;
pub mod resilience;
pub mod retry;
pub mod route;
pub mod session;
pub mod sni;
pub mod tcp;
pub mod tls;
pub mod tuple;
pub mod udp;
pub mod upstream;
pub mod vip;
pub mod waf;
pub mod xdp;

pub use algorithm::{Algorithm, HashKey, HashMethod, Hashing};
pub use clients::ClientRules;
pub use compression::{Coding, Compression};
pub use features::{Features, ListenerFeatures};
pub use listener::{HttpLimits, HttpTimeouts, Listener};
pub use orders::{BackendOrders, Word};
pub use origin::Origin;
pub use protocol::Protocol;
pub use resilience::{DrainSticky, QueueRules, Resilience};
pub use retry::{NoRetry, RetryRules};
pub use route::{Action, Caller, PathRules, Route, Routes};
pub use session::Session;
pub use sni::{SniRule, SniRules};
pub use tcp::{Refusal, Target, TcpRules, TcpTimeouts};
pub use tuple::{Transport, Tuple};
pub use udp::UdpRules;
pub use upstream::{Backend, Upstream, UpstreamTimeouts};
pub use vip::Vip;

use std::time::Duration;

/// All that one proxy does under one configuration. Immutable; built by `compile` only.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// By [`crate::ids::ListenerId`].
    pub listeners: Vec<Listener>,
    /// Which requests go where.
    pub routes: Routes,
    /// By [`crate::ids::UpstreamId`].
    pub upstreams: Vec<Upstream>,
    /// Rule sets of the web application firewall; routes name them by position.
    pub waf: Vec<waf::RuleSet>,
    /// By [`crate::ids::CacheId`].
    pub caches: Vec<crate::caching::Rules>,
    /// By [`crate::ids::RateLimitId`].
    pub rate_limits: Vec<guards::RateRule>,
    /// By [`crate::ids::ErrorPagesId`].
    pub error_pages: Vec<pages::ErrorPages>,
    /// By [`crate::ids::AuthId`].
    pub auths: Vec<guards::ForwardAuth>,
    /// Settings of the node.
    pub node: ProxyNode,
}

impl Plan {
    /// By [`crate::ids::ListenerId`]: whether other listeners hand connections over to it.
    pub fn handed_to(&self) -> Vec<bool> {
        let mut targets = vec![false; self.listeners.len()];
        for listener in &self.listeners {
            if let Protocol::Tcp(rules) = &listener.protocol
                && let Some(sni) = &rules.sni
            {
                for target in sni.targets() {
                    if let Target::Listener(to) = target {
                        targets[to.index()] = true;
                    }
                }
            }
        }
        targets
    }
}

/// Settings of one proxy.
#[derive(Clone, PartialEq, Debug)]
pub struct ProxyNode {
    /// The node's name (`Via`, logs).
    pub name: Box<str>,
    /// The name of its region.
    pub region: Box<str>,
    /// The zone within the region, for locality.
    pub zone: Option<Box<str>>,
    /// Where caches may write, when the node has a place on disk.
    pub cache_dir: Option<Box<std::path::Path>>,
    /// Threads; at least 1.
    pub workers: u32,
    /// How long a draining proxy waits for what is under way.
    pub drain_timeout: Duration,
    /// What is remembered of the way to clients.
    pub clients: ClientRules,
    /// How long a proxy that stops says that it is not ready and still takes connections.
    pub leave_delay: Duration,
    /// Addresses of VIPs that it may have, and may not have yet.
    pub vips: Vec<std::net::IpAddr>,
}

impl Default for ProxyNode {
    fn default() -> ProxyNode {
        ProxyNode {
            name: Box::default(),
            region: Box::default(),
            zone: None,
            cache_dir: None,
            workers: 1,
            drain_timeout: Duration::from_secs(30),
            clients: ClientRules::default(),
            leave_delay: Duration::ZERO,
            vips: Vec::new(),
        }
    }
}
