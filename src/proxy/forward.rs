//! Has a backend answer a request: chosen, waited for, tried again where that is safe.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::balance::candidate::Candidate;
use crate::ids::UpstreamId;
use crate::time::Moment;
use crate::traffic::NoRetry;
use crate::traffic::retry::{BodySent, Failed, RetryRules, Try};

use super::answers::Failure;
use super::backend::queue::Wanted;
use super::backend::{Admitted, Permit};
use super::body::Body;
use super::exchange::attempt;
use super::message::{Request, Response};
use super::replay::Replay;
use super::tier::{Group, Server, Tier};
use super::upstream::{Lease, NotAnswered, Why};
use super::worker::Worker;

/// Has a backend of the upstream answer.
pub async fn forward(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    request: &mut Request,
) -> Result<Response, Failure> {
    let (upstream, group) = tier.upstream(id);
    let rules = &upstream.resilience.retries;
    let admitted = group.state.admit(worker.watches.coarse());
    let admitted = admitted.map_err(Failure::Busy)?;
    let admitted = admitted.is_guarded().then(|| Rc::new(admitted));
    let replay = replayed(request, rules);
    let mut tries = 0;
    let mut tried: Option<Arc<Server>> = None;
    loop {
        tries += 1;
        let permit = place(worker, group, tried.as_ref()).await?;
        let server = permit.backend().clone();
        server.begin(tries > 1);
        let body = match &replay {
            Some(replay) => replay.again(),
            None => std::mem::take(&mut request.body),
        };
        let lease = Lease::new(permit, admitted.clone());
        let began = begun(worker, &server);
        let done = attempt(worker, upstream, &server, request, body, lease, tries > 1).await;
        let now = worker.watches.coarse();
        let (failed, why, sent, mut left) = match done {
            Ok(response) => {
                let status = response.head.status;
                server.answered(status, took(worker, began), now);
                let failed = Failed::Status(status);
                let named =
                    rules.on_status.contains(&status) || rules.undone_status.contains(&status);
                if !named || response.upgrade.is_some() {
                    ended(admitted.as_deref(), Some(status), None, now);
                    return Ok(response);
                }
                let body = replay.as_ref().map_or(whole(&request.body), Replay::sent);
                let t = Try {
                    method: &request.head.method,
                    tries,
                    sent: true,
                    body,
                    failed,
                };
                if group.state.may_retry(&t, None, now).is_err() {
                    ended(admitted.as_deref(), Some(status), None, now);
                    return Ok(response);
                }
                tried = Some(server);
                continue;
            }
            Err(NotAnswered { why, sent, body }) => (failed(why), why, sent, body),
        };
        let Some(failed) = failed else {
            // The client's own doing: it says nothing of the backend.
            return Err(why.into());
        };
        if let Some(fault) = failed.fault() {
            // A kept connection that was closed in the very moment is nobody's fault.
            if sent || matches!(why, Why::Refused | Why::ConnectTimeout | Why::Tls) {
                server.failed(fault, now);
            }
        }
        let body = match (&replay, &mut left) {
            (Some(replay), _) => replay.sent(),
            (None, Some(body)) => {
                request.body = std::mem::take(body);
                BodySent::Untouched
            }
            (None, None) => BodySent::Gone,
        };
        let t = Try {
            method: &request.head.method,
            tries,
            sent,
            body,
            failed,
        };
        if again(group, &t, why, now).is_err() {
            ended(admitted.as_deref(), None, failed.fault(), now);
            return Err(why.into());
        }
        // What was closed as it idled is tried at the same backend as well as at another.
        tried = (sent || failed == Failed::Connect).then_some(server);
    }
}

/// Whether the request is tried again.
fn again(group: &Group, t: &Try<'_>, why: Why, now: Moment) -> Result<(), NoRetry> {
    // A connection that the backend closed while it idled is no failure, and its replacement no retry
    // (RFC 9112 section 9.3.1): neither configured nor budgeted, but done once.
    let stale = why == Why::Closed && !t.sent && t.body != BodySent::Gone;
    if stale && t.tries == 1 {
        return Ok(());
    }
    group.state.may_retry(t, None, now)
}

fn ended(
    admitted: Option<&Admitted>,
    status: Option<u16>,
    fault: Option<crate::health::backend::Fault>,
    now: Moment,
) {
    if let Some(admitted) = admitted {
        admitted.ended(status, fault, now);
    }
}

/// The body as one that can be sent again, where it may have to be.
fn replayed(request: &mut Request, rules: &RetryRules) -> Option<Replay> {
    let may = request.head.method.is_idempotent() || !rules.undone_status.is_empty();
    let fits = request
        .body
        .length()
        .is_none_or(|n| n <= rules.keep_body as u64);
    let streams = !matches!(request.body, Body::Empty);
    let wanted = rules.attempts > 0 && rules.keep_body > 0 && streams && may && fits;
    wanted.then(|| Replay::new(std::mem::take(&mut request.body), rules.keep_body))
}

/// What became of a body that was given away and is not replayed.
fn whole(left: &Body) -> BodySent {
    match left {
        Body::Empty => BodySent::Untouched,
        _ => BodySent::Gone,
    }
}

/// What a failure is called in the rule about retries; `None` when the client failed.
fn failed(why: Why) -> Option<Failed> {
    match why {
        Why::Refused | Why::ConnectTimeout | Why::Tls => Some(Failed::Connect),
        Why::Closed | Why::Malformed | Why::TooLong => Some(Failed::Reset),
        Why::Timeout => Some(Failed::Timeout),
        Why::Body(_) => None,
    }
}

/// The time, where anybody wants to know how long the answer takes.
fn begun(worker: &Worker, server: &Server) -> Option<Moment> {
    server.is_timed().then(|| worker.watches.now())
}

fn took(worker: &Worker, began: Option<Moment>) -> Duration {
    began.map_or(Duration::ZERO, |began| worker.watches.now().since(began))
}

/// A place at a backend: now, or after waiting for one.
async fn place(
    worker: &Worker,
    group: &Group,
    not: Option<&Arc<Server>>,
) -> Result<Permit, Failure> {
    let now = worker.watches.coarse();
    let Some(server) = choose(worker, group, not, now) else {
        return Err(Failure::Busy(group.state.no_backend(now)));
    };
    if let Some(permit) = Permit::take(server) {
        return Ok(permit);
    }
    let waited = group.state.wait(Wanted::Any, &group.backends).await;
    waited.map_err(Failure::Busy)
}

/// A backend at random of those that may be used, with room if any has it, another than `not` if
/// there is one.
fn choose<'t>(
    worker: &Worker,
    group: &'t Group,
    not: Option<&Arc<Server>>,
    now: Moment,
) -> Option<&'t Arc<Server>> {
    let usable = |b: &&Arc<Server>| b.eligible(now) && b.weight(now) > 0;
    let another = |b: &&Arc<Server>| not.is_none_or(|not| !Arc::ptr_eq(not, b));
    let one_of = |fits: &dyn Fn(&&Arc<Server>) -> bool| {
        let count = group.backends.iter().filter(|b| fits(b)).count();
        let at = worker.random() as usize % count.max(1);
        group.backends.iter().filter(|b| fits(b)).nth(at)
    };
    one_of(&|b| usable(b) && another(b) && b.has_room())
        .or_else(|| one_of(&|b| usable(b) && b.has_room()))
        .or_else(|| one_of(&usable))
}
