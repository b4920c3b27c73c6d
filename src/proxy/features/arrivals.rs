//! Who may come in at a listener: connections open at once per source, and how often one source, or
//! everybody together, may connect. Asked once per connection, whatever is spoken on it.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::limit::{Connections, Counted, KeyedRates, Prefixes, Rate};
use crate::time::Moment;
use crate::traffic::ListenerFeatures;

/// Octets of a listener's table of rates per source.
const TABLE: usize = 1 << 20;

/// A connection was turned away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Turned {
    /// Its source has as many open as it may.
    #[error("its source has as many connections open as it may")]
    TooMany,
    /// Its source connects more often than it may.
    #[error("its source connects more often than it may")]
    TooOften,
    /// All sources together connect more often than they may.
    #[error("more connections come in at the listener than may")]
    Crowd,
}

/// What is counted of a listener's connections; kept over reloads for as long as it counts the same.
#[derive(Debug)]
pub(super) struct Arrivals {
    pub(super) name: Box<str>,
    prefixes: Prefixes,
    open: Arc<Connections>,
    per_source: Option<KeyedRates>,
    all: Option<KeyedRates>,
}

/// The table of a rate: the one there was, if it counts the same.
fn table(wanted: Option<Rate>, bytes: usize) -> Option<KeyedRates> {
    wanted.map(|rate| KeyedRates::new(rate, bytes))
}

impl Arrivals {
    /// Those of a listener called `name`. `old`: what was counted of it so far.
    pub(super) fn follow(
        name: &str,
        features: &ListenerFeatures,
        old: Option<&Arc<Arrivals>>,
    ) -> Arc<Arrivals> {
        let prefixes = features.source_prefixes;
        let same = |a: &&Arc<Arrivals>| {
            let rate = |table: &Option<KeyedRates>| table.as_ref().map(KeyedRates::rate);
            a.prefixes == prefixes
                && rate(&a.per_source) == features.connection_rate
                && rate(&a.all) == features.total_connection_rate
        };
        if let Some(same) = old.filter(same) {
            return same.clone();
        }
        // Those that are open stay counted, unless other sources are one now.
        let open = old.filter(|a| a.prefixes == prefixes);
        Arc::new(Arrivals {
            name: name.into(),
            prefixes,
            open: open.map_or_else(|| Connections::new(prefixes), |a| a.open.clone()),
            per_source: table(features.connection_rate, TABLE),
            // One key: a cache line.
            all: table(features.total_connection_rate, 0),
        })
    }

    /// Whether a connection from `source` may come in: counted until what this gives is dropped.
    ///
    /// # Errors
    /// When it may not. What one source may is looked at first, so that one that floods does not use up
    /// what is left for the others.
    pub(super) fn admit(
        &self,
        most: Option<u32>,
        source: IpAddr,
        seed: [u64; 2],
        now: impl FnOnce() -> Moment,
    ) -> Result<Option<Counted>, Turned> {
        let counted = match most {
            Some(most) => Some(self.open.open(source, most).ok_or(Turned::TooMany)?),
            None => None,
        };
        if self.per_source.is_none() && self.all.is_none() {
            return Ok(counted);
        }
        let now = now();
        if let Some(rate) = &self.per_source
            && !rate.take(self.key(source, seed), now).granted
        {
            return Err(Turned::TooOften);
        }
        if let Some(rate) = &self.all
            && !rate.take(1, now).granted
        {
            return Err(Turned::Crowd);
        }
        Ok(counted)
    }

    /// Counts a connection that was let in elsewhere, unless its source has `most` already.
    pub(super) fn resume(&self, most: u32, source: IpAddr) -> Option<Counted> {
        self.open.open(source, most)
    }

    /// The seed is random: nobody can choose an address that shares another's place.
    fn key(&self, source: IpAddr, seed: [u64; 2]) -> u64 {
        let source = source.to_canonical();
        let mut hasher = SipHasher13::new_with_keys(seed[0], seed[1]);
        hasher.write_u8(if source.is_ipv4() { 4 } else { 6 });
        hasher.write_u64(self.prefixes.of(source));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Algorithm;
    use std::time::Duration;

    const SEED: [u64; 2] = [3, 4];
    const T0: Moment = Moment(1_000_000_000);

    fn rate(amount: u32) -> Rate {
        Rate {
            algorithm: Algorithm::TokenBucket,
            amount,
            window: Duration::from_secs(1),
            burst: amount,
        }
    }

    fn come(a: &Arrivals, most: Option<u32>, source: &str, now: Moment) -> Result<(), Turned> {
        a.admit(most, source.parse().unwrap(), SEED, || now)
            .map(drop)
    }

    #[test]
    fn a_source_that_floods_leaves_the_others_their_share_of_the_whole() {
        let features = ListenerFeatures {
            connection_rate: Some(rate(5)),
            total_connection_rate: Some(rate(20)),
            ..ListenerFeatures::default()
        };
        let a = Arrivals::follow("mail", &features, None);
        let flood: Vec<_> = (0..100).map(|_| come(&a, None, "192.0.2.1", T0)).collect();
        assert_eq!(flood.iter().filter(|r| r.is_ok()).count(), 5);
        assert!(flood[5..].iter().all(|r| *r == Err(Turned::TooOften)));
        let others: Vec<_> = (0..20)
            .map(|i| come(&a, None, &format!("198.51.100.{i}"), T0))
            .collect();
        assert_eq!(others.iter().filter(|r| r.is_ok()).count(), 15);
        assert!(others[15..].iter().all(|r| *r == Err(Turned::Crowd)));
        let later = T0 + Duration::from_secs(1);
        assert_eq!(come(&a, None, "192.0.2.1", later), Ok(()));
    }

    #[test]
    fn networks_count_as_one_as_far_as_configured() {
        let features = ListenerFeatures {
            connection_rate: Some(rate(2)),
            source_prefixes: Prefixes::new(24, 56),
            ..ListenerFeatures::default()
        };
        let a = Arrivals::follow("mail", &features, None);
        let ask = |source| come(&a, Some(100), source, T0);
        assert_eq!((ask("192.0.2.1"), ask("192.0.2.200")), (Ok(()), Ok(())));
        assert_eq!(ask("192.0.2.7"), Err(Turned::TooOften));
        assert_eq!(ask("::ffff:192.0.2.8"), Err(Turned::TooOften));
        assert_eq!(ask("192.0.3.1"), Ok(()));
        assert_eq!(ask("2001:db8:0:1::1"), Ok(()));
        assert_eq!(ask("2001:db8:0:ff::1"), Ok(()));
        assert_eq!(ask("2001:db8:0:2::1"), Err(Turned::TooOften));
    }

    #[test]
    fn p2_a_reload_forgets_nothing_of_what_stays_the_same() {
        let features = ListenerFeatures {
            connection_rate: Some(rate(1)),
            ..ListenerFeatures::default()
        };
        let first = Arrivals::follow("mail", &features, None);
        let source = "192.0.2.1".parse().unwrap();
        let held = first.admit(Some(1), source, SEED, || T0);
        assert!(matches!(held, Ok(Some(_))));
        let same = Arrivals::follow("mail", &features, Some(&first));
        assert!(Arc::ptr_eq(&first, &same));
        let other = ListenerFeatures {
            connection_rate: Some(rate(9)),
            ..ListenerFeatures::default()
        };
        let other = Arrivals::follow("mail", &other, Some(&same));
        let again = other.admit(Some(1), source, SEED, || T0);
        assert_eq!(again.map(drop), Err(Turned::TooMany), "it is still open");
        drop(held);
        assert!(other.admit(Some(1), source, SEED, || T0).is_ok());
    }
}
