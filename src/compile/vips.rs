//! The virtual addresses: who may have them, and whether those nodes can serve them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::config::spec::{EndpointSpec, ListenerSpec, NodeSpec, Role, VipSpec};
use crate::config::{Marked, Spec};
use crate::health::VipEndpoint;
use crate::ids::EndpointId;
use crate::net::{Family, HostAddress};
use crate::steer::Endpoint;
use crate::traffic::vip::{Vip, VipNode};

use super::{Problems, node};

/// All VIPs, in the order of the file; those with errors may be missing.
pub(super) fn vips(spec: &Spec, p: &mut Problems) -> Vec<Vip> {
    one_address_each(spec, p);
    one_router_id_each(spec, p);
    let vips = spec.vips.iter();
    vips.filter_map(|vip| one(spec, vip, p)).collect()
}

/// The endpoints that are VIPs whose proxies the node called `wanted` hears of: itself, and in a fleet the
/// other members. Of other proxies it would wait for a word that never comes.
pub(super) fn endpoints(
    spec: &Spec,
    vips: &[Vip],
    endpoints: &[Endpoint],
    wanted: Option<&str>,
) -> Arc<[VipEndpoint]> {
    let in_fleet = |name: &str| find(spec, name).is_some_and(|n| n.fleet.is_some());
    let Some(wanted) = wanted else {
        return Arc::default();
    };
    let hears = |node: &VipNode| *node.name == *wanted || in_fleet(wanted) && in_fleet(&node.name);
    let heard = vips.iter().filter(|v| v.nodes.iter().all(hears));
    let mut by_address: HashMap<IpAddr, Arc<[Box<str>]>> = HashMap::new();
    for vip in heard {
        let nodes: Arc<[Box<str>]> = vip.nodes.iter().map(|n| n.name.clone()).collect();
        let addresses = vip.addresses.iter();
        by_address.extend(addresses.map(|a| (a.address(), nodes.clone())));
    }
    let all = endpoints.iter().enumerate().filter(|(_, e)| e.enabled);
    let vip = |(i, e): (usize, &Endpoint)| {
        let nodes = by_address.get(&e.address?)?.clone();
        Some(VipEndpoint {
            endpoint: EndpointId::from_index(i),
            at: SocketAddr::new(e.address?, e.port),
            nodes,
        })
    };
    all.filter_map(vip).collect()
}

fn one(spec: &Spec, vip: &VipSpec, p: &mut Problems) -> Option<Vip> {
    let good: Vec<bool> = vip.addresses.iter().map(|a| can_move(vip, a, p)).collect();
    let mut nodes: Vec<&NodeSpec> = Vec::new();
    for named in &vip.nodes {
        match find(spec, named) {
            None => p.dangling(),
            Some(n) => {
                carries_traffic(vip, named, n, p);
                if let Some(first) = nodes.first() {
                    one_region(vip, named, (first, n), p);
                }
                if node::has(n, Role::Proxy) && vip.complete {
                    is_listened_on(spec, vip, n, p);
                    reaches_peers(vip, named, n, p);
                }
                nodes.push(n);
            }
        }
    }
    if let ([_], [alone], true) = (&vip.nodes[..], &nodes[..], vip.complete) {
        let text = format!(
            "VIP `{}` has one node, `{}`: nobody takes it over",
            vip.name.value, alone.name.value
        );
        p.warning(vip.nodes[0].span, text).help =
            Some("name a second proxy of the region in `nodes`".to_owned());
    }
    for (address, _) in vip.addresses.iter().zip(good).filter(|(_, good)| *good) {
        leads_clients_here(spec, vip, address, nodes.first().copied(), p);
    }
    let interface = |n: &NodeSpec| {
        let mut own = vip.interfaces.iter();
        let own = own.find(|(name, _)| *name.value == *n.name);
        own.map(|(_, i)| i.as_str())
            .or(vip.interface.as_ref().map(|i| i.as_str()))
    };
    let nodes = nodes.into_iter().map(|n| {
        Some(VipNode {
            name: n.name.as_str().into(),
            interface: interface(n)?.into(),
            addresses: n.proxy.addresses.iter().map(|a| a.value).collect(),
        })
    });
    Some(Vip {
        name: vip.name.as_str().into(),
        addresses: vip.addresses.iter().map(|a| a.value).collect(),
        router_id: vip.router_id.value,
        advert_interval: vip.advert_interval,
        preempt: vip.preempt,
        track: vip.track.iter().map(|t| t.as_str().into()).collect(),
        unicast: vip.unicast.value,
        nodes: nodes.collect::<Option<_>>()?,
    })
}

fn find<'s>(spec: &'s Spec, name: &str) -> Option<&'s NodeSpec> {
    spec.nodes.iter().find(|n| *n.name == *name)
}

/// Some addresses belong to one machine or to nobody.
fn can_move(vip: &VipSpec, address: &Marked<HostAddress>, p: &mut Problems) -> bool {
    let ip = address.address();
    let network = address.network();
    let family = address.family();
    let host_bits = family.bits() - network.len();
    let link_local = match ip {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    let (what, help) = if link_local {
        (
            "is link-local: routers do not pass it on, and clients of other networks cannot reach it",
            "give an address of the network that clients reach",
        )
    } else if ip.is_loopback() {
        (
            "is a loopback address, which every machine has for itself",
            "give an address of the network that clients reach",
        )
    } else if ip.is_multicast() || ip.is_unspecified() {
        ("is not the address of one host", "give a unicast address")
    } else if ip == network.addr() && host_bits > 1 {
        (
            "is the address of its network, not of a host in it",
            "give one of the network's other addresses, or the prefix length that it really has",
        )
    } else if family == Family::V4 && ip == network.last() && host_bits > 1 {
        (
            "is the broadcast address of its network",
            "give one of the network's other addresses, or the prefix length that it really has",
        )
    } else {
        return true;
    };
    let text = format!("{} of VIP `{}` {what}", address.value, vip.name.value);
    p.error(address.span, text).help = Some(help.to_owned());
    false
}

fn carries_traffic(vip: &VipSpec, named: &Marked<String>, n: &NodeSpec, p: &mut Problems) {
    if node::has(n, Role::Proxy) {
        return;
    }
    let text = format!(
        "VIP `{}` names node `{}`, which has not the role `proxy`: what came to the VIP there would \
         find nobody",
        vip.name.value, n.name.value
    );
    p.error(named.span, text).help =
        Some("add `\"proxy\"` to the node's `roles`, or name nodes that have it".to_owned());
}

/// VRRP moves an address within one network.
fn one_region(
    vip: &VipSpec,
    named: &Marked<String>,
    (first, n): (&NodeSpec, &NodeSpec),
    p: &mut Problems,
) {
    if first.region.value == n.region.value {
        return;
    }
    let text = format!(
        "VIP `{}` has nodes of two regions: `{}` stands in `{}`, `{}` in `{}`",
        vip.name.value, first.name.value, first.region.value, n.name.value, n.region.value
    );
    let d = p.error(named.span, text);
    d.related
        .push((first.region.span, "the region of the first".to_owned()));
    d.help = Some(
        "VRRP moves an address within one network; between regions DNS moves clients: make a VIP for \
         each region and an endpoint of each"
            .to_owned(),
    );
}

/// What comes to the VIP must come to a listener, on every node that may have it.
fn is_listened_on(spec: &Spec, vip: &VipSpec, n: &NodeSpec, p: &mut Problems) {
    let listeners = || listeners_of(spec, n);
    // Of what could not be read nothing follows.
    if listeners().any(|l| l.bind.is_empty()) {
        return;
    }
    for address in &vip.addresses {
        let ip = address.address();
        if listeners().any(|l| l.bind.iter().any(|b| covers(b.value, ip))) {
            continue;
        }
        let bound: Vec<String> = listeners()
            .flat_map(|l| {
                l.bind
                    .iter()
                    .map(|b| format!("{} (`{}`)", b.value, *l.name))
            })
            .collect();
        let bound = match &bound[..] {
            [] => "it has none".to_owned(),
            some => format!("they are on {}", some.join(", ")),
        };
        let any = match ip {
            IpAddr::V4(_) => "0.0.0.0:443".to_owned(),
            IpAddr::V6(_) => "[::]:443".to_owned(),
        };
        let text = format!(
            "no listener of node `{}` takes what comes to {ip} of VIP `{}`; {bound}",
            n.name.value, vip.name.value
        );
        p.error(address.span, text).help = Some(format!(
            "bind a listener of the node to \"{}\" or to \"{any}\"",
            SocketAddr::new(ip, 443)
        ));
    }
}

/// The listeners that a node has.
pub(super) fn listeners_of<'s>(
    spec: &'s Spec,
    n: &'s NodeSpec,
) -> impl Iterator<Item = &'s ListenerSpec> {
    let some = n.proxy.listeners.as_ref();
    let own = move |l: &str| some.is_none_or(|some| some.iter().any(|s| *s.value == *l));
    spec.listeners.iter().filter(move |l| own(&l.name))
}

/// Whether a socket bound to `bind` takes what comes to `ip`. A wildcard takes one family.
pub(super) fn covers(bind: SocketAddr, ip: IpAddr) -> bool {
    bind.ip() == ip || bind.ip().is_unspecified() && Family::of(bind.ip()) == Family::of(ip)
}

/// Unicast advertisements need an address of the family at both ends.
fn reaches_peers(vip: &VipSpec, named: &Marked<String>, n: &NodeSpec, p: &mut Problems) {
    for own in &n.proxy.addresses {
        if vip.addresses.iter().any(|a| a.address() == own.value) {
            let text = format!(
                "{} of node `{}` is an address of VIP `{}`, which moves",
                own.value, n.name.value, vip.name.value
            );
            p.error(own.span, text).help =
                Some("give the address that the node always has".to_owned());
        }
    }
    if !vip.unicast.value {
        return;
    }
    for family in Family::ALL {
        let of = n.proxy.addresses.iter();
        let mut of = of.filter(|a| Family::of(a.value) == family);
        let (first, second) = (of.next(), of.next());
        let wanted = vip.addresses.iter().any(|a| a.family() == family);
        if let (Some(first), Some(second)) = (first, second) {
            let text = format!(
                "node `{}` has two {family} addresses for its peers, {} and {}",
                n.name.value, first.value, second.value
            );
            p.error(second.span, text).help = Some("keep one per family".to_owned());
        } else if let (None, true) = (first, wanted) {
            let text = format!(
                "VIP `{}` has {family} addresses and `peers = \"unicast\"`, but node `{}` has no \
                 {family} address in `proxy.addresses`",
                vip.name.value, n.name.value
            );
            p.error(named.span, text).help = Some(format!(
                "add `addresses` to [nodes.{}.proxy], or take `peers = \"multicast\"`",
                n.name.value
            ));
        }
    }
}

/// Whether DNS or anything else here sends clients to the VIP, and from its own region.
fn leads_clients_here(
    spec: &Spec,
    vip: &VipSpec,
    address: &Marked<HostAddress>,
    first: Option<&NodeSpec>,
    p: &mut Problems,
) {
    if !spec.declared.pools_complete || !vip.complete {
        return;
    }
    let ip = address.address();
    let is = |e: &EndpointSpec| e.address.as_ref().is_some_and(|a| a.value == ip);
    let mut users = spec
        .pools
        .iter()
        .filter(|pool| pool.endpoints.iter().any(is))
        .peekable();
    if users.peek().is_none() {
        let text = format!(
            "no endpoint of a pool has the address {ip} of VIP `{}`: DNS sends nobody there",
            vip.name.value
        );
        p.warning(address.span, text).help = Some(format!(
            "add `{{ name = \"{}\", address = \"{ip}\", port = 443 }}` to the endpoints of a pool",
            vip.name.value
        ));
    }
    let Some(first) = first else { return };
    for pool in users.filter(|pool| pool.region.value != first.region.value) {
        let text = format!(
            "pool `{}` of region `{}` has the address {ip} of VIP `{}`, whose nodes stand in region \
             `{}`",
            pool.name.value, pool.region.value, vip.name.value, first.region.value
        );
        let endpoint = pool.endpoints.iter().find(|e| is(e));
        let at = endpoint.map_or(pool.region.span, |e| e.name.span);
        p.warning(at, text).help =
            Some("put the endpoint into a pool of the VIP's region".to_owned());
    }
}

/// Two virtual routers with one number in one network take each other's advertisements.
fn one_router_id_each(spec: &Spec, p: &mut Problems) {
    let mut seen: HashMap<(&str, u8), &VipSpec> = HashMap::new();
    for vip in spec.vips.iter().filter(|v| v.complete) {
        let region = vip.nodes.iter().find_map(|n| find(spec, n));
        let Some(region) = region.map(|n| n.region.as_str()) else {
            continue;
        };
        let id = vip.router_id.value;
        let Some(other) = seen.get(&(region, id)) else {
            seen.insert((region, id), vip);
            continue;
        };
        let text = format!(
            "VIPs `{}` and `{}` of region `{region}` have the same `router-id` {id}",
            other.name.value, vip.name.value
        );
        let d = p.error(vip.router_id.span, text);
        d.related
            .push((other.router_id.span, "the same one here".to_owned()));
        d.help = Some("give each VIP of a region a number of its own, 1 to 255".to_owned());
    }
}

/// An address is in one place at a time.
fn one_address_each(spec: &Spec, p: &mut Problems) {
    let mut seen: HashMap<IpAddr, (&VipSpec, crate::config::Span)> = HashMap::new();
    for vip in &spec.vips {
        for address in &vip.addresses {
            let ip = address.address();
            let Some((other, at)) = seen.get(&ip) else {
                seen.insert(ip, (vip, address.span));
                continue;
            };
            let text = if other.name.value == vip.name.value {
                format!("VIP `{}` has {ip} twice", vip.name.value)
            } else {
                format!(
                    "VIPs `{}` and `{}` have the same address {ip}",
                    other.name.value, vip.name.value
                )
            };
            let d = p.error(address.span, text);
            d.related.push((*at, "the same one here".to_owned()));
            d.help = Some("an address moves with one VIP: remove one of the two".to_owned());
        }
    }
}
