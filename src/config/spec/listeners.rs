//! `[listeners]` and `[nodes.NAME.proxy]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Marked;
use crate::config::spec::{FeaturesSpec, SniSpec};
use crate::traffic::tls::TlsMode;
use crate::traffic::{ClientRules, Listener, Refusal, TcpTimeouts, UdpRules};

/// `[listeners.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct ListenerSpec {
    /// Table key.
    pub name: Marked<String>,
    /// What it says by itself.
    pub settings: Listener,
    /// What it refers to.
    pub features: FeaturesSpec,
    /// `bind`, with its places.
    pub bind: Vec<Marked<std::net::SocketAddr>>,
    /// The files of `tls`, with their places.
    pub files: Vec<TlsFile>,
    /// What it carries, before references are resolved.
    pub protocol: ProtocolSpec,
    /// The upstream of `forward`.
    pub forward: Option<Marked<String>>,
    /// `tls-mode`
    pub tls_mode: Option<Marked<TlsMode>>,
}

/// `protocol`, with the table of that name.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum ProtocolSpec {
    /// `"http"`
    #[default]
    Http,
    /// `"tcp"`
    Tcp(TcpSpec),
    /// `"udp"`
    Udp(UdpSpec),
}

/// `[listeners.NAME.tcp]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TcpSpec {
    /// How long connections may be silent.
    pub timeouts: TcpTimeouts,
    /// What a client sees when it is refused.
    pub refusal: Refusal,
    /// `[[listeners.NAME.sni]]`
    pub sni: Option<SniSpec>,
}

/// `[listeners.NAME.udp]`
#[derive(Clone, PartialEq, Debug)]
pub struct UdpSpec {
    /// What it says by itself; of no upstream yet.
    pub rules: UdpRules,
}

/// A file that TLS needs.
#[derive(Clone, PartialEq, Debug)]
pub struct TlsFile {
    /// The option that names it, such as `tls.key`.
    pub option: &'static str,
    /// The file, relative to nothing any more.
    pub path: Marked<PathBuf>,
    /// Whether nobody but this program may read it.
    pub secret: bool,
}

/// `[nodes.NAME.proxy]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NodeProxySpec {
    /// `listeners`; `None`: all.
    pub listeners: Option<Vec<Marked<String>>>,
    /// `workers`; `None`: one per core.
    pub workers: Option<u32>,
    /// `zone`
    pub zone: Option<String>,
    /// `drain-timeout`
    pub drain_timeout: Duration,
    /// `client-prefixes`, `client-samples`
    pub clients: ClientRules,
    /// `addresses`
    pub addresses: Vec<Marked<std::net::IpAddr>>,
    /// `leave-delay`
    pub leave_delay: Option<Duration>,
}
