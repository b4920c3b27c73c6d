//! Before a backend is asked: what is stored, and what others are fetching.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::caching::directives::RequestDirectives;
use crate::caching::reuse::{self, Reuse};
use crate::caching::status::{Outcome, Ttl, Why};
use crate::caching::{Terms, validation};
use crate::message::{Known, Method, Name, RequestHead, ResponseHead};
use crate::proxy::body::Body;
use crate::proxy::message::{Request, Response};
use crate::proxy::watch::Watch;
use crate::proxy::worker::Worker;
use crate::traffic::compression::Coding;

use super::Cache;
use super::answer::{self, Now};
use super::flight::{Joined, Lead, Settled};
use super::object::Object;
use super::settle::{Purpose, Ticket};
use super::stats::count;

/// How often one waits for others before one asks oneself.
const ROUNDS: usize = 3;

/// What is to be done with a request.
pub enum Looked {
    /// This answers it; the word says how.
    Answer(Response, &'static str),
    /// This answers it, and the object is to be fetched anew meanwhile, with the ticket.
    Refresh(Response, Ticket),
    /// A backend is to be asked, and the ticket to be settled with what comes of it.
    Ask(Ticket),
}

/// Looks what answers `request`, which `route` took. `coding` is what its response would be compressed
/// with; `of_client`: the fields in which an authorisation said who the client is. Waits while others fetch the same, for as long as the rules say.
pub async fn look(
    worker: &Rc<Worker>,
    cache: &Cache,
    route: &str,
    coding: Option<Coding>,
    of_client: &[Name],
    request: &Request,
) -> Looked {
    let head = &*request.head;
    let mut search = Search {
        worker,
        cache,
        head,
        coding,
        url: Vec::with_capacity(128),
        partition: Vec::with_capacity(64),
        directives: directives(cache, head),
    };
    let key = &cache.rules.key;
    key.url(&head.authority, &head.target, &mut search.url);
    let stats = &cache.memory.stats;
    if let Some((purpose, why)) = not_for_cache(request) {
        count(&stats.passed);
        return Looked::Ask(search.ticket(purpose, why, None, None));
    }
    key.partition(route, of_client, head, &mut search.partition);
    search.run().await
}

/// The client's directives, as far as the operator obeys them.
fn directives(cache: &Cache, head: &RequestHead) -> RequestDirectives {
    if !head.fields.has(Known::CacheControl) && !head.fields.has(Known::Pragma) {
        return RequestDirectives::default();
    }
    let all = RequestDirectives::of(&head.fields);
    match cache.rules.client_directives {
        true => all,
        false => RequestDirectives {
            only_if_cached: all.only_if_cached,
            ..RequestDirectives::default()
        },
    }
}

/// Why a request is not for the cache, and what is done with it.
fn not_for_cache(request: &Request) -> Option<(Purpose, Why)> {
    match request.head.method {
        Method::Get | Method::Head => {}
        _ if request.head.method.is_safe() => return Some((Purpose::Pass, Why::Method)),
        _ => return Some((Purpose::Change, Why::Method)),
    }
    let plain = request.upgrade.is_none()
        && request.body.length() == Some(0)
        && !validation::is_for_origin(&request.head.fields);
    (!plain).then_some((Purpose::Pass, Why::Bypass))
}

struct Search<'a> {
    worker: &'a Rc<Worker>,
    cache: &'a Cache,
    head: &'a RequestHead,
    coding: Option<Coding>,
    url: Vec<u8>,
    partition: Vec<u8>,
    directives: RequestDirectives,
}

/// What the memory says.
enum Found {
    Answer(Response, &'static str),
    Refresh(Response, Arc<Object>),
    /// Nothing that answers by itself.
    Ask {
        why: Why,
        stored: Option<Arc<Object>>,
        if_error: bool,
        /// Whether responses of this URL are expected not to be storable.
        pass: bool,
    },
}

impl Search<'_> {
    fn now(&self) -> Now {
        Now {
            at: self.worker.now(),
            wall: self.worker.wall(),
        }
    }

    async fn run(self) -> Looked {
        let stats = &self.cache.memory.stats;
        let mut known_on_disk = self.cache.disk.is_some();
        for _ in 0..ROUNDS {
            let (why, stored, if_error, pass) = match self.find() {
                Found::Answer(response, word) => return Looked::Answer(response, word),
                Found::Refresh(response, object) => {
                    return match self.cache.memory.flights.join(&self.flight_key()) {
                        // Somebody fetches it already.
                        Joined::Follow(_) => Looked::Answer(response, "stale"),
                        Joined::Lead(lead) => {
                            let stored = Some((object, true));
                            let purpose = Purpose::Store;
                            let ticket = self.ticket(purpose, Why::Stale, stored, Some(lead));
                            Looked::Refresh(response, ticket)
                        }
                    };
                }
                Found::Ask {
                    why,
                    stored,
                    if_error,
                    pass,
                } => (why, stored, if_error, pass),
            };
            if known_on_disk && stored.is_none() && self.read_disk().await {
                known_on_disk = false;
                continue;
            }
            if self.directives.only_if_cached {
                return Looked::Answer(self.not_cached(why), "miss");
            }
            let is_part = self.head.fields.has(Known::Range) && stored.is_none();
            if self.head.method == Method::Head || is_part {
                count(&stats.misses);
                return Looked::Ask(self.ticket(Purpose::Pass, why, None, None));
            }
            let known = stored.clone();
            let stored = stored.map(|object| (object, if_error));
            // What is not likely to be for all is not worth waiting for.
            let alone = pass
                || self.directives.no_store
                || self.head.fields.has(Known::Authorization)
                || self.cache.rules.wait.is_zero();
            if alone {
                return Looked::Ask(self.ticket(Purpose::Store, why, stored, None));
            }
            match self.cache.memory.flights.join(&self.flight_key()) {
                Joined::Lead(lead) if self.has_changed(known.as_ref()) => drop(lead),
                Joined::Lead(lead) => {
                    return Looked::Ask(self.ticket(Purpose::Store, why, stored, Some(lead)));
                }
                Joined::Follow(flight) => {
                    let watch = Watch::new(&self.worker.watches);
                    watch.set(self.cache.rules.wait);
                    match watch.bound(flight.settled()).await {
                        Some(Settled::Shared(object, reader)) => {
                            if let Some(response) = self.shared(why, &object, reader) {
                                return Looked::Answer(response, "collapsed");
                            }
                            return Looked::Ask(self.ticket(Purpose::Store, why, stored, None));
                        }
                        Some(Settled::Over) => {}
                        None => {
                            return Looked::Ask(self.ticket(Purpose::Store, why, stored, None));
                        }
                    }
                }
            }
        }
        let (why, stored) = match self.find() {
            Found::Answer(response, word) => return Looked::Answer(response, word),
            Found::Refresh(response, _) => return Looked::Answer(response, "stale"),
            Found::Ask {
                why,
                stored,
                if_error,
                ..
            } => (why, stored.map(|o| (o, if_error))),
        };
        Looked::Ask(self.ticket(Purpose::Store, why, stored, None))
    }

    /// Brings the object from disk into memory; whether there was one.
    async fn read_disk(&self) -> bool {
        let Some(disk) = &self.cache.disk else {
            return false;
        };
        let epoch = self.cache.memory.store.epoch(&self.url);
        let now = self.now();
        let clocks = (now.at, now.wall);
        let read = disk
            .read(&self.url, self.head, &self.partition, self.coding, clocks)
            .await;
        let Some(object) = read else {
            return false;
        };
        count(&self.cache.memory.stats.restored);
        let store = &self.cache.memory.store;
        store.put(&self.url, Arc::new(object), epoch)
    }

    /// What the memory has for the request.
    fn find(&self) -> Found {
        let stats = &self.cache.memory.stats;
        let now = self.now();
        let group = self.cache.memory.store.get(&self.url);
        let pass = group.as_ref().and_then(|g| g.pass_until);
        let pass = pass.is_some_and(|until| now.at < until);
        let found = group
            .as_ref()
            .and_then(|g| g.find(self.head, &self.partition, self.coding));
        let Some(object) = found else {
            let vary = group.is_some_and(|g| !g.objects.is_empty());
            return Found::Ask {
                why: if vary { Why::VaryMiss } else { Why::UriMiss },
                stored: None,
                if_error: false,
                pass,
            };
        };
        let respond = || {
            stats.octets.fetch_add(object.length, Ordering::Relaxed);
            let outcome = hit(&object.terms, now);
            answer::answer(object, self.head, now, outcome)
        };
        match reuse::decide(&object.terms, &self.directives, now.at) {
            Reuse::Fresh => {
                count(&stats.hits);
                Found::Answer(respond(), "hit")
            }
            Reuse::Stale { revalidate } => {
                count(&stats.stale);
                // What HEAD is told cannot be stored.
                match revalidate && self.head.method == Method::Get {
                    true => Found::Refresh(respond(), object.clone()),
                    false => Found::Answer(respond(), "stale"),
                }
            }
            Reuse::Validate { if_error } => Found::Ask {
                why: match object.terms.staleness(now.at) {
                    None if !object.terms.always_validate => Why::Request,
                    _ => Why::Stale,
                },
                stored: Some(object.clone()),
                if_error,
                pass,
            },
        }
    }

    /// Whether another object is stored than the one that was found: somebody fetched it in between.
    fn has_changed(&self, known: Option<&Arc<Object>>) -> bool {
        let group = self.cache.memory.store.get(&self.url);
        let found = group
            .as_ref()
            .and_then(|g| g.find(self.head, &self.partition, self.coding));
        match (found, known) {
            (Some(found), Some(known)) => !Arc::ptr_eq(found, known),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The answer that another request fetches, if it is for this one too.
    fn shared(
        &self,
        why: Why,
        object: &Arc<Object>,
        reader: super::flight::Reader,
    ) -> Option<Response> {
        if !object
            .variant
            .is_for(self.head, &self.partition, self.coding)
        {
            return None;
        }
        let stats = &self.cache.memory.stats;
        count(&stats.collapsed);
        stats.octets.fetch_add(object.length, Ordering::Relaxed);
        let outcome = Outcome::Forward {
            why,
            stored: false,
            collapsed: true,
        };
        let mut response = answer::head_only(object, self.head, self.now(), outcome);
        if response.head.status != 304 {
            response.body = Body::stream(Some(object.length), reader);
        }
        Some(response)
    }

    /// 504 to a request that wants nothing but what is stored (RFC 9111 section 5.2.1.7).
    fn not_cached(&self, why: Why) -> Response {
        count(&self.cache.memory.stats.misses);
        let mut head = ResponseHead::new(504);
        let outcome = Outcome::Forward {
            why,
            stored: false,
            collapsed: false,
        };
        answer::mark(&mut head, outcome);
        Response::new(head, Body::Empty)
    }

    /// What one fetch serves: the URL, the partition and the coding.
    fn flight_key(&self) -> Vec<u8> {
        let coding = self.coding.map_or("", Coding::as_str);
        [
            &self.url,
            &b"\0"[..],
            &self.partition,
            b"\0",
            coding.as_bytes(),
        ]
        .concat()
    }

    fn ticket(
        &self,
        purpose: Purpose,
        why: Why,
        stored: Option<(Arc<Object>, bool)>,
        lead: Option<Lead>,
    ) -> Ticket {
        Ticket {
            cache: self.cache.clone(),
            epoch: self.cache.memory.store.epoch(&self.url),
            url: self.url.clone(),
            partition: self.partition.clone(),
            coding: self.coding,
            request: Box::new(self.head.clone()),
            stored,
            lead,
            why,
            requested: self.worker.now(),
            purpose,
        }
    }
}

/// A stored object answers.
pub(super) fn hit(terms: &Terms, now: Now) -> Outcome {
    Outcome::Hit {
        ttl: Ttl::remaining(terms.lifetime, terms.age(now.at)),
    }
}
