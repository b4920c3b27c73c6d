//! Who asks: the network in the ECS option, or the resolver itself.

use std::net::IpAddr;

use crate::geo::GeoTable;
use crate::ids::NameId;
use crate::net::Prefix;
use crate::snapshot::View;
use crate::steer::partition::Space;
use crate::steer::{Chooser, Chosen, Client, ClientSource, Decision};
use crate::units::ScopeLen;

/// Who asks, as far as the packet says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asker {
    /// The sender, IPv4 where it came v4-mapped.
    pub(super) resolver: IpAddr,
    /// The ECS network; `None` without the option and with SOURCE/0.
    pub(super) network: Option<Prefix>,
}

/// Why the client is who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// The ECS option says so.
    Ecs,
    /// There is no ECS network.
    NoEcs,
    /// The name ignores the ECS option.
    Ignored,
    /// The ECS network is special-purpose space (requirement E7).
    Bogon,
}

/// Who decides about the answer of one steered name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Who {
    /// For steering.
    pub(super) client: Client,
    /// Why.
    pub(super) why: Why,
    /// The scope is at least this long, beside what steering says.
    floor: u8,
}

impl Who {
    /// The scope to send back (requirements E4, E5).
    pub(super) fn scope(&self, decision: &Decision) -> ScopeLen {
        match self.why {
            Why::NoEcs | Why::Ignored => ScopeLen(0),
            Why::Ecs | Why::Bogon if decision.chosen == Chosen::NoData => ScopeLen(0),
            Why::Ecs | Why::Bogon => ScopeLen(decision.scope.0.max(self.floor)),
        }
    }
}

/// Who decides about `name`.
pub(super) fn who(view: &View, name: NameId, asker: Asker) -> Who {
    let resolver = |why, source| Who {
        client: Client {
            addr: asker.resolver,
            source,
        },
        why,
        floor: 0,
    };
    let Some(network) = asker.network else {
        return resolver(Why::NoEcs, ClientSource::Resolver);
    };
    let steering = &view.snapshot.steering;
    if steering.ignores_ecs(name) {
        return resolver(Why::Ignored, ClientSource::Resolver);
    }
    let addr = network.addr();
    let shape = steering.shape_of(name);
    let mut floor = 0;
    if let Space::ByAddress { .. } = shape.partition.space {
        let (slot, len) = shape.partition.lookup(addr);
        if slot.bogon {
            return resolver(Why::Bogon, ClientSource::ResolverForBogon(len));
        }
    } else if let Chooser::Sticky { .. } = steering.chooser_of(name) {
        // The policy does not look at places but hashes the client. The hashed prefix may hold
        // special-purpose addresses beside others, whom the resolver's address stands for: what is
        // one place in the geo table is never of both kinds.
        let place = view.snapshot.geo.locate(addr);
        if place.id == GeoTable::BOGON {
            return resolver(Why::Bogon, ClientSource::ResolverForBogon(place.len));
        }
        floor = place.len;
    }
    Who {
        client: Client {
            addr,
            source: ClientSource::Ecs(network.len()),
        },
        why: Why::Ecs,
        floor,
    }
}
