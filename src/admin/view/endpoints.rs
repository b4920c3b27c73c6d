//! Endpoints as shown: each with all that is known of it.

use serde::Serialize;
use utoipa::ToSchema;

use super::certificates;
use super::condition::{Condition, Ordered, kind_text};
use super::votes::Votes;
use crate::health::council::tally;
use crate::health::{Cause, Override, Scope, Verdict};
use crate::ids::{EndpointId, SiteId};
use crate::snapshot::View;
use crate::telemetry::ProbeStats;
use crate::time::{Moment, utc};

/// Some endpoints at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Endpoints {
    /// The view's number.
    pub generation: u64,
    /// All that there are.
    pub total: usize,
    /// Those that the filters let through.
    pub matching: usize,
    /// Some of those, by name.
    pub endpoints: Vec<Endpoint>,
    /// Give it as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndpointNow)]
pub struct Endpoint {
    /// Name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// Address, where it has one.
    pub address: Option<String>,
    /// Port that is probed.
    pub port: u16,
    /// The name that is answered instead of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cname: Option<String>,
    /// Share within the pool; an operator's where one was ordered.
    pub weight: u32,
    /// Serves only after the others.
    pub backup: bool,
    /// In which condition it is.
    pub state: Condition,
    /// Whether clients may be sent there.
    pub serves: bool,
    /// What health says, whatever an operator ordered: `up`, `down` or `unknown`.
    pub verdict: &'static str,
    /// What the verdict rests on.
    pub cause: String,
    /// Since when.
    pub since: String,
    /// Nobody has a vote now: this is what was believed last.
    pub stale: bool,
    /// Why the verdict is not what votes or probes say.
    pub held: Option<String>,
    /// Percent of its clients that it gets while it is let in by steps.
    pub share_percent: u8,
    /// The order about its state that acts on it.
    pub order: Option<Order>,
    /// When the last probe ended here.
    pub last_probe: Option<String>,
    /// The last failure, also of one that is up.
    pub last_error: Option<String>,
    /// Smoothed connect time from this node.
    pub rtt_ms: Option<f64>,
    /// How sites voted; absent where this node's own word is the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
}

/// An operator's order that acts on an endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderOnEndpoint)]
pub struct Order {
    /// What.
    pub kind: String,
    /// What it is about: `region eu`.
    pub subject: String,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When it ends by itself.
    pub expires: Option<String>,
}

/// How sites voted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tally {
    /// Sites that say "down".
    pub down: u32,
    /// Sites that vote.
    pub voting: u32,
    /// Sites that must say "down".
    pub needed: u32,
}

/// One endpoint with all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointDetail {
    /// The view's number.
    pub generation: u64,
    /// What a list shows of it.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Its monitor; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Failures so far; `fall` of them bring it down when it is up.
    pub failures: u32,
    /// Consecutive passes so far; `rise` of them bring it up when it is down.
    pub passes: u32,
    /// No probe can change the verdict for so many seconds; absent: none can at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady_for_seconds: Option<f64>,
    /// The votes of a fleet's vantages; absent where this node's own word is the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes: Option<Votes>,
    /// How far it is from each site of vantages.
    pub sites: Vec<FromSite>,
    /// Whole days until the certificate that it showed last expires; negative once it has.
    pub certificate_days: Option<i64>,
    /// The first 100 of the steered names that may answer it.
    pub names: Vec<String>,
    /// How many names may.
    pub names_total: usize,
}

/// How far an endpoint is from a site.
#[derive(Debug, Serialize, ToSchema)]
pub struct FromSite {
    /// The site.
    pub site: String,
    /// What steers, in milliseconds; null where it is not known, or no longer.
    pub rtt_ms: Option<f64>,
    /// The newest smoothed value, the median of the site's vantages.
    pub latest_ms: Option<f64>,
}

/// Which endpoints are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// Of this pool.
    pub pool: Option<&'a str>,
    /// Of this region.
    pub region: Option<&'a str>,
    /// In this condition.
    pub state: Option<Condition>,
    /// With this in their name.
    pub q: Option<String>,
    /// Whose names come after this one.
    pub after: Option<&'a str>,
    /// So many at most.
    pub limit: usize,
}

impl Endpoints {
    /// Those of `view` that `filter` lets through.
    pub fn of(view: &View, filter: &Filter<'_>, now: Moment) -> Endpoints {
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let mut page = Endpoints {
            generation: view.generation.0,
            total: steering.endpoints.len(),
            matching: 0,
            endpoints: Vec::new(),
            next: None,
        };
        let pool = |name: &str| {
            steering
                .pools
                .binary_search_by(|p| (*p.name).cmp(name))
                .ok()
        };
        let of_pool = filter.pool.map(pool);
        let region = |name: &str| steering.regions.iter().position(|r| *r.name == *name);
        let of_region = filter.region.map(region);
        for (i, endpoint) in steering.endpoints.iter().enumerate() {
            let e = EndpointId::from_index(i);
            let at = endpoint.pool.index();
            let fits = of_pool.is_none_or(|p| p == Some(at))
                && of_region.is_none_or(|r| r == Some(steering.pools[at].region.index()))
                && filter
                    .q
                    .as_deref()
                    .is_none_or(|q| contains(&endpoint.name, q))
                && filter.state.is_none_or(|s| ordered.known(e).condition == s);
            if !fits {
                continue;
            }
            page.matching += 1;
            if filter.after.is_some_and(|after| *endpoint.name <= *after) {
                continue;
            }
            if page.endpoints.len() < filter.limit {
                page.endpoints.push(Endpoint::of(&ordered, view, e));
            } else if page.next.is_none() {
                page.next = page.endpoints.last().map(|e| e.name.clone());
            }
        }
        page
    }
}

/// Whether `text` has `part`, which is in lower case, in any case.
pub(super) fn contains(text: &str, part: &str) -> bool {
    text.len() >= part.len() && (text.contains(part) || text.to_ascii_lowercase().contains(part))
}

impl Endpoint {
    pub(super) fn of(ordered: &Ordered<'_>, view: &View, e: EndpointId) -> Endpoint {
        let steering = &view.snapshot.steering;
        let endpoint = &steering.endpoints[e.index()];
        let pool = &steering.pools[endpoint.pool.index()];
        let known = ordered.known(e);
        let verdict = known.verdict;
        let time = |at: Moment| utc::show(view.wall.unix(at));
        Endpoint {
            name: endpoint.name.to_string(),
            pool: pool.name.to_string(),
            region: steering.regions[pool.region.index()].name.to_string(),
            address: endpoint.address.map(|a| a.to_string()),
            port: endpoint.port,
            cname: endpoint.cname.as_ref().map(ToString::to_string),
            weight: ordered.weight(e).unwrap_or(endpoint.weight.0),
            backup: endpoint.backup,
            state: known.condition,
            serves: known.serves,
            verdict: match verdict.state {
                _ if !endpoint.enabled => "unknown",
                crate::health::State::Up => "up",
                crate::health::State::Down => "down",
                crate::health::State::Unknown { .. } => "unknown",
            },
            cause: cause(verdict, endpoint.enabled),
            since: time(verdict.since),
            stale: verdict.stale,
            held: verdict.held.map(|guard| guard.to_string()),
            share_percent: verdict.share,
            order: known.order.map(|o| Order::of(o, view)),
            last_probe: verdict.last_probe.map(time),
            last_error: verdict.last_error.as_deref().map(str::to_owned),
            rtt_ms: rtt_ms(view, e),
            tally: Tally::of(view, verdict),
        }
    }
}

/// Smoothed connect time from this node.
pub(super) fn rtt_ms(view: &View, e: EndpointId) -> Option<f64> {
    let rtt = view.measurements.rtt.get(e.index()).copied().flatten();
    rtt.map(|d| d.as_secs_f64() * 1e3)
}

/// What a verdict rests on, in words.
pub(super) fn cause(verdict: &Verdict, enabled: bool) -> String {
    match &verdict.cause {
        _ if !enabled => "disabled in the configuration: not probed".to_owned(),
        Cause::Unmonitored => {
            "not probed (no monitor, or this node does not probe): counts as up".to_owned()
        }
        Cause::NotProbed => verdict.state.to_string(),
        Cause::Passing => "probes pass".to_owned(),
        Cause::Failing(error) => format!("probes fail: {error}"),
    }
}

impl Tally {
    pub(super) fn of(view: &View, verdict: &Verdict) -> Option<Tally> {
        let rules = &view.snapshot.settings.council;
        let votes = verdict.votes.as_deref()?;
        let count = tally(rules, votes, view.board.vantages());
        Some(Tally {
            down: count.down,
            voting: count.voting(),
            needed: count.needed(rules.quorum),
        })
    }
}

impl Order {
    fn of(order: &Override, view: &View) -> Order {
        let steering = &view.snapshot.steering;
        let (kind, name) = match order.scope {
            Scope::Endpoint(e) => ("endpoint", steering.endpoints[e.index()].name.to_string()),
            Scope::Pool(p) => ("pool", steering.pools[p.index()].name.to_string()),
            Scope::Region(r) => ("region", steering.regions[r.index()].name.to_string()),
            Scope::Name(n) => ("name", steering.names[n.index()].owner.to_string()),
        };
        Order {
            kind: kind_text(order.kind),
            subject: format!("{kind} {name}"),
            owner: order.owner.to_string(),
            reason: order.reason.to_string(),
            expires: order.expires.map(|end| utc::show(view.wall.unix(end))),
        }
    }
}

/// Names shown of those that may answer an endpoint or a pool.
pub(super) const NAMES: usize = 100;

impl EndpointDetail {
    /// All that `view` knows of `e` as of `now`, with the certificates that `probes` saw.
    pub fn of(view: &View, e: EndpointId, probes: &ProbeStats, now: Moment) -> EndpointDetail {
        let snapshot = &view.snapshot;
        let steering = &snapshot.steering;
        let ordered = Ordered::of(view, now);
        let verdict = view.board.verdict(e);
        let ms = |d: std::time::Duration| d.as_secs_f64() * 1e3;
        let times = &view.measurements.sites;
        let sites = steering.sites.sites.iter().enumerate().map(|(i, site)| {
            let time = times.get(SiteId::from_index(i), e);
            FromSite {
                site: site.name.to_string(),
                rtt_ms: time.rtt.map(ms),
                latest_ms: time.latest.map(ms),
            }
        });
        let target = snapshot.target_of.get(e.index()).copied().flatten();
        let pool = steering.endpoints[e.index()].pool;
        let names = super::pools::names_with(steering, pool);
        EndpointDetail {
            generation: view.generation.0,
            endpoint: Endpoint::of(&ordered, view, e),
            monitor: target.map(|t| {
                let monitor = snapshot.targets[t.index()].monitor;
                snapshot.monitors[monitor.index()].name.to_string()
            }),
            failures: verdict.failures,
            passes: verdict.passes,
            steady_for_seconds: verdict.steady_for.map(|d| d.as_secs_f64()),
            votes: Votes::of(view, verdict, now),
            sites: sites.collect(),
            certificate_days: certificates::of_endpoint(snapshot, probes, e)
                .map(|t| certificates::days_left(t, view.wall.unix(now))),
            names_total: names.len(),
            names: names
                .iter()
                .take(NAMES)
                .map(|n| steering.names[n.index()].owner.to_string())
                .collect(),
        }
    }
}
