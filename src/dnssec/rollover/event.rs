//! What happened to a key, in words.

use std::fmt;

use super::KeyState;
use crate::dnssec::Role;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// A new key pair was made.
    Created,
    /// A key pair came from the operator's files.
    Imported,
    /// It is no longer wanted.
    Replaced,
    /// Its DNSKEY is published.
    Published,
    /// Its DNSKEY is in every cache.
    Ready,
    /// It signs the zone.
    Signs,
    /// Its signatures are in every cache.
    SignedEverywhere,
    /// It no longer signs the zone.
    SignsNoMore,
    /// Its signatures left all caches.
    SignaturesGone,
    /// The parent is asked to publish its DS.
    DsSubmitted,
    /// The parent has its DS.
    DsSeen,
    /// Its DS is in every cache.
    DsEverywhere,
    /// The parent is asked to remove its DS.
    DsLeaving,
    /// The parent no longer has its DS.
    DsRemoved,
    /// Its DS left all caches.
    DsGone,
    /// Its DNSKEY is withdrawn.
    Withdrawn,
    /// Its DNSKEY left all caches.
    DnskeyGone,
    /// Nothing of it is left.
    Removed,
}

impl Change {
    fn words(self) -> &'static str {
        match self {
            Change::Created => "is made",
            Change::Imported => "is taken from its file",
            Change::Replaced => "is to be replaced",
            Change::Published => "is published as DNSKEY",
            Change::Ready => "is in every cache",
            Change::Signs => "signs the zone",
            Change::SignedEverywhere => "has signatures in every cache",
            Change::SignsNoMore => "signs the zone no more",
            Change::SignaturesGone => "has no signature left in any cache",
            Change::DsSubmitted => "wants its DS at the parent",
            Change::DsSeen => "has its DS at the parent",
            Change::DsEverywhere => "has its DS in every cache",
            Change::DsLeaving => "wants its DS removed from the parent",
            Change::DsRemoved => "has its DS no more at the parent",
            Change::DsGone => "has its DS in no cache",
            Change::Withdrawn => "is withdrawn as DNSKEY",
            Change::DnskeyGone => "is in no cache",
            Change::Removed => "is removed",
        }
    }

    /// Whether an operator cares: the rest is progress inside a roll-over.
    pub fn is_milestone(self) -> bool {
        !matches!(
            self,
            Change::Replaced
                | Change::SignedEverywhere
                | Change::SignaturesGone
                | Change::DsGone
                | Change::DnskeyGone
        )
    }
}

/// Something that happened to a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event {
    /// Its role.
    pub role: Role,
    /// Its tag; `None` for a key that a forecast made up.
    pub tag: Option<u16>,
    /// What.
    pub change: Change,
}

impl Event {
    pub(super) fn new(key: &KeyState, change: Change) -> Event {
        Event {
            role: key.role,
            // A DNSKEY without a public key is one of a forecast.
            tag: (key.dnskey_rdata.len() > super::forecast::MADE_UP).then(|| key.tag()),
            change,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            Some(tag) => write!(f, "{} {tag} {}", self.role, self.change.words()),
            None => write!(f, "the next {} {}", self.role, self.change.words()),
        }
    }
}
