//! Sites: where vantages stand. Vantages of one region and one autonomous system see the network alike,
//! so they are one site.

use crate::ids::{RegionId, SiteId, VantageId};

/// A site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteAt {
    /// What it is called: its region, with the AS where several sites are in that region.
    pub name: Box<str>,
    /// Its region.
    pub region: RegionId,
    /// Its autonomous system, where the configuration names it.
    pub asn: Option<u32>,
}

/// All sites and vantages of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sites {
    /// By [`SiteId`].
    pub sites: Vec<SiteAt>,
    /// By [`VantageId`]: the node's name and its site; sorted by name.
    pub vantages: Vec<(Box<str>, SiteId)>,
}

impl Sites {
    /// The sites of these vantages: name of the node, its region with that one's name, its AS. The
    /// order in which they come means nothing (requirement O6).
    pub fn of<'a>(
        vantages: impl IntoIterator<Item = (&'a str, (RegionId, &'a str), Option<u32>)>,
    ) -> Sites {
        let mut all: Vec<_> = vantages.into_iter().collect();
        all.sort_unstable();
        let mut places: Vec<_> = all.iter().map(|(_, r, asn)| (r.1, r.0, *asn)).collect();
        places.sort_unstable();
        places.dedup();
        let alone = |name: &str| places.iter().filter(|(n, ..)| *n == name).count() == 1;
        let sites = places.iter().map(|(name, region, asn)| SiteAt {
            name: match asn {
                Some(asn) if !alone(name) => format!("{name}/AS{asn}").into(),
                _ => (*name).into(),
            },
            region: *region,
            asn: *asn,
        });
        let at = |place: &(&str, RegionId, Option<u32>)| {
            let found = places.iter().position(|p| p == place);
            SiteId::from_index(found.expect("every vantage has a place"))
        };
        let named = all
            .iter()
            .map(|(name, r, asn)| ((*name).into(), at(&(r.1, r.0, *asn))));
        Sites {
            sites: sites.collect(),
            vantages: named.collect(),
        }
    }

    /// The vantage on the node called `name`.
    pub fn vantage(&self, name: &str) -> Option<VantageId> {
        let found = self.vantages.binary_search_by(|(n, _)| (**n).cmp(name));
        found.ok().map(VantageId::from_index)
    }

    /// Where a vantage stands.
    pub fn site_of(&self, vantage: VantageId) -> SiteId {
        self.vantages[vantage.index()].1
    }

    /// A site by its number.
    pub fn site(&self, id: SiteId) -> &SiteAt {
        &self.sites[id.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vantages_of_one_region_and_system_are_one_site() {
        let (eu, us) = ((RegionId(1), "eu"), (RegionId(0), "us"));
        let sites = Sites::of([
            ("us1", us, None),
            ("eu2", eu, Some(64500)),
            ("eu1", eu, Some(64500)),
            ("eu3", eu, Some(64501)),
        ]);
        let names: Vec<&str> = sites.sites.iter().map(|s| &*s.name).collect();
        assert_eq!(names, ["eu/AS64500", "eu/AS64501", "us"]);
        let at: Vec<u32> = ["eu1", "eu2", "eu3", "us1"]
            .map(|v| sites.site_of(sites.vantage(v).unwrap()).0)
            .to_vec();
        assert_eq!(at, [0, 0, 1, 2]);
        assert_eq!(sites.vantage("ap1"), None);
    }
}
