//! `GET /v1/flows?window=&name=&limit=`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::Query;
use crate::admin::gate::Viewer;
use crate::admin::problem::{Document, Problem};
use crate::admin::state::{Answer, State};
use crate::admin::view::flows::Flow;

/// Flows in one answer, where nothing else is asked for.
const LIMIT: usize = 1000;

/// Flows in one answer at most.
const LIMIT_MOST: usize = 10_000;

/// The parameters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// How far back: `1h` or `24h`, the default.
    #[param(pattern = "^(1h|24h)$")]
    window: Option<String>,
    /// Only of this steered name.
    name: Option<String>,
    /// So many at most, those with the most queries first.
    #[param(minimum = 1, maximum = 10_000, default = 1000)]
    limit: Option<usize>,
}

/// Which clients were sent where, as sampled by this node from the queries that came to it.
#[utoipa::path(
    get,
    path = "/v1/flows",
    tag = "steering",
    params(Parameters),
    responses(
        (status = 200, description = "The flows, those with the most queries first", body = [Flow]),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 404, description = "No such steered name; the nearest is told", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn flows(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(parameters): Query<Parameters>,
) -> Answer<Vec<Flow>> {
    let hours = match parameters.window.as_deref() {
        Some("1h") => 1,
        None | Some("24h") => 24,
        Some(other) => {
            return Err(Problem::parameter(
                "window",
                format!("`{other}` is not known; use 1h or 24h"),
            ));
        }
    };
    let limit = parameters.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MOST).contains(&limit) {
        return Err(Problem::parameter(
            "limit",
            format!("{limit} is not between 1 and {LIMIT_MOST}"),
        ));
    }
    let name = parameters.name.as_deref().map(canonical).transpose()?;
    let view = state.publisher.latest();
    let flows = state.flows.within(hours).into_iter();
    let flows = flows.filter(|f| name.as_ref().is_none_or(|n| *n == f.name));
    let flows: Vec<Flow> = flows.take(limit).map(|f| Flow::of(f, &view)).collect();
    if let (Some(name), true) = (&name, flows.is_empty()) {
        // One that was steered until lately may still have some.
        find::name(&view, name)?;
    }
    Ok(Json(flows))
}

/// The name as the table writes it.
fn canonical(name: &str) -> Result<String, Problem> {
    let parsed: Result<crate::dns::name::WireName, _> = name.parse();
    let parsed = parsed.map_err(|e| Problem::parameter("name", e.to_string()))?;
    Ok(parsed.to_string())
}
