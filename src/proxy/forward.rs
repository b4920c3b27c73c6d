//! Having a backend answer: choosing one, waiting for one that is full, asking it, and asking another when
//! that is safe.

use std::rc::Rc;
use std::sync::Arc;

use crate::health::backend::Fault;
use crate::ids::UpstreamId;
use crate::time::Moment;
use crate::traffic::retry::{BodySent, Failed, RetryRules, Try};

use super::answers::Failure;
use super::backend::{Admitted, Permit};
use super::body::Body;
use super::message::{Peer, Request, Response};
use super::record::Record;
use super::replay::Replay;
use super::seat::{NoSeat, Seat, Taken, successor};
use super::session::Bond;
use super::stats::count;
use super::tier::Tier;
use super::trace::Asked;
use super::upstream::connect::{Way, connect};
use super::upstream::h1::{self, Order};
use super::upstream::h2;
use super::upstream::lease::Lease;
use super::upstream::pool::Line;
use super::upstream::{NotAnswered, Why};
use super::worker::Worker;

/// Why there is no answer.
enum Vain {
    Failed(Failure),
    /// The plan has changed while it waited, and nothing was sent yet; see [`NoSeat::Moved`].
    Moved(Option<Permit>),
}

impl<F: Into<Failure>> From<F> for Vain {
    fn from(failure: F) -> Vain {
        Vain::Failed(failure.into())
    }
}

impl From<NoSeat> for Vain {
    fn from(none: NoSeat) -> Vain {
        match none {
            NoSeat::Busy(busy) => Vain::Failed(Failure::Busy(busy)),
            NoSeat::Moved(permit) => Vain::Moved(permit),
        }
    }
}

/// Has a backend of the upstream answer.
///
/// # Errors
/// Why none did.
pub async fn forward(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    peer: &Peer,
    request: &mut Request,
    record: &mut Record,
) -> Result<Response, Failure> {
    record.upstream = Some(id);
    let mut moved = match try_all(worker, tier, id, peer, request, record).await {
        Ok(response) => return Ok(response),
        Err(Vain::Failed(failure)) => return Err(failure),
        Err(Vain::Moved(permit)) => permit,
    };
    let (mut tier, mut id) = (tier.clone(), id);
    let name = tier.upstream(id).0.name.clone();
    loop {
        let next = Box::pin(successor(worker, &tier, &name, moved.as_ref())).await;
        let Some((newer, at)) = next else {
            let busy = tier.upstream(id).1.state.no_backend(worker.now());
            return Err(Failure::Busy(busy));
        };
        (tier, id) = (newer, at);
        // The place is given back: it is another choice, of another plan.
        drop(moved.take());
        match Box::pin(try_all(worker, &tier, id, peer, request, record)).await {
            Ok(response) => return Ok(response),
            Err(Vain::Failed(failure)) => return Err(failure),
            Err(Vain::Moved(permit)) => moved = permit,
        }
    }
}

async fn try_all(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    peer: &Peer,
    request: &mut Request,
    record: &mut Record,
) -> Result<Response, Vain> {
    let (upstream, group) = tier.upstream(id);
    let rules = &upstream.resilience.retries;
    // Of all tries together.
    let until = upstream.timeouts.total.map(|t| worker.watches.coarse() + t);
    let mut now = worker.now();
    let admitted = group.state.admit(now).map_err(Failure::Busy)?;
    let admitted = admitted.is_guarded().then(|| Rc::new(admitted));
    let client = record.client.unwrap_or_else(|| peer.ip());
    let sessions = group.chooser.sessions.as_ref();
    let hash = group.chooser.picker.hash(&request.head, client);
    let bond = sessions.map_or_else(Bond::default, |s| s.claim(&request.head, client, now));
    let mut seat = Seat::new(worker, group, id, hash, bond);
    if let Some(sessions) = sessions {
        sessions.send(&mut request.head);
    }
    let replay = replayed(request, rules);
    // Nothing to send again is always there.
    let bare = replay.is_none() && matches!(request.body, Body::Empty);
    // A kept connection that was closed as it idled is no try.
    let (mut tries, mut stales) = (0, 0);
    loop {
        tries += 1;
        let Taken {
            permit,
            place,
            at: chosen,
        } = match seat.take(now).await {
            Ok(taken) => taken,
            Err(none) => {
                if let Some(replay) = &replay {
                    request.body = replay.again();
                }
                return Err(none.into());
            }
        };
        let server = permit.backend().clone();
        server.begin(tries > 1);
        record.tries = tries;
        record.server = Some(server.clone());
        record.queue = Some(chosen.since(record.began()));
        if let Some(trace) = &mut record.trace {
            let asked = Asked {
                upstream,
                backend: &server.name,
                address: server.address,
                resent: tries - 1,
                at: chosen,
            };
            trace.begin_try(&asked, worker.random(), &mut request.head);
        }
        let body = match &replay {
            Some(replay) => replay.again(),
            None => std::mem::take(&mut request.body),
        };
        let lease = Lease::new(permit, admitted.clone());
        let way = Way {
            until,
            upstream,
            tls: group.tls.as_deref(),
            server: &server,
            peer,
            bare: None,
        };
        // A box of its own: the allocator is quick with what is small.
        let done = Box::pin(attempt(worker, &way, request, body, lease, tries > 1)).await;
        now = worker.now();
        let (failed, sent, left, why) = match done {
            Ok(mut response) => {
                let took = now.since(chosen);
                record.first_byte = Some(took);
                let status = response.head.status;
                if let Some(trace) = &mut record.trace {
                    trace.answered(status);
                }
                server.answered(status, took, now);
                let asks =
                    rules.on_status.contains(&status) || rules.undone_status.contains(&status);
                let t = Try {
                    method: &request.head.method,
                    tries: tries - stales,
                    sent: true,
                    body: body_sent(replay.as_ref(), bare, None),
                    failed: Failed::Status(status),
                };
                if asks && group.state.may_retry(&t, None, now).is_ok() {
                    seat.avoid(place);
                    continue;
                }
                ended(admitted.as_deref(), Some(status), None, now);
                if let Some(sessions) = sessions {
                    let scheme = request.head.scheme;
                    sessions.answer(&seat.bond, &mut response.head, scheme, now);
                }
                return Ok(response);
            }
            Err(NotAnswered { why, sent, body }) => {
                if let Some(trace) = &mut record.trace {
                    trace.not_answered(Failure::from(why).word(), now);
                }
                let left = body.is_some();
                if let (Some(body), None) = (body, &replay) {
                    request.body = body;
                }
                let Some(failed) = failed(why) else {
                    // The client's doing or ours: it says nothing of the backend.
                    return Err(why.into());
                };
                (failed, sent, left, why)
            }
        };
        // A kept connection that its backend closed as it idled is nobody's fault, and another one no
        // retry (RFC 9112 section 9.3.1).
        let stale = why == Why::Closed && !sent;
        if !stale
            && why != Why::TakenOut
            && let Some(fault) = failed.fault()
        {
            server.failed(fault, now);
        }
        let t = Try {
            method: &request.head.method,
            tries: tries - stales,
            sent,
            body: body_sent(replay.as_ref(), bare, Some(left)),
            failed,
        };
        let again = match (stale, t.body) {
            (true, BodySent::Untouched | BodySent::Kept) if tries == 1 => {
                stales = 1;
                Ok(())
            }
            _ => group.state.may_retry(&t, None, now),
        };
        if let Err(no) = again {
            ended(admitted.as_deref(), None, failed.fault(), now);
            tracing::debug!(upstream = %upstream.name, backend = %server.name, "not tried again: {no}");
            return Err(why.into());
        }
        if !stale {
            seat.avoid(place);
        }
    }
}

/// What became of the request's body. `left`: whether a try that failed gave it back.
fn body_sent(replay: Option<&Replay>, bare: bool, left: Option<bool>) -> BodySent {
    match replay {
        Some(replay) => replay.sent(),
        None if bare || left == Some(true) => BodySent::Untouched,
        None => BodySent::Gone,
    }
}

fn ended(admitted: Option<&Admitted>, status: Option<u16>, fault: Option<Fault>, now: Moment) {
    if let Some(admitted) = admitted {
        admitted.ended(status, fault, now);
    }
}

/// The body as one that can be sent again, where it may have to be.
fn replayed(request: &mut Request, rules: &RetryRules) -> Option<Replay> {
    if matches!(request.body, Body::Empty) || rules.attempts == 0 || rules.keep_body == 0 {
        return None;
    }
    let may = request.head.method.is_idempotent() || !rules.undone_status.is_empty();
    let length = request.body.length();
    let fits = length.is_none_or(|n| n <= rules.keep_body as u64);
    (may && fits).then(|| Replay::new(std::mem::take(&mut request.body), rules.keep_body))
}

/// What a failure is called in the rule about retries; `None` when no backend failed.
fn failed(why: Why) -> Option<Failed> {
    match why {
        Why::Refused | Why::ConnectTimeout | Why::Tls => Some(Failed::Connect),
        Why::Closed | Why::Malformed | Why::TooLong | Why::TakenOut => Some(Failed::Reset),
        Why::Timeout => Some(Failed::Timeout),
        Why::Body(_) | Why::NoSocket => None,
    }
}

async fn attempt(
    worker: &Rc<Worker>,
    way: &Way<'_>,
    request: &Request,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    let order = Order {
        worker,
        head: &request.head,
        upgrade: request.upgrade.as_deref(),
        timeouts: &way.upstream.timeouts,
        until: way.until,
        interim: request.interim.as_ref(),
    };
    // Another protocol is gone on with over HTTP/1.1 (RFC 9110 section 7.8).
    if way.upstream.http2 && order.upgrade.is_none() {
        // Boxed, as is connecting: what is rare takes no room in every exchange.
        return Box::pin(attempt_h2(&order, way, body, lease, fresh)).await;
    }
    let now = worker.watches.coarse();
    let kept = if fresh {
        None
    } else if way.is_told() {
        worker.pool.take_owned(way.server.id, way.peer.number, now)
    } else {
        worker.pool.take(way.server.id, now)
    };
    let line = match kept {
        Some(line) => {
            count(&worker.stats.reuses);
            line
        }
        None => match Box::pin(connect(worker, way)).await {
            Ok(io) => Line::new(io, if way.is_told() { way.peer.number } else { 0 }),
            Err(why) => {
                return Err(NotAnswered {
                    why,
                    sent: false,
                    body: Some(body),
                });
            }
        },
    };
    h1::send(&order, line, body, lease).await
}

async fn attempt_h2(
    order: &Order<'_>,
    way: &Way<'_>,
    body: Body,
    lease: Lease,
    fresh: bool,
) -> Result<Response, NotAnswered> {
    // A connection that begins with one client's address carries nobody else's requests.
    let shared = !way.is_told();
    let kept = if fresh || !shared {
        None
    } else {
        order.worker.shared.get(way.server.id)
    };
    let opened = match kept {
        Some(sender) => {
            count(&order.worker.stats.reuses);
            Ok(sender)
        }
        None => match connect(order.worker, way).await {
            Ok(io) => h2::open(order, way.server.id, io, shared).await,
            Err(why) => Err(why),
        },
    };
    match opened {
        Ok(sender) => h2::send(order, sender, body, lease).await,
        Err(why) => Err(NotAnswered {
            why,
            sent: false,
            body: Some(body),
        }),
    }
}
