//! `GET /v1/config`

use axum::extract;
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{Query, limit};
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::State;
use crate::admin::view::config::Config;
use crate::config::nearest;

/// Which options are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only what stands here and below: `pools.eu`, `names."www.gslb.example"`.
    path: Option<String>,
    /// So many at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Without the first of them: what `next` said.
    #[param(minimum = 0)]
    after: Option<usize>,
}

/// The configuration in force, option by option: what each is, and which line of which file says so.
#[utoipa::path(
    get,
    path = "/v1/config",
    tag = "node",
    params(Wanted),
    responses(
        (status = 200, description = "A page of the configuration; secrets are not shown",
         body = Config, headers(("ETag" = String, description = "Stands for the configuration"))),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 404, description = "Nothing stands at this path; the nearest is told"),
    )
)]
pub async fn config(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    Query(wanted): Query<Wanted>,
) -> Result<Tagged<Config>, Problem> {
    let limit = limit(wanted.limit)?;
    let path = wanted.path.unwrap_or_default();
    let (digest, effective) = state.control.configuration();
    let skip = wanted.after.unwrap_or(0);
    let page = effective.page(&path, skip, limit).map_err(|missing| {
        let known = missing.known.iter().map(String::as_str);
        let near = match nearest(&path, known) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        Problem::no_such("path", format!("nothing stands at `{path}`{near}"))
    })?;
    let tag = ETag::of([digest.as_str()]);
    Tagged::unless_known(&conditions, tag, || Ok(Config::of(digest, page)))
}
