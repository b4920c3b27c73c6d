//! Client → sites: whose round-trip times are the best guess at a client's own.
//!
//! A client is where its location says; the vantages of its own network within 1,000 km count as at no
//! distance at all. Of the three nearest sites each speaks with the weight 1 / (d + 100 km)², and the
//! estimate is the weighted median. Of three values that is the nearest site's when its weight is more
//! than half of all, and else the middle one, whatever the weights are: so clients fall into few
//! classes, by the order of their sites and whether the first one dominates.

use crate::geo::Location;
use crate::health::Sites;
use crate::ids::SiteId;

use super::Region;

/// Most sites that speak for a client.
pub const MOST: usize = 3;

/// Sites of a client's own network count as near within this many kilometres: a network may span
/// continents.
const SAME_NETWORK_KM: f64 = 1_000.0;

/// Which sites speak for a client, nearest first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SiteKey {
    sites: [SiteId; MOST],
    len: u8,
    dominated: bool,
}

impl SiteKey {
    /// The sites, nearest first.
    pub fn sites(&self) -> &[SiteId] {
        &self.sites[..usize::from(self.len)]
    }

    /// Whether the first site weighs more than the others together.
    pub fn is_dominated(&self) -> bool {
        self.dominated
    }

    /// The sites that speak for a client at `location`. Where there is one site it speaks for all;
    /// where nothing is known of the client's place and network, none does.
    pub fn of(sites: &Sites, regions: &[Region], location: &Location) -> SiteKey {
        if sites.sites.len() == 1 {
            return SiteKey::from([SiteId(0)].as_slice(), true);
        }
        // Distance as it counts, true distance.
        let mut near: Vec<(f64, f64, SiteId)> = Vec::with_capacity(sites.sites.len());
        for (i, site) in sites.sites.iter().enumerate() {
            let there = regions[site.region.index()].coordinates;
            let km = location.coordinates.map(|c| c.km_to(there));
            let same_network = location.asn.is_some() && location.asn == site.asn;
            let counts = match km {
                Some(km) if same_network && km <= SAME_NETWORK_KM => 0.0,
                Some(km) => km,
                None if same_network => 0.0,
                None => continue,
            };
            near.push((counts, km.unwrap_or(0.0), SiteId::from_index(i)));
        }
        near.sort_by(|a, b| {
            let by_km = a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
            by_km.then(a.2.cmp(&b.2))
        });
        near.truncate(MOST);
        let weight = |km: f64| (km + 100.0).powi(-2);
        let all: f64 = near.iter().map(|n| weight(n.0)).sum();
        let dominated = near.first().is_some_and(|n| weight(n.0) * 2.0 > all);
        let sites: Vec<SiteId> = near.iter().map(|n| n.2).collect();
        SiteKey::from(&sites, dominated)
    }

    fn from(sites: &[SiteId], dominated: bool) -> SiteKey {
        let mut key = SiteKey {
            sites: [SiteId::default(); MOST],
            len: sites.len() as u8,
            dominated,
        };
        key.sites[..sites.len()].copy_from_slice(sites);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Coordinates;
    use crate::ids::RegionId;

    fn regions() -> Vec<Region> {
        let at = [
            ("fra", 50.1, 8.7),
            ("par", 48.9, 2.4),
            ("iad", 38.9, -77.5),
            ("sin", 1.4, 103.8),
        ];
        let region = |(name, lat, lon): (&str, f64, f64)| Region {
            name: name.into(),
            coordinates: Coordinates::new(lat, lon).unwrap(),
        };
        at.map(region).to_vec()
    }

    /// Sites fra, iad, par/AS64500, par/AS64501, sin in the order of their names.
    fn sites() -> Sites {
        Sites::of([
            ("a", (RegionId(0), "fra"), None),
            ("b", (RegionId(1), "par"), Some(64500)),
            ("c", (RegionId(1), "par"), Some(64501)),
            ("d", (RegionId(2), "iad"), Some(64501)),
            ("e", (RegionId(3), "sin"), None),
        ])
    }

    fn key(at: Option<(f64, f64)>, asn: Option<u32>) -> (Vec<String>, bool) {
        let location = Location {
            coordinates: at.map(|(lat, lon)| Coordinates::new(lat, lon).unwrap()),
            asn,
            ..Location::default()
        };
        let sites = sites();
        let key = SiteKey::of(&sites, &regions(), &location);
        let name = |s: &SiteId| sites.site(*s).name.to_string();
        (key.sites().iter().map(name).collect(), key.is_dominated())
    }

    #[test]
    fn the_nearest_sites_speak_and_those_of_the_clients_network_before_them() {
        let berlin = Some((52.5, 13.4));
        let three = |a: &str, b: &str, c: &str| vec![a.to_owned(), b.to_owned(), c.to_owned()];
        assert_eq!(
            key(berlin, None),
            (three("fra", "par/AS64500", "par/AS64501"), true)
        );
        // Paris is 880 km off, and of the client's network.
        assert_eq!(
            key(berlin, Some(64501)),
            (three("par/AS64501", "fra", "par/AS64500"), true)
        );
        // The network's site in Virginia does not count as near.
        let tokyo = Some((35.7, 139.7));
        assert_eq!(key(tokyo, Some(64501)).0[0], "sin");
        // Between Frankfurt and Paris nobody dominates.
        assert!(!key(Some((49.5, 5.5)), None).1);
    }

    #[test]
    fn where_nothing_is_known_of_the_client_no_site_speaks() {
        assert_eq!(key(None, None), (vec![], false));
        assert_eq!(
            key(None, Some(64500)),
            (vec!["par/AS64500".to_owned()], true)
        );
        let one = Sites::of([("a", (RegionId(0), "fra"), None)]);
        let key = SiteKey::of(&one, &regions(), &Location::default());
        assert_eq!(key.sites(), [SiteId(0)]);
    }
}
