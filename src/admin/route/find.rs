//! Objects by the names in paths; for one that is not there the nearest that is.

use crate::admin::problem::Problem;
use crate::config::nearest;
use crate::dns::name::WireName;
use crate::health::Scope;
use crate::ids::{EndpointId, NameId, PoolId};
use crate::overrides::{Class, ScopeKind, Subject};
use crate::snapshot::{View, orders};

/// Names that an unknown one is compared with, at most: a comparison takes microseconds.
const COMPARED: usize = 1_000;

/// The pool called `name`.
///
/// # Errors
/// 404 with the nearest.
pub fn pool(view: &View, name: &str) -> Result<PoolId, Problem> {
    let pools = &view.snapshot.steering.pools;
    let found = pools.binary_search_by(|p| (*p.name).cmp(name));
    found.map(PoolId::from_index).map_err(|at| {
        let near = nearest(name, window(pools, at).iter().map(|p| &*p.name));
        unknown("pool", "pool", name, "/v1/pools", near)
    })
}

/// Objects that a list is to be limited to. One that is not there is a mistake, and no empty list.
///
/// # Errors
/// 404 with the nearest, naming the parameter.
pub fn filters(
    view: &View,
    wanted_pool: Option<&str>,
    wanted_region: Option<&str>,
) -> Result<(), Problem> {
    if let Some(name) = wanted_pool {
        pool(view, name)?;
    }
    let Some(name) = wanted_region else {
        return Ok(());
    };
    let regions = || view.snapshot.steering.regions.iter().map(|r| &*r.name);
    match regions().any(|r| r == name) {
        true => Ok(()),
        false => {
            let near = nearest(name, regions());
            Err(unknown("region", "region", name, "/v1/regions", near))
        }
    }
}

/// The endpoint called `name`.
///
/// # Errors
/// 404 with the nearest.
pub fn endpoint(view: &View, name: &str) -> Result<EndpointId, Problem> {
    let endpoints = &view.snapshot.steering.endpoints;
    let found = endpoints.binary_search_by(|e| (*e.name).cmp(name));
    found.map(EndpointId::from_index).map_err(|at| {
        let near = nearest(name, window(endpoints, at).iter().map(|e| &*e.name));
        unknown("endpoint", "endpoint", name, "/v1/endpoints", near)
    })
}

/// The steered name `name`, or the one of which it is an alias.
///
/// # Errors
/// 404 with the nearest.
pub fn name(view: &View, name: &str) -> Result<NameId, Problem> {
    let steering = &view.snapshot.steering;
    let subject = Subject {
        class: Class::State,
        scope: ScopeKind::Name,
        name: name.into(),
    };
    if let Some(Scope::Name(id)) = orders::scope(&subject, steering) {
        return Ok(id);
    }
    let at = match name.parse::<WireName>() {
        Ok(wanted) => steering.names.partition_point(|n| n.owner < wanted),
        Err(_) => 0,
    };
    let owners: Vec<String> = window(&steering.names, at)
        .iter()
        .map(|n| n.owner.to_string())
        .collect();
    let near = nearest(name, owners.iter().map(String::as_str));
    Err(unknown("name", "steered name", name, "/v1/names", near))
}

/// Sees that the configuration has a node called `name`.
///
/// # Errors
/// 404 with the nearest.
pub fn node(view: &View, name: &str) -> Result<(), Problem> {
    let nodes = || view.snapshot.settings.nodes.iter().map(|n| &*n.name);
    match nodes().any(|n| n == name) {
        true => Ok(()),
        false => {
            let near = nearest(name, nodes());
            Err(unknown("node", "node", name, "/v1/nodes", near))
        }
    }
}

/// The items around a place in a sorted list.
fn window<T>(all: &[T], at: usize) -> &[T] {
    let start = at.saturating_sub(COMPARED / 2);
    &all[start..(start + COMPARED).min(all.len())]
}

fn unknown(
    parameter: &'static str,
    kind: &str,
    name: &str,
    list: &str,
    near: Option<&str>,
) -> Problem {
    let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    let detail = format!("there is no {kind} `{name}`; {near}`{list}` has all of them");
    Problem::no_such(parameter, detail)
}
