//! `GET /v1/explain?name=&type=&client=`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::Query;

use super::then;
use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::explain::Explanation;
use crate::balance::mix::mix;
use crate::dns::Rtype;
use crate::dns::name::WireName;
use crate::engine::{ExplainClient, ExplainError, explain_in_full};
use crate::net::Prefix;
use crate::steer::Draw;
use crate::time::Moment;

/// The query that is explained.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// A steered name.
    #[param(required = true, example = "www.gslb.example")]
    name: Option<String>,
    /// Record type: `A` (the default), `AAAA`, or `HTTPS` where the name has it.
    #[serde(rename = "type")]
    #[param(example = "A")]
    qtype: Option<String>,
    /// A network stands for an ECS option, an address for the resolver itself.
    #[param(required = true, example = "192.0.2.0/24")]
    client: Option<String>,
    /// Address of the resolver that sends the ECS option; only where `client` is a network.
    #[param(example = "198.51.100.53")]
    resolver: Option<String>,
    /// A draw as an explanation shows it, to decide the same again.
    #[param(example = "0123456789abcdef:3")]
    draw: Option<String>,
    /// As of this time: RFC 3339, or so long ago, such as `-15m`; as far back as `[history]` keeps.
    #[param(example = "-15m")]
    at: Option<String>,
}

/// Why a client gets the answer it gets, from the function that answers.
#[utoipa::path(
    get,
    path = "/v1/explain",
    tag = "steering",
    params(Parameters),
    responses(
        (status = 200, description = "The way to the answer, and what it would take for another",
         body = Explanation),
        (status = 400, description = "A parameter is missing or wrong"),
        (status = 404, description = "The name is not steered, or not for this type; or nothing is \
         recorded of that time"),
        (status = 503, description = "The history cannot be read now"),
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
                "`{}` is not a record type; use A, AAAA or HTTPS",
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
    // One view for all of the answer: the one in force, or that of another time.
    let (view, now, based_on) = then::view(&state, p.at.as_deref()).await?;
    let explained = explain_in_full(&view, &name, qtype.0, client, draw, now);
    let explained = explained.map_err(|e| Problem::no_such(at_fault(&e), e.to_string()))?;
    let mut shown = Explanation::of(explained, &view, now);
    if let Some(based_on) = based_on {
        shown.lines.insert(0, based_on.line());
        shown.based_on = Some(based_on);
    }
    Ok(Json(shown))
}

/// The parameter that names what does not exist.
fn at_fault(error: &ExplainError) -> &'static str {
    match error {
        ExplainError::TypeNotSteered { .. } => "type",
        _ => "name",
    }
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
    let source = text.contains('/').then_some(prefix.len());
    if let (None, Some(resolver)) = (source, resolver) {
        let detail = format!(
            "`client` is the address `{text}`, so the resolver itself: give the network that {resolver} \
             sends, such as {text}/{}, or leave `resolver` out",
            prefix.len()
        );
        return Err(Problem::parameter("resolver", detail));
    }
    Ok(ExplainClient {
        addr: prefix.addr(),
        source,
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
