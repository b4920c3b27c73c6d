//! Upstreams and backends of the proxy as shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::xdp::Xdp;
use crate::admin::backends::{BackendStatus, BackendTaken, UpstreamStatus};
use crate::time::utc;
use crate::traffic::orders::{Given, Place, Presence};

/// All upstreams of this node's proxy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upstreams {
    /// By name.
    pub upstreams: Vec<Upstream>,
    /// What is forwarded in the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xdp: Option<Xdp>,
}

/// An upstream.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// Which backends are used: `normal`, `unproven…`, `panic…` or `nothing…`.
    pub mode: String,
    /// Seconds since that is so.
    pub mode_for_seconds: f64,
    /// With less than this share of its backends left all are used; `0%`: never.
    pub panic_threshold: String,
    /// Never more than this share of its backends is ejected.
    pub max_ejected: String,
    /// `closed`, `open` or `half open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit: Option<String>,
    /// Seconds since that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_for_seconds: Option<f64>,
    /// Where requests wait for a backend that is full.
    pub queue: Queue,
    /// Retries that the budget refused.
    pub retries_refused: u64,
    /// By name.
    pub backends: Vec<Backend>,
}

/// Where requests wait.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamQueue)]
pub struct Queue {
    /// Now.
    pub waiting: u64,
    /// So far.
    pub waited: u64,
    /// Found it full.
    pub refused: u64,
    /// Waited in vain.
    pub timed_out: u64,
}

/// A backend.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamBackend)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// `up`, `unknown`, `down` or `ejected`.
    pub state: String,
    /// What that rests on.
    pub cause: String,
    /// Seconds since that is so.
    pub for_seconds: f64,
    /// Seconds until it ends; of an ejection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_in_seconds: Option<f64>,
    /// Whether it gets requests of new clients.
    pub used: bool,
    /// Its weight in force.
    pub weight: u32,
    /// Its share of that weight in percent: less while it comes back slowly.
    pub share_percent: f64,
    /// What operators ordered.
    pub orders: Vec<Order>,
    /// Seconds until what is under way to it is cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain_ends_in_seconds: Option<f64>,
    /// Requests under way.
    pub in_flight: u32,
    /// Most of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Requests given to it so far.
    pub requests: u64,
    /// Of those, retries.
    pub retries: u64,
    /// Requests that failed.
    pub failed: Failed,
    /// How often it was ejected.
    pub ejections: u64,
    /// Failed requests that count now; `max-fails` of them eject it.
    pub failures: u32,
    /// Seconds since the last probe ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_probe_seconds_ago: Option<f64>,
    /// How the last failed probe failed, also when it is up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// Requests that failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FailedRequests)]
pub struct Failed {
    /// No connection.
    pub connect: u64,
    /// No answer in time.
    pub timeout: u64,
    /// The connection ended before the answer did.
    pub reset: u64,
    /// Status 502, 503 or 504.
    pub gateway: u64,
    /// Another status from 500 to 599.
    pub server: u64,
}

/// An operator's order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackendOrder)]
pub struct Order {
    /// `added`, `removed`, `drain`, `disable` or `weight N`.
    pub kind: String,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// When.
    pub given: String,
}

/// An order that was taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackendOrderTaken)]
pub struct Taken {
    /// The upstream.
    pub upstream: String,
    /// The backend.
    pub backend: String,
    /// What was ordered.
    pub said: String,
    /// Requests under way to the backend.
    pub in_flight: u32,
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Taken {
    /// As shown.
    pub fn new(place: &Place, taken: BackendTaken) -> Taken {
        Taken {
            upstream: place.upstream.to_string(),
            backend: place.backend.to_string(),
            said: taken.said,
            in_flight: taken.in_flight,
            warnings: taken.warnings,
        }
    }
}

impl From<Vec<UpstreamStatus>> for Upstreams {
    fn from(all: Vec<UpstreamStatus>) -> Upstreams {
        Upstreams {
            upstreams: all.into_iter().map(Upstream::from).collect(),
            xdp: None,
        }
    }
}

impl From<UpstreamStatus> for Upstream {
    fn from(u: UpstreamStatus) -> Upstream {
        let [waiting, waited, refused, timed_out] = u.queue;
        let (circuit, circuit_for) = u.circuit.unzip();
        Upstream {
            name: u.name,
            mode: u.mode,
            mode_for_seconds: u.mode_for.as_secs_f64(),
            panic_threshold: format!("{}%", u.panic_threshold),
            max_ejected: format!("{}%", u.max_ejected),
            circuit,
            circuit_for_seconds: circuit_for.map(|d| d.as_secs_f64()),
            queue: Queue {
                waiting,
                waited,
                refused,
                timed_out,
            },
            retries_refused: u.retries_refused,
            backends: u.backends.into_iter().map(Backend::from).collect(),
        }
    }
}

impl From<BackendStatus> for Backend {
    fn from(b: BackendStatus) -> Backend {
        let [connect, timeout, reset, gateway, server] = b.failed;
        let presence = b.presence.map(|p| {
            let kind = match p.what {
                Presence::Added(_) => "added",
                Presence::Removed => "removed",
            };
            order(kind.to_owned(), &p)
        });
        let word = b.word.map(|w| order(w.what.to_string(), &w));
        let weight = b.ordered_weight;
        let weight = weight.map(|w| order(format!("weight {}", w.what), &w));
        let orders = presence.into_iter().chain(word).chain(weight);
        let seconds = |d: Option<std::time::Duration>| d.map(|d| d.as_secs_f64());
        Backend {
            name: b.name,
            address: b.address,
            state: b.state,
            cause: b.cause,
            for_seconds: b.since.as_secs_f64(),
            ends_in_seconds: seconds(b.left),
            used: b.used,
            weight: b.weight,
            share_percent: f64::from(b.share) / 10.0,
            orders: orders.collect(),
            drain_ends_in_seconds: seconds(b.drain_left),
            in_flight: b.in_flight,
            max_connections: b.max_connections,
            requests: b.requests,
            retries: b.retries,
            failed: Failed {
                connect,
                timeout,
                reset,
                gateway,
                server,
            },
            ejections: b.ejections,
            failures: b.failures,
            last_probe_seconds_ago: seconds(b.last_probe),
            last_error: b.last_error,
        }
    }
}

fn order<T>(kind: String, given: &Given<T>) -> Order {
    Order {
        kind,
        owner: given.owner.to_string(),
        reason: given.reason.to_string(),
        given: utc::show(given.at_ms / 1000),
    }
}
