//! `GET /v1/latency/clients?prefix=&region=&limit=`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::{Query, limit};

use crate::admin::gate::Viewer;
use crate::admin::problem::{Document, Problem};
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
    responses(
        (status = 200, description = "Some of the prefixes, by region", body = ClientPaths),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 404, description = "No such region; the nearest is told", body = Document,
         content_type = "application/problem+json"),
    )
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
    find::filters(&view, None, wanted.region.as_deref())?;
    let filter = Filter {
        within: within.transpose()?,
        region: wanted.region,
        limit: limit(wanted.limit)?,
    };
    Ok(Json(ClientPaths::of(&view, &filter, state.clock.now())))
}
