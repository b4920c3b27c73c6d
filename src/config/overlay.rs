//! Ports and folders that the command line replaces.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::spec::{NodeSpec, Spec};

/// What to replace in a [`Spec`]; the default replaces nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overlay {
    /// Port of all DNS listeners of all nodes; 0 picks a free one.
    pub dns_port: Option<u16>,
    /// Port of all admin listeners of all nodes; 0 picks a free one.
    pub admin_port: Option<u16>,
    /// Ports of endpoints by name; names that no endpoint has are ignored.
    pub endpoint_ports: BTreeMap<String, u16>,
    /// State directory of all nodes.
    pub state_dir: Option<PathBuf>,
}

impl Spec {
    /// Replaces them.
    pub fn apply(&mut self, overlay: &Overlay) {
        for node in &mut self.nodes {
            node.apply(overlay);
        }
        for endpoint in self.pools.iter_mut().flat_map(|p| &mut p.endpoints) {
            if let Some(port) = overlay.endpoint_ports.get(&endpoint.name.value) {
                let span = endpoint
                    .port
                    .as_ref()
                    .map_or(endpoint.name.span, |p| p.span);
                endpoint.port = Some(super::Marked::new(*port, span));
            }
        }
    }
}

impl NodeSpec {
    fn apply(&mut self, overlay: &Overlay) {
        if let Some(port) = overlay.dns_port {
            for listen in &mut self.dns_listen {
                listen.value.set_port(port);
            }
        }
        if let (Some(port), Some(listen)) = (overlay.admin_port, &mut self.admin_listen) {
            listen.value.set_port(port);
        }
        if let Some(dir) = &overlay.state_dir {
            self.state_dir = Some(super::Marked::new(dir.clone(), self.name.span));
        }
    }
}
