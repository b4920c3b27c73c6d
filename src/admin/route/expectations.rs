//! `GET /v1/expectations?limit=&after=`

use axum::{Json, extract};
use serde::Deserialize;

use super::query::Query;
use crate::admin::gate::Viewer;
use crate::admin::problem::{Document, Problem};
use crate::admin::state::{Answer, State};
use crate::admin::view::expectations::Expectations;

/// Most on one page.
const MOST: usize = 10_000;

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// How many at most; default 1,000.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 10000)]
    limit: Option<String>,
    /// How many to pass over: `next` of the page before.
    #[param(value_type = Option<u32>, minimum = 0, maximum = 1_000_000)]
    after: Option<String>,
}

/// What the configuration in force expects of its answers.
#[utoipa::path(
    get,
    path = "/v1/expectations",
    tag = "steering",
    params(Page),
    responses(
        (status = 200, description = "The expectations as they were tried", body = Expectations),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn expectations(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(page): Query<Page>,
) -> Answer<Expectations> {
    let limit = number("limit", page.limit.as_deref(), 1_000, 1, MOST)?;
    let after = number("after", page.after.as_deref(), 0, 0, 1_000_000)?;
    let view = state.publisher.latest();
    Ok(Json(Expectations::of(&view, after, limit)))
}

fn number(
    name: &'static str,
    text: Option<&str>,
    default: usize,
    min: usize,
    max: usize,
) -> Result<usize, Problem> {
    let Some(text) = text else {
        return Ok(default);
    };
    let found: Option<usize> = text.parse().ok();
    found.filter(|n| (min..=max).contains(n)).ok_or_else(|| {
        let detail = format!("`{text}` is not a whole number from {min} to {max}");
        Problem::parameter(name, detail)
    })
}
