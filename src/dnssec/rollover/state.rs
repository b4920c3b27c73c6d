//! What is known of a zone's keys and their records. All times are Unix seconds.

use std::fmt;
use std::time::Duration;

use crate::dnssec::key::key_tag;
use crate::dnssec::{Algorithm, Role};

/// Where a record that this node publishes is in the caches of the world.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// In no cache, and not published.
    #[default]
    Hidden,
    /// Published; some caches may still hold the state before.
    Rumoured,
    /// Published; no cache holds the state before.
    Omnipresent,
    /// Withdrawn; some caches may still have it.
    Unretentive,
}

impl Phase {
    /// Whether it is published now.
    pub fn is_published(self) -> bool {
        matches!(self, Phase::Rumoured | Phase::Omnipresent)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Hidden => "hidden",
            Phase::Rumoured => "rumoured",
            Phase::Omnipresent => "omnipresent",
            Phase::Unretentive => "unretentive",
        }
    }

    /// All of them.
    pub const ALL: [Phase; 4] = [
        Phase::Hidden,
        Phase::Rumoured,
        Phase::Omnipresent,
        Phase::Unretentive,
    ];
}

/// The same for the DS, which the parent publishes when it is asked to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum DsPhase {
    /// In no cache, and the parent is not asked to have it.
    #[default]
    Hidden,
    /// The parent is asked to publish it (CDS, or an operator); it may have done so.
    Submitted,
    /// The parent has it; some caches may still hold the state before.
    Rumoured,
    /// The parent has it; no cache holds the state before.
    Omnipresent,
    /// The parent is asked to remove it; it may have done so.
    Leaving,
    /// The parent no longer has it; some caches may.
    Unretentive,
}

impl DsPhase {
    /// Whether the parent shall have it.
    pub fn is_wanted(self) -> bool {
        matches!(
            self,
            DsPhase::Submitted | DsPhase::Rumoured | DsPhase::Omnipresent
        )
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            DsPhase::Hidden => "hidden",
            DsPhase::Submitted => "submitted",
            DsPhase::Rumoured => "rumoured",
            DsPhase::Omnipresent => "omnipresent",
            DsPhase::Leaving => "leaving",
            DsPhase::Unretentive => "unretentive",
        }
    }

    /// All of them.
    pub const ALL: [DsPhase; 6] = [
        DsPhase::Hidden,
        DsPhase::Submitted,
        DsPhase::Rumoured,
        DsPhase::Omnipresent,
        DsPhase::Leaving,
        DsPhase::Unretentive,
    ];
}

/// A record and since when it is where it is; 0 stands for "from the beginning".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// Where.
    pub phase: Phase,
    /// Since when.
    pub since: u64,
}

/// A DS and since when it is where it is; 0 stands for "from the beginning".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ds {
    /// Where.
    pub phase: DsPhase,
    /// Since when.
    pub since: u64,
}

/// One key pair and its records. The secret half is elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyState {
    /// What it signs.
    pub role: Role,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// RDATA of its DNSKEY record.
    pub dnskey_rdata: Box<[u8]>,
    /// Whether it came from a file of the operator's.
    pub imported: bool,
    /// When it was made, or first seen.
    pub created: u64,
    /// Whether it shall serve; otherwise it goes as soon as the rules allow.
    pub wanted: bool,
    /// When it began to serve: to sign the zone, or, as a KSK, the DNSKEY set.
    pub active: Option<u64>,
    /// A successor takes over no sooner.
    pub retire_after: u64,
    /// Its DNSKEY, with its signature over the DNSKEY set.
    pub dnskey: Record,
    /// Its signatures over the zone's data; hidden for a KSK.
    pub signatures: Record,
    /// Its DS at the parent; hidden for a ZSK.
    pub ds: Ds,
    /// When the last of its records left the last cache.
    pub removed: Option<u64>,
}

impl KeyState {
    /// A key that is nowhere yet.
    pub fn new(role: Role, algorithm: Algorithm, dnskey_rdata: Box<[u8]>, now: u64) -> KeyState {
        KeyState {
            role,
            algorithm,
            dnskey_rdata,
            imported: false,
            created: now,
            wanted: true,
            active: None,
            retire_after: 0,
            dnskey: Record::default(),
            signatures: Record::default(),
            ds: Ds::default(),
            removed: None,
        }
    }

    /// Its key tag (RFC 4034 appendix B).
    pub fn tag(&self) -> u16 {
        key_tag(&self.dnskey_rdata)
    }

    /// Whether it signs the zone's data now.
    pub fn is_signing(&self) -> bool {
        self.signatures.phase.is_published()
    }

    /// Whether the parent may have its DS although this node never asked for it: what the parent
    /// has of an imported key is not known until it is seen.
    pub fn ds_is_unknown(&self) -> bool {
        self.imported && self.role.signs_keys() && self.ds == Ds::default()
    }

    /// Whether none of its records is in any cache.
    pub fn is_hidden(&self) -> bool {
        self.dnskey.phase == Phase::Hidden
            && self.signatures.phase == Phase::Hidden
            && self.ds.phase == DsPhase::Hidden
    }

    /// Its state in the words of RFC 7583 section 3.1.
    pub fn word(&self) -> &'static str {
        let served = self.active.is_some();
        if self.removed.is_some() {
            return "removed";
        }
        match self.role {
            Role::Zsk if self.is_signing() && self.dnskey.phase != Phase::Hidden => "active",
            Role::Zsk if served && !self.wanted => "retired",
            Role::Ksk | Role::Csk => match self.ds.phase {
                DsPhase::Rumoured | DsPhase::Omnipresent => "active",
                DsPhase::Leaving | DsPhase::Unretentive => "retired",
                DsPhase::Submitted => "ready",
                DsPhase::Hidden if served && !self.wanted => "retired",
                DsPhase::Hidden => self.early_word(),
            },
            Role::Zsk => self.early_word(),
        }
    }

    fn early_word(&self) -> &'static str {
        match self.dnskey.phase {
            Phase::Omnipresent => "ready",
            Phase::Rumoured => "published",
            Phase::Hidden | Phase::Unretentive => "created",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.tag())
    }
}

/// The largest TTL that a cache may still go by, of a set whose TTL changes with the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HighWater {
    /// In seconds.
    pub ttl: u64,
    /// When the configured TTL fell below it.
    pub lowered: Option<u64>,
}

impl HighWater {
    /// Takes note of the configured TTL: more counts at once, less once the old one ran out
    /// everywhere, `delay` seconds after the change included. Says when that will be.
    pub fn note(&mut self, ttl: u64, delay: u64, now: u64) -> Option<u64> {
        if ttl >= self.ttl {
            *self = HighWater { ttl, lowered: None };
            return None;
        }
        let since = *self.lowered.get_or_insert(now);
        let ends = since.saturating_add(self.ttl).saturating_add(delay);
        if now < ends {
            return Some(ends);
        }
        *self = HighWater { ttl, lowered: None };
        None
    }
}

/// The keys of a zone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ZoneState {
    /// Oldest first.
    pub keys: Vec<KeyState>,
    /// Largest TTL in the zone.
    pub zone_ttl: HighWater,
    /// TTL of the DNSKEY set.
    pub dnskey_ttl: HighWater,
}

impl ZoneState {
    /// The keys that have a record somewhere, or will have.
    pub fn live(&self) -> impl Iterator<Item = &KeyState> {
        self.keys.iter().filter(|k| k.removed.is_none())
    }

    /// The key that must be gone before the key of `role` is rolled: one roll-over of each function
    /// after the other, and an algorithm's before all others.
    pub fn in_the_way(&self, role: Role, algorithm: Algorithm) -> Option<&KeyState> {
        self.live().find(|k| {
            let shares = (k.role.signs_keys() && role.signs_keys())
                || (k.role.signs_zone() && role.signs_zone());
            !k.wanted && (shares || k.algorithm != algorithm)
        })
    }

    /// Whether a DS of the zone may be at the parent or in a cache.
    pub fn may_have_ds(&self) -> bool {
        self.live()
            .any(|k| k.ds.phase != DsPhase::Hidden || k.ds_is_unknown())
    }
}

/// Whole seconds.
pub(super) fn secs(d: Duration) -> u64 {
    d.as_secs() + u64::from(d.subsec_nanos() > 0)
}
