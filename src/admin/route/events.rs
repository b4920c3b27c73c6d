//! `GET /v1/events` as pages and as a stream, `GET /v1/endpoints/{endpoint}/history`

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{Path, Query};
use super::stream;
use super::then::{past, time};
use crate::admin::gate::{Peer, Viewer};
use crate::admin::problem::{Document, Problem};
use crate::admin::state::{Answer, State};
use crate::admin::view::events::{EndpointHistory, Events};
use crate::history::{Filter, KINDS, Level};

/// The highest number of an event: the highest that every reader of JSON takes (RFC 8259 section 6).
const LAST: u64 = (1 << 53) - 1;

/// Events of a page, where nothing else is asked for.
const LIMIT: usize = 100;

/// Events of a page at most.
const MOST: usize = 1_000;

/// Changes of an endpoint at most.
const MOST_CHANGES: usize = 500;

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// From this time on: RFC 3339, or so long ago, such as `-1h`. Not with a stream.
    #[param(example = "-1h")]
    since: Option<String>,
    /// Before this time, written as `since`. Not with a stream.
    #[param(example = "2026-11-21T12:00:00Z")]
    until: Option<String>,
    /// Of these kinds, with commas between them: `verdict`, `stale`, `brake`, `failback`, `vantage`,
    /// `fail-open`, `order`, `config`, `drill`, `member`, `refused`, `node`.
    #[param(example = "verdict,order")]
    kind: Option<String>,
    /// About something with this in its name.
    #[param(example = "eu-1")]
    subject: Option<String>,
    /// At least so grave: `info`, `warning` or `error`.
    #[param(pattern = "^(info|warning|error)$")]
    level: Option<String>,
    /// So many at most. Not with a stream.
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<usize>,
    /// With numbers below this one: `next` of the page before. Not with a stream.
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    before: Option<u64>,
}

/// What happened, latest first; with `Accept: text/event-stream`, what happens, as it does.
///
/// A stream begins with what is missing since `Last-Event-ID`. Beside the events, whose `event` is their
/// kind, it has `generation` when another view is in force, at most four times a second, and `gap`, `slow`
/// and `closing`, after which to connect again.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "node",
    params(Parameters, ("Last-Event-ID" = Option<String>, Header,
        description = "Of a stream: the number of the last event that was heard")),
    responses(
        (status = 200, description = "The events", content(
            (Events = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 503, description = "Too many streams are open", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn events(
    _: Viewer,
    extract::State(state): extract::State<State>,
    extract::Extension(peer): extract::Extension<Peer>,
    headers: HeaderMap,
    Query(p): Query<Parameters>,
) -> Result<Response, Problem> {
    let accept = headers.get_all(header::ACCEPT).iter();
    let mut accept = accept.filter_map(|a| a.to_str().ok());
    let limit = match p.limit {
        Some(limit) if !(1..=MOST).contains(&limit) => {
            return Err(Problem::parameter(
                "limit",
                format!("{limit} is not between 1 and {MOST}"),
            ));
        }
        limit => limit.unwrap_or(LIMIT),
    };
    let filter = filter(&state, &p)?;
    if accept.any(|a| a.contains("text/event-stream")) {
        let not_there = [
            ("since", p.since.is_some()),
            ("until", p.until.is_some()),
            ("limit", p.limit.is_some()),
            ("before", p.before.is_some()),
        ];
        if let Some((name, _)) = not_there.into_iter().find(|(_, given)| *given) {
            return Err(Problem::parameter(
                name,
                format!(
                    "a stream has no `{name}`: it begins now, or after the header `Last-Event-ID`; leave \
                     it out, or ask for a page with `Accept: application/json`"
                ),
            ));
        }
        return stream::open(&state, filter, peer, headers);
    }
    let page = state.history.page(filter, limit).await;
    Ok(Json(Events::from(page)).into_response())
}

fn filter(state: &State, p: &Parameters) -> Result<Filter, Problem> {
    let now_ms = state.clock.wall().unix_ms(state.clock.now());
    let at = |name, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|t| time(name, t, now_ms)).transpose()
    };
    let kinds = p.kind.iter().flat_map(|k| k.split(','));
    let kinds: Vec<String> = kinds.map(str::to_owned).collect();
    if let Some(unknown) = kinds.iter().find(|k| !KINDS.contains(&k.as_str())) {
        return Err(Problem::parameter(
            "kind",
            format!(
                "`{unknown}` is no kind of event; there are {}",
                KINDS.join(", ")
            ),
        ));
    }
    let level = match p.level.as_deref() {
        None => None,
        Some(word) => Some(Level::from_word(word).ok_or_else(|| {
            Problem::parameter(
                "level",
                format!("`{word}` is no level; there are info, warning, error"),
            )
        })?),
    };
    if let Some(number) = p.before.filter(|n| !(1..=LAST).contains(n)) {
        return Err(Problem::parameter(
            "before",
            format!("{number} is not a number of an event; they go from 1 to {LAST}"),
        ));
    }
    Ok(Filter {
        since_ms: at("since", &p.since)?,
        until_ms: at("until", &p.until)?,
        kinds,
        subject: p.subject.clone().filter(|s| !s.is_empty()),
        level,
        before: p.before,
    })
}

/// How many changes.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangesWanted {
    /// From this time on, as long as `[history]` keeps it: RFC 3339, or so long ago, such as `-6h`; without
    /// it what is in memory.
    #[param(example = "-6h")]
    since: Option<String>,
    /// So many at most.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<usize>,
}

/// How the verdict on an endpoint and the votes behind it changed, latest first.
#[utoipa::path(
    get,
    path = "/v1/endpoints/{endpoint}/history",
    tag = "health",
    params(("endpoint" = String, Path, description = "An endpoint"), ChangesWanted),
    responses(
        (status = 200, description = "The changes that are remembered", body = EndpointHistory),
        (status = 400, description = "A parameter is wrong", body = Document,
         content_type = "application/problem+json"),
        (status = 404, description = "There is no such endpoint", body = Document,
         content_type = "application/problem+json"),
    )
)]
pub async fn endpoint(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Path(endpoint): Path<String>,
    Query(p): Query<ChangesWanted>,
) -> Answer<EndpointHistory> {
    let limit = p.limit.unwrap_or(LIMIT);
    if !(1..=MOST_CHANGES).contains(&limit) {
        return Err(Problem::parameter(
            "limit",
            format!("{limit} is not between 1 and {MOST_CHANGES}"),
        ));
    }
    let since = p.since.as_deref();
    let since_ms = since.map(|s| past(&state, "since", s)).transpose()?;
    let history = match since_ms {
        Some(since_ms) => {
            let wanted = [Arc::from(&*endpoint)];
            let course = state.history.course(&wanted, since_ms).await;
            EndpointHistory::of(endpoint.clone(), &course, limit)
        }
        None => {
            let turns = state.history.turns(&endpoint, limit);
            EndpointHistory::remembered(endpoint.clone(), &turns)
        }
    };
    let view = state.publisher.latest();
    let endpoints = &view.snapshot.steering.endpoints;
    let known = endpoints
        .binary_search_by(|e| (*e.name).cmp(&endpoint))
        .is_ok();
    if history.changes.is_empty() && !known {
        let names = endpoints.iter().map(|e| &*e.name);
        let near = crate::config::nearest(&endpoint, names);
        let hint = near.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
        return Err(Problem::no_such(
            "endpoint",
            format!("no endpoint `{endpoint}`{hint}"),
        ));
    }
    Ok(Json(history))
}
