//! The rows, in the order of the reference page.

use std::time::Duration;

use super::Presence::{Default, Optional, Required};
use super::{Applies, Kind, OptionRow, Presence};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const DAY: Duration = secs(86_400);
const HOUR: Duration = secs(3_600);

const fn opt(
    path: &'static str,
    kind: Kind,
    presence: Presence,
    doc: &'static str,
    example: &'static str,
) -> OptionRow {
    OptionRow {
        path,
        kind,
        presence,
        applies: Applies::Reload,
        doc,
        example,
    }
}

impl OptionRow {
    const fn restart(mut self) -> OptionRow {
        self.applies = Applies::Restart;
        self
    }
}

/// Half the Earth's circumference in kilometres, rounded up: no two places are farther apart.
const FARTHEST: f64 = 20_100.0;
const CONTINENTS: &[&str] = &["AF", "AN", "AS", "EU", "NA", "OC", "SA"];
const WEIGHT: Kind = Kind::Integer(0, 1_000_000);

/// Every option.
pub static ROWS: &[OptionRow] = &[
    opt(
        "version",
        Kind::Integer(1, 1),
        Required,
        "Version of this format; this release reads version 1.",
        "1",
    ),
    // dns
    opt(
        "dns.explain-allow",
        Kind::List(&Kind::Network, 0),
        Default(r#"["127.0.0.0/8", "::1/128"]"#),
        "Sources that may ask `_explain.NAME TXT`.",
        r#"["127.0.0.0/8", "::1/128"]"#,
    ),
    opt(
        "dns.failover-slo",
        Kind::Duration(secs(1), DAY, false),
        Optional("no limit"),
        "A name whose computed worst-case failover time exceeds this is an error.",
        r#""2m""#,
    ),
    opt(
        "dns.first-round",
        Kind::Duration(secs(0), secs(300), false),
        Default(r#""10s""#),
        "Longest wait for the first probe results before a starting node answers.",
        r#""10s""#,
    )
    .restart(),
    // regions
    opt(
        "regions.NAME.latitude",
        Kind::Number(-90.0, 90.0, "degrees north"),
        Required,
        "Latitude of the region.",
        "50.11",
    ),
    opt(
        "regions.NAME.longitude",
        Kind::Number(-180.0, 180.0, "degrees east"),
        Required,
        "Longitude of the region.",
        "8.68",
    ),
    // nodes
    opt(
        "nodes.NAME.region",
        Kind::Ref("regions"),
        Required,
        "Region the node stands in.",
        r#""eu""#,
    )
    .restart(),
    opt(
        "nodes.NAME.roles",
        Kind::List(&Kind::Choice(&["dns", "probe", "proxy", "admin"]), 1),
        Required,
        "What the node does. `proxy` is reserved and refused by this release.",
        r#"["dns", "probe", "admin"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.listen",
        Kind::List(&Kind::Socket, 1),
        Optional("required with role `dns`"),
        "Addresses for DNS over UDP and TCP; port 0 picks a free one.",
        r#"["127.0.0.1:5300", "[::1]:5300"]"#,
    )
    .restart(),
    opt(
        "nodes.NAME.dns.workers",
        Kind::Integer(1, 1024),
        Optional("one per core"),
        "UDP worker threads.",
        "2",
    )
    .restart(),
    opt(
        "nodes.NAME.dns.tcp-max-connections",
        Kind::Integer(1, 1_000_000),
        Default("1000"),
        "TCP connections held at once; further ones are closed.",
        "1000",
    )
    .restart(),
    opt(
        "nodes.NAME.dns.tcp-idle-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""10s""#),
        "A TCP connection without a query for so long is closed (RFC 7766 section 6.2.3).",
        r#""10s""#,
    )
    .restart(),
    opt(
        "nodes.NAME.admin.listen",
        Kind::Socket,
        Optional("`127.0.0.1:8053` with role `admin`"),
        "Address of the admin API; port 0 picks a free one.",
        r#""127.0.0.1:8053""#,
    )
    .restart(),
    // zones
    opt(
        "zones.NAME.file",
        Kind::Path,
        Required,
        "Master file (RFC 1035 section 5) of the zone that the table key names.",
        r#""../zones/gslb.example.zone""#,
    ),
    opt(
        "zones.NAME.transfer.to",
        Kind::List(&Kind::Network, 0),
        Default("[]"),
        "Sources that may transfer the zone (AXFR, IXFR); empty: any source, with one of `keys`.",
        r#"["192.0.2.53/32"]"#,
    ),
    opt(
        "zones.NAME.transfer.keys",
        Kind::List(&Kind::Ref("tsig-keys"), 0),
        Default("[]"),
        "TSIG keys of which one must have signed the request; empty: none is needed.",
        r#"["secondary.example"]"#,
    ),
    opt(
        "zones.NAME.transfer.unsigned",
        Kind::Bool,
        Default("false"),
        "Transfer the zone without its signatures although it is signed when it answers; the secondary has to sign it with the same keys.",
        "true",
    ),
    opt(
        "zones.NAME.transfer.ixfr-history",
        Kind::Size(0, 1 << 30),
        Default(r#""1MiB""#),
        "Memory for the zone's latest changes, which IXFR sends; what is older is sent as a whole zone.",
        r#""1MiB""#,
    ),
    opt(
        "zones.NAME.notify.to",
        Kind::List(&Kind::Socket, 1),
        Optional("nobody is told"),
        "Secondaries that get a NOTIFY at start and whenever the zone's serial changes.",
        r#"["192.0.2.53:53"]"#,
    ),
    opt(
        "zones.NAME.notify.key",
        Kind::Ref("tsig-keys"),
        Optional("not signed"),
        "TSIG key that signs the NOTIFY; the answer must be signed with it as well.",
        r#""secondary.example""#,
    ),
    // tsig-keys
    opt(
        "tsig-keys.NAME.algorithm",
        Kind::Choice(&["hmac-sha256", "hmac-sha384", "hmac-sha512"]),
        Default(r#""hmac-sha256""#),
        "What the key signs with (RFC 8945). The table's key is the key's name, the same on both sides.",
        r#""hmac-sha256""#,
    ),
    opt(
        "tsig-keys.NAME.secret",
        Kind::Text,
        Optional("exactly one of `secret`, `secret-file`"),
        "The shared secret in base64, at least 16 octets.",
        r#""MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=""#,
    ),
    opt(
        "tsig-keys.NAME.secret-file",
        Kind::Path,
        Optional("exactly one of `secret`, `secret-file`"),
        "File with nothing but the shared secret in base64; others must not be able to read it.",
        r#""secondary.tsig""#,
    ),
    // geoip
    opt(
        "geoip.databases",
        Kind::List(&Kind::Path, 0),
        Default("[]"),
        "MaxMind-format databases (country, city, ASN); where several know a fact, the first listed wins. At most 15.",
        r#"["../geoip/demo.mmdb"]"#,
    ),
    opt(
        "geoip.networks",
        Kind::Path,
        Optional("none"),
        "CSV of own networks; it wins over all databases.",
        r#""../geoip/networks.csv""#,
    ),
    // monitors
    opt(
        "monitors.NAME.interval",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""5s""#),
        "Time between the starts of two probes of one target.",
        r#""5s""#,
    ),
    opt(
        "monitors.NAME.timeout",
        Kind::Duration(ms(10), HOUR, false),
        Default(r#""2s""#),
        "A probe that takes longer fails; must be less than `interval`.",
        r#""2s""#,
    ),
    opt(
        "monitors.NAME.rise",
        Kind::Integer(1, 100),
        Default("5"),
        "Consecutive passes that bring a target up, or clear its failures.",
        "5",
    ),
    opt(
        "monitors.NAME.fall",
        Kind::Integer(1, 100),
        Default("3"),
        "Accumulated failures that bring a target down.",
        "3",
    ),
    opt(
        "monitors.NAME.jitter",
        Kind::Percent(0, 50),
        Default(r#""10%""#),
        "Largest random shift of a probe's start, as a share of `interval`.",
        r#""10%""#,
    ),
    opt(
        "monitors.NAME.port",
        Kind::Integer(1, 65_535),
        Optional("the endpoint's own"),
        "Probe this port instead of the endpoint's.",
        "8081",
    ),
    opt(
        "monitors.NAME.tcp",
        Kind::Table,
        Optional("exactly one of `tcp`, `http`"),
        "Passes when a connection is established. Has no options.",
        "{}",
    ),
    opt(
        "monitors.NAME.http",
        Kind::Table,
        Optional("exactly one of `tcp`, `http`"),
        "Asks over HTTP or HTTPS.",
        "{}",
    ),
    opt(
        "monitors.NAME.http.tls",
        Kind::Bool,
        Default("false"),
        "HTTPS instead of HTTP.",
        "true",
    ),
    opt(
        "monitors.NAME.http.verify",
        Kind::Bool,
        Default("true"),
        "Verify certificate and name.",
        "true",
    ),
    opt(
        "monitors.NAME.http.ca-file",
        Kind::Path,
        Optional("the public trust anchors"),
        "Extra trust anchors, PEM.",
        r#""ca.pem""#,
    ),
    opt(
        "monitors.NAME.http.server-name",
        Kind::Text,
        Optional("`host` without its port"),
        "Name for SNI and certificate verification.",
        r#""www.gslb.example""#,
    ),
    opt(
        "monitors.NAME.http.host",
        Kind::Text,
        Optional("the address"),
        "`Host` header.",
        r#""www.gslb.example""#,
    ),
    opt(
        "monitors.NAME.http.method",
        Kind::Token,
        Default(r#""GET""#),
        "Request method.",
        r#""GET""#,
    ),
    opt(
        "monitors.NAME.http.path",
        Kind::UrlPath,
        Default(r#""/""#),
        "Path and query.",
        r#""/healthz""#,
    ),
    opt(
        "monitors.NAME.http.headers.HEADER",
        Kind::Text,
        Optional("none"),
        "A further request header.",
        r#""tradewind""#,
    ),
    opt(
        "monitors.NAME.http.body",
        Kind::Text,
        Optional("none"),
        "Request body.",
        r#""ping""#,
    ),
    opt(
        "monitors.NAME.http.expect-status",
        Kind::List(&Kind::Status, 1),
        Default(r#"["200-299"]"#),
        "Accepted status codes and ranges of them.",
        r#"["200", "204-299"]"#,
    ),
    opt(
        "monitors.NAME.http.expect-body",
        Kind::Text,
        Optional("not looked at"),
        "Text the body must contain.",
        r#""ok""#,
    ),
    opt(
        "monitors.NAME.http.expect-body-regex",
        Kind::Text,
        Optional("not looked at"),
        "Regular expression the body must match.",
        r#""^ok""#,
    ),
    opt(
        "monitors.NAME.http.follow-redirects",
        Kind::Integer(0, 10),
        Default("0"),
        "Redirects followed; with 0 a redirect's own status is judged.",
        "0",
    ),
    opt(
        "monitors.NAME.http.max-body",
        Kind::Size(0, 16 * 1024 * 1024),
        Default(r#""64KiB""#),
        "Body bytes read at most.",
        r#""64KiB""#,
    ),
    // pools
    opt(
        "pools.NAME.region",
        Kind::Ref("regions"),
        Required,
        "Region the pool stands in.",
        r#""eu""#,
    ),
    opt(
        "pools.NAME.monitor",
        Kind::Ref("monitors"),
        Optional("the endpoints count as up"),
        "Monitor of the endpoints.",
        r#""web""#,
    ),
    opt(
        "pools.NAME.min-live",
        Kind::Integer(1, 10_000),
        Default("1"),
        "With fewer live endpoints the pool counts as down.",
        "1",
    ),
    opt(
        "pools.NAME.endpoints",
        Kind::Tables(1),
        Required,
        "The endpoints, each a `[[pools.NAME.endpoints]]` table.",
        r#"[{ name = "eu-1", address = "192.0.2.1", port = 443 }]"#,
    ),
    opt(
        "pools.NAME.endpoints[].name",
        Kind::NewName,
        Required,
        "Name, unique over all pools.",
        r#""eu-1""#,
    ),
    opt(
        "pools.NAME.endpoints[].address",
        Kind::Address,
        Optional("`address`, `cname` or both"),
        "IPv4 or IPv6 address to answer with.",
        r#""127.1.0.11""#,
    ),
    opt(
        "pools.NAME.endpoints[].cname",
        Kind::Domain,
        Optional("`address`, `cname` or both"),
        "Domain name to answer with as CNAME.",
        r#""eu.cdn.example.net""#,
    ),
    opt(
        "pools.NAME.endpoints[].port",
        Kind::Integer(1, 65_535),
        Optional("required with a monitor that has no `port`"),
        "Port the service listens on; probes go there.",
        "8080",
    ),
    opt(
        "pools.NAME.endpoints[].weight",
        WEIGHT,
        Default("1"),
        "Relative share within the pool; 0 serves only when every positive weight is gone.",
        "1",
    ),
    opt(
        "pools.NAME.endpoints[].backup",
        Kind::Bool,
        Default("false"),
        "Serves only after the others of the pool.",
        "false",
    ),
    opt(
        "pools.NAME.endpoints[].enabled",
        Kind::Bool,
        Default("true"),
        "With `false` it is neither probed nor answered.",
        "true",
    ),
    // policies
    opt(
        "policies.NAME.stages",
        Kind::Tables(1),
        Required,
        "The stages, each a table with exactly one key that says which.",
        "[{ proximity = {} }, { weighted = {} }]",
    ),
    opt(
        "policies.NAME.stages[].failover",
        Kind::Table,
        Optional("one stage"),
        "Orders pools by priority.",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].geo",
        Kind::Table,
        Optional("one stage"),
        "Puts pools whose rule matches the client first. The most specific matching criterion decides: network, ASN, subdivision, country, continent, default.",
        "{ rules = [] }",
    ),
    opt(
        "policies.NAME.stages[].geo.mode",
        Kind::Choice(&["prefer", "fence"]),
        Default(r#""prefer""#),
        "`prefer`: pools that no matching rule names come after; `fence`: they are out.",
        r#""prefer""#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules",
        Kind::Tables(1),
        Required,
        "The rules.",
        r#"[{ continents = ["EU"], regions = ["eu"] }]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].regions",
        Kind::List(&Kind::Ref("regions"), 1),
        Optional("`regions`, `pools` or both"),
        "Regions the matching clients are for.",
        r#"["eu"]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].pools",
        Kind::List(&Kind::Ref("pools"), 1),
        Optional("`regions`, `pools` or both"),
        "Pools the matching clients are for.",
        r#"["eu"]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].continents",
        Kind::List(&Kind::Choice(CONTINENTS), 1),
        Optional("at least one criterion"),
        "Continents of the clients.",
        r#"["EU"]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].countries",
        Kind::List(&Kind::Country, 1),
        Optional("at least one criterion"),
        "Countries of the clients (ISO 3166-1 alpha-2).",
        r#"["DE", "FR"]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].subdivisions",
        Kind::List(&Kind::Subdivision, 1),
        Optional("at least one criterion"),
        "Subdivisions of the clients (ISO 3166-2).",
        r#"["US-CA"]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].asns",
        Kind::List(&Kind::Integer(1, 4_294_967_294), 1),
        Optional("at least one criterion"),
        "Autonomous systems of the clients.",
        "[64500]",
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].networks",
        Kind::List(&Kind::Network, 1),
        Optional("at least one criterion"),
        "Networks of the clients.",
        r#"["192.0.2.0/24"]"#,
    ),
    opt(
        "policies.NAME.stages[].geo.rules[].default",
        Kind::Bool,
        Default("false"),
        "Every client that no other rule matches.",
        "true",
    ),
    opt(
        "policies.NAME.stages[].proximity",
        Kind::Table,
        Optional("one stage"),
        "Orders pools by great-circle distance between client and region.",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].proximity.band",
        Kind::Distance(0.0, FARTHEST),
        Default(r#""0km""#),
        "Places whose distances differ by no more than this count as equal.",
        r#""200km""#,
    ),
    opt(
        "policies.NAME.stages[].proximity.bias.REGION",
        Kind::Distance(-FARTHEST, FARTHEST),
        Optional("0km"),
        "Distance by which a region counts as nearer (or farther when negative).",
        r#""500km""#,
    ),
    opt(
        "policies.NAME.stages[].latency",
        Kind::Table,
        Optional("one stage"),
        "Orders pools by measured round-trip time; falls back to proximity where nothing is known.",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].latency.tolerance",
        Kind::Duration(secs(0), secs(10), false),
        Default(r#""10ms""#),
        "Round-trip times that differ by no more than this count as equal.",
        r#""10ms""#,
    ),
    opt(
        "policies.NAME.stages[].latency.fallback-band",
        Kind::Distance(0.0, FARTHEST),
        Default(r#""0km""#),
        "The `band` of the fallback to proximity.",
        r#""100km""#,
    ),
    opt(
        "policies.NAME.stages[].weighted",
        Kind::Table,
        Optional("one stage"),
        "Draws by weight.",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].round-robin",
        Kind::Table,
        Optional("one stage"),
        "Takes turns.",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].random",
        Kind::Table,
        Optional("one stage"),
        "Draws evenly.",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].sticky",
        Kind::Table,
        Optional("one stage"),
        "Keeps a client network on one endpoint (rendezvous hash).",
        "{}",
    ),
    opt(
        "policies.NAME.stages[].sticky.prefix4",
        Kind::Integer(8, 32),
        Default("24"),
        "IPv4 clients that share so many bits are one.",
        "24",
    ),
    opt(
        "policies.NAME.stages[].sticky.prefix6",
        Kind::Integer(16, 128),
        Default("56"),
        "IPv6 clients that share so many bits are one.",
        "56",
    ),
    // names
    opt(
        "names.NAME.pools",
        Kind::List(&Kind::Ref("pools"), 1),
        Required,
        "Pools of the name; their order is the priority in `failover` unless `priorities` says it.",
        r#"["eu", "us"]"#,
    ),
    opt(
        "names.NAME.policy",
        Kind::Ref("policies"),
        Required,
        "Policy that orders the pools.",
        r#""nearest""#,
    ),
    opt(
        "names.NAME.weights.POOL",
        WEIGHT,
        Optional("1"),
        "Share of a pool in `weighted`.",
        "80",
    ),
    opt(
        "names.NAME.priorities.POOL",
        Kind::Integer(0, 1_000_000),
        Optional("the order of `pools`"),
        "Priority of a pool in `failover`, lower first.",
        "1",
    ),
    opt(
        "names.NAME.backup",
        Kind::List(&Kind::Ref("pools"), 0),
        Default("[]"),
        "Pools that serve only after the others.",
        r#"["us"]"#,
    ),
    opt(
        "names.NAME.ttl.min",
        Kind::Duration(secs(0), DAY, true),
        Default(r#""5s""#),
        "Smallest TTL answered.",
        r#""5s""#,
    ),
    opt(
        "names.NAME.ttl.max",
        Kind::Duration(secs(0), DAY, true),
        Default(r#""60s""#),
        "Largest TTL answered; not less than `ttl.min`.",
        r#""60s""#,
    ),
    opt(
        "names.NAME.answers",
        Kind::Integer(1, 32),
        Default("1"),
        "Addresses per answer.",
        "2",
    ),
    opt(
        "names.NAME.families",
        Kind::List(&Kind::Choice(&["ipv4", "ipv6"]), 1),
        Optional("all that every pool offers"),
        "Address families answered.",
        r#"["ipv4"]"#,
    ),
    opt(
        "names.NAME.ignore-ecs",
        Kind::Bool,
        Default("false"),
        "Decide by the resolver's address even when it sends a client subnet.",
        "false",
    ),
    opt(
        "names.NAME.last-resort",
        Kind::Table,
        Optional("`{ all = {} }`"),
        "What to answer when nothing is left: exactly one of the following.",
        "{ all = {} }",
    ),
    opt(
        "names.NAME.last-resort.all",
        Kind::Table,
        Optional("one kind"),
        "All endpoints, as if they were up.",
        "{}",
    ),
    opt(
        "names.NAME.last-resort.endpoints",
        Kind::List(&Kind::Ref("endpoints"), 1),
        Optional("one kind"),
        "These endpoints.",
        r#"["eu-1"]"#,
    ),
    opt(
        "names.NAME.last-resort.pool",
        Kind::Ref("pools"),
        Optional("one kind"),
        "The endpoints of this pool.",
        r#""us""#,
    ),
    opt(
        "names.NAME.last-resort.cname",
        Kind::Domain,
        Optional("one kind"),
        "A CNAME.",
        r#""sorry.example.net""#,
    ),
    opt(
        "names.NAME.last-resort.servfail",
        Kind::Table,
        Optional("one kind"),
        "SERVFAIL, so that resolvers try elsewhere or serve stale data.",
        "{}",
    ),
];
