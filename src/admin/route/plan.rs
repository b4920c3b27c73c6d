//! `POST /v1/plan`

use axum::extract::{self, FromRequest};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, body};

use super::object::Object;
use crate::admin::gate::Viewer;
use crate::admin::plan::{MOST_FILES, MOST_OCTETS, PlanAsked, PlanRefusal};
use crate::admin::problem::{Document, Problem};
use crate::admin::state::State;
use crate::admin::view::plan::{Plan, PlanRequest};

/// After which time another one may be tried, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("5");

/// Octets of a request: the files, with room for what JSON adds to them.
const MOST: usize = MOST_OCTETS + MOST_OCTETS / 2;

/// A request whose body is read up to its own bound, and no further.
pub struct Asked(PlanRequest);

impl FromRequest<State> for Asked {
    type Rejection = Problem;

    async fn from_request(request: extract::Request, _: &State) -> Result<Asked, Problem> {
        let octets = body::to_bytes(request.into_body(), MOST)
            .await
            .map_err(|_| {
                Problem::parameter(
                    "body",
                    format!("it is longer than {MOST} octets, or broke off; send fewer files"),
                )
            })?;
        serde_json::from_slice(&octets)
            .map(|Object(request)| Asked(request))
            .map_err(|e| Problem::parameter("body", format!("it is not what is asked for: {e}")))
    }
}

/// What another configuration would change in answers: which clients would be sent elsewhere, and what
/// that means for load, failover times and caches. Nothing is changed.
#[utoipa::path(
    post,
    path = "/v1/plan",
    tag = "steering",
    request_body = PlanRequest,
    responses(
        (status = 200, description = "What would change", body = Plan),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 422, description = "The new configuration is wrong; every error is listed",
         body = Document, content_type = "application/problem+json"),
        (status = 503, description = "Another plan is under way, or it could not be tried",
         body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn plan(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Asked(request): Asked,
) -> Response {
    match answer(&state, request).await {
        Ok(plan) => Json(plan).into_response(),
        Err((problem, busy)) => {
            let mut response = problem.into_response();
            if busy {
                response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
            }
            response
        }
    }
}

async fn answer(state: &State, request: PlanRequest) -> Result<Plan, (Problem, bool)> {
    let (asked, max_shift) = asked(request).map_err(|p| (p, false))?;
    match state.plans.plan(asked).await {
        Ok(planned) => {
            let mut plan = Plan::of(planned.report, max_shift);
            plan.node = state.publisher.latest().snapshot.settings.node.to_string();
            plan.generation = Some(planned.generation);
            plan.warnings.extend(planned.warnings);
            Ok(plan)
        }
        Err(PlanRefusal::Busy) => Err((
            Problem::unavailable("another plan is under way on this node; try again in a moment"),
            true,
        )),
        Err(PlanRefusal::Files(why)) => Err((Problem::parameter("files", why), false)),
        Err(PlanRefusal::Refused(problems)) => Err((Problem::refused(problems), false)),
        Err(PlanRefusal::Failed(why)) => Err((Problem::unavailable(why), false)),
    }
}

fn asked(request: PlanRequest) -> Result<(PlanAsked, Option<f64>), Problem> {
    let count = request.files.len();
    if !(1..=MOST_FILES).contains(&count) {
        return Err(Problem::parameter(
            "files",
            format!("{count} files; give 1 to {MOST_FILES}"),
        ));
    }
    let octets: usize = request.files.values().map(String::len).sum();
    if octets > MOST_OCTETS {
        return Err(Problem::parameter(
            "files",
            format!("{octets} octets in all; at most {MOST_OCTETS} are taken"),
        ));
    }
    let by_addresses = match request.by.as_deref() {
        None | Some("traffic") => false,
        Some("addresses") => true,
        Some(other) => {
            return Err(Problem::parameter(
                "by",
                format!("`{other}` is not known; use traffic or addresses"),
            ));
        }
    };
    let max_shift = request.max_shift.as_deref().map(percent).transpose();
    let max_shift = max_shift.map_err(|e| Problem::parameter("max-shift", e))?;
    let asked = PlanAsked {
        files: request.files,
        by_addresses,
    };
    Ok((asked, max_shift))
}

/// `10%` as 0.1.
///
/// # Errors
/// What it must be.
pub fn percent(text: &str) -> Result<f64, String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = digits.parse::<f64>().ok().filter(|_| plain);
    match number {
        Some(n) if (0.0..=100.0).contains(&n) => Ok(n / 100.0),
        _ => Err(format!(
            "`{text}` is no percentage from 0% to 100%; write for example 10%"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_has_its_sign_and_its_range() {
        assert_eq!(percent("10%"), Ok(0.1));
        assert_eq!(percent("0%"), Ok(0.0));
        assert_eq!(percent("2.5%"), Ok(0.025));
        for wrong in ["10", "", "%", "101%", "-1%", "1e1%", "inf%", "x%", "1.1.1%"] {
            assert!(percent(wrong).is_err(), "{wrong}");
        }
    }
}
