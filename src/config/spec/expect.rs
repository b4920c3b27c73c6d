//! `[[expect]]`.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Marked, Span};
use crate::dns::name::WireName;
use crate::net::Prefix;
use crate::overrides::ScopeKind;

/// An item of `[[expect]]`
#[derive(Clone, PartialEq, Debug)]
pub struct ExpectSpec {
    /// Where it stands.
    pub span: Span,
    /// `name`
    pub name: Marked<WireName>,
    /// `type`: `A`, `AAAA` or `HTTPS`.
    pub qtype: String,
    /// `client`, and whether it is a network; `None`: whoever asks.
    pub client: Option<(Marked<Prefix>, bool)>,
    /// `down`
    pub down: Vec<Marked<ThingSpec>>,
    /// `drained`
    pub drained: Vec<Marked<ThingSpec>>,
    /// `rtt`
    pub rtt: Vec<(Marked<ThingSpec>, Duration)>,
    /// `answer`: of each something, and nothing else; empty: anything.
    pub answer: Vec<Marked<AnswerSpec>>,
    /// `not`
    pub not: Vec<Marked<AnswerSpec>>,
    /// `region`
    pub region: Option<Marked<String>>,
    /// `share`, in percent.
    pub shares: Vec<(Marked<ThingSpec>, u32)>,
    /// `share-tolerance`, in percentage points.
    pub tolerance: u32,
    /// `ttl-max`
    pub ttl_max: Option<Marked<Duration>>,
    /// `standing`, in its words.
    pub standing: Option<Marked<String>>,
    /// `because`
    pub because: Option<String>,
}

/// An endpoint, a pool or a region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThingSpec {
    /// Its kind, where it is said.
    pub kind: Option<ScopeKind>,
    /// Its name.
    pub name: String,
}

/// Something that may be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnswerSpec {
    /// An address.
    Address(IpAddr),
    /// The endpoints of this.
    Thing(ThingSpec),
    /// A CNAME to this target.
    Cname(WireName),
    /// The name has nothing of the type.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// SERVFAIL.
    ServFail,
}
