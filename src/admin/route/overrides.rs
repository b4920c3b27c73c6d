//! `/v1/overrides`, `/v1/switchover`, `/v1/audit`: operators' orders.

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::{Json, extract};
use serde::Deserialize;

use crate::admin::desk::{Asked, Ends, Refusal, WantedOrder, Wish};
use crate::admin::gate::{Operator, Viewer, Who};
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::overrides::{Audit, Given, Overrides};
use crate::config::quantity::parse_duration;
use crate::overrides::{Class, Kind, ScopeKind};
use crate::time::utc;
use crate::units::Weight;

/// One thing wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct One {
    scope: String,
    name: String,
    kind: String,
    weight: Option<u32>,
}

/// An order about one scope.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Single {
    scope: String,
    name: String,
    kind: String,
    weight: Option<u32>,
    owner: Option<String>,
    reason: String,
    r#for: Option<String>,
    until: Option<String>,
    demand: Option<String>,
    break_glass: Option<String>,
}

/// An order about several scopes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Several {
    orders: Vec<One>,
    owner: Option<String>,
    reason: String,
    r#for: Option<String>,
    until: Option<String>,
    demand: Option<String>,
    break_glass: Option<String>,
}

/// What to clear.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gone {
    scope: String,
    name: String,
    /// `state`, `weight` or `failback`; all without it.
    class: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    reason: String,
    break_glass: Option<String>,
}

/// How much of the audit record.
#[derive(Debug, Deserialize)]
pub struct Much {
    limit: Option<usize>,
}

/// The orders in force, with the real state beneath them.
pub async fn list(_: Viewer, extract::State(state): extract::State<State>) -> Answer<Overrides> {
    let listing = state.orders.list();
    Ok(Json(Overrides::of(listing, &state.publisher.latest())))
}

/// Gives one order.
pub async fn put(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    body: Result<Json<Single>, JsonRejection>,
) -> Answer<Given> {
    let Json(s) = body.map_err(|e| Problem::parameter("body", e.body_text()))?;
    let one = One {
        scope: s.scope,
        name: s.name,
        kind: s.kind,
        weight: s.weight,
    };
    let several = Several {
        orders: vec![one],
        owner: s.owner,
        reason: s.reason,
        r#for: s.r#for,
        until: s.until,
        demand: s.demand,
        break_glass: s.break_glass,
    };
    give(&state, several.wanted(&who)?).await
}

/// Gives several orders as one: all or none.
pub async fn switchover(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    body: Result<Json<Several>, JsonRejection>,
) -> Answer<Given> {
    let Json(several) = body.map_err(|e| Problem::parameter("body", e.body_text()))?;
    give(&state, several.wanted(&who)?).await
}

/// Takes orders back.
pub async fn delete(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    query: Result<extract::Query<Gone>, QueryRejection>,
) -> Answer<Given> {
    let extract::Query(gone) = query.map_err(|e| Problem::parameter("query", e.body_text()))?;
    let class = gone.class.as_deref().map(class).transpose()?;
    let wanted = WantedOrder {
        wishes: vec![Wish {
            scope: scope(&gone.scope)?,
            name: gone.name,
            what: Asked::Clear(class),
        }],
        owner: owner(&who, gone.owner)?,
        reason: plain("reason", gone.reason)?,
        ends: None,
        demand: None,
        break_glass: broken(gone.break_glass)?,
    };
    give(&state, wanted).await
}

/// The audit record.
pub async fn audit(
    _: Viewer,
    extract::State(state): extract::State<State>,
    query: Result<extract::Query<Much>, QueryRejection>,
) -> Answer<Audit> {
    let extract::Query(much) = query.map_err(|e| Problem::parameter("limit", e.body_text()))?;
    let lines = state.orders.audit(much.limit.unwrap_or(100));
    Ok(Json(Audit {
        audit: lines.into_iter().map(Into::into).collect(),
    }))
}

async fn give(state: &State, wanted: WantedOrder) -> Answer<Given> {
    let orders = state.orders.clone();
    // On its own: a client that hangs up must not leave an order half-way.
    let given = tokio::spawn(async move { orders.give(wanted).await });
    match given.await {
        Ok(Ok(taken)) => Ok(Json(taken.into())),
        Ok(Err(Refusal::Invalid { parameter, detail })) => {
            Err(Problem::parameter(parameter, detail))
        }
        Ok(Err(Refusal::Unknown(detail))) => Err(Problem::not_found(detail)),
        Ok(Err(Refusal::Breaks(rules))) => Err(Problem::conflict(rules)),
        Ok(Err(Refusal::Failed(why))) => Err(Problem::unavailable(why)),
        Err(panic) => Err(Problem::unavailable(format!(
            "the order itself failed: {panic}"
        ))),
    }
}

impl Several {
    fn wanted(self, who: &Who) -> Result<WantedOrder, Problem> {
        let wishes: Result<Vec<Wish>, Problem> = self.orders.into_iter().map(One::wish).collect();
        let reason = plain("reason", self.reason)?;
        if reason.trim().is_empty() {
            let detail = "an order needs a reason: whoever finds it later must know why";
            return Err(Problem::parameter("reason", detail));
        }
        Ok(WantedOrder {
            wishes: wishes?,
            owner: owner(who, self.owner)?,
            reason,
            ends: ends(self.r#for.as_deref(), self.until.as_deref())?,
            demand: self.demand.as_deref().map(demand).transpose()?,
            break_glass: broken(self.break_glass)?,
        })
    }
}

impl One {
    fn wish(self) -> Result<Wish, Problem> {
        let kind = match (&*self.kind, self.weight) {
            ("weight", Some(w)) if w <= Weight::MAX.0 => Asked::Set(Kind::Weight(Weight(w))),
            ("weight", Some(w)) => {
                let detail = format!("the weight {w} is above {}; give less", Weight::MAX.0);
                return Err(Problem::parameter("weight", detail));
            }
            ("weight", None) => {
                let detail = "an order of kind `weight` needs `weight`, 0 to 1000000";
                return Err(Problem::parameter("weight", detail));
            }
            (kind, Some(_)) => {
                let detail = format!("an order of kind `{kind}` has no weight; leave it out");
                return Err(Problem::parameter("weight", detail));
            }
            ("drain", None) => Asked::Set(Kind::Drain),
            ("disable", None) => Asked::Set(Kind::Disable),
            ("force-up", None) => Asked::Set(Kind::ForceUp),
            ("force-down", None) => Asked::Set(Kind::ForceDown),
            ("failback", None) => Asked::Set(Kind::Failback),
            ("clear", None) => Asked::Clear(None),
            (other, None) => {
                let detail = format!(
                    "`{other}` is no kind of order; there are drain, disable, force-up, \
                     force-down, weight, failback and clear"
                );
                return Err(Problem::parameter("kind", detail));
            }
        };
        Ok(Wish {
            scope: scope(&self.scope)?,
            name: self.name,
            what: kind,
        })
    }
}

fn class(word: &str) -> Result<Class, Problem> {
    Class::from_word(word).ok_or_else(|| {
        let detail =
            format!("`{word}` is no class; give `state`, `weight`, `failback`, `drill` or nothing");
        Problem::parameter("class", detail)
    })
}

fn scope(word: &str) -> Result<ScopeKind, Problem> {
    ScopeKind::from_word(word).ok_or_else(|| {
        let detail = format!("`{word}` is no scope; there are endpoint, pool, region and name");
        Problem::parameter("scope", detail)
    })
}

fn ends(r#for: Option<&str>, until: Option<&str>) -> Result<Option<Ends>, Problem> {
    match (r#for, until) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::parameter(
            "until",
            "`for` and `until` exclude each other; give one of them",
        )),
        (Some(text), None) => match parse_duration(text).filter(|d| !d.is_zero()) {
            Some(d) => Ok(Some(Ends::After(d))),
            None => Err(Problem::parameter(
                "for",
                format!("`{text}` is no duration such as 30m, 2h or 1d"),
            )),
        },
        (None, Some(text)) => match utc::parse(text) {
            Some(unix) => Ok(Some(Ends::At(unix * 1000))),
            None => Err(Problem::parameter(
                "until",
                format!("`{text}` is no time such as 2026-01-31T12:00:00Z"),
            )),
        },
    }
}

fn demand(text: &str) -> Result<u8, Problem> {
    share("demand", text)
}

/// A share in percent.
pub(super) fn share(parameter: &'static str, text: &str) -> Result<u8, Problem> {
    let number = text.strip_suffix('%').and_then(|n| n.parse().ok());
    number.filter(|n| *n <= 100).ok_or_else(|| {
        let detail = format!("`{text}` is no share such as 60%, 0% to 100%");
        Problem::parameter(parameter, detail)
    })
}

/// Who gives an order: whoever asks, with the name they gave where it is another.
pub(super) fn owner(who: &Who, said: Option<String>) -> Result<String, Problem> {
    let owner = who
        .owner(said)
        .map_err(|e| Problem::parameter("owner", e))?;
    plain("owner", owner)
}

pub(super) fn broken(reason: Option<String>) -> Result<Option<String>, Problem> {
    match reason {
        Some(text) if text.trim().is_empty() => Err(Problem::parameter(
            "break-glass",
            "say why the rules may be broken",
        )),
        Some(text) => plain("break-glass", text).map(Some),
        None => Ok(None),
    }
}

/// Texts go into logs and terminals.
pub(super) fn plain(parameter: &'static str, text: String) -> Result<String, Problem> {
    let most = if parameter == "owner" { 100 } else { 500 };
    if text.chars().any(char::is_control) {
        let detail = "line ends and control characters are not allowed here";
        return Err(Problem::parameter(parameter, detail));
    }
    if text.len() > most {
        let detail = format!("it has {} octets; {most} are allowed", text.len());
        return Err(Problem::parameter(parameter, detail));
    }
    Ok(text)
}
