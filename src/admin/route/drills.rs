//! `/v1/drills`: failures and drains for a set time, and what they showed.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use serde::Deserialize;
use utoipa::ToSchema;

use super::object::Object;
use super::overrides::{broken, owner, plain, share};
use super::query::{Body, NoQuery, Path, wrong};
use crate::admin::desk::Refusal;
use crate::admin::drills::{NotAborted, WantedDrill};
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::{Operator, Viewer, Who};
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::drills::{Drill, DrillReport, Drills};
use crate::config::quantity::parse_duration;
use crate::drill::{Charter, Report};
use crate::overrides::{Effect, Reach, ScopeKind};

/// A drill to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wanted {
    /// `fail`: treated as down; `drain`: no new clients.
    #[schema(example = "fail")]
    effect: String,
    /// `region`, `pool` or `endpoint`.
    #[schema(example = "region")]
    scope: String,
    /// Its name in the configuration.
    name: String,
    /// How long, such as `2m`: 1 s to 24 h.
    #[schema(example = "2m")]
    r#for: String,
    /// Only clients in this network.
    canary: Option<String>,
    /// Nobody but who asks for `drill-ID.NAME`.
    #[serde(default)]
    label: bool,
    /// Who; without it the one who asks. Who is known by the machine alone says it.
    owner: Option<String>,
    /// Why.
    reason: String,
    /// The share of each name's capacity that must go on serving, such as `60%`; without it traffic says,
    /// where it is known.
    demand: Option<String>,
    /// Most requests that may be answered with 5xx before it is rolled back, such as `5%`.
    max_errors: Option<String>,
    /// Why rules may be broken.
    break_glass: Option<String>,
}

/// The end of a drill.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Abort {
    /// Who; without it the one who asks. Who is known by the machine alone says it.
    owner: Option<String>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// One drill is begun at a time, so that none comes between a look at the tags and the beginning.
static BEGINNING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What stands for where drills stand: which there are, and the steps of each. What goes on by itself,
/// the time that is left and the traffic seen, is not part of it.
fn tag_of<'r>(drills: impl IntoIterator<Item = &'r Report>) -> ETag {
    ETag::of(drills.into_iter().map(|r| {
        let ended = r.state.end().map_or("", crate::drill::End::word);
        format!("{} {} {ended}", r.charter.drill.id, r.state.word())
    }))
}

/// Drills, the latest first.
#[utoipa::path(
    get,
    path = "/v1/drills",
    tag = "drills",
    responses((status = 200, description = "At most the last fifty drills", body = Drills,
               headers(("ETag" = String, description = "Stands for which drills there are, and where \
                        each stands: give it as `If-Match`"))))
)]
pub async fn list(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Result<Tagged<Drills>, Problem> {
    let drills = state.drills.list();
    // What was seen of traffic goes on without a step: never 304.
    let tag = tag_of(&drills);
    Ok(Tagged::Now(
        tag,
        Drills {
            drills: drills.iter().map(Drill::of).collect(),
        },
    ))
}

/// Begins a drill if it is safe.
///
/// It returns when every node that can be reached obeys, or after a few seconds.
#[utoipa::path(
    post,
    path = "/v1/drills",
    tag = "drills",
    request_body = Wanted,
    responses(
        (status = 201, description = "It runs", body = Drill),
        (status = 400, description = "A parameter is wrong", content_type = "application/problem+json"),
        (status = 404, description = "The configuration has no such thing", content_type = "application/problem+json"),
        (status = 409, description = "It is not safe: the rules that do not hold", content_type = "application/problem+json"),
        (status = 412, description = "Drills stand otherwise than `If-Match` says", content_type = "application/problem+json"),
        (status = 503, description = "It could not be tried", content_type = "application/problem+json"),
    )
)]
pub async fn begin(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Body(wanted): Body<Wanted>,
) -> Result<Response, Problem> {
    let wanted = wanted.read(&who)?;
    let drills = state.drills.clone();
    // On its own: a client that hangs up must not leave a drill half-way.
    let begun = tokio::spawn(async move {
        let _one = BEGINNING.lock().await;
        if conditions.is_bound() {
            conditions.check(&tag_of(&drills.list()))?;
        }
        Ok(drills.begin(wanted).await)
    });
    let begun = match begun.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(problem)) => return Err(problem),
        Err(panic) => Err(panic),
    };
    match begun {
        Ok(Ok(report)) => {
            let drill = Drill::of(&report);
            let fields = [
                (header::LOCATION, format!("/v1/drills/{}", drill.id)),
                (header::ETAG, tag_of([&report]).to_string()),
            ];
            Ok((StatusCode::CREATED, fields, Json(drill)).into_response())
        }
        Ok(Err(Refusal::Invalid { parameter, detail })) => {
            Err(Problem::parameter(parameter, detail))
        }
        Ok(Err(Refusal::Unknown(detail))) => Err(Problem::no_such("name", detail)),
        Ok(Err(Refusal::Breaks(rules))) => Err(Problem::conflict(rules)),
        Ok(Err(Refusal::Failed(why))) => Err(Problem::unavailable(why)),
        Err(panic) => Err(Problem::unavailable(format!(
            "the drill itself failed: {panic}"
        ))),
    }
}

/// A drill with its steps, as it is now.
#[utoipa::path(
    get,
    path = "/v1/drills/{id}",
    tag = "drills",
    params(("id" = String, Path, description = "The drill")),
    responses(
        (status = 200, description = "The drill", body = Drill,
         headers(("ETag" = String, description = "Stands for where it stands: give it as `If-Match`"))),
        (status = 404, description = "There is no such drill", content_type = "application/problem+json"),
    )
)]
pub async fn one(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
    Path(id): Path<String>,
) -> Result<Tagged<Drill>, Problem> {
    match state.drills.get(&id) {
        Some(report) => Ok(Tagged::Now(tag_of([&report]), Drill::of(&report))),
        None => Err(none(&id)),
    }
}

/// Ends a drill now.
///
/// It returns when every node that can be reached obeys, or after a few seconds.
#[utoipa::path(
    post,
    path = "/v1/drills/{id}/abort",
    tag = "drills",
    params(("id" = String, Path, description = "The drill")),
    request_body = Option<Abort>,
    responses(
        (status = 200, description = "It is over", body = Drill),
        (status = 400, description = "A parameter is wrong", content_type = "application/problem+json"),
        (status = 404, description = "There is no such drill", content_type = "application/problem+json"),
        (status = 409, description = "It is over already", content_type = "application/problem+json"),
        (status = 412, description = "It stands otherwise than `If-Match` says", content_type = "application/problem+json"),
        (status = 503, description = "It could not be tried", content_type = "application/problem+json"),
    )
)]
pub async fn abort(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Answer<Drill> {
    let abort: Abort = match body.is_empty() {
        true => Abort::default(),
        false => serde_json::from_slice(&body)
            .map(|Object(abort)| abort)
            .map_err(|e| wrong("body", &e.to_string()))?,
    };
    let by = owner(&who, abort.owner)?;
    let reason = plain("reason", abort.reason)?;
    let drills = state.drills.clone();
    if conditions.is_bound() {
        // Whoever read all drills knows this one, too. An abort that comes second finds it over.
        let one = drills.get(&id).ok_or_else(|| none(&id))?;
        let tags = [tag_of([&one]), tag_of(&drills.list())];
        if !conditions.allows(&tags) {
            return Err(conditions.broken(&tags[0]));
        }
    }
    let ended = tokio::spawn(async move { drills.abort(&id, &by, &reason).await });
    match ended.await {
        Ok(Ok(report)) => Ok(Json(Drill::of(&report))),
        Ok(Err(NotAborted::Unknown(detail))) => Err(Problem::no_such("id", detail)),
        Ok(Err(NotAborted::Over(detail))) => Err(Problem::too_late(detail)),
        Ok(Err(NotAborted::Failed(why))) => Err(Problem::unavailable(why)),
        Err(panic) => Err(Problem::unavailable(format!(
            "the end of the drill itself failed: {panic}"
        ))),
    }
}

/// The report of a drill; of one that runs as far as it has come.
///
/// JSON, or Markdown for those who accept `text/markdown`.
#[utoipa::path(
    get,
    path = "/v1/drills/{id}/report",
    tag = "drills",
    params(("id" = String, Path, description = "The drill")),
    responses(
        (status = 200, description = "The report", content(
            (DrillReport = "application/json"),
            (String = "text/markdown"),
        )),
        (status = 404, description = "There is no such drill", content_type = "application/problem+json"),
    )
)]
pub async fn report(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(report) = state.drills.get(&id) else {
        return Err(none(&id));
    };
    let accepts = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    if accepts.is_some_and(|a| a.contains("text/markdown")) {
        let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
        return Ok((kind, crate::drill::markdown(&report)).into_response());
    }
    let report = DrillReport {
        drill: Drill::of(&report),
        markdown: crate::drill::markdown(&report),
    };
    Ok(Json(report).into_response())
}

fn none(id: &str) -> Problem {
    let shown: String = id.chars().take(40).collect();
    let detail =
        format!("there is no drill `{shown}`; `GET /v1/drills` lists those that are known");
    Problem::no_such("id", detail)
}

impl Wanted {
    fn read(self, asks: &Who) -> Result<WantedDrill, Problem> {
        let Some(effect) = Effect::from_word(&self.effect) else {
            let detail = format!("`{}` is no effect; there are fail and drain", self.effect);
            return Err(Problem::parameter("effect", detail));
        };
        let scope = ScopeKind::from_word(&self.scope).filter(|s| *s != ScopeKind::Name);
        let Some(scope) = scope else {
            let detail = format!(
                "`{}` is no scope of a drill; there are region, pool and endpoint",
                self.scope
            );
            return Err(Problem::parameter("scope", detail));
        };
        let reach = match (self.canary, self.label) {
            (Some(_), true) => {
                let detail = "`canary` and `label` exclude each other; give one of them";
                return Err(Problem::parameter("label", detail));
            }
            (Some(text), false) => Reach::Canary(text.parse().map_err(|e| {
                let detail = format!("{e}; give a network such as 198.51.100.0/24");
                Problem::parameter("canary", detail)
            })?),
            (None, true) => Reach::Label,
            (None, false) => Reach::Everybody,
        };
        let Some(length) = parse_duration(&self.r#for).filter(|d| !d.is_zero()) else {
            let detail = format!("`{}` is no duration such as 30s, 2m or 1h", self.r#for);
            return Err(Problem::parameter("for", detail));
        };
        let reason = plain("reason", self.reason)?;
        if reason.trim().is_empty() {
            let detail = "a drill needs a reason: whoever sees it must know why";
            return Err(Problem::parameter("reason", detail));
        }
        let max_errors = self.max_errors.as_deref();
        let max_errors = max_errors.map(|t| share("max-errors", t)).transpose()?;
        Ok(WantedDrill {
            effect,
            scope,
            name: self.name,
            length,
            reach,
            owner: owner(asks, self.owner)?,
            reason,
            demand: self
                .demand
                .as_deref()
                .map(|t| share("demand", t))
                .transpose()?,
            max_errors: max_errors.unwrap_or(Charter::MAX_ERRORS),
            break_glass: broken(self.break_glass)?,
            mark: asks.mark,
        })
    }
}
