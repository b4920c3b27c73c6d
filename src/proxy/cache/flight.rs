//! Fetches under way: of many requests for one thing only the first asks the upstream; the others wait
//! for what it gets, and take it while it comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;

use crate::proxy::body::{BodyError, Frame, Source};

use super::object::Object;

/// Locks of the table.
const PARTS: usize = 16;

/// Chunks that may be small; beyond them octets are gathered to [`CHUNK`], so that a body that comes
/// octet by octet does not take many times its length.
const SMALL_CHUNKS: usize = 1024;

/// What is gathered into one chunk.
const CHUNK: usize = 16 << 10;

type Part = Mutex<HashMap<Box<[u8]>, Arc<Flight>>>;

/// Fetches under way, by what they fetch.
#[derive(Default)]
pub struct Flights {
    parts: [Part; PARTS],
}

/// One fetch under way.
#[derive(Default)]
pub struct Flight {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stage: Stage,
    chunks: Vec<Bytes>,
    wakers: HashMap<u64, Waker>,
    next_reader: u64,
}

/// How far a fetch is.
#[derive(Clone, Default)]
enum Stage {
    /// The upstream has not answered.
    #[default]
    Asked,
    /// Its answer comes, and may be shared: all but the body.
    Streams(Arc<Object>),
    /// All of it has come.
    Whole(Arc<Object>),
    /// There is nothing to share: look what is stored now.
    Over,
    /// It broke off after it was shared.
    Broken(BodyError),
}

/// What came of a fetch that others made.
pub enum Settled {
    /// An answer to share, whose body [`Reader`] takes.
    Shared(Arc<Object>, Reader),
    /// Nothing to share.
    Over,
}

/// What one becomes who wants something fetched.
pub enum Joined {
    /// The one who fetches it.
    Lead(Lead),
    /// One of those who wait.
    Follow(Arc<Flight>),
}

impl Flights {
    fn part(&self, key: &[u8]) -> MutexGuard<'_, HashMap<Box<[u8]>, Arc<Flight>>> {
        let mix = |h: usize, b: &u8| h.wrapping_mul(31).wrapping_add(usize::from(*b));
        let part = key.iter().fold(0, mix) % PARTS;
        self.parts[part]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the fetch of `key`, or begins it. Fetches are as many as requests under way at most.
    pub fn join(self: &Arc<Flights>, key: &[u8]) -> Joined {
        let mut part = self.part(key);
        if let Some(flight) = part.get(key) {
            return Joined::Follow(flight.clone());
        }
        let flight = Arc::new(Flight::default());
        part.insert(key.into(), flight.clone());
        Joined::Lead(Lead {
            flights: self.clone(),
            key: key.into(),
            flight,
        })
    }

    /// Fetches under way.
    pub fn len(&self) -> usize {
        let lock =
            |p: &Mutex<HashMap<_, _>>| p.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.parts.iter().map(lock).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The right and the duty to fetch. Dropping it lets the others go on.
pub struct Lead {
    flights: Arc<Flights>,
    key: Box<[u8]>,
    flight: Arc<Flight>,
}

impl Lead {
    /// Shares an answer whose body is still to come. `object` is all but its body.
    pub fn share(self, object: Arc<Object>) -> (Writer, Reader) {
        self.flight.set(Stage::Streams(object.clone()));
        let reader = Reader::new(self.flight.clone());
        let writer = Writer {
            lead: self,
            object,
            gathered: BytesMut::new(),
            came: 0,
        };
        (writer, reader)
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.part(&self.key).remove(&self.key);
        let mut state = self.flight.lock();
        match state.stage {
            Stage::Asked => state.stage = Stage::Over,
            Stage::Streams(_) => state.stage = Stage::Broken(BodyError::Cut),
            _ => {}
        }
        Flight::wake(state);
    }
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, stage: Stage) {
        let mut state = self.lock();
        state.stage = stage;
        Flight::wake(state);
    }

    fn wake(mut state: MutexGuard<'_, State>) {
        let wakers = std::mem::take(&mut state.wakers);
        // Outside the lock: whoever is woken takes it.
        drop(state);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Waits until it is known whether there is something to share.
    pub async fn settled(self: Arc<Flight>) -> Settled {
        let mut reader = Reader::new(self);
        std::future::poll_fn(|cx| reader.poll_stage(cx))
            .await
            .map_or(Settled::Over, |object| Settled::Shared(object, reader))
    }
}

/// Writes the body of a shared answer. Dropping it before [`Writer::finish`] cuts the body of all who
/// read.
pub struct Writer {
    lead: Lead,
    object: Arc<Object>,
    gathered: BytesMut,
    came: u64,
}

impl Writer {
    /// Takes the next octets. They are copied, so that a chunk pins no more memory than it has.
    ///
    /// # Errors
    /// When there are more than the answer said.
    pub fn write(&mut self, data: &[u8]) -> Result<(), BodyError> {
        self.came += data.len() as u64;
        if self.came > self.object.length {
            return Err(BodyError::Malformed);
        }
        let mut state = self.lead.flight.lock();
        let direct = state.chunks.len() < SMALL_CHUNKS || data.len() >= CHUNK;
        if !direct {
            self.gathered.extend_from_slice(data);
            if self.gathered.len() < CHUNK {
                return Ok(());
            }
        }
        if !self.gathered.is_empty() {
            let gathered = std::mem::take(&mut self.gathered);
            state.chunks.push(gathered.freeze());
        }
        if direct {
            state.chunks.push(Bytes::copy_from_slice(data));
        }
        Flight::wake(state);
        Ok(())
    }

    /// All has come: the object with its body, which `keep` puts where new requests find it before this
    /// fetch is forgotten.
    ///
    /// # Errors
    /// When octets are missing.
    pub fn finish(mut self, keep: impl FnOnce(&Arc<Object>)) -> Result<(), BodyError> {
        if self.came != self.object.length {
            return Err(BodyError::Cut);
        }
        let body: Arc<[Bytes]> = {
            let mut state = self.lead.flight.lock();
            let rest = std::mem::take(&mut self.gathered);
            if !rest.is_empty() {
                state.chunks.push(rest.freeze());
            }
            state.chunks.as_slice().into()
        };
        let whole = Arc::new(Object {
            body,
            ..(*self.object).clone()
        });
        keep(&whole);
        self.lead.flight.set(Stage::Whole(whole));
        Ok(())
    }
}

/// Reads the body of a shared answer.
pub struct Reader {
    flight: Arc<Flight>,
    id: u64,
    at: usize,
}

impl Reader {
    fn new(flight: Arc<Flight>) -> Reader {
        let mut state = flight.lock();
        let id = state.next_reader;
        state.next_reader += 1;
        drop(state);
        Reader { flight, id, at: 0 }
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<Object>>> {
        let mut state = self.flight.lock();
        match &state.stage {
            Stage::Asked => {
                state.wakers.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
            Stage::Streams(object) | Stage::Whole(object) => Poll::Ready(Some(object.clone())),
            Stage::Over | Stage::Broken(_) => Poll::Ready(None),
        }
    }
}

impl Source for Reader {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut state = self.flight.lock();
        if let Some(chunk) = state.chunks.get(self.at) {
            self.at += 1;
            return Poll::Ready(Some(Ok(Frame::Data(chunk.clone()))));
        }
        match &state.stage {
            Stage::Whole(_) => Poll::Ready(None),
            Stage::Broken(why) => Poll::Ready(Some(Err(*why))),
            Stage::Over => Poll::Ready(Some(Err(BodyError::Cut))),
            Stage::Asked | Stage::Streams(_) => {
                state.wakers.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.flight.lock().wakers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caching::Terms;
    use crate::message::Fields;
    use crate::proxy::body::Body;
    use crate::proxy::cache::object::Variant;

    fn object(length: u64) -> Arc<Object> {
        Arc::new(Object {
            status: 200,
            fields: Fields::new(),
            terms: Terms::default(),
            variant: Variant::default(),
            tag: None,
            labels: Box::default(),
            body: [].into(),
            length,
        })
    }

    fn lead(flights: &Arc<Flights>) -> Lead {
        match flights.join(b"k") {
            Joined::Lead(lead) => lead,
            Joined::Follow(_) => panic!("somebody else leads"),
        }
    }

    fn follow(flights: &Arc<Flights>) -> Arc<Flight> {
        match flights.join(b"k") {
            Joined::Follow(flight) => flight,
            Joined::Lead(_) => panic!("nobody leads"),
        }
    }

    #[tokio::test]
    async fn many_share_what_one_fetches() {
        let flights = Arc::new(Flights::default());
        let leader = lead(&flights);
        let followers: Vec<_> = (0..3)
            .map(|_| tokio::spawn(follow(&flights).settled()))
            .collect();
        tokio::task::yield_now().await;
        let (mut writer, mut reader) = leader.share(object(10));
        writer.write(b"01234").unwrap();
        for follower in followers {
            let Settled::Shared(object, reader) = follower.await.unwrap() else {
                panic!("nothing is shared");
            };
            assert_eq!(object.length, 10);
            let mut body = Body::stream(Some(10), reader);
            assert!(matches!(body.frame().await, Some(Ok(Frame::Data(d))) if d == "01234"));
        }
        let all = tokio::spawn(async move {
            let mut got = Vec::new();
            while let Some(frame) = std::future::poll_fn(|cx| reader.poll_frame(cx)).await {
                if let Frame::Data(data) = frame.unwrap() {
                    got.extend_from_slice(&data);
                }
            }
            got
        });
        tokio::task::yield_now().await;
        writer.write(b"56789").unwrap();
        let mut kept = None;
        writer.finish(|o| kept = Some(o.clone())).unwrap();
        assert_eq!(all.await.unwrap(), b"0123456789");
        assert_eq!(kept.unwrap().body.concat(), b"0123456789");
        assert!(flights.is_empty());
    }

    #[tokio::test]
    async fn those_who_wait_go_on_when_there_is_nothing_to_share() {
        let flights = Arc::new(Flights::default());
        let leader = lead(&flights);
        let waits = tokio::spawn(follow(&flights).settled());
        tokio::task::yield_now().await;
        drop(leader);
        assert!(matches!(waits.await.unwrap(), Settled::Over));
        let _next = lead(&flights);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_cut_for_all_and_not_kept() {
        let flights = Arc::new(Flights::default());
        let (mut writer, reader) = lead(&flights).share(object(10));
        writer.write(b"0123").unwrap();
        let mut kept = false;
        assert_eq!(writer.finish(|_| kept = true), Err(BodyError::Cut));
        let mut body = Body::stream(Some(10), reader);
        assert!(matches!(body.frame().await, Some(Ok(_))));
        assert!(matches!(body.frame().await, Some(Err(BodyError::Cut))));
        assert!(!kept && flights.is_empty());
        let (mut writer, _) = lead(&flights).share(object(3));
        assert_eq!(writer.write(b"0123"), Err(BodyError::Malformed));
    }

    #[test]
    fn a_body_that_drips_takes_few_chunks() {
        let flights = Arc::new(Flights::default());
        let (mut writer, _) = lead(&flights).share(object(100_000));
        for _ in 0..100_000 {
            writer.write(b"x").unwrap();
        }
        let mut chunks = 0;
        writer.finish(|o| chunks = o.body.len()).unwrap();
        assert!(chunks < SMALL_CHUNKS + 10, "{chunks}");
    }
}
