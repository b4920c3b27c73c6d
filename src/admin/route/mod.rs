//! One file per part of the API.

pub mod backends;
pub mod caches;
pub mod config;
pub mod course;
pub mod drills;
pub mod endpoints;
pub mod events;
pub mod expectations;
pub mod explain;
pub mod find;
pub mod fleet;
pub mod flows;
pub mod health;
pub mod latency;
pub mod metrics;
pub mod names;
pub mod object;
pub mod overrides;
pub mod paths;
pub mod plan;
pub mod pools;
pub mod query;
pub mod ready;
pub mod regions;
pub mod reload;
pub mod session;
pub mod status;
mod stream;
mod then;
pub mod traffic;

use axum::http::{Method, Uri};

use super::problem::Problem;

/// A path that does not exist, where `paths` do.
pub fn fallback(uri: &Uri, paths: &str) -> Problem {
    Problem::not_found(format!("no `{}` here; there are {paths}", uri.path()))
}

/// A path that exists with another method.
pub fn wrong_method(method: &Method, uri: &Uri, paths: &str) -> Problem {
    Problem::method(format!(
        "`{}` does not take {method}; there are {paths}",
        uri.path()
    ))
}
