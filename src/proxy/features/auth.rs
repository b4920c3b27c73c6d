//! Asking another service whether a request may pass.

use crate::ids::AuthId;
use crate::proxy::answers::Failure;
use crate::proxy::body::Body;
use crate::proxy::forward::forward;
use crate::proxy::message::{Peer, Request, Response};
use crate::proxy::record::Record;
use crate::proxy::tier::Tier;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::guards::Ruling;

use std::rc::Rc;
use std::sync::Arc;

use super::visit::Visit;

/// Octets of the service's answer that are read to keep its connection.
const DRAIN: usize = 16 << 10;

/// Asks. `None`: the request passes, with what the service says of its client. Otherwise the client gets
/// this answer.
///
/// # Errors
/// When the service cannot be asked and requests do not pass then.
pub async fn ask(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    peer: &Peer,
    request: &mut Request,
    visit: &Visit,
    record: &mut Record,
    id: AuthId,
) -> Result<Option<Response>, Failure> {
    let auth = &tier.plan.auths[id.index()];
    auth.distrust(&mut request.head.fields);
    let question = auth.question(&visit.facts(&tier.plan, peer, &request.head));
    let mut asked = Request {
        head: Box::new(question),
        body: Body::Empty,
        upgrade: None,
        interim: None,
    };
    let watch = Watch::new(&worker.watches);
    watch.set(auth.timeout);
    // Boxed: an exchange that asks nobody does not carry the room of another one.
    let answer = Box::pin(forward(
        worker,
        tier,
        auth.upstream,
        peer,
        &mut asked,
        record,
    ));
    let answered = watch.bound(answer).await;
    worker.reuse_request(asked.head);
    let why = match answered {
        Some(Ok(mut response)) => match auth.ruling(response.head.status) {
            Ruling::Pass => {
                auth.copy_to(&response.head, &mut request.head.fields);
                // Nobody wants it; a long one costs the connection.
                let _ = watch.bound(response.body.collect(DRAIN)).await;
                worker.reuse_response(response.head);
                forget(record);
                return Ok(None);
            }
            Ruling::Answer => return Ok(Some(response)),
            Ruling::Failed => "it answered with an error",
        },
        Some(Err(failure)) => failure.word(),
        None => "it did not answer in time",
    };
    tracing::debug!(
        auth = &*auth.name,
        why,
        passes = auth.allow_on_error,
        "cannot ask whether a request may pass"
    );
    if auth.allow_on_error {
        forget(record);
        return Ok(None);
    }
    Err(Failure::AuthFailed)
}

/// The request goes on: what is written down is about who answers it, not about who was asked.
fn forget(record: &mut Record) {
    record.upstream = None;
    record.server = None;
    record.tries = 0;
    record.first_byte = None;
}
