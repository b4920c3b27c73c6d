//! A name in one of the two views: what it offers, by place and by address.

use std::collections::BTreeMap;

use crate::ids::{EndpointId, NameId, PlanId, ShapeId};
use crate::net::Family;
use crate::snapshot::View;
use crate::steer::{Shares, Told};

use super::report::Place;

/// One of the two views, and a name in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'v> {
    pub(super) view: &'v View,
    pub(super) name: NameId,
}

impl Side<'_> {
    pub(super) fn shares(&self, plan: PlanId, family: Family) -> Shares {
        let steering = &self.view.snapshot.steering;
        self.view
            .live
            .shares_of_plan(steering, self.name, plan, family)
    }

    pub(super) fn shape(&self) -> ShapeId {
        self.view.snapshot.steering.shape_id_of(self.name)
    }

    fn place(&self, e: EndpointId) -> Place {
        let steering = &self.view.snapshot.steering;
        let pool = &steering.pools[steering.endpoints[e.index()].pool.index()];
        Place::Region(steering.regions[pool.region.index()].name.clone())
    }

    /// What a resolver is told: an address or a target.
    fn data(&self, e: EndpointId) -> String {
        let e = &self.view.snapshot.steering.endpoints[e.index()];
        match (&e.cname, e.address) {
            (Some(target), _) => target.to_string(),
            (None, Some(address)) => address.to_string(),
            (None, None) => String::new(),
        }
    }

    pub(super) fn by_place(&self, shares: &Shares) -> BTreeMap<Place, f64> {
        let whole = |place| BTreeMap::from([(place, 1.0)]);
        match &shares.told {
            Told::LastResortCname => whole(Place::LastResort),
            Told::ServFail => whole(Place::ServFail),
            Told::NoData => whole(Place::NoData),
            Told::Endpoints(list) => {
                let mut out = BTreeMap::new();
                for (e, share) in list {
                    *out.entry(self.place(*e)).or_default() += share;
                }
                out
            }
        }
    }

    pub(super) fn by_data(&self, shares: &Shares) -> BTreeMap<String, f64> {
        match &shares.told {
            Told::Endpoints(list) => {
                let mut out = BTreeMap::new();
                for (e, share) in list {
                    *out.entry(self.data(*e)).or_default() += share;
                }
                out
            }
            // No address is written like this.
            other => BTreeMap::from([(format!("{other:?}"), 1.0)]),
        }
    }
}
