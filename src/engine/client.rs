//! Who asks: the network in the ECS option, or the resolver itself.

use std::net::IpAddr;

use crate::ids::NameId;
use crate::net::Prefix;
use crate::snapshot::View;
use crate::steer::{Chosen, Client, ClientSource, Decision};
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
}

impl Who {
    /// The scope to send back (requirements E4, E5).
    pub(super) fn scope(&self, decision: &Decision) -> ScopeLen {
        match self.why {
            Why::NoEcs | Why::Ignored => ScopeLen(0),
            Why::Ecs | Why::Bogon if decision.chosen == Chosen::NoData => ScopeLen(0),
            Why::Ecs | Why::Bogon => decision.scope,
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
    let (slot, len) = shape.partition.lookup(addr);
    if slot.bogon {
        return resolver(Why::Bogon, ClientSource::ResolverForBogon(len));
    }
    Who {
        client: Client {
            addr,
            source: ClientSource::Ecs(network.len()),
        },
        why: Why::Ecs,
    }
}
