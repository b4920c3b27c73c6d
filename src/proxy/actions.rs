//! What the proxy answers itself because a route says so.

use crate::message::http1::Refusal;
use crate::message::{Known, ResponseHead};
use crate::traffic::Route;
use crate::traffic::fields::{Escape, Facts};
use crate::traffic::route::path::{self, PathRules};
use crate::traffic::route::{Action, Redirect, Respond};

use super::answers::Failure;
use super::body::Body;
use super::message::Response;

/// Brings the path of a target into the form in which routes are matched. Where that changes it and the
/// backend is to get it as it was, that comes back.
///
/// # Errors
/// When the path has no safe reading.
#[inline]
pub fn settle(target: &mut Vec<u8>, rules: &PathRules) -> Result<Option<Vec<u8>>, Failure> {
    let before = rules.as_sent.then(|| target.clone());
    let changed = path::normalize(target, rules).map_err(Failure::Path)?;
    Ok(before.filter(|_| changed))
}

/// The answer of a route that asks no backend.
///
/// # Errors
/// When the route refuses the request.
pub fn own(route: &Route, facts: &Facts<'_>) -> Result<Response, Failure> {
    match &route.action {
        // A client of HTTP/1.0 may not have said where it is.
        Action::Redirect(_) if facts.head.authority.is_empty() => {
            Err(Failure::Refused(Refusal::NoHost))
        }
        Action::Redirect(to) => Ok(redirect(to, facts)),
        Action::Respond(with) => Ok(respond(with)),
        Action::Deny(status) => Err(Failure::Denied(*status)),
        Action::Drop => Err(Failure::Dropped),
        // These have a backend.
        Action::Forward(_) | Action::Split(_) => Err(Failure::NoBackend),
    }
}

fn redirect(to: &Redirect, facts: &Facts<'_>) -> Response {
    let mut location = Vec::with_capacity(128);
    to.to.render(facts, Escape::Field, &mut location);
    to.complete(facts.head, &mut location);
    let mut answer = ResponseHead::new(to.status);
    answer.fields.push_known(Known::Location, &location);
    Response::new(answer, Body::Empty)
}

fn respond(with: &Respond) -> Response {
    let mut answer = ResponseHead::new(with.status);
    if !with.body.is_empty() {
        let kind = with.content_type.as_bytes();
        answer.fields.push_known(Known::ContentType, kind);
    }
    let body = match with.body.is_empty() {
        true => Body::Empty,
        false => Body::Whole(with.body.clone()),
    };
    Response::new(answer, body)
}
