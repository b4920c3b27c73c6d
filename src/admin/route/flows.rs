//! `GET /v1/flows?window=&name=&node=&limit=`

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::Query;
use crate::admin::gate::Viewer;
use crate::admin::problem::{Document, Problem};
use crate::admin::state::State;
use crate::admin::view::flows::Flow;

/// Flows in one answer, where nothing else is asked for.
const LIMIT: usize = 1000;

/// Flows in one answer at most.
const LIMIT_MOST: usize = 10_000;

/// The field that names the nodes which did not answer in time, separated by commas.
const MISSING: HeaderName = HeaderName::from_static("tradewind-missing");

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
    /// Only queries that came to this node.
    #[param(min_length = 1, max_length = 63)]
    node: Option<String>,
    /// So many at most, those with the most queries first.
    #[param(minimum = 1, maximum = 10_000, default = 1000)]
    limit: Option<usize>,
}

/// Which clients were sent where, as sampled by all nodes from the queries that came to them.
///
/// The node that is asked asks the others, and waits a second at most; who did not answer is named in the
/// field `Tradewind-Missing`.
#[utoipa::path(
    get,
    path = "/v1/flows",
    tag = "steering",
    params(Parameters),
    responses(
        (status = 200, description = "The flows, those with the most queries first", body = [Flow],
         headers(("Tradewind-Missing" = String, description = "The nodes that did not answer in time, \
                  separated by commas: their queries are not among these. Absent where all did"))),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 404, description = "No such steered name or node; the nearest is told", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn flows(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(parameters): Query<Parameters>,
) -> Result<(HeaderMap, Json<Vec<Flow>>), Problem> {
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
    let node = parameters.node.as_deref();
    if let Some(node) = node {
        find::node(&view, node)?;
    }
    let found = state.flows.within(hours, node).await;
    let flows = found.all.into_iter();
    let flows = flows.filter(|f| name.as_ref().is_none_or(|n| *n == f.name));
    let flows: Vec<Flow> = flows.take(limit).map(|f| Flow::of(f, &view)).collect();
    if let (Some(name), true) = (&name, flows.is_empty()) {
        // One that was steered until lately may still have some.
        find::name(&view, name)?;
    }
    let mut fields = HeaderMap::new();
    // Names of nodes are words.
    if let (false, Ok(names)) = (
        found.missing.is_empty(),
        HeaderValue::try_from(found.missing.join(", ")),
    ) {
        fields.insert(MISSING, names);
    }
    Ok((fields, Json(flows)))
}

/// The name as the table writes it.
fn canonical(name: &str) -> Result<String, Problem> {
    let parsed: Result<crate::dns::name::WireName, _> = name.parse();
    let parsed = parsed.map_err(|e| Problem::parameter("name", e.to_string()))?;
    Ok(parsed.to_string())
}
