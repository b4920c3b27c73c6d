//! The process's counters in one place, for whoever reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::spans::Spans;
use super::{ApiStats, Before, DnsCounters, DnsEvent, Metrics, OrderGauges, Page, ProbeStats};

/// All counters of the process.
#[derive(Default)]
pub struct Stats {
    workers: Vec<Arc<DnsCounters>>,
    tcp_connections: Arc<AtomicU64>,
    encrypted: EncryptedConnections,
    certificate_not_after: Option<Arc<AtomicU64>>,
    key_troubles: Arc<AtomicU64>,
    orders: Arc<OrderGauges>,
    probes: Arc<ProbeStats>,
    api: Arc<ApiStats>,
    spans: Arc<Spans>,
    others: Vec<Arc<dyn Metrics>>,
    before: Before,
}

/// Gauges of open connections.
#[derive(Clone, Debug, Default)]
pub struct EncryptedConnections {
    /// DNS over TLS.
    pub tls: Arc<AtomicU64>,
    /// DNS over HTTPS.
    pub https: Arc<AtomicU64>,
    /// DNS over QUIC.
    pub quic: Arc<AtomicU64>,
}

impl Stats {
    /// Statistics over these DNS workers and this gauge of TCP connections.
    pub fn new(workers: Vec<Arc<DnsCounters>>, tcp_connections: Arc<AtomicU64>) -> Stats {
        Stats {
            workers,
            tcp_connections,
            ..Stats::default()
        }
    }

    /// Adds the gauges of encrypted connections, and of when their certificate expires.
    #[must_use]
    pub fn with_encrypted(
        mut self,
        connections: EncryptedConnections,
        certificate_not_after: Option<Arc<AtomicU64>>,
    ) -> Stats {
        self.encrypted = connections;
        self.certificate_not_after = certificate_not_after;
        self
    }

    /// Open encrypted connections, by transport.
    pub fn encrypted_connections(&self) -> [(&'static str, u64); 3] {
        let e = &self.encrypted;
        [("tls", &e.tls), ("https", &e.https), ("quic", &e.quic)]
            .map(|(transport, gauge)| (transport, gauge.load(Ordering::Relaxed)))
    }

    /// When the certificate of the encrypted listeners expires, in seconds since
    /// 1970-01-01T00:00:00Z; `None` without such listeners.
    pub fn certificate_not_after(&self) -> Option<u64> {
        let gauge = self.certificate_not_after.as_ref()?;
        Some(gauge.load(Ordering::Relaxed))
    }

    /// Adds the gauge of zones whose DNSSEC keys cannot be kept.
    #[must_use]
    pub fn with_key_troubles(mut self, gauge: Arc<AtomicU64>) -> Stats {
        self.key_troubles = gauge;
        self
    }

    /// Adds metrics that render themselves.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Option<Arc<dyn Metrics>>) -> Stats {
        self.others.extend(metrics);
        self
    }

    /// Writes the metrics that render themselves.
    pub fn render_others(&self, page: &mut Page) {
        for metrics in &self.others {
            metrics.render(page);
        }
    }

    /// Adds what the prober counts.
    #[must_use]
    pub fn with_probes(mut self, probes: Arc<ProbeStats>) -> Stats {
        self.probes = probes;
        self
    }

    /// What the prober counts.
    pub fn probes(&self) -> &ProbeStats {
        &self.probes
    }

    /// Zones whose DNSSEC keys cannot be stored or made: their roll-overs stand still.
    pub fn key_troubles(&self) -> u64 {
        self.key_troubles.load(Ordering::Relaxed)
    }

    /// Adds what is counted of operators' orders.
    #[must_use]
    pub fn with_orders(mut self, orders: Arc<OrderGauges>) -> Stats {
        self.orders = orders;
        self
    }

    /// What is counted of operators' orders.
    pub fn orders(&self) -> &OrderGauges {
        &self.orders
    }

    /// What processes before this one counted.
    pub fn before(&self) -> &Before {
        &self.before
    }

    /// An event's count over all workers.
    pub fn dns(&self, event: DnsEvent) -> u64 {
        self.workers.iter().map(|w| w.get(event)).sum()
    }

    /// Steered answers of the region in this place, over all workers.
    pub fn region(&self, place: usize) -> u64 {
        self.workers.iter().map(|w| w.regions.get(place)).sum()
    }

    /// Requests of the admin API that wait to be exported.
    pub fn spans(&self) -> &Arc<Spans> {
        &self.spans
    }

    /// What is counted of the admin API.
    pub fn api(&self) -> &Arc<ApiStats> {
        &self.api
    }

    /// Open DNS connections over TCP.
    pub fn tcp_connections(&self) -> u64 {
        self.tcp_connections.load(Ordering::Relaxed)
    }
}
