//! The listeners of a node.

use hashbrown::HashMap;

use crate::config::Spec;
use crate::config::spec::NodeSpec;
use crate::ids::UpstreamId;
use crate::traffic::{Listener, ProxyNode};

use super::Problems;
use super::features::Shared;
use super::layer4;

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
    spec.listeners
        .iter()
        .filter(|l| has(&l.name))
        .map(|l| {
            let mut listener = l.settings.clone();
            listener.protocol = layer4::protocol(l, upstreams, p);
            listener.features.common = shared.features(&l.features, p);
            listener
        })
        .collect()
}

/// What the node's own table says.
pub(super) fn node(node: &NodeSpec) -> ProxyNode {
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
    }
}
