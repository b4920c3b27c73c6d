//! One file per part of the API.

pub mod backends;
pub mod caches;
pub mod drills;
pub mod events;
pub mod expectations;
pub mod explain;
pub mod fleet;
pub mod flows;
pub mod health;
pub mod latency;
pub mod metrics;
pub mod names;
pub mod overrides;
pub mod plan;
pub mod ready;
pub mod regions;
pub mod reload;
pub mod session;
mod stream;
mod then;
pub mod traffic;

use axum::http::{Method, Uri};

use super::problem::Problem;

/// What the API has, for the answer to a path it has not.
const PATHS: &str = "/v1/audit, /v1/drills (GET, POST), /v1/drills/ID, \
                     /v1/drills/ID/abort (POST), /v1/drills/ID/report, /v1/explain, /v1/fleet, /v1/health, /v1/latency, /v1/names, \
                     /v1/overrides (GET, PUT, DELETE), /v1/proxy/caches, \
                     /v1/proxy/caches/NAME/purge (POST), /v1/proxy/clients, \
                     /v1/proxy/listeners, /v1/regions, /v1/reload (POST), \
                     /v1/overrides (GET, PUT, DELETE), /v1/proxy/upstreams, \
                     /v1/proxy/upstreams/NAME, /v1/proxy/upstreams/NAME/backends/BACKEND (POST), \
                     /v1/regions, /v1/reload (POST), \
                     /v1/switchover (POST), /metrics, /livez, /readyz";

/// A path that does not exist.
pub async fn fallback(uri: Uri) -> Problem {
    Problem::not_found(format!("no `{}` here; there are {PATHS}", uri.path()))
}

/// A path that exists with another method.
pub async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::method(format!(
        "`{}` does not take {method}; there are {PATHS}",
        uri.path()
    ))
}
