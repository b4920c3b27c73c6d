//! What an operator wants of a zone's keys.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::key::{SECURE_ENTRY_POINT, ZONE_KEY};
use super::{Algorithm, Denial, Lifetime};

/// What a key signs (RFC 6781 section 3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Key signing key: the DNSKEY, CDS and CDNSKEY sets; the parent's DS refers to it.
    Ksk,
    /// Zone signing key: everything else.
    Zsk,
    /// Combined signing key: both.
    Csk,
}

impl Role {
    /// Whether it signs the DNSKEY set, and so has a DS at the parent.
    pub fn signs_keys(self) -> bool {
        self != Role::Zsk
    }

    /// Whether it signs the zone's data.
    pub fn signs_zone(self) -> bool {
        self != Role::Ksk
    }

    /// The flags of its DNSKEY record (RFC 4034 section 2.1.1).
    pub fn flags(self) -> u16 {
        match self {
            Role::Zsk => ZONE_KEY,
            Role::Ksk | Role::Csk => ZONE_KEY | SECURE_ENTRY_POINT,
        }
    }

    /// `ksk`, `zsk`, `csk`.
    pub fn word(self) -> &'static str {
        match self {
            Role::Ksk => "ksk",
            Role::Zsk => "zsk",
            Role::Csk => "csk",
        }
    }

    /// The role of a word, in any case.
    pub fn from_word(word: &str) -> Option<Role> {
        [Role::Ksk, Role::Zsk, Role::Csk]
            .into_iter()
            .find(|r| r.word().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Ksk => "KSK",
            Role::Zsk => "ZSK",
            Role::Csk => "CSK",
        })
    }
}

/// Which keys a zone has when nothing rolls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layout {
    /// One key that signs everything.
    #[default]
    Csk,
    /// One KSK and one ZSK.
    KskZsk,
    /// None: the zone is on its way to being unsigned.
    Insecure,
}

impl Layout {
    /// The roles that must be filled.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Layout::Csk => &[Role::Csk],
            Layout::KskZsk => &[Role::Ksk, Role::Zsk],
            Layout::Insecure => &[],
        }
    }
}

/// A key policy. Times are whole seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Which keys.
    pub layout: Layout,
    /// Of new keys.
    pub algorithm: Algorithm,
    /// A ZSK is followed by the next after so long; `None`: never by itself.
    pub zsk_lifetime: Option<Duration>,
    /// The same for a KSK or CSK.
    pub ksk_lifetime: Option<Duration>,
    /// TTL of the DNSKEY, CDS and CDNSKEY sets.
    pub dnskey_ttl: Duration,
    /// From a change on this node until every server of the zone has it.
    pub propagation_delay: Duration,
    /// TTL of the DS set in the parent zone.
    pub parent_ds_ttl: Duration,
    /// From a change in the parent zone until every server of the parent has it.
    pub parent_propagation_delay: Duration,
    /// Of signatures.
    pub lifetime: Lifetime,
    /// Proof of absence.
    pub denial: Denial,
    /// Whether CDS and CDNSKEY are published (RFC 7344).
    pub cds: bool,
    /// Resolvers that are asked for the parent's DS; empty: an operator says when it is there.
    pub parent_check: Vec<SocketAddr>,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Default for Policy {
    fn default() -> Self {
        Policy {
            name: "default".into(),
            layout: Layout::Csk,
            algorithm: Algorithm::EcdsaP256,
            zsk_lifetime: None,
            ksk_lifetime: None,
            dnskey_ttl: HOUR,
            propagation_delay: Duration::from_secs(300),
            parent_ds_ttl: HOUR * 24,
            parent_propagation_delay: HOUR,
            lifetime: Lifetime::default(),
            denial: Denial::Compact,
            cds: true,
            parent_check: Vec::new(),
        }
    }
}

impl Policy {
    /// The default policy.
    pub const DEFAULT: &'static str = "default";
    /// The policy that leads from signed to unsigned.
    pub const INSECURE: &'static str = "insecure";

    /// The policies that need not be defined.
    pub const BUILT_IN: [&'static str; 2] = [Policy::DEFAULT, Policy::INSECURE];

    /// The policy that takes a zone from signed to unsigned without a gap in which it is bogus.
    pub fn insecure() -> Policy {
        Policy {
            name: Policy::INSECURE.into(),
            layout: Layout::Insecure,
            ..Policy::default()
        }
    }

    /// For how long a key of this role serves; `None`: until an operator rolls it.
    pub fn lifetime_of(&self, role: Role) -> Option<Duration> {
        match role {
            Role::Zsk => self.zsk_lifetime,
            Role::Ksk | Role::Csk => self.ksk_lifetime,
        }
    }
}
