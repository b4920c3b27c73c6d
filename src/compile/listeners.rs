//! The listeners of a node.

use std::time::Duration;

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::NodeSpec;
use crate::ids::{ListenerId, UpstreamId};
use crate::net::HostAddress;
use crate::traffic::{Listener, ProxyNode, Vip};

use super::Problems;
use super::features::Shared;
use super::layer4;
use super::xdp;

/// Time for VRRP to move a VIP away from a node that stops, where the node does not say: two checks a
/// second apart, and an advertisement.
const LEAVE: Duration = Duration::from_secs(3);

/// The listeners that `node` has, in the order of the file, with their places in the file.
pub(super) fn listeners(
    spec: &Spec,
    node: &NodeSpec,
    shared: &Shared<'_>,
    upstreams: &HashMap<&str, UpstreamId>,
    p: &mut Problems,
) -> Vec<Listener> {
    let has = |name: &str| match &node.proxy.listeners {
        None => true,
        Some(some) => some.iter().any(|l| l.value == name),
    };
    let here = || spec.listeners.iter().filter(|l| has(&l.name));
    let places = here().enumerate();
    let places: HashMap<&str, ListenerId> = places
        .map(|(at, l)| (l.name.as_str(), ListenerId::from_index(at)))
        .collect();
    let own: Vec<_> = here().collect();
    xdp::check(spec, &own, p);
    own.into_iter()
        .map(|l| {
            let mut listener = l.settings.clone();
            listener.protocol = layer4::protocol(l, upstreams, &places, p);
            listener.features.common = shared.features(&l.features, p);
            listener
        })
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
