//! `GET /v1/proxy/listeners`, `GET /v1/proxy/clients?prefix=&order=&limit=`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::{NoQuery, Query, limit};

use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::traffic::{ClientsWanted, TrafficDesk};
use crate::admin::view::traffic::{Clients, Listeners};
use crate::health::clients::Order;

/// Which client prefixes are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Parameters {
    /// Only those within this network, or the one that holds this address.
    prefix: Option<String>,
    /// Those with most of it first: `samples` (where nothing is asked for), `rtt`, `retransmits` or
    /// `recent`.
    order: Option<String>,
    /// So many at most; 100 without it.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The listeners, with what they did.
#[utoipa::path(
    get,
    path = "/v1/proxy/listeners",
    tag = "proxy",
    responses(
        (status = 200, description = "The listeners, and the backends of layer 4", body = Listeners),
        (status = 404, description = "The node has no proxy"),
    )
)]
pub async fn listeners(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Answer<Listeners> {
    let before = state.stats.before();
    Ok(Json(desk(&state)?.listeners_since(before).into()))
}

/// The way to client prefixes.
#[utoipa::path(
    get,
    path = "/v1/proxy/clients",
    tag = "proxy",
    params(Parameters),
    responses(
        (status = 200, description = "Some of the prefixes", body = Clients),
        (status = 404, description = "The node has no proxy, or it remembers no clients"),
    )
)]
pub async fn clients(
    _: Viewer,
    extract::State(state): extract::State<State>,
    Query(parameters): Query<Parameters>,
) -> Answer<Clients> {
    let wanted = wanted(&parameters)?;
    let facts = desk(&state)?.clients(&wanted).ok_or_else(|| {
        Problem::not_found(
            "the proxy of this node remembers no clients: `client-prefixes` of its `proxy` table is 0",
        )
    })?;
    Ok(Json(Clients::of(facts, state.clock.now())))
}

fn desk(state: &State) -> Result<&dyn TrafficDesk, Problem> {
    let none = || {
        Problem::not_found("this node carries no traffic: it has not the role `proxy`; ask another")
    };
    state.traffic.as_deref().ok_or_else(none)
}

fn wanted(p: &Parameters) -> Result<ClientsWanted, Problem> {
    let within = p.prefix.as_deref().map(|text| {
        let wrong = |e| {
            Problem::parameter(
                "prefix",
                format!("{e}; give an address or a network such as 192.0.2.0/24"),
            )
        };
        text.parse().map_err(wrong)
    });
    let order = match p.order.as_deref() {
        None | Some("samples") => Order::Samples,
        Some("rtt") => Order::Rtt,
        Some("retransmits") => Order::Retransmits,
        Some("recent") => Order::Recent,
        Some(other) => {
            return Err(Problem::parameter(
                "order",
                format!("`{other}` is no order; use samples, rtt, retransmits or recent"),
            ));
        }
    };
    let limit = limit(p.limit)?;
    Ok(ClientsWanted {
        order,
        within: within.transpose()?,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        prefix: Option<&str>,
        order: Option<&str>,
        limit: Option<usize>,
    ) -> Option<ClientsWanted> {
        let parameters = Parameters {
            prefix: prefix.map(Into::into),
            order: order.map(Into::into),
            limit,
        };
        wanted(&parameters).ok()
    }

    #[test]
    fn parameters_are_bounded_and_have_defaults() {
        let all = read(None, None, None).unwrap();
        assert_eq!(
            (all.order, all.within, all.limit),
            (Order::Samples, None, 100)
        );
        let some = read(Some("192.0.2.0/24"), Some("rtt"), Some(1)).unwrap();
        assert_eq!(some.within.unwrap().to_string(), "192.0.2.0/24");
        assert_eq!(some.order, Order::Rtt);
        assert!(read(Some("2001:db8::1"), Some("recent"), Some(1000)).is_some());
        for wrong in [
            read(Some("192.0.2.1/24"), None, None),
            read(Some("x"), None, None),
            read(None, Some("best"), None),
            read(None, None, Some(0)),
            read(None, None, Some(1001)),
        ] {
            assert_eq!(wrong, None);
        }
    }
}
