//! `GET /v1/latency/clients?prefix=&region=&limit=`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{Query, limit};

use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::paths::{ClientPaths, Filter};

/// Which client prefixes are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PathsWanted {
    /// Only those within this network, or the one that holds this address.
    prefix: Option<String>,
    /// Only what proxies of this region measured.
    region: Option<String>,
    /// So many at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What clients' own connections measured, as all proxies of the fleet know it together.
#[utoipa::path(
    get,
    path = "/v1/latency/clients",
    tag = "health",
    params(PathsWanted),
    responses((status = 200, description = "Some of the prefixes, by region", body = ClientPaths))
)]
pub async fn paths(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(wanted): Query<PathsWanted>,
) -> Answer<ClientPaths> {
    let view = state.publisher.latest();
    let within = wanted.prefix.as_deref().map(|text| {
        let wrong = |e| {
            Problem::parameter(
                "prefix",
                format!("{e}; give an address or a network such as 192.0.2.0/24"),
            )
        };
        text.parse().map_err(wrong)
    });
    let regions = &view.snapshot.steering.regions;
    if let Some(region) = &wanted.region
        && !regions.iter().any(|r| *r.name == **region)
    {
        let names: Vec<&str> = regions.iter().map(|r| &*r.name).collect();
        return Err(Problem::parameter(
            "region",
            format!(
                "there is no region `{region}`; there are: {}",
                names.join(", ")
            ),
        ));
    }
    let filter = Filter {
        within: within.transpose()?,
        region: wanted.region,
        limit: limit(wanted.limit)?,
    };
    Ok(Json(ClientPaths::of(&view, &filter, state.clock.now())))
}
