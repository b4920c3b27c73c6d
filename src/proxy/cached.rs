//! The cache's step of an exchange, and compression: between the decision where a request goes and the
//! backend that answers it.

use std::rc::Rc;
use std::sync::Arc;

use tokio::task::spawn_local;

use crate::ids::UpstreamId;
use crate::message::Method;
use crate::traffic::{Compression, Route};

use super::answers::Failure;
use super::body::Body;
use super::cache::{self, Cache, Looked, Ticket};
use super::compress;
use super::forward::forward;
use super::message::{Peer, Request, Response};
use super::record::Record;
use super::tier::Tier;
use super::worker::Worker;

/// Where a request goes.
pub struct Way<'a> {
    /// The worker.
    pub worker: &'a Rc<Worker>,
    /// The tier that the exchange began with.
    pub tier: &'a Arc<Tier>,
    /// The client's end.
    pub peer: &'a Peer,
    /// The route that took it.
    pub route: &'a Route,
    /// The upstream that the route chose.
    pub upstream: UpstreamId,
}

impl Way<'_> {
    /// Answers from the cache of the route, where it has one, or has a backend answer.
    ///
    /// # Errors
    /// Why no backend did, where nothing stored stands in for it.
    pub async fn answer(
        &self,
        request: &mut Request,
        record: &mut Record,
    ) -> Result<Response, Failure> {
        let compression = self.compression();
        match self.route.cache {
            // Boxed: routes without a cache do not pay for its room.
            Some(cache) => {
                let cache = self.tier.cache(cache);
                Box::pin(self.by_cache(cache, compression, request, record)).await
            }
            None => {
                let response = self.forward(request, record).await;
                match compression {
                    Some(rules) => response.map(|r| compressed(rules, request, r)),
                    None => response,
                }
            }
        }
    }

    /// What the route says of compression, or else its listener.
    fn compression(&self) -> Option<&Compression> {
        let listener = || &self.tier.plan.listeners[self.peer.listener.index()];
        let said = self.route.compression.as_ref();
        let said = said.or_else(|| listener().compression.as_ref());
        said.filter(|c| !c.algorithms.is_empty())
    }

    async fn forward(
        &self,
        request: &mut Request,
        record: &mut Record,
    ) -> Result<Response, Failure> {
        let Way { worker, tier, .. } = self;
        forward(worker, tier, self.upstream, self.peer, request, record).await
    }

    async fn by_cache(
        &self,
        cache: &Cache,
        compression: Option<&Compression>,
        request: &mut Request,
        record: &mut Record,
    ) -> Result<Response, Failure> {
        let coding = compression.and_then(|c| c.choose(&request.head.fields));
        let auth = self.route.features.as_ref().and_then(|f| f.auth);
        // What is made for one client is not for another.
        let of_client = auth.map_or(&[][..], |id| &self.tier.plan.auths[id.index()].copy);
        let name = &self.route.name;
        match cache::look(self.worker, cache, name, coding, of_client, request).await {
            Looked::Answer(response, word) => {
                record.cache = Some(word);
                Ok(response)
            }
            Looked::Refresh(response, ticket) => {
                record.cache = Some("stale");
                self.refresh(ticket, compression.cloned());
                Ok(response)
            }
            Looked::Ask(ticket) => {
                record.cache = Some(ticket.word());
                ticket.prepare(&mut request.head);
                let result = self.forward(request, record).await;
                ticket.settle(self.worker, compression, result)
            }
        }
    }

    /// Fetches an object anew beside its exchange.
    fn refresh(&self, ticket: Ticket, compression: Option<Compression>) {
        let (worker, tier, peer) = (self.worker.clone(), self.tier.clone(), self.peer.clone());
        let upstream = self.upstream;
        let mut request = Request {
            head: Box::new(ticket.request().clone()),
            body: Body::Empty,
            upgrade: None,
            interim: None,
        };
        spawn_local(async move {
            let mut record = Record::beside(&worker, &tier, &peer);
            ticket.prepare(&mut request.head);
            let result = forward(&worker, &tier, upstream, &peer, &mut request, &mut record).await;
            ticket
                .settle_alone(&worker, compression.as_ref(), result)
                .await;
        });
    }
}

/// Compresses what is not cached.
fn compressed(rules: &Compression, request: &Request, mut response: Response) -> Response {
    let coding = rules.choose(&request.head.fields);
    let is_head = request.head.method == Method::Head;
    compress::apply(rules, is_head, coding, &mut response);
    response
}
