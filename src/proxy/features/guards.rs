//! The counters behind the guards of a plan: shared by all threads, kept over reloads by name.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::ids::{ListenerId, RateLimitId, RouteId};
use crate::limit::{Counted, KeyedRates, Taken};
use crate::time::Moment;
use crate::traffic::Plan;
use crate::traffic::guards::KeyFacts;

use super::arrivals::{Arrivals, Turned};

/// The counters of one plan.
#[derive(Debug, Default)]
pub struct Guards {
    /// By [`RateLimitId`].
    rates: Vec<Arc<Metered>>,
    /// By [`RouteId`].
    routes: Vec<Option<Arc<Concurrent>>>,
    /// By [`ListenerId`].
    doors: Vec<Arc<Arrivals>>,
    seed: [u64; 2],
}

/// A rate limit and how often it was exceeded.
#[derive(Debug)]
pub struct Metered {
    /// Its name.
    pub name: Box<str>,
    /// Requests beyond the rate, refused or not.
    pub over: AtomicU64,
    table: KeyedRates,
    asked_bytes: usize,
}

#[derive(Debug)]
struct Concurrent {
    name: Box<str>,
    under_way: AtomicU32,
}

/// A request under way on a route that bounds them; counted until this is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Concurrent>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Guards {
    /// No counters; `seed` is random.
    pub fn new(seed: [u64; 2]) -> Guards {
        Guards {
            seed,
            ..Guards::default()
        }
    }

    /// The counters of another plan; those go on that are called the same and count the same.
    pub fn follow(&self, plan: &Plan) -> Guards {
        let rates = plan.rate_limits.iter().map(|rule| {
            let same = |m: &&Arc<Metered>| {
                m.name == rule.name
                    && m.table.rate() == rule.rate
                    && m.asked_bytes == rule.table_bytes
            };
            self.rates.iter().find(same).cloned().unwrap_or_else(|| {
                Arc::new(Metered {
                    name: rule.name.clone(),
                    over: AtomicU64::new(0),
                    table: KeyedRates::new(rule.rate, rule.table_bytes),
                    asked_bytes: rule.table_bytes,
                })
            })
        });
        let old: hashbrown::HashMap<&str, &Arc<Concurrent>> = self
            .routes
            .iter()
            .flatten()
            .map(|c| (&*c.name, c))
            .collect();
        let routes = plan.routes.list.iter().map(|route| {
            route.features.as_ref()?.concurrent?;
            Some(old.get(&*route.name).map_or_else(
                || {
                    Arc::new(Concurrent {
                        name: route.name.clone(),
                        under_way: AtomicU32::new(0),
                    })
                },
                |c| Arc::clone(c),
            ))
        });
        let doors = plan.listeners.iter().map(|listener| {
            let old = self.doors.iter().find(|d| d.name == listener.name);
            Arrivals::follow(&listener.name, &listener.features, old)
        });
        Guards {
            rates: rates.collect(),
            routes: routes.collect(),
            doors: doors.collect(),
            seed: self.seed,
        }
    }

    /// The rate limits.
    pub fn rates(&self) -> &[Arc<Metered>] {
        &self.rates
    }

    /// Whether a connection from `source` may come in at a listener. Proxies that the listener trusts
    /// speak for many.
    ///
    /// # Errors
    /// When it may not.
    pub fn admit(
        &self,
        plan: &Plan,
        listener: ListenerId,
        source: IpAddr,
        now: impl FnOnce() -> Moment,
    ) -> Result<Option<Counted>, Turned> {
        let features = &plan.listeners[listener.index()].features;
        if !features.bounds_connections() {
            return Ok(None);
        }
        match self.doors.get(listener.index()) {
            Some(door) if !features.reading.trusts(source) => {
                door.admit(features.connections_per_source, source, self.seed, now)
            }
            _ => Ok(None),
        }
    }

    /// Counts a session that another process let in: what it may bound is how many there are, and no rate.
    pub fn resume(&self, plan: &Plan, listener: ListenerId, source: IpAddr) -> Option<Counted> {
        let features = &plan.listeners[listener.index()].features;
        let door = self.doors.get(listener.index())?;
        if features.reading.trusts(source) {
            return None;
        }
        door.resume(features.connections_per_source?, source)
    }

    /// Counts a request against a rate; `None` when there is no such rate.
    pub fn meter(
        &self,
        plan: &Plan,
        id: RateLimitId,
        facts: &KeyFacts<'_>,
        now: Moment,
    ) -> Option<Taken> {
        let (rule, metered) = (
            plan.rate_limits.get(id.index())?,
            self.rates.get(id.index())?,
        );
        let taken = metered.table.take(rule.key.hash(facts, self.seed), now);
        if !taken.granted {
            metered.over.fetch_add(1, Ordering::Relaxed);
        }
        Some(taken)
    }

    /// Counts a request of a route that bounds them, unless `most` are under way.
    pub fn begin(&self, route: RouteId, most: u32) -> Option<Permit> {
        let count = self.routes.get(route.index())?.as_ref()?;
        let before = count.under_way.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(count.clone());
        (before < most).then_some(permit)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::UpstreamId;
    use crate::limit::{Algorithm, Prefixes, Rate};
    use crate::message::RequestHead;
    use crate::traffic::guards::{KeyPart, RateKey, RateRule};
    use crate::traffic::route::PathRules;
    use crate::traffic::{Action, Features, Route, Routes};

    fn plan(amount: u32, concurrent: u32) -> Plan {
        let mut route = Route::new("api", Action::Forward(UpstreamId(0)));
        route.features = Features {
            concurrent: Some(concurrent),
            ..Features::default()
        }
        .some();
        Plan {
            rate_limits: vec![RateRule {
                name: "per-ip".into(),
                key: RateKey {
                    parts: Box::new([KeyPart::Source]),
                    prefixes: Prefixes::new(32, 64),
                },
                rate: Rate {
                    algorithm: Algorithm::TokenBucket,
                    amount,
                    window: Duration::from_secs(60),
                    burst: amount,
                },
                status: 429,
                enforce: true,
                tell: false,
                table_bytes: 4096,
            }],
            routes: Routes::build(vec![route], PathRules::default()).0,
            ..Plan::default()
        }
    }

    fn passes(guards: &Guards, plan: &Plan) -> bool {
        let head = RequestHead::default();
        let facts = KeyFacts {
            head: &head,
            client: "192.0.2.1".parse().unwrap(),
            listener: "",
            route: "",
        };
        let taken = guards.meter(plan, RateLimitId(0), &facts, Moment(1_000_000_000));
        taken.unwrap().granted
    }

    #[test]
    fn p2_a_reload_forgets_no_count_of_a_rate_that_stays() {
        let before = plan(1, 1);
        let guards = Guards::new([1, 2]).follow(&before);
        assert!(passes(&guards, &before) && !passes(&guards, &before));
        let same = guards.follow(&before);
        assert!(!passes(&same, &before));
        assert_eq!(same.rates()[0].over.load(Ordering::Relaxed), 2);
        let after = plan(2, 1);
        let other = guards.follow(&after);
        assert!(passes(&other, &after), "another rate begins anew");
    }

    #[test]
    fn p2_requests_under_way_stay_counted_over_a_reload() {
        let before = plan(1, 1);
        let guards = Guards::new([1, 2]).follow(&before);
        let first = guards.begin(RouteId(0), 1).unwrap();
        assert!(guards.begin(RouteId(0), 1).is_none());
        let after = guards.follow(&plan(1, 2));
        let _second = after.begin(RouteId(0), 2).unwrap();
        assert!(after.begin(RouteId(0), 2).is_none());
        drop(first);
        assert!(after.begin(RouteId(0), 2).is_some());
    }
}
