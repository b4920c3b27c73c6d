//! Round-trip times as shown.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::endpoints::contains;

use crate::ids::{EndpointId, SiteId};
use crate::snapshot::View;
use crate::time::Moment;

/// What the vantages measured, at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Latency {
    /// The view's number.
    pub generation: u64,
    /// By site.
    pub sites: Vec<Site>,
    /// Give it as `after` for the endpoints that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which endpoints are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// With this in their name.
    pub q: Option<String>,
    /// Whose names come after this one.
    pub after: Option<&'a str>,
    /// So many at most.
    pub limit: usize,
}

/// Where vantages stand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LatencySite)]
pub struct Site {
    /// Its name: the region, with the AS where a region has several.
    pub site: String,
    /// Its region.
    pub region: String,
    /// Its autonomous system, where the configuration names it.
    pub asn: Option<u32>,
    /// The nodes that measure there, by name.
    pub vantages: Vec<Vantage>,
    /// The endpoints that were measured from there, by name.
    pub endpoints: Vec<Endpoint>,
}

/// A node that measures.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MeasuringVantage)]
pub struct Vantage {
    /// Its name.
    pub node: String,
    /// `believed`, `frozen` (not heard for a minute), `blind` (says so itself) or `suspect` (most of
    /// what it measures moved, and no other vantage saw it).
    pub voice: &'static str,
    /// Seconds since it was heard.
    pub heard_seconds_ago: Option<f64>,
    /// How many checks it measures with confidence.
    pub measured: u32,
}

/// An endpoint, seen from a site.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointLatency)]
pub struct Endpoint {
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// What steers, in milliseconds; null where it is not known, or no longer.
    pub rtt_ms: Option<f64>,
    /// The newest smoothed value, the median of the site's vantages.
    pub latest_ms: Option<f64>,
    /// Whether what steers may change within a minute.
    pub moving: bool,
}

impl Latency {
    /// The round-trip times of `view` as of `now`.
    pub fn of(view: &View, filter: &Filter<'_>, now: Moment) -> Latency {
        let steering = &view.snapshot.steering;
        let (shown, next) = shown(view, filter);
        let (all, times) = (&steering.sites, &view.measurements.sites);
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        let vantages = |site: SiteId| {
            let known = all.vantages.iter().zip(&*times.vantages);
            let here = known.filter(|((_, s), _)| *s == site);
            here.map(|((name, _), v)| Vantage {
                node: name.to_string(),
                voice: v.voice.text(),
                heard_seconds_ago: v.heard.map(|at| now.since(at).as_secs_f64()),
                measured: v.measured,
            })
            .collect()
        };
        let endpoints = |site: SiteId| {
            let ids = shown.iter().copied();
            let told = ids.map(|id| (&steering.endpoints[id.index()], times.get(site, id)));
            let known = told.filter(|(_, t)| t.rtt.or(t.latest).is_some());
            known
                .map(|(e, t)| Endpoint {
                    endpoint: e.name.to_string(),
                    pool: steering.pools[e.pool.index()].name.to_string(),
                    rtt_ms: t.rtt.map(ms),
                    latest_ms: t.latest.map(ms),
                    moving: t.moving,
                })
                .collect()
        };
        let sites = all.sites.iter().enumerate().map(|(i, s)| {
            let id = SiteId::from_index(i);
            Site {
                site: s.name.to_string(),
                region: steering.regions[s.region.index()].name.to_string(),
                asn: s.asn,
                vantages: vantages(id),
                endpoints: endpoints(id),
            }
        });
        Latency {
            generation: view.generation.0,
            sites: sites.collect(),
            next,
        }
    }
}

/// The endpoints that are meant and that any site measured, and what comes after them.
fn shown(view: &View, filter: &Filter<'_>) -> (Vec<EndpointId>, Option<String>) {
    let steering = &view.snapshot.steering;
    let times = &view.measurements.sites;
    let after = filter.after.map_or(0, |after| {
        steering.endpoints.partition_point(|e| *e.name <= *after)
    });
    let measured = |id: EndpointId| {
        let mut sites = (0..steering.sites.sites.len()).map(SiteId::from_index);
        sites.any(|site| {
            let time = times.get(site, id);
            time.rtt.or(time.latest).is_some()
        })
    };
    let fits = |id: &EndpointId| {
        let name = &steering.endpoints[id.index()].name;
        filter.q.as_deref().is_none_or(|q| contains(name, q)) && measured(*id)
    };
    let ids = (after..steering.endpoints.len()).map(EndpointId::from_index);
    let mut shown: Vec<EndpointId> = ids.filter(fits).take(filter.limit + 1).collect();
    let more = shown.len() > filter.limit;
    shown.truncate(filter.limit);
    let last = shown.last().filter(|_| more);
    let next = last.map(|id| steering.endpoints[id.index()].name.to_string());
    (shown, next)
}
