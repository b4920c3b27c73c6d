//! `GET /v1/explain?name=&type=&client=`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::Query;

use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::explain::Explanation;
use crate::balance::mix::mix;
use crate::dns::Rtype;
use crate::dns::name::WireName;
use crate::engine::{ExplainClient, explain as explain_query};
use crate::net::Prefix;
use crate::steer::Draw;
use crate::time::Moment;

/// The query that is explained.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// A steered name.
    #[param(required = true, min_length = 1)]
    name: Option<String>,
    /// A record type; `A` without it.
    #[serde(rename = "type")]
    qtype: Option<String>,
    /// The client: an address, or the network of an ECS option such as `192.0.2.0/24`.
    #[param(required = true, min_length = 1)]
    client: Option<String>,
    /// The address of the resolver that asks for the client.
    resolver: Option<String>,
    /// The chance to decide with, as an explanation showed it.
    draw: Option<String>,
}

/// Why a client gets the answer it gets, from the function that answers.
#[utoipa::path(
    get,
    path = "/v1/explain",
    tag = "steering",
    params(Parameters),
    responses(
        (status = 200, description = "What is answered, and why", body = Explanation),
        (status = 404, description = "No such steered name"),
    )
)]
pub async fn explain(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(p): Query<Parameters>,
) -> Answer<Explanation> {
    let now = state.clock.now();
    let name: WireName = required(p.name.as_deref(), "name", "a steered name")?
        .parse()
        .map_err(|e| Problem::parameter("name", format!("{e}")))?;
    let qtype: Rtype = p.qtype.as_deref().unwrap_or("A").parse().map_err(|_| {
        Problem::parameter(
            "type",
            format!(
                "`{}` is not a record type; use A or AAAA",
                p.qtype.as_deref().unwrap_or("")
            ),
        )
    })?;
    let client = required(
        p.client.as_deref(),
        "client",
        "an address, or a network such as 192.0.2.0/24",
    )?;
    let client = client_of(client, p.resolver.as_deref())?;
    let draw = match p.draw.as_deref() {
        Some(text) => draw_of(text)?,
        None => chance(now),
    };
    // One view for all of the answer.
    let view = state.publisher.latest();
    explain_query(&view, &name, qtype.0, client, draw, now)
        .map(|e| Json(e.into()))
        .map_err(|e| Problem::not_found(e.to_string()))
}

fn required<'p>(
    value: Option<&'p str>,
    name: &'static str,
    what: &str,
) -> Result<&'p str, Problem> {
    value
        .filter(|v| !v.is_empty())
        .ok_or_else(|| Problem::parameter(name, format!("`{name}` is missing; give {what}")))
}

/// A network stands for an ECS option, a bare address for the resolver itself.
fn client_of(text: &str, resolver: Option<&str>) -> Result<ExplainClient, Problem> {
    let prefix: Prefix = text
        .parse()
        .map_err(|e| Problem::parameter("client", format!("{e}")))?;
    let resolver = resolver
        .map(|r| {
            r.parse()
                .map_err(|_| Problem::parameter("resolver", format!("`{r}` is not an address")))
        })
        .transpose()?;
    Ok(ExplainClient {
        addr: prefix.addr(),
        source: text.contains('/').then_some(prefix.len()),
        resolver,
    })
}

/// Reads `HEX` or `HEX:TURN`, as an explanation shows it.
fn draw_of(text: &str) -> Result<Draw, Problem> {
    let (random, turn) = text.split_once(':').unwrap_or((text, "0"));
    match (u64::from_str_radix(random, 16), turn.parse()) {
        (Ok(random), Ok(turn)) => Ok(Draw { random, turn }),
        _ => Err(Problem::parameter(
            "draw",
            format!(
                "`{text}` is not a draw; give back what an explanation showed, such as 00f3a1:7"
            ),
        )),
    }
}

/// Chance for one who gave no draw: as good as any, and shown.
fn chance(now: Moment) -> Draw {
    let random = mix(now.0);
    Draw {
        random,
        turn: random as u32,
    }
}
