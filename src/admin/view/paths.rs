//! What clients' own connections measured, of the whole fleet, as shown.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::net::Prefix;
use crate::snapshot::View;
use crate::time::Moment;

/// What the proxies of all regions measured of the way to clients, at one generation.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientPaths {
    /// The view's number.
    pub generation: u64,
    /// What counts must have stood for so long before, in seconds.
    pub dwell_seconds: f64,
    /// What no connection confirmed for so long does not count any more, in seconds.
    pub expire_seconds: f64,
    /// Paths held, by prefix and node.
    pub held: usize,
    /// Paths dropped because nothing confirmed them, since the start.
    pub expired: u64,
    /// Paths dropped because there was no room, since the start.
    pub displaced: u64,
    /// Orders that clients' times lead to, of all policies that go by them.
    pub orders: usize,
    /// Those that answer otherwise than without clients' times.
    pub orders_differing: usize,
    /// Prefixes, counted for each policy, that lead to one order more than are kept apart.
    pub turned_away: usize,
    /// Prefixes and regions that are meant, those not told among them.
    pub matching: usize,
    /// The first of them, by prefix and then by region.
    pub clients: Vec<ClientPathSeen>,
}

/// How far the clients of a prefix are from a region.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientPathSeen {
    /// /24 or /48.
    pub prefix: String,
    /// The region whose proxies measured it.
    pub region: String,
    /// What steers, in milliseconds; null while a first value waits for its dwell.
    pub rtt_ms: Option<f64>,
    /// The newest value, in milliseconds.
    pub latest_ms: f64,
    /// Connections that were looked at, of all proxies of the region.
    pub connections: u64,
    /// Seconds since the newest sample.
    pub last_seen_seconds_ago: f64,
    /// Whether it may change, come or go within a dwell.
    pub moving: bool,
}

/// Which are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Within this prefix, or the one that holds it.
    pub within: Option<Prefix>,
    /// Of this region.
    pub region: Option<String>,
    /// So many at most.
    pub limit: usize,
}

impl ClientPaths {
    /// As `view` has them.
    pub fn of(view: &View, filter: &Filter, now: Moment) -> ClientPaths {
        let times = &view.measurements.clients;
        let regions = &view.snapshot.steering.regions;
        let (orders, orders_differing, turned_away) = view.live.narrow_plans();
        let since = now.since(times.at);
        let within = |p: &Prefix| {
            let w = filter.within.as_ref();
            w.is_none_or(|w| w.contains(p.addr()) || p.contains(w.addr()))
        };
        let (mut matching, mut clients) = (0, Vec::new());
        for row in times.rows.iter().filter(|row| within(&row.prefix)) {
            for time in &row.times {
                let region = &*regions[time.region.index()].name;
                if filter.region.as_deref().is_some_and(|r| r != region) {
                    continue;
                }
                matching += 1;
                if clients.len() == filter.limit {
                    continue;
                }
                let ms = |d: Duration| d.as_secs_f64() * 1e3;
                clients.push(ClientPathSeen {
                    prefix: row.prefix.to_string(),
                    region: region.to_owned(),
                    rtt_ms: time.rtt.map(ms),
                    latest_ms: ms(time.latest),
                    connections: time.connections,
                    last_seen_seconds_ago: (time.age + since).as_secs_f64(),
                    moving: time.moving,
                });
            }
        }
        ClientPaths {
            generation: view.generation.0,
            dwell_seconds: times.pace.dwell.as_secs_f64(),
            expire_seconds: times.pace.expire.as_secs_f64(),
            held: times.held,
            expired: times.expired,
            displaced: times.displaced,
            orders,
            orders_differing,
            turned_away,
            matching,
            clients,
        }
    }
}
