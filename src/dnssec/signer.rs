//! A worker's own signer: finds signatures in its near cache or the shared one, or makes them within
//! its budget.

use std::sync::Arc;

use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::Moment;

use super::ZoneKeys;
use super::budget::{Bounds, Budget, cost};
use super::cache::{Keep, SignatureCache};
use super::canonical::{Collected, SetKey};
use super::rrsig::Signatures;

/// Places of the near cache.
const NEAR: usize = 1_024;

/// When it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Present {
    /// On the monotonic clock.
    pub now: Moment,
    /// On the calendar, Unix seconds.
    pub unix: u64,
}

/// Why there is no signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The worker has made too many lately.
    Budget,
    /// The zone's keys cannot sign.
    Keys,
}

/// A worker's own signer.
#[derive(Debug)]
pub struct Signer {
    /// The set to be signed.
    pub set: Collected,
    /// Room for those who make sets.
    pub types: Vec<u16>,
    /// Room for those who make sets.
    pub rdata: Vec<u8>,
    key: Vec<u8>,
    /// By hash: no lock, no reference count.
    near: Box<[Option<Arc<Signatures>>]>,
    /// Where the last ones found lie: near, or in `far`.
    found: Option<usize>,
    far: Option<Arc<Signatures>>,
    datagram: Budget,
    stream: Budget,
    counters: Arc<DnsCounters>,
}

impl Signer {
    /// A signer that counts in its worker's counters.
    pub fn new(counters: Arc<DnsCounters>) -> Signer {
        Signer {
            set: Collected::default(),
            types: Vec::new(),
            rdata: Vec::new(),
            key: Vec::new(),
            near: (0..NEAR).map(|_| None).collect(),
            found: None,
            far: None,
            datagram: Budget::new(Bounds::DATAGRAM),
            stream: Budget::new(Bounds::STREAM),
            counters,
        }
    }

    /// The same, for one whose work is bounded by whoever gives it: signs as much as it is told to.
    pub fn unbounded(self) -> Signer {
        Signer {
            datagram: Budget::new(Bounds::NONE),
            stream: Budget::new(Bounds::NONE),
            ..self
        }
    }

    /// Finds or makes the signatures of [`Signer::set`]; [`Signer::rrsigs`] has them then.
    /// `keep` is asked only for new ones, with their owner.
    ///
    /// # Errors
    /// When the budget or the keys forbid to make them.
    pub fn sign(
        &mut self,
        shared: &SignatureCache,
        keys: &ZoneKeys,
        present: Present,
        datagram: bool,
        keep: impl FnOnce(&[u8]) -> Keep,
    ) -> Result<(), Refused> {
        self.set.write_key(&mut self.key);
        let hash = shared.hash(&self.key);
        let place = hash as usize % NEAR;
        self.far = None;
        if let Some(near) = &self.near[place]
            && near.is_of(&self.key)
            && near.is_fresh(keys, present.unix)
        {
            self.found = Some(place);
            self.counters.count(DnsEvent::SignatureNear);
            return Ok(());
        }
        self.found = None;
        let old = shared.get(hash, &self.key);
        let fresh = old.as_ref().is_some_and(|s| s.is_fresh(keys, present.unix));
        if let (true, Some(found)) = (fresh, &old) {
            self.counters.count(DnsEvent::SignatureShared);
            self.near[place] = Some(found.clone());
            self.found = Some(place);
            return Ok(());
        }
        // What is due for a new signature or key serves on while there is no time to make one.
        let spare = old.filter(|s| s.still_valid(keys, present.unix));
        match self.make(shared, hash, keys, present, datagram, keep) {
            Ok(()) => Ok(()),
            Err(_) if spare.is_some() => {
                self.counters.count(DnsEvent::SignatureShared);
                self.far = spare;
                Ok(())
            }
            Err(refused) => {
                self.counters.count(match refused {
                    Refused::Budget => DnsEvent::SignatureDeferred,
                    Refused::Keys => DnsEvent::SignatureFailed,
                });
                Err(refused)
            }
        }
    }

    #[cold]
    fn make(
        &mut self,
        shared: &SignatureCache,
        hash: u64,
        keys: &ZoneKeys,
        present: Present,
        datagram: bool,
        keep: impl FnOnce(&[u8]) -> Keep,
    ) -> Result<(), Refused> {
        let key = SetKey(&self.key);
        let cost = keys
            .signers(key.rtype())
            .iter()
            .map(|k| cost(k.algorithm()))
            .sum();
        let budget = match datagram {
            true => &mut self.datagram,
            false => &mut self.stream,
        };
        if !budget.take(present.now, cost) {
            return Err(Refused::Budget);
        }
        let made = match Signatures::make(key, keys, present.unix) {
            Ok(made) => Arc::new(made),
            Err(_) => return Err(Refused::Keys),
        };
        self.counters.count(DnsEvent::SignatureMade);
        let keep = keep(made.key().owner());
        shared.put(hash, &made, keep);
        if keep == Keep::Lasting {
            let place = hash as usize % NEAR;
            self.near[place] = Some(made);
            self.found = Some(place);
        } else {
            self.far = Some(made);
        }
        Ok(())
    }

    /// RDATA of the RRSIG records that [`Signer::sign`] found last.
    pub fn rrsigs(&self) -> impl Iterator<Item = &[u8]> {
        let near = self.found.and_then(|place| self.near[place].as_ref());
        near.or(self.far.as_ref())
            .into_iter()
            .flat_map(|found| found.rrsigs())
    }
}
