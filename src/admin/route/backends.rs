//! `/v1/proxy/upstreams`: the backends of the proxy, and orders about them.

use std::net::SocketAddr;

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::ToSchema;

use super::overrides::{owner, plain};
use super::query::{Body, NoQuery, Path};
use crate::admin::backends::UpstreamStatus;
use crate::admin::desk::Refusal;
use crate::admin::etag::{Conditions, ETag, Tagged};
use crate::admin::gate::{Operator, Viewer, Who};
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::backends::{Taken, Upstreams};
use crate::traffic::orders::{Added, Given, Place, Wish, Word};

/// An order about one backend.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schema(as = BackendOrderWanted)]
pub struct Wanted {
    /// `add`, `remove`, `weight`, `drain`, `disable` or `enable`.
    #[schema(pattern = "^(add|remove|weight|drain|disable|enable)$")]
    action: String,
    /// Who gives the order.
    #[schema(min_length = 1, max_length = 100)]
    owner: Option<String>,
    /// Why, for whoever finds it later.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Of `weight` and `add`; without it `weight` takes an order back.
    weight: Option<u32>,
    /// Of `add`: where it is, such as `10.0.0.1:8080`.
    address: Option<String>,
    /// Of `add`: it serves only after the others.
    backup: Option<bool>,
    /// Of `add`: its availability zone.
    #[schema(max_length = 500)]
    zone: Option<String>,
    /// Of `add`: the most requests under way to it.
    max_connections: Option<u32>,
}

/// One order is taken at a time, so that none comes between a look at the tags and the order.
static TAKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What stands for the backends and the orders about them: which there are, where, and what was ordered
/// by whom and when. What goes on by itself, health and counters, is not part of it.
fn tag_of<'u>(upstreams: impl IntoIterator<Item = &'u UpstreamStatus>) -> ETag {
    let texts = upstreams.into_iter().flat_map(|u| {
        let all = u.backends.iter().map(|b| {
            format!(
                "{} {} {:?} {:?} {:?}",
                b.name, b.address, b.presence, b.word, b.ordered_weight
            )
        });
        std::iter::once(u.name.clone())
            .chain(all)
            .collect::<Vec<_>>()
    });
    ETag::of(texts)
}

/// How the upstreams stand.
#[utoipa::path(
    get,
    path = "/v1/proxy/upstreams",
    tag = "proxy",
    responses(
        (status = 200, description = "The upstreams with their backends", body = Upstreams,
         headers(("ETag" = String, description = "Stands for the backends of all upstreams and the \
                  orders about them: give it as `If-Match`"))),
        (status = 404, description = "The node has no proxy"),
    )
)]
pub async fn list(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Result<Tagged<Upstreams>, Problem> {
    let all = state.backends.status().ok_or_else(no_proxy)?;
    // Health and counters go on without an order: never 304.
    let tag = tag_of(&all);
    let shown = Upstreams {
        xdp: state.backends.xdp(),
        ..all.into()
    };
    Ok(Tagged::Now(tag, shown))
}

/// How one upstream stands.
#[utoipa::path(
    get,
    path = "/v1/proxy/upstreams/{upstream}",
    tag = "proxy",
    params(("upstream" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The upstream", body = Upstreams,
         headers(("ETag" = String, description = "Stands for its backends and the orders about them: \
                  give it as `If-Match`"))),
        (status = 404, description = "The node has no proxy, or no such upstream"),
    )
)]
pub async fn one(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
    Path(name): Path<String>,
) -> Result<Tagged<Upstreams>, Problem> {
    let mut all = state.backends.status().ok_or_else(no_proxy)?;
    all.retain(|u| u.name == name);
    if all.is_empty() {
        let detail = format!("there is no upstream `{name}` here; see /v1/proxy/upstreams");
        return Err(Problem::no_such("upstream", detail));
    }
    Ok(Tagged::Now(tag_of(&all), all.into()))
}

/// Gives an order about a backend.
#[utoipa::path(
    post,
    path = "/v1/proxy/upstreams/{upstream}/backends/{backend}",
    tag = "proxy",
    params(
        ("upstream" = String, Path, description = "The upstream"),
        ("backend" = String, Path, description = "The backend"),
    ),
    request_body = Wanted,
    responses(
        (status = 200, description = "It is in force", body = Taken),
        (status = 404, description = "The node has no proxy, or no such upstream or backend"),
        (status = 409, description = "It breaks rules; each is told with both numbers"),
        (status = 412, description = "Backends or orders are others than `If-Match` stands for"),
        (status = 503, description = "It could not be tried"),
    )
)]
pub async fn give(
    Operator(who): Operator,
    extract::State(state): extract::State<State>,
    conditions: Conditions,
    _: NoQuery,
    Path((upstream, backend)): Path<(String, String)>,
    Body(wanted): Body<Wanted>,
) -> Answer<Taken> {
    let place = Place::new(&upstream, &backend);
    let wish = wanted.wish(&who, state.clock.wall().unix_ms(state.clock.now()))?;
    let (desk, at) = (state.backends.clone(), place.clone());
    // On its own: a client that hangs up must not leave an order half-way.
    let given = tokio::spawn(async move {
        let _one = TAKING.lock().await;
        if conditions.is_bound() {
            let all = desk.status().ok_or_else(no_proxy)?;
            let mine = all.iter().filter(|u| *u.name == *at.upstream);
            let tags = [tag_of(mine), tag_of(&all)];
            if !conditions.allows(&tags) {
                return Err(conditions.broken(&tags[0]));
            }
        }
        Ok(desk.give(at, wish).await)
    });
    let given = match given.await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(problem)) => return Err(problem),
        Err(panic) => Err(panic),
    };
    match given {
        Ok(Ok(taken)) => Ok(Json(Taken::new(&place, taken))),
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

fn no_proxy() -> Problem {
    Problem::not_found("this node has no proxy: ask one with the role `proxy`")
}

impl Wanted {
    fn wish(self, who: &Who, at_ms: u64) -> Result<Given<Wish>, Problem> {
        let reason = plain("reason", self.reason)?;
        if reason.trim().is_empty() {
            let detail = "an order needs a reason: whoever finds it later must know why";
            return Err(Problem::parameter("reason", detail));
        }
        let only_add = [
            ("address", self.address.is_some()),
            ("backup", self.backup.is_some()),
            ("zone", self.zone.is_some()),
            ("max-connections", self.max_connections.is_some()),
        ];
        if let Some((name, _)) = only_add.iter().find(|(_, set)| *set)
            && self.action != "add"
        {
            let detail = format!("`{}` has no `{name}`; only `add` has", self.action);
            return Err(Problem::parameter(*name, detail));
        }
        if self.weight.is_some() && !matches!(&*self.action, "add" | "weight") {
            let detail = format!("`{}` has no weight; leave it out", self.action);
            return Err(Problem::parameter("weight", detail));
        }
        let what = match &*self.action {
            "add" => {
                let address = address(self.address.as_deref())?;
                let zone = self.zone.map(|z| plain("zone", z)).transpose()?;
                let added = Added {
                    address,
                    backup: self.backup.unwrap_or(false),
                    zone: zone.map(String::into_boxed_str),
                    max_connections: self.max_connections,
                };
                Wish::Add(added, self.weight.unwrap_or(1))
            }
            "remove" => Wish::Remove,
            "weight" => Wish::Weight(self.weight),
            "drain" => Wish::Word(Word::Drain),
            "disable" => Wish::Word(Word::Disable),
            "enable" => Wish::Word(Word::Serve),
            other => {
                let detail = format!(
                    "`{other}` is no action; there are add, remove, weight, drain, disable and enable"
                );
                return Err(Problem::parameter("action", detail));
            }
        };
        Ok(Given {
            what,
            owner: owner(who, self.owner)?.into(),
            reason: reason.into(),
            at_ms,
        })
    }
}

fn address(text: Option<&str>) -> Result<SocketAddr, Problem> {
    let text = text.ok_or_else(|| {
        Problem::parameter(
            "address",
            "`add` needs `address`, such as \"10.0.0.1:8080\"",
        )
    })?;
    text.parse().map_err(|_| {
        let detail = format!("`{text}` is no address and port such as 10.0.0.1:8080");
        Problem::parameter("address", detail)
    })
}
