//! After a backend was asked: what is stored of its response, and what the client gets.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use tokio::task::spawn_local;

use crate::caching::freshness::{Arrival, Terms};
use crate::caching::status::{Outcome, Why};
use crate::caching::storage::{self, Storing};
use crate::caching::{fields, invalidation, validation};
use crate::message::{Known, Method, RequestHead, ResponseHead};
use crate::proxy::answers::Failure;
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::compress::{self, Done};
use crate::proxy::message::Response;
use crate::proxy::worker::Worker;
use crate::time::{Moment, Wall};
use crate::traffic::compression::{Coding, Compression};

use super::answer::{self, Now};
use super::flight::{Lead, Writer};
use super::look::hit;
use super::object::{Object, Variant, labels};
use super::stats::count;
use super::{Cache, Purge, Room};

/// What a request is sent to a backend for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Its response may be stored.
    Store,
    /// It is none of the cache's business.
    Pass,
    /// It may change what is stored.
    Change,
}

/// What is remembered of a request while a backend is asked.
pub struct Ticket {
    pub(super) cache: Cache,
    /// What was purged by then; see [`super::store::Store::epoch`].
    pub(super) epoch: u64,
    pub(super) url: Vec<u8>,
    pub(super) partition: Vec<u8>,
    pub(super) coding: Option<Coding>,
    /// The client's request.
    pub(super) request: Box<RequestHead>,
    /// The object that is validated, and whether it answers when the upstream fails.
    pub(super) stored: Option<(Arc<Object>, bool)>,
    pub(super) lead: Option<Lead>,
    pub(super) why: Why,
    pub(super) requested: Moment,
    pub(super) purpose: Purpose,
}

impl Ticket {
    /// Makes the request to the backend ask for what the cache needs: all of it, or whether the stored
    /// object is still good.
    pub fn prepare(&self, head: &mut RequestHead) {
        if self.purpose != Purpose::Store {
            return;
        }
        match &self.stored {
            Some((object, _)) => validation::ask(head, &object.fields, object.tag.as_deref()),
            // Where nothing will be stored the client's conditions spare a body.
            None if self.lead.is_none() && self.is_passing() => {}
            None => validation::unconditional(head),
        }
    }

    /// What the log says of it.
    pub fn word(&self) -> &'static str {
        match self.why {
            Why::Bypass | Why::Method => "pass",
            Why::UriMiss | Why::VaryMiss => "miss",
            Why::Request | Why::Stale => "validate",
        }
    }

    /// The request as the client sent it, for a fetch beside its exchange.
    pub fn request(&self) -> &RequestHead {
        &self.request
    }

    fn is_head(&self) -> bool {
        self.request.method == Method::Head
    }

    fn is_passing(&self) -> bool {
        let group = self.cache.memory.store.get(&self.url);
        group.is_some_and(|g| g.pass_until.is_some_and(|until| self.requested < until))
    }

    /// As [`Ticket::settle`], of a fetch that no client waits for: all of the body is taken, so that it is
    /// stored.
    pub async fn settle_alone(
        self,
        worker: &Rc<Worker>,
        compression: Option<&Compression>,
        result: Result<Response, Failure>,
    ) {
        let most = self.cache.rules.max_object;
        let Ok(mut response) = self.settle(worker, compression, result) else {
            return;
        };
        let mut came = 0;
        while let Some(Ok(Frame::Data(data))) = response.body.frame().await {
            came += data.len() as u64;
            if came > most {
                return;
            }
        }
    }

    fn forwarded(&self, stored: bool) -> Outcome {
        Outcome::Forward {
            why: self.why,
            stored,
            collapsed: false,
        }
    }

    /// Takes what came of asking a backend, stores it if it may be stored, and gives the client's
    /// response. `compression`: the route's, for responses that are compressed before they are stored.
    ///
    /// # Errors
    /// The failure, when nothing stored stands in for it.
    pub fn settle(
        self,
        worker: &Rc<Worker>,
        compression: Option<&Compression>,
        result: Result<Response, Failure>,
    ) -> Result<Response, Failure> {
        let now = Now {
            at: worker.now(),
            wall: worker.wall(),
        };
        let response = match result {
            Ok(response) => response,
            Err(failure) => return self.instead(now).ok_or(failure),
        };
        match self.purpose {
            Purpose::Store => Ok(self.take(now, compression, response)),
            Purpose::Pass => Ok(self.pass_on(compression, response)),
            Purpose::Change => {
                if invalidation::invalidates(&self.request, &response.head) {
                    self.invalidate(&response.head);
                }
                Ok(self.pass_on(compression, response))
            }
        }
    }

    /// The stored object in place of a failure (RFC 5861 section 4).
    fn instead(&self, now: Now) -> Option<Response> {
        let (object, true) = self.stored.as_ref()? else {
            return None;
        };
        count(&self.cache.memory.stats.stale_on_error);
        let outcome = hit(&object.terms, now);
        Some(answer::answer(object, &self.request, now, outcome))
    }

    fn invalidate(&self, response: &ResponseHead) {
        let mut url = Vec::new();
        for target in invalidation::targets(&self.request, response) {
            let key = &self.cache.rules.key;
            key.url(&self.request.authority, &target, &mut url);
            self.cache.invalidate(&url);
        }
    }

    /// A response that is not stored.
    fn pass_on(&self, compression: Option<&Compression>, mut response: Response) -> Response {
        if let Some(rules) = compression {
            compress::apply(rules, self.is_head(), self.coding, &mut response);
        }
        answer::mark(&mut response.head, self.forwarded(false));
        response
    }

    fn take(
        mut self,
        now: Now,
        compression: Option<&Compression>,
        mut response: Response,
    ) -> Response {
        if response.head.status == 304
            && let Some((object, _)) = self.stored.take()
        {
            return self.validated(now, &object, &response.head);
        }
        if matches!(response.head.status, 500 | 502 | 503 | 504)
            && let Some(instead) = self.instead(now)
        {
            return instead;
        }
        let stats = &self.cache.memory.stats;
        count(match self.stored {
            Some(_) => &stats.replaced,
            None => &stats.misses,
        });
        let arrival = self.arrival(now);
        let storing = storage::judge(&self.request, &response.head, arrival, &self.cache.rules);
        let Storing::Store { terms, selection } = storing else {
            self.not_stored(now, &response.head);
            return self.pass_on(compression, response);
        };
        let tag = response.head.fields.get(Known::ETag).map(Box::from);
        let done = compression.map_or(Done::AsItIs, |rules| {
            compress::apply(rules, self.is_head(), self.coding, &mut response)
        });
        let coding = match done {
            Done::AsItIs => None,
            Done::For(coding) => Some(coding),
        };
        let variant = Variant {
            partition: self.partition.as_slice().into(),
            selection,
            coding,
        };
        let object = Object {
            status: response.head.status,
            fields: fields::stored(&response.head.fields),
            terms,
            variant,
            tag: tag.filter(|_| coding.flatten().is_some()),
            labels: labels(&response.head.fields),
            body: [].into(),
            length: 0,
        };
        self.store(now, object, response)
    }

    fn arrival(&self, now: Now) -> Arrival {
        Arrival {
            requested: self.requested,
            received: now.at,
            wall: now.wall,
        }
    }

    /// The stored object is still good (RFC 9111 section 4.3.4).
    fn validated(self, now: Now, old: &Arc<Object>, told: &ResponseHead) -> Response {
        let stats = &self.cache.memory.stats;
        count(&stats.revalidated);
        let head = ResponseHead {
            status: old.status,
            fields: fields::freshened(&old.fields, &told.fields),
        };
        // What came with the 304 counts, and its Age, which is not stored.
        let mut judged = head.clone();
        for age in told.fields.all(Known::Age) {
            judged.fields.push_known(Known::Age, age);
        }
        let new = Arc::new(Object {
            terms: Terms::of(&judged, self.arrival(now), &self.cache.rules),
            labels: labels(&head.fields),
            fields: head.fields,
            ..(**old).clone()
        });
        self.cache.keep(&self.url, &new, self.epoch, now.wall);
        stats.octets.fetch_add(new.length, Ordering::Relaxed);
        answer::answer(&new, &self.request, now, self.forwarded(true))
    }

    /// The response cannot be stored: neither is what it would replace, and the next requests do not
    /// wait for each other.
    fn not_stored(&mut self, now: Now, head: &ResponseHead) {
        if let Some((object, _)) = self.stored.take() {
            self.cache.memory.store.remove(&self.url, &object);
            if let Some(disk) = &self.cache.disk {
                disk.purge(&Purge::Url(self.url.clone()));
            }
        }
        // A response to a condition says nothing of the next one, nor does one to credentials.
        let says = head.status != 304
            && !self.request.fields.has(Known::Authorization)
            && !self.request.fields.has(Known::CacheControl);
        if self.lead.take().is_some() && says {
            self.cache.memory.store.pass(&self.url, now.at);
        }
    }

    /// Stores a response whose body may still be to come.
    fn store(mut self, now: Now, mut object: Object, mut response: Response) -> Response {
        let length = response.body.length();
        let most = self.cache.rules.max_object;
        let room = match length {
            Some(n) if n > most => None,
            Some(n) => self.cache.reserve(n),
            None => self.cache.reserve(0),
        };
        let Some(room) = room else {
            return self.too_large(response);
        };
        let outcome = self.forwarded(true);
        match std::mem::take(&mut response.body) {
            Body::Empty => self.keep_whole(now, object, Bytes::new()),
            // Copied, so that it pins no more than it has.
            Body::Whole(whole) => self.keep_whole(now, object, Bytes::copy_from_slice(&whole)),
            body @ Body::Stream { .. } => match (length, self.lead.take()) {
                (Some(length), Some(lead)) => {
                    object.length = length;
                    let object = Arc::new(object);
                    let (writer, reader) = lead.share(object.clone());
                    let keep = Keep {
                        cache: self.cache,
                        url: self.url,
                        epoch: self.epoch,
                        wall: now.wall,
                        lead: None,
                        room,
                    };
                    spawn_local(pump(body, writer, keep));
                    let mut response = answer::head_only(&object, &self.request, now, outcome);
                    if response.head.status != 304 {
                        response.body = Body::stream(Some(length), reader);
                    }
                    response
                }
                (length, lead) => {
                    answer::mark(&mut response.head, outcome);
                    let collecting = Collecting {
                        body,
                        object: Some(object),
                        chunks: Vec::new(),
                        gathered: BytesMut::new(),
                        came: 0,
                        keep: Keep {
                            cache: self.cache,
                            url: self.url,
                            epoch: self.epoch,
                            wall: now.wall,
                            lead,
                            room,
                        },
                    };
                    response.body = Body::stream(length, collecting);
                    response
                }
            },
        }
    }

    fn keep_whole(self, now: Now, mut object: Object, body: Bytes) -> Response {
        object.length = body.len() as u64;
        object.body = match body.is_empty() {
            true => [].into(),
            false => [body].into(),
        };
        let object = Arc::new(object);
        self.cache.keep(&self.url, &object, self.epoch, now.wall);
        answer::answer(&object, &self.request, now, self.forwarded(true))
    }

    /// Passes a response by that is longer than what is kept.
    fn too_large(mut self, mut response: Response) -> Response {
        self.lead = None;
        answer::mark(&mut response.head, self.forwarded(false));
        response
    }
}

/// Takes a body whose length is known into the store, as fast as the backend sends it, whoever of those
/// who read it is slow or goes away.
async fn pump(mut body: Body, mut writer: Writer, keep: Keep) {
    while let Some(frame) = body.frame().await {
        let written = match frame {
            Ok(Frame::Data(data)) => writer.write(&data),
            Ok(Frame::Trailers(_)) => Ok(()),
            Err(e) => Err(e),
        };
        if written.is_err() {
            return;
        }
    }
    // One that lacks octets is cut for those who read it, and not kept.
    let _ = writer.finish(|object| keep.cache.keep(&keep.url, object, keep.epoch, keep.wall));
}

/// Where an object goes when all of it has come.
struct Keep {
    cache: Cache,
    url: Vec<u8>,
    epoch: u64,
    wall: Wall,
    /// Others wait for as long as it is held.
    lead: Option<Lead>,
    room: Room,
}

/// A body whose length is not known before its end: it flows to the client and is remembered, as long
/// as it is not longer than what is kept. When the client goes away, nothing is stored.
struct Collecting {
    body: Body,
    /// `None` once it is too long.
    object: Option<Object>,
    chunks: Vec<Bytes>,
    gathered: BytesMut,
    came: u64,
    keep: Keep,
}

impl Collecting {
    fn remember(&mut self, data: &[u8]) {
        if self.object.is_none() {
            return;
        }
        self.came += data.len() as u64;
        let more = data.len() as u64;
        if self.came > self.keep.cache.rules.max_object || !self.keep.room.grow(more) {
            self.forget();
            return;
        }
        self.gathered.extend_from_slice(data);
        if self.gathered.len() >= GATHER {
            self.chunks
                .push(std::mem::take(&mut self.gathered).freeze());
        }
    }

    fn forget(&mut self) {
        self.object = None;
        self.chunks = Vec::new();
        self.gathered = BytesMut::new();
        self.keep.lead = None;
    }

    fn finish(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        if !self.gathered.is_empty() {
            self.chunks
                .push(std::mem::take(&mut self.gathered).freeze());
        }
        let object = Arc::new(Object {
            body: std::mem::take(&mut self.chunks).into(),
            length: self.came,
            ..object
        });
        let keep = &self.keep;
        keep.cache.keep(&keep.url, &object, keep.epoch, keep.wall);
        self.keep.lead = None;
    }
}

/// What is gathered into one chunk.
const GATHER: usize = 16 << 10;

impl Source for Collecting {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.body.poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                let data = data.clone();
                self.remember(&data);
            }
            // Trailers are not kept, and nothing follows them.
            Poll::Ready(Some(Ok(Frame::Trailers(_))) | None) => self.finish(),
            Poll::Ready(Some(Err(_))) => self.forget(),
            Poll::Pending => {}
        }
        polled
    }
}
