//! Routes: which requests go where.
//!
//! A route names hosts and paths and may ask for more ([`Condition`]). Of the routes that match a
//! request the first in this order is taken: the higher `priority`, the more specific host (a name,
//! then the longer wildcard, then any), the more specific path (exact, then regular expressions by
//! the length of their literal start, then the longer prefix, then any), the more conditions. Two that
//! are equal in all of it and can meet are refused when the configuration is read ([`Conflict`]), and
//! so is a route that no request can reach.

pub mod action;
pub mod check;
pub mod condition;
mod explain;
pub mod host;
mod index;
pub mod path;
pub mod pattern;
pub mod rewrite;
#[cfg(test)]
mod tests;
pub mod trace;

use std::net::IpAddr;

use crate::ids::{CacheId, ListenerId, RouteId};
use crate::message::RequestHead;
use crate::traffic::Features;
use crate::traffic::compression::Compression;

pub use action::{Action, Mirror, Redirect, Respond, Split};
pub use check::Conflict;
pub use condition::{Asked, Condition, Test};
pub use host::HostPattern;
pub use path::{PathPattern, PathRules};
pub use pattern::Pattern;
pub use rewrite::Rewrite;
pub use trace::{Failure, Trace};

use index::Index;

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
    /// Which requests it is for.
    pub rule: Rule,
    /// What is done with its requests.
    pub action: Action,
    /// How their paths are changed before.
    pub rewrite: Option<Rewrite>,
    /// Where copies of them go.
    pub mirror: Option<Mirror>,
    /// The rule set they must pass: a position in [`crate::traffic::Plan::waf`].
    pub waf: Option<usize>,
    /// The cache that keeps its responses.
    pub cache: Option<CacheId>,
    /// What of its responses is compressed; `None`: as its listener says.
    pub compression: Option<Compression>,
    /// What else is done with them.
    pub features: Option<Box<Features>>,
}

impl Route {
    /// A route for every request.
    pub fn new(name: &str, action: Action) -> Route {
        Route {
            name: name.into(),
            rule: Rule::default(),
            action,
            rewrite: None,
            mirror: None,
            waf: None,
            cache: None,
            compression: None,
            features: None,
        }
    }
}

/// Which requests a route is for: those that one of the hosts, one of the paths and all conditions
/// match.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rule {
    /// Where they come in; empty: anywhere.
    pub listeners: Vec<ListenerId>,
    /// Higher is asked first; 0 where nothing is said.
    pub priority: i32,
    /// Empty: any.
    pub hosts: Vec<HostPattern>,
    /// Empty: any.
    pub paths: Vec<PathPattern>,
    /// What else must hold.
    pub conditions: Vec<Condition>,
}

impl Rule {
    /// The hosts; [`HostPattern::Any`] where none is named.
    pub fn hosts(&self) -> &[HostPattern] {
        match self.hosts[..] {
            [] => &[HostPattern::Any],
            _ => &self.hosts,
        }
    }

    /// The paths; [`PathPattern::Any`] where none is named.
    pub fn paths(&self) -> &[PathPattern] {
        match self.paths[..] {
            [] => &[PathPattern::Any],
            _ => &self.paths,
        }
    }
}

/// All routes of a proxy.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Routes {
    /// By [`RouteId`].
    pub list: Vec<Route>,
    /// How paths are read; see [`path::normalize`].
    pub paths: PathRules,
    index: Index,
}

impl Routes {
    /// Orders the routes, and says what is wrong with their order.
    pub fn build(list: Vec<Route>, paths: PathRules) -> (Routes, Vec<Conflict>) {
        let routes = Routes::ordered(list, paths);
        let conflicts = check::conflicts(&routes.list, &routes.index);
        (routes, conflicts)
    }

    /// Orders routes whose order is known to be good.
    pub fn ordered(list: Vec<Route>, paths: PathRules) -> Routes {
        let index = Index::build(&list);
        Routes { list, paths, index }
    }

    /// The route of a request whose target has been through [`path::normalize`]. Its cost depends on
    /// how many routes share host and path with the request, not on how many there are.
    #[inline]
    pub fn find(&self, head: &RequestHead, caller: Caller) -> Option<RouteId> {
        self.find_traced(head, caller, &mut ())
    }

    /// As [`Routes::find`]; `trace` is told why other routes are not taken.
    pub fn find_traced<T: Trace>(
        &self,
        head: &RequestHead,
        caller: Caller,
        trace: &mut T,
    ) -> Option<RouteId> {
        let asked = Asked {
            head,
            host: host::canonical(head.host()),
            path: head.path(),
            client: caller.client.to_canonical(),
        };
        self.index.find(&self.list, &asked, caller.listener, trace)
    }
}
