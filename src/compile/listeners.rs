//! The listeners of a node.

use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::config::spec::{ListenerSpec, NodeSpec, Role};
use crate::config::{Marked, Sources, Spec};
use crate::ids::{ListenerId, UpstreamId};
use crate::net::HostAddress;
use crate::traffic::{Listener, ProxyNode, Vip};

use super::features::Shared;
use super::{Problems, layer4};

/// Time for VRRP to move a VIP away from a node that stops, where the node does not say: two checks a
/// second apart, and an advertisement.
const LEAVE: Duration = Duration::from_secs(3);

/// The nodes that carry traffic: the one called `wanted`, or all.
pub(super) fn nodes_with_proxy<'s>(
    spec: &'s Spec,
    wanted: Option<&str>,
) -> impl Iterator<Item = &'s NodeSpec> {
    let is_wanted = move |n: &NodeSpec| wanted.is_none_or(|w| n.name.as_str() == w);
    let nodes = spec.nodes.iter();
    nodes.filter(move |n| is_wanted(n) && super::node::has(n, Role::Proxy))
}

/// The listeners that `node` has, in the order of the file.
pub(super) fn listeners_of<'s>(
    spec: &'s Spec,
    node: &'s NodeSpec,
) -> impl Iterator<Item = &'s ListenerSpec> {
    let own = node.proxy.listeners.as_ref();
    let has = move |l: &ListenerSpec| own.is_none_or(|o| o.iter().any(|o| o.value == l.name.value));
    spec.listeners.iter().filter(move |l| has(l))
}

/// The listeners that `node` has, in the order of the file, with their places in the file.
pub(super) fn listeners(
    spec: &Spec,
    node: &NodeSpec,
    shared: &Shared<'_>,
    upstreams: &HashMap<&str, UpstreamId>,
    p: &mut Problems,
) -> Vec<Listener> {
    let places = listeners_of(spec, node).enumerate();
    let places: HashMap<&str, ListenerId> = places
        .map(|(at, l)| (l.name.as_str(), ListenerId::from_index(at)))
        .collect();
    listeners_of(spec, node)
        .map(|l| {
            let mut listener = l.settings.clone();
            listener.protocol = layer4::protocol(l, upstreams, &places, p);
            listener.features.common = shared.features(&l.features, p);
            listener
        })
        .collect()
}

/// Where the configuration names an address of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerPlace {
    /// The listener's name.
    pub listener: Box<str>,
    /// The address.
    pub address: SocketAddr,
    /// `file:line:column`
    pub at: Box<str>,
}

/// Where the configuration names the addresses of the listeners that `node` has.
pub(super) fn places(spec: &Spec, node: &NodeSpec, sources: &Sources) -> Vec<ListenerPlace> {
    let all = listeners_of(spec, node).filter(|_| super::node::has(node, Role::Proxy));
    let place = |l: &ListenerSpec, bind: &Marked<SocketAddr>| ListenerPlace {
        listener: l.name.as_str().into(),
        address: bind.value,
        at: format!(
            "{}:{}",
            sources.path(bind.span.file).display(),
            sources.line_col(bind.span)
        )
        .into(),
    };
    all.flat_map(|l| l.bind.iter().map(move |bind| place(l, bind)))
        .collect()
}

/// What the node's own table says.
pub(super) fn node(node: &NodeSpec, vips: &[Vip]) -> ProxyNode {
    let own = || vips.iter().filter(|v| v.place(&node.name).is_some());
    let leave = if own().next().is_some() {
        LEAVE
    } else {
        Duration::ZERO
    };
    let cores = std::thread::available_parallelism().map_or(1, |c| c.get() as u32);
    ProxyNode {
        name: node.name.as_str().into(),
        region: node.region.as_str().into(),
        zone: node.proxy.zone.as_deref().map(Into::into),
        cache_dir: node
            .state_dir
            .as_ref()
            .map(|d| d.value.join("cache").into()),
        workers: node.proxy.workers.unwrap_or(cores),
        drain_timeout: node.proxy.drain_timeout,
        clients: node.proxy.clients,
        leave_delay: node.proxy.leave_delay.unwrap_or(leave),
        vips: own()
            .flat_map(|v| v.addresses.iter().map(HostAddress::address))
            .collect(),
    }
}
