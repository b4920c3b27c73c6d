//! `GET /v1/proxy/listeners`, `GET /v1/proxy/clients?prefix=&order=&limit=`

use axum::{Json, extract};
use serde::Deserialize;

use crate::admin::gate::Viewer;
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::traffic::{ClientsWanted, TrafficDesk};
use crate::admin::view::traffic::{Clients, Listeners};
use crate::health::clients::Order;

/// Prefixes in one answer, where nothing else is asked for.
const LIMIT: usize = 100;

/// Prefixes in one answer at most.
const LIMIT_MOST: usize = 1000;

/// The parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    prefix: Option<String>,
    order: Option<String>,
    limit: Option<usize>,
}

/// The listeners, with what they did.
pub async fn listeners(
    _: Viewer,
    extract::State(state): extract::State<State>,
) -> Answer<Listeners> {
    Ok(Json(desk(&state)?.listeners().into()))
}

/// The way to client prefixes.
pub async fn clients(
    _: Viewer,
    extract::State(state): extract::State<State>,
    parameters: Result<extract::Query<Parameters>, extract::rejection::QueryRejection>,
) -> Answer<Clients> {
    let extract::Query(parameters) =
        parameters.map_err(|e| Problem::parameter("query", e.body_text()))?;
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
    let limit = p.limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MOST).contains(&limit) {
        return Err(Problem::parameter(
            "limit",
            format!("{limit} is not between 1 and {LIMIT_MOST}"),
        ));
    }
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
