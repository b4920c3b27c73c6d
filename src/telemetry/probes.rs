//! What the prober counts, and the certificates that it saw.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Written by the prober, read by whoever shows it.
#[derive(Debug, Default)]
pub struct ProbeStats {
    /// Runs that ended.
    pub ended: AtomicU64,
    /// Runs that could not start within their interval: the prober has more to do than it can.
    pub overdue: AtomicU64,
    /// Runs that ended without a word on the target, because the probe could not be made.
    pub unable: AtomicU64,
    /// Runs under way.
    pub in_flight: AtomicU64,
    /// Runs that may be under way at once.
    pub in_flight_limit: AtomicU64,
    certificates: Mutex<HashMap<(SocketAddr, Box<str>), u64>>,
}

impl ProbeStats {
    /// Takes note that the target `addr` of `monitor` showed a certificate that expires at
    /// `not_after`, in seconds since 1970-01-01T00:00:00Z.
    pub fn saw_certificate(&self, addr: SocketAddr, monitor: &str, not_after: u64) {
        self.lock().insert((addr, monitor.into()), not_after);
    }

    /// Forgets the certificate of a target that is probed no more.
    pub fn forget_certificate(&self, addr: SocketAddr, monitor: &str) {
        self.lock().remove(&(addr, Box::from(monitor)));
    }

    /// When the certificate that the target showed last expires, in seconds since
    /// 1970-01-01T00:00:00Z; `None` where there is no TLS, or no handshake yet.
    pub fn certificate_not_after(&self, addr: SocketAddr, monitor: &str) -> Option<u64> {
        self.lock().get(&(addr, Box::from(monitor))).copied()
    }

    /// The counters in the form of metrics: name, type, help text and value.
    pub fn samples(&self) -> [(&'static str, &'static str, &'static str, u64); 5] {
        let of = |a: &AtomicU64| a.load(Ordering::Relaxed);
        [
            (
                "tradewind_probe_runs_total",
                "counter",
                "Runs of probes that ended.",
                of(&self.ended),
            ),
            (
                "tradewind_probe_overdue_total",
                "counter",
                "Runs of probes that could not start within their interval, because this node has more \
                 to probe than it can: no opinion on their targets.",
                of(&self.overdue),
            ),
            (
                "tradewind_probe_unable_total",
                "counter",
                "Runs of probes that said nothing of their target, because they could not be made.",
                of(&self.unable),
            ),
            (
                "tradewind_probe_in_flight",
                "gauge",
                "Runs of probes under way.",
                of(&self.in_flight),
            ),
            (
                "tradewind_probe_in_flight_limit",
                "gauge",
                "Runs of probes that may be under way at once.",
                of(&self.in_flight_limit),
            ),
        ]
    }

    /// The map stays whole even where a thread that held it panicked.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(SocketAddr, Box<str>), u64>> {
        self.certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
