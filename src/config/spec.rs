//! What the file says. What one object says alone is already checked, and references to nothing are
//! reported; the rules between objects are `compile`'s part. Objects keep the order of the file; names
//! are unique per kind.
//!
//! A spec may come from a file with errors, so that one run can tell all of them. What was wrong is
//! then left out, or stands as something harmless, and `complete` is false: from what such an object
//! lacks nothing follows.

mod admin;
mod caches;
mod clients;
mod expect;
mod exports;
mod features;
mod fleet;
mod health;
mod history;
mod https;
mod listeners;
mod protection;
mod routes;
mod sni;
mod telemetry;
mod upstreams;
mod vips;

pub use admin::{
    AdminRole, AdminSpec, CertificateIs, ClientCertificateSpec, NodeAdminSpec, Sha256, TokenSpec,
};
pub use caches::CacheSpec;
pub use clients::ClientsSpec;
pub use expect::{AnswerSpec, ExpectSpec, ThingSpec};
pub use exports::{DnstapSpec, DnstapTarget, OtlpSpec, ProxyTraces};
pub use features::{AuthSpec, ErrorPagesSpec, FeaturesSpec, PageSpec, RateRuleSpec};
pub use fleet::{FleetSpec, NodeFleetSpec};
pub use health::HealthSpec;
pub use history::HistorySpec;
pub use https::HttpsSpec;
pub use listeners::{ListenerSpec, NodeProxySpec, ProtocolSpec, TcpSpec, TlsFile, UdpSpec};
pub use protection::{AccessSpec, ChaosSpec, CookiesSpec, RateLimitSpec};
pub use routes::{ActionSpec, RouteSpec, WafSpec};
pub use sni::{SniRuleSpec, SniSpec, SniTarget};
pub use telemetry::TelemetrySpec;
pub use upstreams::{BackendSpec, OneLayer, UpstreamSpec};
pub use vips::VipSpec;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::dns::name::WireName;
use crate::dns::tsig::{Algorithm, Secret};
use crate::dnssec::Policy;
use crate::geo::{Coordinates, location::Code};
use crate::health::Monitor;
use crate::health::council::Failback;
use crate::net::{Family, Prefix};
use crate::steer::GeoMode;
use crate::traffic::PathRules;
use crate::units::{Ttl, Weight};

use super::{Marked, Span};

/// The whole configuration.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Spec {
    /// The names in the file, also of objects that could not be read.
    pub declared: Declared,
    /// `[dns]`: settings of the answering, the same on every node.
    pub dns: DnsSpec,
    /// `[fleet]`
    pub fleet: FleetSpec,
    /// `[health]`: how verdicts are reached.
    pub health: HealthSpec,
    /// `[clients]`: how clients' own times come to count.
    pub clients: ClientsSpec,
    /// `[history]`: what is kept of what happened.
    pub history: HistorySpec,
    /// `[telemetry]`: what is told of the traffic.
    pub telemetry: TelemetrySpec,
    /// `[admin]`
    pub admin: AdminSpec,
    /// `[regions.NAME]`
    pub regions: Vec<RegionSpec>,
    /// `[nodes.NAME]`
    pub nodes: Vec<NodeSpec>,
    /// `[zones."NAME"]`
    pub zones: Vec<ZoneSpec>,
    /// `[tsig-keys."NAME"]`
    pub tsig_keys: Vec<TsigKeySpec>,
    /// `[dnssec.NAME]`
    pub dnssec: Vec<DnssecSpec>,
    /// `[geoip]`
    pub geoip: GeoipSpec,
    /// `[monitors.NAME]`
    pub monitors: Vec<MonitorSpec>,
    /// `[pools.NAME]`
    pub pools: Vec<PoolSpec>,
    /// `[policies.NAME]`
    pub policies: Vec<PolicySpec>,
    /// `[listeners.NAME]`
    pub listeners: Vec<ListenerSpec>,
    /// `[caches.NAME]`
    pub caches: Vec<CacheSpec>,
    /// `[routes.NAME]`
    pub routes: Vec<RouteSpec>,
    /// `[routing]`: how paths are read.
    pub routing: PathRules,
    /// `[waf.NAME]`
    pub waf: Vec<WafSpec>,
    /// `[rate-limits.NAME]`
    pub rate_rules: Vec<RateRuleSpec>,
    /// `[error-pages.NAME]`
    pub error_pages: Vec<ErrorPagesSpec>,
    /// `[auth.NAME]`
    pub auths: Vec<AuthSpec>,
    /// `[upstreams.NAME]`
    pub upstreams: Vec<UpstreamSpec>,
    /// `[vips.NAME]`
    pub vips: Vec<VipSpec>,
    /// `[names."NAME"]` without `alias-of`
    pub names: Vec<NameSpec>,
    /// `[names."NAME"]` with `alias-of`
    pub aliases: Vec<AliasSpec>,
    /// `[[expect]]`
    pub expectations: Vec<ExpectSpec>,
}

/// Names of objects that may themselves be unreadable, and of which kinds all are known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Declared {
    /// Whether some `[regions.NAME]` may exist, readable or not.
    pub any_region: bool,
    /// `[nodes.NAME]`
    pub nodes: BTreeSet<String>,
    /// Apexes of all `[zones."NAME"]`.
    pub zones: Vec<WireName>,
    /// Whether these are all zones.
    pub all_zones: bool,
    /// Whether all pools were read in full.
    pub pools_complete: bool,
    /// Whether all names were read in full.
    pub names_complete: bool,
}

/// `[dns]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DnsSpec {
    /// `explain-allow`: sources that may ask `_explain.NAME TXT`. Default loopback.
    pub explain_allow: Vec<Marked<Prefix>>,
    /// `failover-slo`: a name whose worst-case failover time exceeds this is an error (O11).
    pub failover_slo: Option<Marked<Duration>>,
    /// `first-round`: longest wait for the first probes before serving (H1). Default 10 s.
    pub first_round: Option<Marked<Duration>>,
    /// `[dns.access]`: who may ask.
    pub access: AccessSpec,
    /// `[dns.rate-limit]`: how often one is answered.
    pub rate_limit: RateLimitSpec,
    /// `[dns.cookies]`: proof of one's address.
    pub cookies: CookiesSpec,
    /// `[dns.chaos]`: what class CH says.
    pub chaos: ChaosSpec,
}

/// `[regions.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct RegionSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `latitude`, `longitude` in degrees.
    pub coordinates: Coordinates,
}

/// What a node does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Answers DNS.
    Dns,
    /// Probes.
    Probe,
    /// Carries traffic.
    Proxy,
    /// Serves the admin API.
    Admin,
}

/// `[nodes.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct NodeSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `region`
    pub region: Marked<String>,
    /// `asn`: the autonomous system it stands in.
    pub asn: Option<u32>,
    /// `roles`, not empty.
    pub roles: Vec<Marked<Role>>,
    /// `dns.listen`: addresses for UDP and TCP; port 0 picks a free one.
    pub dns_listen: Vec<Marked<SocketAddr>>,
    /// `dns.workers`: UDP worker threads; default one per core.
    pub dns_workers: Option<Marked<u32>>,
    /// `dns.tcp-max-connections`, default 1000.
    pub tcp_max_connections: u32,
    /// `dns.tcp-idle-timeout`, default 10 s.
    pub tcp_idle_timeout: Duration,
    /// `admin.listen`; default 127.0.0.1:8053 with role `admin`.
    pub admin_listen: Option<Marked<SocketAddr>>,
    /// `admin`, but for `listen`.
    pub admin: NodeAdminSpec,
    /// Encrypted listeners and trusted proxies.
    pub encrypted: EncryptedSpec,
    /// `state-dir`, relative to the configuration file that says so.
    pub state_dir: Option<Marked<PathBuf>>,
    /// `fleet`; without it the node is alone.
    pub fleet: Option<NodeFleetSpec>,
    /// `proxy`
    pub proxy: NodeProxySpec,
    /// `allow-exec`: whether monitors may run commands, default false.
    pub allow_exec: bool,
}

/// `[nodes.NAME.dns]`: what is encrypted, and whose word about clients is taken.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct EncryptedSpec {
    /// `tls.listen`: addresses for DNS over TLS.
    pub tls: Vec<Marked<SocketAddr>>,
    /// `https.listen`: addresses for DNS over HTTPS.
    pub https: Vec<Marked<SocketAddr>>,
    /// `https.path`, default `/dns-query`.
    pub https_path: String,
    /// `quic.listen`: addresses for DNS over QUIC.
    pub quic: Vec<Marked<SocketAddr>>,
    /// `certificate`: chain, PEM. Present with any of the above.
    pub certificate: Option<Marked<PathBuf>>,
    /// `key`: private key, PEM. Present with `certificate`.
    pub key: Option<Marked<PathBuf>>,
    /// `proxy-protocol.from`: sources whose PROXY protocol headers say who asks.
    pub proxies: Vec<Marked<Prefix>>,
}

/// `[zones."NAME"]`
#[derive(Clone, PartialEq, Debug)]
pub struct ZoneSpec {
    /// Table key: the apex.
    pub name: Marked<WireName>,
    /// `file`, relative to the configuration file that says so.
    pub file: Marked<PathBuf>,
    /// `transfer`: who may have the zone.
    pub transfer: Option<Marked<TransferSpec>>,
    /// `notify`: who is told of changes.
    pub notify: Option<Marked<NotifySpec>>,
    /// `dnssec`: the key policy; without one the zone is not signed.
    pub dnssec: Option<Marked<String>>,
    /// `key-files`
    pub key_files: Vec<Marked<PathBuf>>,
}

/// `transfer = { to = ["192.0.2.0/24"], keys = ["secondary"] }`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TransferSpec {
    /// `to`: sources; empty: any, with a key.
    pub to: Vec<Marked<Prefix>>,
    /// `keys`: one of them must have signed; empty: none is needed.
    pub keys: Vec<Marked<String>>,
    /// `unsigned`, default false: also a signed zone, without its signatures.
    pub unsigned: bool,
    /// `ixfr-history`: octets of changes kept, default 1 MiB.
    pub ixfr_history: usize,
}

/// `notify = { to = ["192.0.2.53:53"], key = "secondary" }`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct NotifySpec {
    /// `to`, not empty.
    pub to: Vec<Marked<SocketAddr>>,
    /// `key`
    pub key: Option<Marked<String>>,
}

/// `[tsig-keys."NAME"]`
#[derive(Clone, PartialEq, Debug)]
pub struct TsigKeySpec {
    /// Table key as it is written, for references.
    pub key: Marked<String>,
    /// Table key: the key's name.
    pub name: WireName,
    /// `algorithm`
    pub algorithm: Algorithm,
    /// `secret` or `secret-file`.
    pub secret: SecretSpec,
}

/// Where a secret is.
#[derive(Clone, PartialEq, Debug)]
pub enum SecretSpec {
    /// `secret`
    Inline(Secret),
    /// `secret-file`, relative to the configuration file that says so.
    File(Marked<PathBuf>),
}

/// `[dnssec.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct DnssecSpec {
    /// Table key.
    pub name: Marked<String>,
    /// What it says.
    pub policy: Policy,
    /// Where `signature-refresh` stands, or the table.
    pub refresh: Span,
    /// Where `zsk-lifetime` stands, or the table.
    pub zsk_lifetime: Span,
    /// Where `ksk-lifetime` stands, or the table.
    pub ksk_lifetime: Span,
    /// Whether all of it was read.
    pub complete: bool,
}

/// `[geoip]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GeoipSpec {
    /// `databases`: MaxMind-format files; where several know a fact, the first listed wins.
    pub databases: Vec<Marked<PathBuf>>,
    /// `networks`: CSV of own networks; wins over all databases.
    pub networks: Option<Marked<PathBuf>>,
}

/// `[monitors.NAME]` with its one kind table.
#[derive(Clone, PartialEq, Debug)]
pub struct MonitorSpec {
    /// Table key.
    pub name: Marked<String>,
    /// The check; `ca_pem` holds the text of `ca-file`.
    pub monitor: Monitor,
    /// Whether all of it was read.
    pub complete: bool,
}

/// `[pools.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct PoolSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `region`
    pub region: Marked<String>,
    /// `monitor`; without one the endpoints count as up.
    pub monitor: Option<Marked<String>>,
    /// `min-live`, default 1.
    pub min_live: Marked<u32>,
    /// `relative-liveness`, 1.5 to 100; absent: endpoints are not compared.
    pub relative: Option<f64>,
    /// `failback`, default auto.
    pub failback: Failback,
    /// `[[pools.NAME.endpoints]]`, not empty.
    pub endpoints: Vec<EndpointSpec>,
    /// Whether all of it was read.
    pub complete: bool,
}

/// `[[pools.NAME.endpoints]]`
#[derive(Clone, PartialEq, Debug)]
pub struct EndpointSpec {
    /// `name`, unique over all pools.
    pub name: Marked<String>,
    /// `address`
    pub address: Option<Marked<IpAddr>>,
    /// `cname`; at least one of both is present.
    pub cname: Option<Marked<WireName>>,
    /// `port`, required with a monitor.
    pub port: Option<Marked<u16>>,
    /// `weight`, default 1.
    pub weight: Weight,
    /// `backup`, default false.
    pub backup: bool,
    /// `enabled`, default true.
    pub enabled: bool,
}

/// `[policies.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct PolicySpec {
    /// Table key.
    pub name: Marked<String>,
    /// `stages`, not empty.
    pub stages: Vec<Marked<StageSpec>>,
    /// Whether all of it was read.
    pub complete: bool,
}

/// One stage: `{ proximity = { band = "200km" } }`.
#[derive(Clone, PartialEq, Debug)]
pub enum StageSpec {
    /// `failover = {}`
    Failover,
    /// `geo = { mode = "prefer", rules = [...] }`
    Geo {
        /// `mode`, default prefer.
        mode: GeoMode,
        /// `rules`, not empty.
        rules: Vec<GeoRuleSpec>,
    },
    /// `proximity = { band = "100km", bias = { eu = "500km" } }`
    Proximity {
        /// `band`, default 0.
        band_km: f64,
        /// `bias`: by region, kilometres.
        bias_km: Vec<(Marked<String>, f64)>,
    },
    /// `latency = { tolerance = "10ms", tolerance-percent = "10%", fallback-band = "100km" }`
    Latency {
        /// `tolerance`, default 10 ms.
        tolerance: Duration,
        /// `tolerance-percent`, 0 to 100, default 10.
        tolerance_percent: u32,
        /// `fallback-band`, default 0.
        fallback_band_km: f64,
        /// `clients`, default false.
        clients: bool,
    },
    /// `weighted = {}`
    Weighted,
    /// `round-robin = {}`
    RoundRobin,
    /// `random = {}`
    Random,
    /// `sticky = { prefix4 = 24, prefix6 = 56 }`
    Sticky {
        /// `prefix4`, 8 to 32, default 24.
        prefix4: u8,
        /// `prefix6`, 16 to 128, default 56.
        prefix6: u8,
    },
}

impl StageSpec {
    /// The key in the file.
    pub fn keyword(&self) -> &'static str {
        match self {
            StageSpec::Failover => "failover",
            StageSpec::Geo { .. } => "geo",
            StageSpec::Proximity { .. } => "proximity",
            StageSpec::Latency { .. } => "latency",
            StageSpec::Weighted => "weighted",
            StageSpec::RoundRobin => "round-robin",
            StageSpec::Random => "random",
            StageSpec::Sticky { .. } => "sticky",
        }
    }
}

/// One rule of a geo stage.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct GeoRuleSpec {
    /// `regions` the matching clients are for.
    pub regions: Vec<Marked<String>>,
    /// `pools` the matching clients are for; at least one of both is present.
    pub pools: Vec<Marked<String>>,
    /// `continents = ["EU"]`
    pub continents: Vec<Marked<Code>>,
    /// `countries = ["DE"]`
    pub countries: Vec<Marked<Code>>,
    /// `subdivisions = ["US-CA"]`
    pub subdivisions: Vec<Marked<(Code, Code)>>,
    /// `asns = [64500]`
    pub asns: Vec<Marked<u32>>,
    /// `networks = ["192.0.2.0/24"]`
    pub networks: Vec<Marked<Prefix>>,
    /// `default = true`: every client. At least one criterion is present.
    pub default: bool,
}

/// `[names."NAME"]`
#[derive(Clone, PartialEq, Debug)]
pub struct NameSpec {
    /// Table key.
    pub name: Marked<WireName>,
    /// `pools`, not empty. Their order is the priority in `failover` unless `priorities` says it.
    pub pools: Vec<Marked<String>>,
    /// `policy`
    pub policy: Marked<String>,
    /// `weights = { eu = 90 }`: share of a pool, default 1.
    pub weights: Vec<(Marked<String>, Weight)>,
    /// `priorities = { eu = 1 }`: for `failover`, lower first.
    pub priorities: Vec<(Marked<String>, u32)>,
    /// `backup = ["us"]`: pools that serve only after the others.
    pub backup: Vec<Marked<String>>,
    /// `ttl.min`, default 5 s; `ttl.max`, default 60 s.
    pub ttl: (Marked<Ttl>, Marked<Ttl>),
    /// `answers`, 1 to 32, default 1.
    pub answers: Marked<u8>,
    /// `families = ["ipv4", "ipv6"]`; default all that every pool offers.
    pub families: Option<Vec<Marked<Family>>>,
    /// `ignore-ecs`, default false.
    pub ignore_ecs: bool,
    /// `last-resort`, default `all`.
    pub last_resort: Marked<LastResortSpec>,
    /// `https`; without it the name has no HTTPS records of its own.
    pub https: Option<Marked<HttpsSpec>>,
    /// Whether all of it was read.
    pub complete: bool,
}

/// `[names."NAME"]` with `alias-of`: the answers of another name under this one.
#[derive(Clone, PartialEq, Debug)]
pub struct AliasSpec {
    /// Table key.
    pub name: Marked<WireName>,
    /// `alias-of`
    pub target: Marked<WireName>,
}

/// `last-resort = { all = {} }` and its fellows: exactly one.
#[derive(Clone, PartialEq, Debug)]
pub enum LastResortSpec {
    /// `all = {}`
    All,
    /// `endpoints = ["eu-1"]`
    Endpoints(Vec<Marked<String>>),
    /// `pool = "static"`
    Pool(Marked<String>),
    /// `cname = "sorry.example.net"`
    Cname(Marked<WireName>),
    /// `servfail = {}`
    ServFail,
}
