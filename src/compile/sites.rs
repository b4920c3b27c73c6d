//! Sites: where the vantages of the council stand on the map.

use crate::health::Sites;
use crate::health::council::Rules;
use crate::health::latency::SiteAt;

use super::pools::Regions;

/// The sites and vantages of the council, by the same numbers. `None` where a region is unknown, which
/// is reported.
pub(super) fn sites(rules: &Rules, regions: &Regions<'_>) -> Option<Sites> {
    let several = |region: &str| rules.sites.iter().filter(|s| &*s.region == region).count() > 1;
    let sites = rules.sites.iter().map(|site| {
        let name = match site.asn {
            Some(asn) if several(&site.region) => format!("{}/AS{asn}", site.region).into(),
            _ => site.region.clone(),
        };
        Some(SiteAt {
            name,
            region: *regions.by_name.get(&*site.region)?,
            asn: site.asn,
        })
    });
    let vantages = rules.vantages.iter().map(|v| (v.name.clone(), v.site));
    Some(Sites {
        sites: sites.collect::<Option<_>>()?,
        vantages: vantages.collect(),
    })
}
