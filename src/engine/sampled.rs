//! What a query and its answer say of the traffic: which name, which client network, which endpoints.
//!
//! For samples of what was answered, long after it was. The client network is found by the functions
//! that the answer was found by; the endpoints are read off the answer itself.

use std::net::IpAddr;

use hashbrown::HashMap;
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::BinEncodable;

use crate::dns::message::{NameBuf, parse};
use crate::dns::name::WireName;
use crate::dns::rtype;
use crate::ids::{EndpointId, NameId};
use crate::net::Prefix;
use crate::snapshot::View;
use crate::steer::{ClientSource, LastResort, Steering};
use crate::zone::Found;

use super::client::{Asker, who};

/// Client networks are told no finer than this: a /24 and a /48 are what resolvers send at most.
const NETWORK: (u8, u8) = (24, 48);

/// Which endpoints have an address or a CNAME target.
#[derive(Clone, Debug, Default)]
pub struct Index {
    addresses: HashMap<IpAddr, Vec<EndpointId>>,
    targets: HashMap<WireName, Vec<EndpointId>>,
}

impl Index {
    /// The index of all endpoints.
    pub fn of(steering: &Steering) -> Index {
        let mut index = Index::default();
        for (i, e) in steering.endpoints.iter().enumerate() {
            let id = EndpointId::from_index(i);
            if let Some(target) = &e.cname {
                index.targets.entry(target.clone()).or_default().push(id);
            }
            if let Some(address) = e.address {
                index.addresses.entry(address).or_default().push(id);
            }
        }
        index
    }
}

/// What was seen of one answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The steered name.
    pub name: NameId,
    /// The network that decided, at most a /24 or /48: of the ECS option, or the resolver's.
    pub client: Prefix,
    /// The endpoints answered, in order; none where the answer had none.
    pub endpoints: Vec<EndpointId>,
}

/// What the answer to an A, AAAA or CNAME query says; `None` where it is not steered.
///
/// `view` may be a later one than that which answered: what it does not know is left out.
pub fn seen(view: &View, index: &Index, query: &[u8], answer: &[u8], peer: IpAddr) -> Option<Seen> {
    let mut qname = NameBuf::default();
    let query = parse(query, &mut qname)?;
    let qtype = query.question?.qtype;
    if !matches!(qtype, rtype::A | rtype::AAAA | rtype::CNAME) {
        return None;
    }
    let answer = Message::from_vec(answer).ok()?;
    let steered = |owner: &[u8]| match view.snapshot.zones.lookup(owner, qtype).found {
        Found::Steered { name } => Some(name),
        _ => None,
    };
    let owners = answer.answers.iter().filter_map(|r| {
        let owner = r.name.to_lowercase().to_bytes().ok()?;
        steered(&owner)
    });
    let name = steered(qname.as_bytes()).or_else(|| owners.into_iter().next())?;
    let asker = Asker {
        resolver: peer.to_canonical(),
        network: query.edns.and_then(|e| e.ecs).and_then(|e| e.network()),
    };
    let client = who(view, name, asker).client;
    let widest = match client.addr {
        IpAddr::V4(_) => NETWORK.0,
        IpAddr::V6(_) => NETWORK.1,
    };
    let len = match client.source {
        ClientSource::Ecs(len) => len.min(widest),
        ClientSource::Resolver | ClientSource::ResolverForBogon(_) => widest,
    };
    let steering = &view.snapshot.steering;
    let mut endpoints = Vec::new();
    for record in &answer.answers {
        let found = match &record.data {
            RData::A(a) => index.addresses.get(&IpAddr::V4(a.0)),
            RData::AAAA(a) => index.addresses.get(&IpAddr::V6(a.0)),
            RData::CNAME(target) => target.to_lowercase().to_bytes().ok().and_then(|wire| {
                let target = WireName::from_wire(&wire).ok()?;
                index.targets.get(&target)
            }),
            _ => None,
        };
        // Two pools may have an endpoint of one address: the name's own one is meant.
        let own = found.into_iter().flatten();
        endpoints.extend(own.copied().find(|e| answers_for(steering, name, *e)));
    }
    Some(Seen {
        name,
        client: Prefix::containing(client.addr, len),
        endpoints,
    })
}

/// Whether `name` may be answered with `endpoint`.
fn answers_for(steering: &Steering, name: NameId, endpoint: EndpointId) -> bool {
    let group = steering.group_of(name);
    let pool = steering.endpoints[endpoint.index()].pool;
    group.members.iter().any(|m| m.pool == pool)
        || match &group.last_resort {
            LastResort::Pool(p) => *p == pool,
            LastResort::Endpoints(list) => list.contains(&endpoint),
            LastResort::AllEligible | LastResort::Cname(_) | LastResort::ServFail => false,
        }
}
