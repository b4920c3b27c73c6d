//! What is asked of steering, and what it answers.

use std::net::IpAddr;

use crate::ids::{EndpointId, NameId};
use crate::net::Family;
use crate::time::Moment;
use crate::units::{ScopeLen, Ttl};

/// Most endpoints in one answer.
pub const MAX_ANSWERS: usize = 32;

/// Where the client address came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ClientSource {
    /// An ECS option with this source prefix length, 1 or longer.
    Ecs(u8),
    /// The resolver's own address: no ECS, SOURCE/0, or ECS is ignored for the name.
    Resolver,
    /// The resolver's own address, because the ECS address is of the special-purpose space; the
    /// scope is this many bits, the widest prefix around it for which that is so (requirement E7).
    ResolverForBogon(u8),
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// The address that decides; bits beyond the ECS source length are zero.
    pub addr: IpAddr,
    /// Where it came from.
    pub source: ClientSource,
}

/// Chance as an argument, so that explain replays a query exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draw {
    /// Uniform random bits: `weighted`, `random` and the order of several answers.
    pub random: u64,
    /// This worker's query count for the name and family: `round-robin`.
    pub turn: u32,
}

/// One question to steering.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The steered name.
    pub name: NameId,
    /// A or AAAA; irrelevant for a CNAME name.
    pub family: Family,
    /// Who asks.
    pub client: Client,
    /// The present.
    pub now: Moment,
    /// Chance.
    pub draw: Draw,
}

/// A short list of endpoints without heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picks {
    items: [EndpointId; MAX_ANSWERS],
    len: u8,
}

impl Default for Picks {
    fn default() -> Self {
        Picks {
            items: [EndpointId(0); MAX_ANSWERS],
            len: 0,
        }
    }
}

impl Picks {
    /// Adds one; beyond [`MAX_ANSWERS`] it is dropped.
    pub fn push(&mut self, e: EndpointId) {
        if usize::from(self.len) < MAX_ANSWERS {
            self.items[usize::from(self.len)] = e;
            self.len += 1;
        }
    }

    /// The picks in answer order.
    pub fn as_slice(&self) -> &[EndpointId] {
        &self.items[..usize::from(self.len)]
    }
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// These endpoints' addresses of the asked family (or the first one's CNAME for a CNAME name).
    /// Never empty.
    Endpoints(Picks),
    /// The group's [`super::LastResort::Cname`].
    LastResortCname,
    /// SERVFAIL.
    ServFail,
    /// The name does not answer this family: NODATA with scope 0 (requirement E5).
    NoData,
}

/// How good the answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// From a live, positive-weight, non-backup member.
    Normal,
    /// As normal, but among those offered is one that fails its checks and that automation keeps in:
    /// too much would go at once, or the check is suspect (requirement F3: loud).
    Held,
    /// From zero-weight or backup members, a pool below its `min-live` or lacking one family, or
    /// endpoints whose first probe is awaited.
    Degraded,
    /// From the last resort: nothing eligible is live (requirement F3: loud).
    LastResort,
}

/// The decision for one query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// What is answered.
    pub chosen: Chosen,
    /// For how long.
    pub ttl: Ttl,
    /// For whom: the ECS scope, or what it would be had the query carried ECS.
    pub scope: ScopeLen,
    /// How good it is.
    pub standing: Standing,
    /// Whether an operator's override took part in it.
    pub overridden: bool,
}
