//! What this node does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::nearest;
use crate::config::spec::{DnstapSpec, NodeSpec, OtlpSpec, Role};
use crate::config::{Marked, Sources, Spec};
use crate::history::Bounds;
use crate::net::Prefix;
use crate::snapshot::NodeFacts;

use super::admin::{self, Access};
use super::listeners::{self, ListenerPlace};
use super::{FleetNode, Problems, fleet};

/// Time to wait for the first probes where `[dns] first-round` does not say.
const FIRST_ROUND: Duration = Duration::from_secs(10);

/// The admin API's address where the node's table does not say.
pub(super) const ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8053);

/// What this node does.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// DNS addresses, UDP and TCP; empty without role `dns`.
    pub dns_listen: Vec<SocketAddr>,
    /// UDP worker threads; at least 1.
    pub dns_workers: u32,
    /// Open DNS connections over TCP at most.
    pub tcp_max_connections: u32,
    /// Time after which an idle one is closed.
    pub tcp_idle_timeout: Duration,
    /// Encrypted listeners; none without role `dns`.
    pub encrypted: Encrypted,
    /// Sources whose PROXY protocol headers say who asks.
    pub proxies: Vec<Prefix>,
    /// Admin API; `None` without role `admin`.
    pub admin_listen: Option<SocketAddr>,
    /// Who may use the admin API.
    pub access: Access,
    /// Open connections to it at most.
    pub admin_connections: u32,
    /// Whether it is served over TLS.
    pub admin_tls: bool,
    /// Whether this node carries traffic.
    pub proxies_traffic: bool,
    /// Threads of its proxy.
    pub proxy_workers: u32,
    /// Where the configuration names the addresses of its proxy's listeners.
    pub listeners_at: Vec<ListenerPlace>,
    /// Whether this node probes.
    pub probes: bool,
    /// Longest wait for the first probes before DNS is served (requirement H1).
    pub first_round: Duration,
    /// Folder of what must outlive the process.
    pub state_dir: Option<PathBuf>,
    /// How much is kept of what happened.
    pub history: Bounds,
    /// Its place in the fleet; `None` when it is alone.
    pub fleet: Option<FleetNode>,
    /// Where metrics and traces are exported to.
    pub otlp: Option<OtlpSpec>,
    /// Where queries are logged.
    pub dnstap: Option<DnstapSpec>,
}

/// The encrypted listeners of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Encrypted {
    /// DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS.
    pub https: Vec<SocketAddr>,
    /// Path of DNS over HTTPS.
    pub https_path: String,
    /// DNS over QUIC.
    pub quic: Vec<SocketAddr>,
}

impl Encrypted {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        !(self.tls.is_empty() && self.https.is_empty() && self.quic.is_empty())
    }
}

impl Node {
    /// The options in which `self`, as loaded anew, differs from what runs and which a reload
    /// cannot change.
    pub fn needs_restart(&self, running: &Node) -> Vec<String> {
        let own = |option: &str| format!("nodes.{}.{option}", self.name);
        let of_fleet = match (&self.fleet, &running.fleet) {
            (Some(new), Some(old)) => new.needs_restart(old, &format!("nodes.{}", self.name)),
            (None, None) => Vec::new(),
            _ => vec![own("fleet")],
        };
        [
            (own("dns.listen"), self.dns_listen != running.dns_listen),
            (own("dns.workers"), self.dns_workers != running.dns_workers),
            (
                own("dns.tcp-max-connections"),
                self.tcp_max_connections != running.tcp_max_connections,
            ),
            (
                own("dns.tcp-idle-timeout"),
                self.tcp_idle_timeout != running.tcp_idle_timeout,
            ),
            (own("state-dir"), self.state_dir != running.state_dir),
            (
                own("dns.tls.listen"),
                self.encrypted.tls != running.encrypted.tls,
            ),
            (
                own("dns.https.listen"),
                self.encrypted.https != running.encrypted.https,
            ),
            (
                own("dns.https.path"),
                self.encrypted.https_path != running.encrypted.https_path,
            ),
            (
                own("dns.quic.listen"),
                self.encrypted.quic != running.encrypted.quic,
            ),
            (
                own("dns.proxy-protocol.from"),
                self.proxies != running.proxies,
            ),
            (
                own("admin.listen"),
                self.admin_listen != running.admin_listen,
            ),
            (
                own("admin.certificate"),
                self.admin_tls != running.admin_tls,
            ),
            (
                own("admin.max-connections"),
                self.admin_connections != running.admin_connections,
            ),
            (
                own("proxy.workers"),
                self.proxy_workers != running.proxy_workers,
            ),
            ("telemetry.otlp".to_owned(), self.otlp != running.otlp),
            ("telemetry.dnstap".to_owned(), self.dnstap != running.dnstap),
            (
                "dns.first-round".to_owned(),
                self.first_round != running.first_round,
            ),
        ]
        .into_iter()
        .filter_map(|(option, differs)| differs.then_some(option))
        .chain(of_fleet)
        .collect()
    }
}

/// What everybody knows of all nodes, by name.
pub(super) fn all(spec: &Spec) -> Vec<NodeFacts> {
    let word = |role: Role| match role {
        Role::Dns => "dns",
        Role::Probe => "probe",
        Role::Proxy => "proxy",
        Role::Admin => "admin",
    };
    let facts = spec.nodes.iter().map(|n| NodeFacts {
        name: n.name.as_str().into(),
        region: n.region.as_str().into(),
        roles: n.roles.iter().map(|r| word(r.value)).collect(),
    });
    let mut all: Vec<NodeFacts> = facts.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The node called `wanted`.
pub(super) fn node(
    spec: &Spec,
    sources: &Sources,
    wanted: Option<&str>,
    p: &mut Problems,
) -> Option<Node> {
    let wanted = wanted?;
    let Some(n) = spec.nodes.iter().find(|n| n.name.as_str() == wanted) else {
        if spec.declared.nodes.contains(wanted) {
            return None; // its errors are reported
        }
        let known: Vec<&str> = spec.declared.nodes.iter().map(String::as_str).collect();
        let help = match nearest(wanted, known.iter().copied()) {
            Some(near) => format!("did you mean `--node {near}`?"),
            None if known.is_empty() => format!("add a table [nodes.{wanted}]"),
            None => format!("defined are {}", known.join(", ")),
        };
        p.general(format!("the configuration has no node `{wanted}`"))
            .help = Some(help);
        return None;
    };
    let monitored = spec.pools.iter().any(|p| p.monitor.is_some());
    if has(n, Role::Dns)
        && !has(n, Role::Probe)
        && monitored
        && !super::council::shared(spec, Some(wanted))
    {
        p.warning(
            n.name.span,
            format!(
                "node `{wanted}` answers DNS but has not the role `probe`: it checks nothing, and \
                 every endpoint counts as up"
            ),
        )
        .help = Some(
            "add the role `probe`, or make it a member of a fleet with nodes that probe".to_owned(),
        );
    }
    let served = |listen: &[Marked<SocketAddr>]| -> Vec<SocketAddr> {
        let served = listen.iter().filter(|_| has(n, Role::Dns));
        served.map(|a| a.value).collect()
    };
    let cores = std::thread::available_parallelism().map_or(1, |c| c.get() as u32);
    Some(Node {
        name: n.name.value.clone(),
        dns_listen: served(&n.dns_listen),
        encrypted: Encrypted {
            tls: served(&n.encrypted.tls),
            https: served(&n.encrypted.https),
            https_path: n.encrypted.https_path.clone(),
            quic: served(&n.encrypted.quic),
        },
        proxies: n.encrypted.proxies.iter().map(|p| p.value).collect(),
        dns_workers: n.dns_workers.as_ref().map_or(cores, |w| w.value),
        tcp_max_connections: n.tcp_max_connections,
        tcp_idle_timeout: n.tcp_idle_timeout,
        admin_listen: has(n, Role::Admin)
            .then(|| n.admin_listen.as_ref().map_or(ADMIN, |a| a.value)),
        access: admin::access(spec),
        admin_connections: n.admin.max_connections,
        admin_tls: n.admin.certificate.is_some(),
        proxies_traffic: has(n, Role::Proxy),
        proxy_workers: n.proxy.workers.unwrap_or(cores),
        listeners_at: listeners::places(spec, n, sources),
        probes: has(n, Role::Probe),
        first_round: spec
            .dns
            .first_round
            .as_ref()
            .map_or(FIRST_ROUND, |d| d.value),
        state_dir: n.state_dir.as_ref().map(|d| d.value.clone()),
        history: Bounds {
            octets: spec.history.max_size,
            age_ms: u64::try_from(spec.history.keep.as_millis()).unwrap_or(u64::MAX),
        },
        fleet: fleet::place(spec, n),
        otlp: spec.telemetry.otlp.clone(),
        dnstap: spec.telemetry.dnstap.clone().filter(|_| has(n, Role::Dns)),
    })
}

pub(super) fn has(n: &NodeSpec, role: Role) -> bool {
    n.roles.iter().any(|r| r.value == role)
}
