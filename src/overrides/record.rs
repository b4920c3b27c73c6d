//! What an operator ordered, as it is signed, kept and passed on.

use std::fmt;
use std::sync::Arc;

use super::drill::{Drill, Effect};
use super::mark::Mark;
use super::stamp::Stamp;
use super::vouch::Signed;
use crate::units::Weight;

/// What kind of thing an order is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ScopeKind {
    /// One endpoint.
    Endpoint,
    /// All endpoints of a pool.
    Pool,
    /// All pools of a region.
    Region,
    /// A steered name.
    Name,
}

impl ScopeKind {
    /// All of them.
    pub const ALL: [ScopeKind; 4] = [
        ScopeKind::Endpoint,
        ScopeKind::Pool,
        ScopeKind::Region,
        ScopeKind::Name,
    ];

    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            ScopeKind::Endpoint => "endpoint",
            ScopeKind::Pool => "pool",
            ScopeKind::Region => "region",
            ScopeKind::Name => "name",
        }
    }

    /// Of what people write.
    pub fn from_word(word: &str) -> Option<ScopeKind> {
        ScopeKind::ALL.into_iter().find(|k| k.word() == word)
    }
}

/// Which of the four orders that one scope may have.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// What a drill does. First, so that of two orders about one scope's state the operator's own
    /// stands over it.
    Drill,
    /// Drain, disable, force-up, force-down: of these the last one stands.
    State,
    /// A weight. Apart from the state, so that a weight does not lift a drain.
    Weight,
    /// A failback. Apart from both, since it changes neither.
    Failback,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 4] = [Class::Drill, Class::State, Class::Weight, Class::Failback];

    /// As it stands in texts.
    pub fn word(self) -> &'static str {
        match self {
            Class::Drill => "drill",
            Class::State => "state",
            Class::Weight => "weight",
            Class::Failback => "failback",
        }
    }

    /// Of what stands in texts.
    pub fn from_word(word: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.word() == word)
    }
}

/// What an order is about: `state/region/eu`, `weight/pool/web-eu`. Of two orders about the same
/// subject the later one stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subject {
    /// Drill, state, weight or failback.
    pub class: Class,
    /// Kind of the scope.
    pub scope: ScopeKind,
    /// Name in the configuration; of a steered name its owner as the configuration's form is shown.
    pub name: Arc<str>,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.class.word(),
            self.scope.word(),
            self.name
        )
    }
}

/// What is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// No new clients; existing connections finish.
    Drain,
    /// Out of service entirely.
    Disable,
    /// Treated as up whatever probes say.
    ForceUp,
    /// Treated as down whatever probes say.
    ForceDown,
    /// Another weight.
    Weight(Weight),
    /// What passes again and waits for its failback since before this order's stamp serves now. Says
    /// nothing of what begins to wait later.
    Failback,
    /// What a drill does while it runs.
    Drill(Effect),
}

impl Kind {
    /// Which of a scope's four orders it is.
    pub fn class(self) -> Class {
        match self {
            Kind::Weight(_) => Class::Weight,
            Kind::Failback => Class::Failback,
            Kind::Drill(_) => Class::Drill,
            Kind::Drain | Kind::Disable | Kind::ForceUp | Kind::ForceDown => Class::State,
        }
    }

    /// As people write it; of a weight without the number.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Drain => "drain",
            Kind::Disable => "disable",
            Kind::ForceUp => "force-up",
            Kind::ForceDown => "force-down",
            Kind::Weight(_) => "weight",
            Kind::Failback => "failback",
            Kind::Drill(Effect::Fail) => "drill-fail",
            Kind::Drill(Effect::Drain) => "drill-drain",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Weight(w) => write!(f, "weight {}", w.0),
            other => f.write_str(other.word()),
        }
    }
}

/// One subject of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it is about.
    pub subject: Subject,
    /// What is ordered; `None`: nothing any more (a tombstone).
    pub kind: Option<Kind>,
}

/// What one operator ordered at one time: one subject, or several that stand or fall together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When, and on which node.
    pub stamp: Stamp,
    /// Who.
    pub owner: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When it ends by itself, in milliseconds since 1970-01-01T00:00:00Z.
    pub expires: Option<u64>,
    /// The reason given for breaking a rule, with the rule.
    pub broke: Option<Arc<str>>,
    /// The drill that it begins, or ends; orders of class drill come with it and no others do.
    pub drill: Option<Drill>,
    /// The request that gave it, where that bore a key of its own: whoever sends it again, anywhere,
    /// is found out.
    pub mark: Option<Mark>,
    /// What is ordered; no subject twice.
    pub entries: Vec<Entry>,
    /// Records with a later stamp that the operator knew of and overruled.
    pub voids: Vec<Stamp>,
    /// The author's signature over [`Record::signed_text`].
    pub signed: Option<Signed>,
}

/// Why something is no record.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordError {
    /// Of a version this program does not know.
    #[error("the order is of version `{0}`, which this version of tradewind does not know")]
    Version(String),
    /// Something in it is not as it must be.
    #[error("the order is malformed: {0}")]
    Malformed(&'static str),
}

impl Record {
    /// Most subjects of one record.
    pub const MAX_ENTRIES: usize = 32;
    /// Most overruled records.
    pub const MAX_VOIDS: usize = 16;
    /// Longest name of an owner in octets.
    pub const MAX_OWNER: usize = 100;
    /// Longest reason in octets.
    pub const MAX_REASON: usize = 500;
    /// Longest text of a rule that was broken, with the reason for it, in octets.
    pub const MAX_BROKE: usize = 1_000;
    /// Longest name of a subject in octets: that of a DNS name with every octet escaped.
    pub const MAX_NAME: usize = 1_020;

    /// The node that took the order.
    pub fn author(&self) -> &Arc<str> {
        &self.stamp.node
    }

    /// Whether it has ended by itself.
    pub fn has_expired(&self, now_ms: u64) -> bool {
        self.expires.is_some_and(|end| end <= now_ms)
    }

    /// Checks lengths and counts.
    ///
    /// # Errors
    /// Says which bound does not hold.
    pub fn check(&self) -> Result<(), RecordError> {
        let bounds = [
            (
                !self.entries.is_empty() && self.entries.len() <= Self::MAX_ENTRIES,
                "it must be about 1 to 32 things",
            ),
            (
                self.voids.len() <= Self::MAX_VOIDS,
                "it overrules more than 16 orders",
            ),
            (
                !self.owner.is_empty() && self.owner.len() <= Self::MAX_OWNER,
                "the owner must have 1 to 100 octets",
            ),
            (
                self.reason.len() <= Self::MAX_REASON,
                "the reason must have at most 500 octets",
            ),
            (
                self.broke
                    .as_ref()
                    .is_none_or(|b| b.len() <= Self::MAX_BROKE),
                "the reason for breaking a rule is too long",
            ),
            (
                self.entries
                    .iter()
                    .all(|e| !e.subject.name.is_empty() && e.subject.name.len() <= Self::MAX_NAME),
                "a name must have 1 to 1020 octets",
            ),
            (
                self.entries.iter().all(|e| match e.kind {
                    Some(Kind::Weight(w)) => w <= Weight::MAX,
                    _ => true,
                }),
                "a weight must be at most 1,000,000",
            ),
            (
                self.entries
                    .iter()
                    .all(|e| e.kind.is_none_or(|k| k.class() == e.subject.class)),
                "drill, state, weight and failback are four different orders",
            ),
            (
                self.entries.iter().all(|e| {
                    let begins = matches!(e.kind, Some(Kind::Drill(_)));
                    let drills = e.subject.class == Class::Drill;
                    (!begins || self.drill.is_some()) && (drills || self.drill.is_none())
                }),
                "a drill's orders come with its name, and no others do",
            ),
            (
                self.entries
                    .iter()
                    .enumerate()
                    .all(|(i, e)| self.entries[..i].iter().all(|o| o.subject != e.subject)),
                "the same subject stands there twice",
            ),
        ];
        if let Some(drill) = &self.drill {
            drill.check()?;
        }
        match bounds.iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(RecordError::Malformed(what)),
            None => Ok(()),
        }
    }
}
