//! How often one source may ask, and be wrong about who it is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::compile::Access;
use crate::limit::{Algorithm, KeyedRates, Prefixes, Rate};
use crate::time::Moment;

/// Octets of the tables: some 16,000 and 4,000 sources.
const REQUESTS: usize = 256 << 10;
const FAILURES: usize = 64 << 10;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The rates of all sources: of IPv4 addresses and IPv6 /64s.
pub(super) struct Limits {
    seeds: [u64; 2],
    requests: Option<Arc<KeyedRates>>,
    failures: Arc<KeyedRates>,
    of: (u32, u32),
}

impl Limits {
    pub(super) fn new(access: &Access, seeds: [u64; 2]) -> Limits {
        let requests = access.requests_per_second;
        let failures = access.failures_per_minute;
        let table = |n, window, octets| Arc::new(KeyedRates::new(bucket(n, window), octets));
        Limits {
            seeds,
            requests: (requests > 0).then(|| table(requests, SECOND, REQUESTS)),
            failures: table(failures, MINUTE, FAILURES),
            of: (requests, failures),
        }
    }

    pub(super) fn are_those_of(&self, access: &Access) -> bool {
        self.of == (access.requests_per_second, access.failures_per_minute)
    }

    /// Other rates: all begin anew.
    pub(super) fn with_rates_of(&self, access: &Access) -> Limits {
        Limits::new(access, self.seeds)
    }

    /// Counts a request; how long to wait when it is one too many.
    pub(super) fn request(&self, source: IpAddr, now: Moment) -> Option<Duration> {
        let taken = self.requests.as_ref()?.take(self.hash(source), now);
        (!taken.granted).then_some(taken.wait)
    }

    /// Counts wrong credentials; how long to wait when they are one too many.
    pub(super) fn failure(&self, source: IpAddr, now: Moment) -> Option<Duration> {
        let taken = self.failures.take(self.hash(source), now);
        (!taken.granted).then_some(taken.wait)
    }

    fn hash(&self, source: IpAddr) -> u64 {
        let source = source.to_canonical();
        let prefix = Prefixes::new(32, 64).of(source);
        let mut octets = [0; 9];
        octets[..8].copy_from_slice(&prefix.to_ne_bytes());
        octets[8] = u8::from(source.is_ipv6());
        SipHasher13::new_with_keys(self.seeds[0], self.seeds[1]).hash(&octets)
    }
}

/// So many in a window, and as many at once.
pub(super) fn bucket(amount: u32, window: Duration) -> Rate {
    Rate {
        algorithm: Algorithm::TokenBucket,
        amount,
        window,
        burst: amount,
    }
}
