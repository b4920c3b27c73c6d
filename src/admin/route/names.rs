//! `GET /v1/names`, `GET /v1/names/{name}`

use axum::extract;
use serde::Deserialize;
use utoipa::IntoParams;

use super::find;
use super::query::{NoQuery, Path, Query, limit};
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::State;
use crate::admin::view::name::NameDetail;
use crate::admin::view::names::Names;
use crate::dns::name::WireName;

/// Which names are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only names, or aliases of names, with this in them.
    q: Option<String>,
    /// Only names of which some client gets such answers: `normal`, `held`, `degraded` or
    /// `last-resort`.
    #[param(inline)]
    standing: Option<StandingWord>,
    /// So many at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those after this one: what `next` said.
    after: Option<String>,
}

/// How good answers are.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StandingWord {
    /// As it should be.
    Normal,
    /// An endpoint that fails its checks is kept in.
    Held,
    /// By what serves only after the others.
    Degraded,
    /// Nothing eligible is live.
    LastResort,
}

impl StandingWord {
    fn text(self) -> &'static str {
        match self {
            StandingWord::Normal => "normal",
            StandingWord::Held => "held",
            StandingWord::Degraded => "degraded",
            StandingWord::LastResort => "last-resort",
        }
    }
}

/// Steered names with policy, pools, bounds and worst-case failover time.
#[utoipa::path(
    get,
    path = "/v1/names",
    tag = "steering",
    params(Wanted),
    responses(
        (status = 200, description = "A page of the names", body = Names,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
    )
)]
pub async fn names(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    Query(wanted): Query<Wanted>,
) -> Result<Tagged<Names>, Problem> {
    let limit = limit(wanted.limit)?;
    let after = wanted.after.as_deref().map(|after| {
        let name = after.parse::<WireName>();
        name.map_err(|e| Problem::parameter("after", format!("`{after}` is no name: {e}")))
    });
    let after = after.transpose()?;
    let q = wanted.q.map(|q| q.to_ascii_lowercase());
    let view = state.publisher.latest();
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        let standing = wanted.standing.map(StandingWord::text);
        Ok(Names::of(
            &view,
            (q.as_deref(), standing),
            after.as_ref(),
            limit,
        ))
    })
}

/// One steered name: its policy stage by stage, its pools, and what every group of clients gets now.
#[utoipa::path(
    get,
    path = "/v1/names/{name}",
    tag = "steering",
    params(("name" = String, Path, description = "Its owner, or an alias of it")),
    responses(
        (status = 200, description = "The name", body = NameDetail,
         headers(("ETag" = String, description = "Stands for the view"))),
        (status = 304, description = "As `If-None-Match` has it"),
        (status = 404, description = "No such name; the nearest is told"),
    )
)]
pub async fn name(
    _: Viewer,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Path(name): Path<String>,
) -> Result<Tagged<NameDetail>, Problem> {
    let now = state.clock.now();
    let view = state.publisher.latest();
    let id = find::name(&view, &name)?;
    Tagged::unless_known(&conditions, ETag::of_view(&view), || {
        Ok(NameDetail::of(&view, id, now))
    })
}
