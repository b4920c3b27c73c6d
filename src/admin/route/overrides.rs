//! `/v1/overrides`, `/v1/switchover`, `/v1/audit`: operators' orders.

use std::time::Duration;

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::find;
use super::object::Object;
use super::query::{Body, NoQuery, Query, limit};

use crate::admin::desk::{Asked, Ends, Refusal, WantedOrder, Wish};
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::{Operator, Viewer, Who};
use crate::admin::problem::{Document, Problem};
use crate::admin::state::{Answer, State};
use crate::admin::view::overrides::{Audit, Given, Overrides};
use crate::config::quantity::parse_duration;
use crate::overrides::{Class, InForce, Kind, ScopeKind, Subject};
use crate::snapshot::{View, orders};
use crate::time::utc;
use crate::units::Weight;

/// One thing wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OrderWanted)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct One {
    /// `endpoint`, `pool`, `region` or `name`.
    #[schema(pattern = "^(endpoint|pool|region|name)$")]
    scope: String,
    /// Of the scope.
    name: String,
    /// `drain`, `disable`, `force-up`, `force-down`, `weight`, `failback`, or `clear`: no order any more.
    #[schema(pattern = "^(drain|disable|force-up|force-down|weight|failback|clear)$")]
    kind: String,
    /// Of `weight`.
    #[schema(maximum = 1000000)]
    weight: Option<u32>,
}

/// An order about one scope.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SingleOrder)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Single {
    /// `endpoint`, `pool`, `region` or `name`.
    #[schema(pattern = "^(endpoint|pool|region|name)$")]
    scope: String,
    /// Of the scope.
    name: String,
    /// `drain`, `disable`, `force-up`, `force-down`, `weight`, `failback`, or `clear`: no order any more.
    #[schema(pattern = "^(drain|disable|force-up|force-down|weight|failback|clear)$")]
    kind: String,
    /// Of `weight`.
    #[schema(maximum = 1000000)]
    weight: Option<u32>,
    /// Who gives the order.
    #[schema(min_length = 1, max_length = 100)]
    owner: Option<String>,
    /// Why, for whoever finds it later.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// It ends by itself after this: `30m`, `2h`, `1d`.
    r#for: Option<String>,
    /// It ends by itself then: `2026-01-31T12:00:00Z`.
    until: Option<String>,
    /// The share of the capacity of each name that must go on serving: `60%`.
    #[schema(pattern = "^(100|[1-9]?[0-9])%$")]
    demand: Option<String>,
    /// Why rules may be broken all the same.
    #[schema(min_length = 1, max_length = 500)]
    break_glass: Option<String>,
}

/// An order about several scopes.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SeveralOrders)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Several {
    /// What is ordered: all of it or nothing.
    #[schema(value_type = Vec<One>)]
    orders: Vec<Object<One>>,
    /// Who gives the order.
    #[schema(min_length = 1, max_length = 100)]
    owner: Option<String>,
    /// Why, for whoever finds it later.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// It ends by itself after this: `30m`, `2h`, `1d`.
    r#for: Option<String>,
    /// It ends by itself then: `2026-01-31T12:00:00Z`.
    until: Option<String>,
    /// The share of the capacity of each name that must go on serving: `60%`.
    #[schema(pattern = "^(100|[1-9]?[0-9])%$")]
    demand: Option<String>,
    /// Why rules may be broken all the same.
    #[schema(min_length = 1, max_length = 500)]
    break_glass: Option<String>,
}

/// What to clear.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Gone {
    /// `endpoint`, `pool`, `region` or `name`.
    #[param(pattern = "^(endpoint|pool|region|name)$")]
    scope: String,
    /// Of the scope.
    name: String,
    /// `state`, `weight` or `failback`; all without it.
    #[param(pattern = "^(state|weight|failback)$")]
    class: Option<String>,
    /// Who takes it back.
    #[param(min_length = 1, max_length = 100)]
    owner: Option<String>,
    /// Why.
    #[serde(default)]
    #[param(required = false, max_length = 500)]
    reason: String,
    /// Why rules may be broken all the same.
    #[param(min_length = 1, max_length = 500)]
    break_glass: Option<String>,
}

/// Octets of a name of which nothing can be written: no node's is so long.
const LONGEST_NODE: usize = 255;

/// How much of the audit record.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Much {
    /// So many lines at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only what happened at this node.
    #[param(min_length = 1, max_length = 63)]
    node: Option<String>,
}

/// Whose orders are asked for: those about one thing, or all.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `endpoint`, `pool`, `region` or `name`; with `name`.
    #[param(pattern = "^(endpoint|pool|region|name)$")]
    scope: Option<String>,
    /// Of the scope.
    name: Option<String>,
}

/// The tag of some orders.
fn tag_of<'o>(orders: impl Iterator<Item = &'o InForce>) -> ETag {
    ETag::of(orders.map(|o| format!("{} {}", o.subject, o.record.stamp)))
}

fn is_about(order: &InForce, scope: ScopeKind, name: &str) -> bool {
    order.subject.scope == scope && *order.subject.name == *name
}

/// A thing by the name that orders call it.
fn canonical(scope: ScopeKind, name: &str, view: &View) -> (ScopeKind, String) {
    let subject = Subject {
        class: Class::State,
        scope,
        name: name.into(),
    };
    let known = orders::canonical(&subject, &view.snapshot.steering);
    (scope, known.unwrap_or_else(|| name.to_owned()))
}

/// Refuses a change where `If-Match` has neither the tag of all orders nor that of those about the thing
/// that it is about, as they are now.
fn check(
    conditions: &Conditions,
    state: &State,
    about: Option<(ScopeKind, &str)>,
) -> Result<(), Problem> {
    if !conditions.is_bound() {
        return Ok(());
    }
    let standing = state.orders.list().standing.0;
    let mut tags = vec![tag_of(standing.iter())];
    if let Some((scope, name)) = about {
        let (scope, name) = canonical(scope, name, &state.publisher.latest());
        let about = standing.iter().filter(|o| is_about(o, scope, &name));
        tags.insert(0, tag_of(about));
    }
    match conditions.allows(&tags) {
        true => Ok(()),
        false => Err(conditions.broken(&tags[0])),
    }
}

/// The orders in force, with the real state beneath them.
#[utoipa::path(
    get,
    path = "/v1/overrides",
    tag = "orders",
    params(Which),
    responses((status = 200, description = "The orders in force", body = Overrides,
               headers(("ETag" = String, description = "Stands for these orders: give it as `If-Match`"))))
)]
pub async fn list(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(which): Query<Which>,
) -> Result<Tagged<Overrides>, Problem> {
    let view = state.publisher.latest();
    let mut listing = state.orders.list();
    match (which.scope, which.name) {
        (None, None) => {}
        (Some(word), Some(name)) => {
            let (scope, name) = canonical(scope(&word)?, &name, &view);
            listing.standing.0.retain(|o| is_about(o, scope, &name));
        }
        (None, Some(_)) => return Err(Problem::parameter("scope", "`name` needs `scope`, too")),
        (Some(_), None) => return Err(Problem::parameter("name", "`scope` needs `name`, too")),
    }
    // What health says beneath an order goes on without it: never 304.
    let tag = tag_of(listing.standing.0.iter());
    Ok(Tagged::Now(tag, Overrides::of(listing, &view)))
}

/// Gives one order.
#[utoipa::path(
    put,
    path = "/v1/overrides",
    tag = "orders",
    request_body = Single,
    responses(
        (status = 200, description = "It is in force", body = Given),
        (status = 404, description = "Something that it is about is not there"),
        (status = 409, description = "It breaks rules; each is told with both numbers"),
        (status = 412, description = "Other orders are in force than those `If-Match` stands for"),
        (status = 503, description = "It could not be tried"),
    )
)]
pub async fn put(
    who: Operator,
    state: extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Body(single): Body<Single>,
) -> Answer<Given> {
    give_single(who, state, conditions, single).await
}

/// Gives one order; the same as PUT.
#[utoipa::path(
    post,
    path = "/v1/overrides",
    tag = "orders",
    request_body = Single,
    responses(
        (status = 200, description = "It is in force", body = Given),
        (status = 404, description = "Something that it is about is not there"),
        (status = 409, description = "It breaks rules; each is told with both numbers"),
        (status = 412, description = "Other orders are in force than those `If-Match` stands for"),
        (status = 503, description = "It could not be tried"),
    )
)]
pub async fn post(
    who: Operator,
    state: extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Body(single): Body<Single>,
) -> Answer<Given> {
    give_single(who, state, conditions, single).await
}

async fn give_single(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    s: Single,
) -> Answer<Given> {
    check(&conditions, &state, Some((scope(&s.scope)?, &s.name)))?;
    let one = One {
        scope: s.scope,
        name: s.name,
        kind: s.kind,
        weight: s.weight,
    };
    let several = Several {
        orders: vec![Object(one)],
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
#[utoipa::path(
    post,
    path = "/v1/switchover",
    tag = "orders",
    request_body = Several,
    responses(
        (status = 200, description = "They are in force", body = Given),
        (status = 404, description = "Something that it is about is not there"),
        (status = 409, description = "It breaks rules; each is told with both numbers"),
        (status = 412, description = "Other orders are in force than those `If-Match` stands for"),
        (status = 503, description = "It could not be tried"),
    )
)]
pub async fn switchover(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Body(several): Body<Several>,
) -> Answer<Given> {
    check(&conditions, &state, None)?;
    give(&state, several.wanted(&who)?).await
}

/// Takes orders back.
#[utoipa::path(
    delete,
    path = "/v1/overrides",
    tag = "orders",
    params(Gone),
    responses(
        (status = 200, description = "They are taken back", body = Given),
        (status = 404, description = "Something that it is about is not there"),
        (status = 409, description = "It breaks rules; each is told with both numbers"),
        (status = 412, description = "Other orders are in force than those `If-Match` stands for"),
        (status = 503, description = "It could not be tried"),
    )
)]
pub async fn delete(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    Query(gone): Query<Gone>,
) -> Answer<Given> {
    check(&conditions, &state, Some((scope(&gone.scope)?, &gone.name)))?;
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
        mark: who.mark,
    };
    give(&state, wanted).await
}

/// The audit record of the whole fleet.
///
/// The node that is asked asks the others, and waits a second at most; who did not answer is named.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "orders",
    params(Much),
    responses(
        (status = 200, description = "Its last lines, the latest first", body = Audit),
        (status = 404, description = "No such node, and nothing is written of one; the nearest is told",
         body = Document, content_type = "application/problem+json"),
    )
)]
pub async fn audit(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(much): Query<Much>,
) -> Answer<Audit> {
    let node = much.node.as_deref();
    if let Some(long) = node.filter(|node| node.len() > LONGEST_NODE) {
        find::node(&state.publisher.latest(), long)?;
    }
    let found = state.audit.audit(limit(much.limit)?, node).await;
    if let (Some(node), true) = (node, found.all.is_empty()) {
        // One that the configuration had until lately may still have some.
        find::node(&state.publisher.latest(), node)?;
    }
    Ok(Json(found.into()))
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
        Ok(Err(Refusal::Unknown(detail))) => Err(Problem::no_such("name", detail)),
        Ok(Err(Refusal::Breaks(rules))) => Err(Problem::conflict(rules)),
        Ok(Err(Refusal::Failed(why))) => Err(Problem::unavailable(why)),
        Err(panic) => Err(Problem::unavailable(format!(
            "the order itself failed: {panic}"
        ))),
    }
}

impl Several {
    fn wanted(self, who: &Who) -> Result<WantedOrder, Problem> {
        let wishes: Result<Vec<Wish>, Problem> =
            self.orders.into_iter().map(|o| o.0.wish()).collect();
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
            mark: who.mark,
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

/// How long an order may last. Its end is a time of RFC 3339, whose years have four digits.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

fn ends(r#for: Option<&str>, until: Option<&str>) -> Result<Option<Ends>, Problem> {
    match (r#for, until) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Problem::parameter(
            "until",
            "`for` and `until` exclude each other; give one of them",
        )),
        (Some(text), None) => match parse_duration(text).filter(|d| !d.is_zero()) {
            Some(d) if d > LONGEST => Err(Problem::parameter(
                "for",
                format!("`{text}` is longer than 36500d, the longest an order may last"),
            )),
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
