//! Certificates that expire soon: told to the log once per change, and to metrics.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::schedule::TargetKey;
use crate::telemetry::ProbeStats;

const DAY: u64 = 86_400;

/// What was told of the certificates of all targets.
#[derive(Debug)]
pub(super) struct Certificates {
    stats: Arc<ProbeStats>,
    told: HashMap<(SocketAddr, Box<str>), Told>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Told {
    not_after: u64,
    soon: bool,
}

/// What changed about a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    /// It expires within the monitor's `warn-days`; so many whole days are left.
    ExpiresSoon(u64),
    /// It expired.
    Expired,
    /// Another one took the place of one that was warned of.
    Renewed,
}

impl Certificates {
    pub(super) fn new(stats: Arc<ProbeStats>) -> Certificates {
        Certificates {
            stats,
            told: HashMap::new(),
        }
    }

    /// The target `key` showed a certificate that expires at `not_after`; it is `now`, both in seconds
    /// since 1970-01-01T00:00:00Z.
    pub(super) fn saw(&mut self, key: &TargetKey, not_after: u64, now: u64) {
        let news = self.take_in(key, not_after, now);
        let (address, monitor) = (key.place(), &key.monitor.name);
        match news {
            None => {}
            Some(News::ExpiresSoon(days)) => {
                tracing::warn!(%address, %monitor, days, "the certificate of a target expires soon");
            }
            Some(News::Expired) => {
                tracing::warn!(%address, %monitor, "the certificate of a target has expired");
            }
            Some(News::Renewed) => {
                tracing::info!(%address, %monitor, "the certificate of a target was renewed");
            }
        }
    }

    fn take_in(&mut self, key: &TargetKey, not_after: u64, now: u64) -> Option<News> {
        let warn_days = u64::from(key.monitor.kind.warn_days().unwrap_or(0));
        let left = not_after.saturating_sub(now);
        let expired = not_after <= now;
        let new = Told {
            not_after,
            soon: expired || left < warn_days * DAY,
        };
        let old = self.told.insert(key.name(), new);
        if old.map(|t| t.not_after) != Some(not_after) {
            let (addr, monitor) = key.name();
            self.stats.saw_certificate(addr, &monitor, not_after);
        }
        match (old, new) {
            (Some(old), new) if old == new => None,
            (_, new) if new.soon && expired => Some(News::Expired),
            (_, new) if new.soon => Some(News::ExpiresSoon(left / DAY)),
            (Some(Told { soon: true, .. }), _) => Some(News::Renewed),
            _ => None,
        }
    }

    /// Forgets the targets that are not among `keys`.
    pub(super) fn keep_only<'k>(&mut self, keys: impl Iterator<Item = &'k TargetKey>) {
        if self.told.is_empty() {
            return;
        }
        let mut kept = HashMap::new();
        for key in keys.filter(|k| k.monitor.kind.warn_days().is_some()) {
            kept.extend(self.told.remove_entry(&key.name()));
        }
        for (addr, monitor) in self.told.keys() {
            self.stats.forget_certificate(*addr, monitor);
        }
        self.told = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Monitor, MonitorKind, TlsCheck, TlsTrust};
    use crate::probe::testing::monitor;
    use std::time::Duration;

    fn key(warn_days: u32) -> TargetKey {
        let tls = TlsCheck {
            trust: TlsTrust {
                verify: true,
                ca_pem: None,
                server_name: None,
                warn_days,
            },
            alpn: Vec::new(),
        };
        TargetKey {
            addr: "192.0.2.1".parse().unwrap(),
            port: 443,
            monitor: Arc::new(Monitor {
                kind: MonitorKind::Tls(tls),
                ..monitor(Duration::from_secs(10))
            }),
        }
    }

    #[test]
    fn a_certificate_is_warned_of_once_and_its_renewal_told() {
        let stats: Arc<ProbeStats> = Arc::default();
        let mut certificates = Certificates::new(stats.clone());
        let k = key(14);
        let expires = 100 * DAY;
        let mut saw = |not_after, now| certificates.take_in(&k, not_after, now);
        assert_eq!(saw(expires, 50 * DAY), None);
        assert_eq!(saw(expires, 86 * DAY), None, "exactly 14 days are enough");
        assert_eq!(saw(expires, 86 * DAY + 1), Some(News::ExpiresSoon(13)));
        assert_eq!(saw(expires, 90 * DAY), None, "told once");
        assert_eq!(
            saw(expires + 1, 90 * DAY),
            Some(News::ExpiresSoon(10)),
            "another one that expires soon as well"
        );
        assert_eq!(saw(200 * DAY, 90 * DAY), Some(News::Renewed));
        assert_eq!(saw(200 * DAY, 200 * DAY), Some(News::Expired));
        let seen = |stats: &ProbeStats| stats.certificate_not_after(k.place(), "m");
        assert_eq!(seen(&stats), Some(200 * DAY));
        certificates.keep_only([&k].into_iter());
        assert_eq!(seen(&stats), Some(200 * DAY));
        certificates.keep_only([].into_iter());
        assert_eq!(seen(&stats), None);
    }

    #[test]
    fn told_not_to_warn_only_an_expired_one_is_told() {
        let mut certificates = Certificates::new(Arc::default());
        let k = key(0);
        assert_eq!(certificates.take_in(&k, 10, 9), None);
        assert_eq!(certificates.take_in(&k, 10, 10), Some(News::Expired));
    }
}
