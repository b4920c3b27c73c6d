//! Signatures of one RRset: made, and for how long they serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dns::rtype;

use super::canonical::SetKey;
use super::{SignError, SigningKey, ZoneKeys};

/// Signatures and validity are the same for all signatures made within so many seconds.
const QUANTUM: u64 = 60;

/// The signatures of one RRset, ready to be written.
#[derive(Debug)]
pub struct Signatures {
    /// Which RRset, in full: a hash alone never selects a signature.
    key: Box<[u8]>,
    /// The keys that made them, in order.
    by: Box<[Arc<SigningKey>]>,
    /// `octets:2 RDATA` of each RRSIG record.
    rrsigs: Box<[u8]>,
    inception: u64,
    expiration: u64,
    /// From then on new ones are wanted.
    refresh_at: u64,
    /// Asked for since the last look of whoever makes new ones.
    asked: AtomicBool,
}

impl ZoneKeys {
    /// The keys that sign sets of a type at the apex or below (RFC 7344 section 4.1 for CDS and
    /// CDNSKEY: by a key that the parent knows).
    pub fn signers(&self, rtype: u16) -> &[Arc<SigningKey>] {
        match rtype {
            rtype::DNSKEY | rtype::CDS | rtype::CDNSKEY => &self.key_signing,
            _ => &self.zone_signing,
        }
    }
}

impl Signatures {
    /// Signs a set at a time, Unix seconds.
    ///
    /// # Errors
    /// When the zone has no key for it, or the cryptography refuses.
    pub fn make(key: SetKey<'_>, keys: &ZoneKeys, unix: u64) -> Result<Signatures, SignError> {
        let by = keys.signers(key.rtype());
        if by.is_empty() {
            return Err(SignError(format!(
                "zone {} has no key to sign with",
                keys.apex
            )));
        }
        let ttl = u64::from(key.original_ttl().secs());
        let refresh = keys.lifetime.refresh.as_secs();
        let valid = keys.lifetime.valid.as_secs().max(refresh + ttl);
        let now = unix / QUANTUM * QUANTUM;
        let inception = now.saturating_sub(keys.lifetime.backdate.as_secs());
        let expiration = now + valid + QUANTUM;
        let mut rrsigs = Vec::with_capacity(by.len() * 128);
        let mut signed = Vec::with_capacity(key.0.len() + 64);
        for signer in by {
            // RFC 4034 section 3.1, without the signature.
            signed.clear();
            signed.extend(key.rtype().to_be_bytes());
            signed.extend([signer.algorithm().number(), key.labels()]);
            signed.extend(key.original_ttl().secs().to_be_bytes());
            // RFC 4034 section 3.1.5: serial number arithmetic on 32 bits.
            signed.extend((expiration as u32).to_be_bytes());
            signed.extend((inception as u32).to_be_bytes());
            signed.extend(signer.tag().to_be_bytes());
            signed.extend(key.apex());
            let head = signed.len();
            key.write_signed(&mut signed);
            let signature = signer.sign(&signed)?;
            let len = u16::try_from(head + signature.len())
                .map_err(|_| SignError("the signature is too long".to_owned()))?;
            rrsigs.extend(len.to_be_bytes());
            rrsigs.extend(&signed[..head]);
            rrsigs.extend(signature);
        }
        // Signatures of one hour shall not all be made anew in one hour.
        let jitter = spread(key.0) % (refresh / 8 + 1);
        Ok(Signatures {
            key: key.0.into(),
            by: by.into(),
            rrsigs: rrsigs.into(),
            inception,
            expiration,
            refresh_at: (expiration - refresh - jitter.min(valid - refresh)).max(now + valid / 4),
            asked: AtomicBool::new(true),
        })
    }

    /// The set.
    pub fn key(&self) -> SetKey<'_> {
        SetKey(&self.key)
    }

    /// Whether these are of this set.
    #[inline]
    pub fn is_of(&self, key: &[u8]) -> bool {
        *self.key == *key
    }

    /// RDATA of each RRSIG record.
    pub fn rrsigs(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.rrsigs;
        std::iter::from_fn(move || {
            let (len, tail) = rest.split_first_chunk::<2>()?;
            let (rdata, tail) = tail.split_at(usize::from(u16::from_be_bytes(*len)));
            rest = tail;
            Some(rdata)
        })
    }

    /// Whether these are made by the keys that sign now, and need not be made anew yet.
    #[inline]
    pub fn is_fresh(&self, keys: &ZoneKeys, unix: u64) -> bool {
        unix < self.refresh_at && unix >= self.inception && self.by_those(keys)
    }

    /// Whether validators accept them now and for as long as the answer is cached, though newer
    /// ones are wanted: not expired, and by keys that are still published.
    pub fn still_valid(&self, keys: &ZoneKeys, unix: u64) -> bool {
        let ttl = u64::from(self.key().original_ttl().secs());
        // A resolver that fetched the DNSKEY set just before a key left it takes no harm: keys are
        // published beyond their last use for the longest TTL.
        let published = |k: &Arc<SigningKey>| keys.dnskey.iter().any(|d| **d == *k.dnskey());
        unix >= self.inception && unix + ttl < self.expiration && self.by.iter().all(published)
    }

    /// Whether new ones are wanted at that time though the keys stay.
    pub fn wants_refresh(&self, unix: u64) -> bool {
        unix >= self.refresh_at
    }

    /// Notes that they were asked for.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether they were asked for since the last such question.
    pub fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    fn by_those(&self, keys: &ZoneKeys) -> bool {
        let now = keys.signers(self.key().rtype());
        now.len() == self.by.len()
            && now
                .iter()
                .zip(&self.by)
                // Keys that were read again are the same keys.
                .all(|(a, b)| Arc::ptr_eq(a, b) || a.dnskey() == b.dnskey())
    }
}

/// Spreads keys over the numbers (FNV-1a).
fn spread(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |h, o| {
        (h ^ u64::from(*o)).wrapping_mul(0x0100_0000_01b3)
    })
}
