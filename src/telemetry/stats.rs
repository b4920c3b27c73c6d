//! The process's counters in one place, for whoever reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{DnsCounters, DnsEvent};

/// All counters of the process.
#[derive(Debug, Default)]
pub struct Stats {
    workers: Vec<Arc<DnsCounters>>,
    tcp_connections: Arc<AtomicU64>,
}

impl Stats {
    /// Statistics over these DNS workers and this gauge of TCP connections.
    pub fn new(workers: Vec<Arc<DnsCounters>>, tcp_connections: Arc<AtomicU64>) -> Stats {
        Stats {
            workers,
            tcp_connections,
        }
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
