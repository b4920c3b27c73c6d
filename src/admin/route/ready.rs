//! `GET /readyz`

use std::sync::Arc;

use axum::extract;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::Query;

use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::{NotReady, ReadyDesk};

/// What is asked for beyond the node itself.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Names of upstreams that must have a backend, with commas between them.
    upstream: Option<String>,
}

impl Wanted {
    fn answer(&self, desk: &dyn ReadyDesk) -> Result<&'static str, Problem> {
        let upstreams = self.upstream.as_deref().unwrap_or_default().split(',');
        let upstreams: Vec<&str> = upstreams.filter(|name| !name.is_empty()).collect();
        match desk.ready(&upstreams) {
            Ok(()) => Ok("ready\n"),
            Err(NotReady::Now(why)) => Err(Problem::unavailable(why)),
            Err(NotReady::Unknown(why)) => Err(Problem::no_such("upstream", why)),
        }
    }
}

/// Whether the node is ready to carry traffic.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "node",
    params(Wanted),
    responses(
        (status = 200, description = "It is", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such upstream"),
        (status = 503, description = "It is not; the reason is told"),
    )
)]
pub async fn readyz(
    viewer: Option<Viewer>,
    extract::State(state): extract::State<crate::admin::State>,
    Query(wanted): Query<Wanted>,
) -> Result<&'static str, Problem> {
    let answer = wanted.answer(&*state.ready);
    match viewer {
        Some(_) => answer,
        // Strangers get no list of what is wrong here.
        None => answer.map_err(|_| Problem::unavailable("not ready")),
    }
}

/// `GET /readyz` where there is nothing else.
///
/// # Errors
/// 503 with the reason.
pub async fn readyz_alone(
    State(desk): State<Arc<dyn ReadyDesk>>,
    Query(wanted): Query<Wanted>,
) -> Result<&'static str, Problem> {
    wanted.answer(&*desk)
}
