//! What each signed zone publishes and signs with at one time.
//!
//! Keys roll without a reload, so they are a part of the View beside the snapshot.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::dns::name::WireName;
use crate::units::Ttl;

use super::SigningKey;

/// How the absence of a name or type is proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Denial {
    /// Compact denial of existence with NSEC (RFC 9824).
    #[default]
    Compact,
    /// NSEC3 white lies (RFC 7129 appendix B), no salt, no extra iterations (RFC 9276).
    Nsec3,
}

/// For how long signatures hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// From the signing to the expiration.
    pub valid: Duration,
    /// A signature with less than this left is made anew.
    pub refresh: Duration,
    /// The inception lies this far before the signing, for validators whose clocks are slow.
    pub backdate: Duration,
}

impl Default for Lifetime {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Lifetime {
            valid: Duration::from_secs(14 * DAY),
            refresh: Duration::from_secs(7 * DAY),
            backdate: Duration::from_secs(3_600),
        }
    }
}

/// The keys of one zone at one time.
#[derive(Clone, Debug)]
pub struct ZoneKeys {
    /// The zone.
    pub apex: WireName,
    /// Differs between any two states of this zone's keys in one process.
    pub generation: u64,
    /// RDATA of the DNSKEY records, in canonical order, also of keys that do not sign (yet, or any
    /// more).
    pub dnskey: Vec<Box<[u8]>>,
    /// RDATA of the CDS records (RFC 7344); empty where none are published.
    pub cds: Vec<Box<[u8]>>,
    /// RDATA of the CDNSKEY records (RFC 7344); empty where none are published.
    pub cdnskey: Vec<Box<[u8]>>,
    /// TTL of the three sets above.
    pub ttl: Ttl,
    /// Sign the DNSKEY, CDS and CDNSKEY sets: KSKs or CSKs; during a roll-over both.
    pub key_signing: Vec<Arc<SigningKey>>,
    /// Sign everything else: ZSKs or CSKs, one except during the roll of a CSK.
    pub zone_signing: Vec<Arc<SigningKey>>,
    /// Proof of absence.
    pub denial: Denial,
    /// Of signatures.
    pub lifetime: Lifetime,
}

/// The keys of all signed zones.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// By apex.
    pub zones: HashMap<WireName, Arc<ZoneKeys>>,
}

impl Keys {
    /// The keys of a zone; `None` where it is not signed.
    pub fn of(&self, apex: &WireName) -> Option<&Arc<ZoneKeys>> {
        self.zones.get(apex)
    }
}
