//! The process's counters in one place, for whoever reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DnsCounters, DnsEvent};

/// All counters of the process.
#[derive(Debug, Default)]
pub struct Stats {
    workers: Vec<Arc<DnsCounters>>,
    tcp_connections: Arc<AtomicU64>,
    key_troubles: Arc<AtomicU64>,
}

impl Stats {
    /// Statistics over these DNS workers and this gauge of TCP connections.
    pub fn new(workers: Vec<Arc<DnsCounters>>, tcp_connections: Arc<AtomicU64>) -> Stats {
        Stats {
            workers,
            tcp_connections,
            key_troubles: Arc::default(),
        }
    }

    /// With this gauge of zones whose DNSSEC keys cannot be kept.
    pub fn with_key_troubles(mut self, gauge: Arc<AtomicU64>) -> Stats {
        self.key_troubles = gauge;
        self
    }

    /// Zones whose DNSSEC keys cannot be stored or made: their roll-overs stand still.
    pub fn key_troubles(&self) -> u64 {
        self.key_troubles.load(Ordering::Relaxed)
    }

    /// An event's count over all workers.
    pub fn dns(&self, event: DnsEvent) -> u64 {
        self.workers.iter().map(|w| w.get(event)).sum()
    }

    /// Open DNS connections over TCP.
    pub fn tcp_connections(&self) -> u64 {
        self.tcp_connections.load(Ordering::Relaxed)
    }
}
