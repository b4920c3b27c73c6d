//! Routes: which requests go where.

use std::net::IpAddr;

use crate::ids::{ListenerId, RouteId, UpstreamId};
use crate::message::RequestHead;

/// Who asks, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The listener that was reached.
    pub listener: ListenerId,
    /// The client: the connection's source, or what a trusted proxy says.
    pub client: IpAddr,
}

/// One route.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    /// Its name.
    pub name: Box<str>,
    /// What is done with its requests.
    pub action: Action,
}

/// What is done with a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A backend of the upstream answers it.
    Forward(UpstreamId),
}

/// All routes of a proxy.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Routes {
    /// By [`RouteId`], the first that matches wins.
    pub list: Vec<Route>,
}

impl Routes {
    /// The route of a request.
    pub fn find(&self, _head: &RequestHead, _caller: Caller) -> Option<RouteId> {
        (!self.list.is_empty()).then_some(RouteId(0))
    }
}
