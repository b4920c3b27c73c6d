//! Per-worker counters, summed when read.

use std::sync::atomic::{AtomicU64, Ordering};

use super::regions::RegionCounters;

/// Declares an enumeration of what is counted, each with its metric and labels in Prometheus form.
macro_rules! events {
    ($(#[$about:meta])* $events:ident: $($(#[$doc:meta])* $name:ident => $metric:literal, $labels:literal;)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $events {
            $($(#[$doc])* $name,)*
        }

        impl $events {
            /// All of them, in metric order.
            pub const ALL: &'static [$events] = &[$($events::$name,)*];

            /// Metric name and labels in Prometheus form.
            pub const fn metric(self) -> (&'static str, &'static str) {
                match self {
                    $($events::$name => ($metric, $labels),)*
                }
            }
        }
    };
}

pub(crate) use events;

events! {
    /// Something countable that happened to a query.
    DnsEvent:
    /// A datagram over IPv4.
    QueryUdp4 => "tradewind_dns_queries_total", r#"transport="udp",family="ipv4""#;
    /// A datagram over IPv6.
    QueryUdp6 => "tradewind_dns_queries_total", r#"transport="udp",family="ipv6""#;
    /// A message over TCP and IPv4.
    QueryTcp4 => "tradewind_dns_queries_total", r#"transport="tcp",family="ipv4""#;
    /// A message over TCP and IPv6.
    QueryTcp6 => "tradewind_dns_queries_total", r#"transport="tcp",family="ipv6""#;
    /// A message over TLS.
    QueryTls => "tradewind_dns_queries_total", r#"transport="tls",family="any""#;
    /// A message over HTTPS.
    QueryHttps => "tradewind_dns_queries_total", r#"transport="https",family="any""#;
    /// A message over QUIC.
    QueryQuic => "tradewind_dns_queries_total", r#"transport="quic",family="any""#;
    /// Answered NOERROR with records or a referral.
    NoError => "tradewind_dns_responses_total", r#"rcode="NOERROR""#;
    /// Answered NOERROR without records (NODATA).
    NoData => "tradewind_dns_responses_total", r#"rcode="NODATA""#;
    /// Answered NXDOMAIN.
    NxDomain => "tradewind_dns_responses_total", r#"rcode="NXDOMAIN""#;
    /// Answered FORMERR.
    FormErr => "tradewind_dns_responses_total", r#"rcode="FORMERR""#;
    /// Answered NOTIMP.
    NotImp => "tradewind_dns_responses_total", r#"rcode="NOTIMP""#;
    /// Answered REFUSED.
    Refused => "tradewind_dns_responses_total", r#"rcode="REFUSED""#;
    /// Answered NOTAUTH.
    NotAuth => "tradewind_dns_responses_total", r#"rcode="NOTAUTH""#;
    /// Answered SERVFAIL.
    ServFail => "tradewind_dns_responses_total", r#"rcode="SERVFAIL""#;
    /// Answered BADVERS.
    BadVers => "tradewind_dns_responses_total", r#"rcode="BADVERS""#;
    /// Answered BADCOOKIE.
    BadCookie => "tradewind_dns_responses_total", r#"rcode="BADCOOKIE""#;
    /// Not answered: too short, or itself a response.
    Dropped => "tradewind_dns_dropped_total", r#"reason="not-a-query""#;
    /// Not answered: the sender's network may not ask.
    DroppedAccess => "tradewind_dns_dropped_total", r#"reason="access""#;
    /// Not answered: over the sender's limit of queries.
    DroppedQueryRate => "tradewind_dns_dropped_total", r#"reason="query-rate""#;
    /// Not answered: over the limit of such answers to the sender's network.
    DroppedResponseRate => "tradewind_dns_dropped_total", r#"reason="response-rate""#;
    /// Over the limit of such answers, and told to come over TCP.
    LimitedTruncated => "tradewind_dns_limited_total", r#"action="truncated""#;
    /// Over the limit of such answers, and given a cookie to come again with.
    LimitedCookie => "tradewind_dns_limited_total", r#"action="cookie""#;
    /// Over the limit of queries on a stream, which was refused and closed.
    LimitedRefused => "tradewind_dns_limited_total", r#"action="refused""#;
    /// Refused: the sender's network may not ask.
    AccessRefused => "tradewind_dns_access_refused_total", "";
    /// The query had a client cookie alone.
    CookieClient => "tradewind_dns_cookies_total", r#"server_part="none""#;
    /// The query had a good server cookie.
    CookieGood => "tradewind_dns_cookies_total", r#"server_part="good""#;
    /// The query had a server cookie that is not, or no longer, good.
    CookieBad => "tradewind_dns_cookies_total", r#"server_part="bad""#;
    /// A question of class CH that was answered.
    Chaos => "tradewind_dns_chaos_total", "";
    /// The answer did not fit and TC was set.
    Truncated => "tradewind_dns_truncated_total", "";
    /// The query carried a valid ECS option.
    Ecs => "tradewind_dns_ecs_queries_total", "";
    /// A steered answer from live, positive-weight members.
    SteeredNormal => "tradewind_steered_answers_total", r#"standing="normal""#;
    /// A steered answer with endpoints that fail and are kept in.
    SteeredHeld => "tradewind_steered_answers_total", r#"standing="held""#;
    /// A steered answer from backups or incomplete pools.
    SteeredDegraded => "tradewind_steered_answers_total", r#"standing="degraded""#;
    /// A steered answer from the last resort.
    SteeredLastResort => "tradewind_steered_answers_total", r#"standing="last-resort""#;
    /// An `_explain` query that was answered.
    Explained => "tradewind_dns_explained_total", "";
    /// A signature from the worker's own near cache.
    SignatureNear => "tradewind_dnssec_signatures_total", r#"from="near""#;
    /// A signature from the cache that workers share.
    SignatureShared => "tradewind_dnssec_signatures_total", r#"from="shared""#;
    /// A signature made for the query.
    SignatureMade => "tradewind_dnssec_signatures_total", r#"from="made""#;
    /// A signature that was not made because the budget was spent: TC over UDP, SERVFAIL over TCP.
    SignatureDeferred => "tradewind_dnssec_not_signed_total", r#"reason="budget""#;
    /// A signature that the zone's keys could not make: SERVFAIL.
    SignatureFailed => "tradewind_dnssec_not_signed_total", r#"reason="keys""#;
    /// The engine panicked over the query, which got SERVFAIL; the worker lives on.
    EnginePanic => "tradewind_dns_engine_panics_total", "";
    /// A whole zone was sent, to AXFR or IXFR.
    TransferFull => "tradewind_dns_transfers_total", r#"kind="full""#;
    /// Changes of a zone were sent to IXFR.
    TransferIncremental => "tradewind_dns_transfers_total", r#"kind="incremental""#;
    /// An IXFR was answered with the SOA alone.
    TransferCurrent => "tradewind_dns_transfers_total", r#"kind="current""#;
    /// AXFR or IXFR was refused.
    TransferRefused => "tradewind_dns_transfers_total", r#"kind="refused""#;
    /// A transfer broke off.
    TransferBroken => "tradewind_dns_transfers_total", r#"kind="broken""#;
    /// A secondary took a NOTIFY.
    NotifyTaken => "tradewind_dns_notifies_total", r#"outcome="acknowledged""#;
    /// A secondary refused a NOTIFY, or never answered.
    NotifyFailed => "tradewind_dns_notifies_total", r#"outcome="failed""#;
    /// The system did not take an answer.
    SendFailed => "tradewind_dns_send_failures_total", "";
    /// A connection was closed to make room for a new one.
    TcpEvicted => "tradewind_dns_tcp_evicted_total", "";
    /// A TLS handshake of DNS over TLS failed.
    TlsHandshake => "tradewind_dns_handshake_failures_total", r#"transport="tls""#;
    /// A TLS handshake of DNS over HTTPS failed.
    HttpsHandshake => "tradewind_dns_handshake_failures_total", r#"transport="https""#;
    /// A QUIC handshake failed.
    QuicHandshake => "tradewind_dns_handshake_failures_total", r#"transport="quic""#;
    /// A request of DNS over HTTPS got no DNS answer but an HTTP error.
    HttpRefused => "tradewind_dns_http_refused_total", "";
    /// A trusted proxy's connection or datagram did not begin with a sane PROXY header.
    ProxyRefused => "tradewind_dns_proxy_refused_total", "";
}

/// Help text of each metric.
const HELP: &[(&str, &str)] = &[
    (
        "tradewind_dns_queries_total",
        "DNS messages received, by transport and address family.",
    ),
    (
        "tradewind_dns_responses_total",
        "DNS responses sent, by outcome.",
    ),
    (
        "tradewind_dns_dropped_total",
        "DNS messages not answered, by reason.",
    ),
    (
        "tradewind_dns_limited_total",
        "DNS messages over a rate limit that were answered all the same, but small, by action.",
    ),
    (
        "tradewind_dns_access_refused_total",
        "DNS messages refused because of the access lists.",
    ),
    (
        "tradewind_dns_cookies_total",
        "Queries with a cookie, by what the server's part of it is worth.",
    ),
    (
        "tradewind_dns_chaos_total",
        "Questions of class CH that were answered.",
    ),
    ("tradewind_dns_truncated_total", "Responses with TC set."),
    (
        "tradewind_dns_ecs_queries_total",
        "Queries with a valid EDNS Client Subnet option.",
    ),
    (
        "tradewind_steered_answers_total",
        "Steered answers, by how good they are.",
    ),
    (
        "tradewind_dns_explained_total",
        "_explain queries answered.",
    ),
    (
        "tradewind_dnssec_signatures_total",
        "Signatures of RRsets that answers needed, by where they came from.",
    ),
    (
        "tradewind_dnssec_not_signed_total",
        "Signatures that answers needed and did not get, by reason.",
    ),
    (
        "tradewind_dns_engine_panics_total",
        "Queries dropped because answering them panicked: a bug.",
    ),
    (
        "tradewind_dns_transfers_total",
        "Zone transfers asked for, by what became of them; broken ones count twice.",
    ),
    (
        "tradewind_dns_notifies_total",
        "NOTIFY messages sent to secondaries, by outcome after all tries.",
    ),
    (
        "tradewind_dns_send_failures_total",
        "Responses that the system would not send.",
    ),
    (
        "tradewind_dns_tcp_evicted_total",
        "Idle connections (TCP, TLS, HTTPS, QUIC) closed to make room for new ones.",
    ),
    (
        "tradewind_dns_handshake_failures_total",
        "TLS and QUIC handshakes that failed or took too long, by transport.",
    ),
    (
        "tradewind_dns_http_refused_total",
        "DNS over HTTPS requests that got an HTTP error instead of a DNS answer.",
    ),
    (
        "tradewind_dns_proxy_refused_total",
        "Connections and datagrams from trusted proxies without a sane PROXY protocol v2 header.",
    ),
];

impl DnsEvent {
    /// What the event's metric counts, in words.
    pub fn help(self) -> &'static str {
        let (name, _) = self.metric();
        HELP.iter()
            .find(|(n, _)| *n == name)
            .map_or("", |(_, help)| help)
    }
}

/// One worker's counters. Only that worker writes, so an increment is a plain load and store.
#[derive(Debug)]
pub struct DnsCounters {
    events: [AtomicU64; DnsEvent::ALL.len()],
    /// Steered answers, by the region of the first endpoint in them.
    pub regions: RegionCounters,
}

impl Default for DnsCounters {
    fn default() -> Self {
        DnsCounters {
            events: std::array::from_fn(|_| AtomicU64::new(0)),
            regions: RegionCounters::default(),
        }
    }
}

impl DnsCounters {
    /// Counts one. Call from the owning worker only.
    #[inline]
    pub fn count(&self, event: DnsEvent) {
        let c = &self.events[event as usize];
        c.store(c.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The present value; from any thread.
    pub fn get(&self, event: DnsEvent) -> u64 {
        self.events[event as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_says_what_it_counts() {
        for event in DnsEvent::ALL {
            assert!(!event.help().is_empty(), "{event:?}");
        }
    }
}
