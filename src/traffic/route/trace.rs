//! Why a route was not taken.

use std::fmt;

use super::condition::Condition;
use super::path::PathPattern;
use crate::ids::RouteId;

/// What is told while a route is looked for.
pub trait Trace {
    /// Whether to go on after the route is found, so that all are told.
    const ALL: bool;

    /// A route that is for the host and perhaps the path of the request, but not for the request.
    fn failed(&mut self, route: RouteId, why: Failure<'_>);

    /// A route that matches, perhaps not the one that is taken.
    fn matched(&mut self, route: RouteId);
}

/// Nobody listens.
impl Trace for () {
    const ALL: bool = false;

    #[inline]
    fn failed(&mut self, _: RouteId, _: Failure<'_>) {}

    #[inline]
    fn matched(&mut self, _: RouteId) {}
}

/// Why a route is not for a request.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Failure<'a> {
    /// It is for other listeners.
    Listener,
    /// It is for other hosts.
    Host,
    /// It is for other paths.
    Path,
    /// This expression is not found in the path.
    Regex(&'a PathPattern),
    /// This does not hold.
    Condition(&'a Condition),
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Listener => f.write_str("it is for other listeners"),
            Failure::Host => f.write_str("it is for other hosts"),
            Failure::Path => f.write_str("it is for other paths"),
            Failure::Regex(path) => write!(f, "not so: {path}"),
            Failure::Condition(c) => write!(f, "not so: {c}"),
        }
    }
}
