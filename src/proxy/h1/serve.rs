//! One client's HTTP/1.1 connection, from its first request to its last.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWrite as _;

use crate::ids::ListenerId;
use crate::message::http1::{
    self, BodyFraming, HeadRules, Persistence, Refusal, RequestFraming, hop,
};
use crate::message::{Known, RequestHead, Scheme, Version};
use crate::proxy::answers::{self, Failure};
use crate::proxy::body::BodyError;
use crate::proxy::exchange;
use crate::proxy::glance::Glance;
use crate::proxy::io::Io;
use crate::proxy::message::{Peer, Request, Response};
use crate::proxy::record::{End, Record};
use crate::proxy::stats::count;
use crate::proxy::tier::Tier;
use crate::proxy::tunnel;
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;

use super::client::{BodyState, Client, NoHead};
use super::incoming::{self, BodyRules};
use super::respond::{self, NotSent};

/// What a client still sends after its last answer is read for so long at most, so that the answer is
/// not lost to a reset (RFC 9112 section 9.6) …
const LINGER: Duration = Duration::from_secs(1);

/// … and for so many octets at most.
const LINGER_OCTETS: usize = 256 << 10;

/// What is left of a request's body after the answer is read, up to so many octets, to keep the
/// connection.
const SKIP: usize = 64 << 10;

/// What goes on after a request.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    Close,
    /// Close, while the client may still be sending.
    Linger,
}

/// Serves a connection until it ends. The tier is the one that `peer` is of: another may be in force since.
///
/// A connection whose first octets are those of HTTP/2 is given back, where its listener speaks that, with
/// the octets that were read off it and the listener's name.
pub async fn serve(
    io: Io,
    mut tier: Arc<Tier>,
    mut peer: Peer,
    worker: Rc<Worker>,
) -> Option<(Io, BytesMut, Box<str>)> {
    let client = Rc::new(Client::new(io, BytesMut::new()));
    let watch = Watch::new(&worker.watches);
    let name = tier.plan.listeners[peer.listener.index()].name.clone();
    let mut glance = Glance::new(&worker, &tier, &peer);
    let mut first = true;
    loop {
        let listener = &tier.plan.listeners[peer.listener.index()];
        let rules = HeadRules {
            head: listener.limits.head,
            fields: listener.limits.fields,
            target: listener.limits.target,
        };
        let http2 = listener.http2;
        let mut head = worker.request_head();
        let read = client.read_head(&worker, &rules, &listener.timeouts, &watch, &mut head);
        let read = read.await;
        watch.clear();
        // The plan may have changed while the connection idled.
        let mut last = worker.draining();
        let newest = worker.tier();
        if !Arc::ptr_eq(&newest, &tier) {
            match newest.listener(&name) {
                Some((at, _)) => {
                    peer.listener = ListenerId::from_index(at);
                    tier = newest;
                }
                // Its listener is gone: this request is still answered as before.
                None => last = true,
            }
        }
        let next = match read {
            // Boxed, so that an idle connection does not hold the room that a request needs.
            Ok(framing) => {
                Box::pin(request(
                    &client, &watch, &tier, &peer, &worker, head, framing, last,
                ))
                .await
            }
            Err(NoHead::Http2) if first && http2 => {
                let client = Rc::into_inner(client)?;
                return Some((client.io.into_inner(), client.inbox.into_inner(), name));
            }
            Err(no) => Box::pin(refuse(&client, &watch, &tier, &peer, &worker, head, no)).await,
        };
        first = false;
        if next != Next::Request || glance.is_due(&worker) {
            glance.look_at(&worker, &client.io.borrow());
        }
        match next {
            Next::Request => {}
            Next::Close => break,
            Next::Linger => {
                linger(&client, &watch).await;
                break;
            }
        }
    }
    // TLS says goodbye; nobody waits for it.
    if let Ok(client) = Rc::try_unwrap(client)
        && let mut io = client.io.into_inner()
        && !matches!(io, Io::Tcp(_))
    {
        watch.set(LINGER);
        let _ = watch
            .bound(tokio::io::AsyncWriteExt::shutdown(&mut io))
            .await;
    }
    None
}

#[expect(clippy::too_many_arguments, reason = "the whole state of a connection")]
async fn request(
    client: &Rc<Client>,
    watch: &Watch,
    tier: &Arc<Tier>,
    peer: &Peer,
    worker: &Rc<Worker>,
    mut head: Box<RequestHead>,
    framing: RequestFraming,
    last: bool,
) -> Next {
    let listener = &tier.plan.listeners[peer.listener.index()];
    if peer.tls.is_some() {
        head.scheme = Scheme::Https;
    }
    let (version, method) = (head.version, head.method.clone());
    let mut record = Record::begin(worker, tier, peer, &head);
    let rules = BodyRules {
        most: listener.limits.body,
        timeout: listener.timeouts.body,
        expects: framing.expect_continue && version == Version::Http11,
    };
    let upgrade = framing
        .upgrade
        .then(|| protocol(&head, &listener.upgrades))
        .flatten();
    hop::strip_request(&mut head.fields, upgrade.is_some());
    let answered = if matches!(framing.body, BodyFraming::Length(n) if n > rules.most) {
        // Told before: nothing of it is read, and no backend hears of it.
        client.body.set(BodyState::Broken);
        worker.reuse_request(head);
        let failure = Failure::Body(BodyError::TooLong);
        record.failed(failure);
        Some(answers::failure(failure))
    } else {
        let body = incoming::body(client, framing.body, &rules, &worker.watches);
        let request = Request {
            head,
            body,
            upgrade,
            interim: (version == Version::Http11).then(|| client.interim.clone()),
        };
        // A box of its own: the allocator is quick with what is small.
        let mut answering = Box::pin(exchange::run(worker, tier, peer, request, &mut record));
        poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            // Nobody would read the answer: the backend need not go on.
            Poll::Pending => client.poll_gone(cx, worker).map(|()| None),
        })
        .await
    };
    let Some(Response {
        head: mut answer,
        mut body,
        upgrade: upgraded,
        close,
    }) = answered
    else {
        record.received(client.received.take());
        return Next::Close;
    };
    if record.failure() == Some(Failure::Dropped) {
        record.status(answer.status);
        record.finish(0, End::Whole);
        return Next::Close;
    }
    if let Some(upgraded) = upgraded {
        let sent = switch(client, watch, &answer).await;
        if sent.is_ok() {
            let ahead = client.inbox.take();
            let idle = listener.timeouts.tunnel;
            let tunnel = Box::pin(tunnel::run(&client.io, ahead, upgraded, watch, idle));
            let (up, down) = tunnel.await;
            record.tunnelled(up, down);
        }
        return Next::Close;
    }
    let keep_alive = framing.keep_alive && !last && !close && !worker.draining();
    // A body of which nobody wants to know is not waited for.
    let keep_alive = keep_alive && client.body.get() != BodyState::Broken;
    // What nobody wants is read only when it is little.
    let left = client.body.get() == BodyState::Open && client.unread.get() > SKIP as u64;
    let keep_alive = keep_alive && !left;
    worker.put_date(&mut answer.fields);
    let plan = respond::plan(&method, version, &answer, &body, keep_alive);
    record.status(answer.status);
    let timeout = listener.timeouts.write;
    let (octets, sent) =
        respond::send(client, version, &answer, &mut body, plan, watch, timeout).await;
    record.received(client.received.take());
    // Gives the backend's connection back, or closes it.
    drop(body);
    let end = match sent {
        Ok(()) => End::Whole,
        Err(NotSent::Client) => End::ClientGone,
        Err(NotSent::Body(why)) => End::Cut(why),
    };
    record.finish(octets, end);
    answer.fields.clear();
    worker.reuse_response(answer);
    if sent.is_err() {
        return Next::Close;
    }
    if client.body.get() == BodyState::Open && plan.keep_alive {
        skip(client, watch, rules.timeout).await;
    }
    match client.body.get() {
        BodyState::Done if plan.keep_alive => Next::Request,
        BodyState::Done => Next::Close,
        _ => Next::Linger,
    }
}

/// The protocol that a request asks to go on with, when it is one that may be passed on.
fn protocol(head: &RequestHead, allowed: &[Box<[u8]>]) -> Option<Box<[u8]>> {
    let mut asked = head.fields.members(Known::Upgrade);
    let only = asked.next()?.to_ascii_lowercase();
    // Of others nobody here knows when they end, or whether the next request is still one.
    let known = allowed.iter().any(|name| **name == *only);
    (known && asked.next().is_none()).then(|| only.into())
}

/// Tells the client that the protocol is another now (RFC 9110 section 15.2.2).
async fn switch(
    client: &Client,
    watch: &Watch,
    answer: &crate::message::ResponseHead,
) -> std::io::Result<()> {
    let mut text = Vec::new();
    http1::write_response(answer, BodyFraming::None, Persistence::Upgrade, &mut text);
    respond::send_text(client, &text, watch).await
}

/// Answers what is no request.
async fn refuse(
    client: &Rc<Client>,
    watch: &Watch,
    tier: &Arc<Tier>,
    peer: &Peer,
    worker: &Rc<Worker>,
    head: Box<RequestHead>,
    why: NoHead,
) -> Next {
    let failure = match &why {
        NoHead::Left | NoHead::Broken => {
            worker.reuse_request(head);
            return Next::Close;
        }
        NoHead::Slow => Failure::SlowHead,
        NoHead::Http2 => Failure::Refused(Refusal::Version),
        NoHead::Refused(refusal) => Failure::Refused(*refusal),
    };
    count(&worker.stats.refused);
    let mut record = Record::begin(worker, tier, peer, &head);
    let response = answers::failure(failure);
    record.failed(failure);
    let mut body = response.body;
    let plan = respond::plan(&head.method, Version::Http11, &response.head, &body, false);
    record.status(response.head.status);
    let timeout = tier.plan.listeners[peer.listener.index()].timeouts.write;
    let sent = respond::send(
        client,
        Version::Http11,
        &response.head,
        &mut body,
        plan,
        watch,
        timeout,
    );
    let (octets, _) = sent.await;
    record.finish(octets, End::Whole);
    worker.reuse_request(head);
    Next::Linger
}

/// Reads and drops what is left of a body that nobody wanted, when that is little.
async fn skip(client: &Client, watch: &Watch, timeout: Duration) {
    let mut left = client.unread.get();
    if left > SKIP as u64 {
        client.body.set(BodyState::Broken);
        return;
    }
    watch.set(timeout);
    loop {
        {
            let mut inbox = client.inbox.borrow_mut();
            let n = inbox.len().min(left as usize);
            bytes::Buf::advance(&mut *inbox, n);
            left -= n as u64;
        }
        if left == 0 {
            client.body.set(BodyState::Done);
            return;
        }
        let more = poll_fn(|cx| client.poll_more(cx, SKIP));
        if !matches!(watch.bound(more).await, Some(Ok(1..))) {
            client.body.set(BodyState::Broken);
            return;
        }
    }
}

/// Closes the write side, and reads until the client has had its answer.
async fn linger(client: &Client, watch: &Watch) {
    watch.set(LINGER);
    let shut = poll_fn(|cx| Pin::new(&mut *client.io.borrow_mut()).poll_shutdown(cx));
    if !matches!(watch.bound(shut).await, Some(Ok(()))) {
        return;
    }
    let mut left = LINGER_OCTETS;
    while left > 0 {
        client.inbox.borrow_mut().clear();
        let more = poll_fn(|cx| client.poll_more(cx, 16 << 10));
        match watch.bound(more).await {
            Some(Ok(n)) if n > 0 => left = left.saturating_sub(n),
            _ => return,
        }
    }
}
