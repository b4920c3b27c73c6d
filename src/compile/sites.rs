//! Sites: where the nodes stand that probe.

use crate::config::Spec;
use crate::config::spec::Role;
use crate::health::Sites;

use super::pools::Regions;

/// The sites of all nodes with the role `probe`. Those of unknown regions are left out: the region is
/// reported.
pub(super) fn sites(spec: &Spec, regions: &Regions<'_>) -> Sites {
    let probing = spec
        .nodes
        .iter()
        .filter(|n| n.roles.iter().any(|r| r.value == Role::Probe));
    Sites::of(probing.filter_map(|n| {
        let region = n.region.as_str();
        let id = regions.by_name.get(region)?;
        Some((n.name.as_str(), (*id, region), None))
    }))
}
