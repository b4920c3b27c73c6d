//! The keys of one zone: the state on the disk, the secrets in memory, what is published of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::store::{Store, StoreError};
use crate::compile::SignedZone;
use crate::dnssec::rollover::{Event, KeyState, Refusal, Terms, ZoneState, step, zone_keys};
use crate::dnssec::{Algorithm, Role, SignError, SigningKey, ZoneKeys};

/// One zone in the keeper's care.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) zone: SignedZone,
    pub(super) state: ZoneState,
    /// By DNSKEY RDATA.
    pub(super) secrets: HashMap<Box<[u8]>, Arc<SigningKey>>,
    /// When the next step is due, in Unix time.
    pub(super) due: Option<u64>,
}

/// A step that is stored.
#[derive(Debug)]
pub(super) struct Stepped {
    pub(super) events: Vec<Event>,
    /// Why a key that is needed could not be made.
    pub(super) failed: Option<SignError>,
}

impl Kept {
    /// The zone with the state that is on the disk, or none.
    pub(super) fn load(store: &Store, zone: &SignedZone) -> Result<Kept, StoreError> {
        Ok(Kept {
            zone: zone.clone(),
            state: store.load(&zone.apex)?.unwrap_or_default(),
            secrets: HashMap::new(),
            due: Some(0),
        })
    }

    /// Moves all that may move at `now` and stores it. When it cannot be stored, nothing has
    /// happened: what is not on the disk must not be published.
    pub(super) fn step(&mut self, store: &Store, now: u64) -> Result<Stepped, StoreError> {
        self.change(store, now, |_| Ok(Vec::new()))
            .map_err(Rejected::into_store)
    }

    /// As [`Kept::step`], with a change to the state before it.
    pub(super) fn change(
        &mut self,
        store: &Store,
        now: u64,
        order: impl FnOnce(&mut ZoneState) -> Result<Vec<Event>, Refusal>,
    ) -> Result<Stepped, Rejected> {
        let mut state = self.state.clone();
        let mut events = order(&mut state).map_err(Rejected::Order)?;
        let imported = self.zone.imported_terms();
        let terms = Terms {
            policy: &self.zone.policy,
            zone_ttl: u64::from(self.zone.zone_ttl.secs()),
            imported: &imported,
        };
        let tags: Vec<u16> = state.live().map(KeyState::tag).collect();
        let mut made = Vec::new();
        let apex = &self.zone.apex;
        let outcome = step(&mut state, &terms, now, &mut |role, algorithm| {
            let (pair, pkcs8) = new_key(role, algorithm, &tags)?;
            // The secret is on the disk before the state speaks of it.
            store
                .save_key(apex, role, &pair, &pkcs8)
                .map_err(|e| SignError(e.0))?;
            let rdata: Box<[u8]> = pair.dnskey().into();
            made.push((rdata.clone(), Arc::new(pair)));
            Ok(rdata)
        });
        events.extend(outcome.events);
        if state != self.state {
            store.save(apex, &state).map_err(Rejected::Store)?;
        }
        self.secrets.extend(made);
        for gone in state.keys.iter().filter(|k| k.removed.is_some()) {
            self.secrets.remove(&gone.dnskey_rdata);
            let before = self
                .state
                .live()
                .any(|k| k.dnskey_rdata == gone.dnskey_rdata);
            if before
                && !gone.imported
                && let Err(e) = store.delete_key(apex, gone)
            {
                tracing::warn!(zone = %apex, "{e}");
            }
        }
        self.state = state;
        self.due = outcome.due;
        Ok(Stepped {
            events,
            failed: outcome.failed,
        })
    }

    /// What the zone publishes and signs with; `None` when it is unsigned.
    pub(super) fn publish(
        &mut self,
        store: &Store,
        generation: u64,
    ) -> Result<Option<ZoneKeys>, StoreError> {
        let apex = &self.zone.apex;
        for k in self.state.keys.iter().filter(|k| k.removed.is_none()) {
            if self.secrets.contains_key(&k.dnskey_rdata) {
                continue;
            }
            let given = self.zone.imported.iter().map(|i| &i.pair);
            let pair = match given.clone().find(|p| p.dnskey() == &*k.dnskey_rdata) {
                Some(pair) => pair.clone(),
                None if k.imported => continue,
                None => Arc::new(store.load_key(apex, k)?),
            };
            self.secrets.insert(k.dnskey_rdata.clone(), pair);
        }
        let secret = |k: &KeyState| self.secrets.get(&k.dnskey_rdata).cloned();
        zone_keys(apex, &self.state, &self.zone.policy, &secret, generation).map_err(|missing| {
            StoreError(format!(
                "zone `{apex}`: {missing} is still in use, but `key-files` no longer lists its \
                 file; list it, before the others, until `tradewind dnssec status` shows it removed"
            ))
        })
    }
}

/// Why a change did not happen.
#[derive(Debug)]
pub(super) enum Rejected {
    /// It could not be stored.
    Store(StoreError),
    /// The rules do not allow it.
    Order(Refusal),
}

impl Rejected {
    /// As one error.
    pub(super) fn into_store(self) -> StoreError {
        match self {
            Rejected::Store(e) => e,
            Rejected::Order(e) => StoreError(e.0),
        }
    }
}

/// A new key pair whose tag no other key of the zone has: validators and people tell keys by it.
fn new_key(
    role: Role,
    algorithm: Algorithm,
    taken: &[u16],
) -> Result<(SigningKey, Vec<u8>), SignError> {
    loop {
        let pkcs8 = SigningKey::generate(algorithm)?;
        let pair = SigningKey::from_pkcs8(algorithm, role.flags(), &pkcs8)?;
        if !taken.contains(&pair.tag()) {
            return Ok((pair, pkcs8));
        }
    }
}
