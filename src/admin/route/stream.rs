//! Events as they happen, as server-sent events (HTML, section 9.2).

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::admin::gate::Peer;
use crate::admin::history::{Listening, StreamEnd};
use crate::admin::problem::Problem;
use crate::admin::state::State;
use crate::admin::view::events::LoggedEvent;
use crate::history::{Filter, Told};

/// Pieces that a slow reader may be behind before the stream ends.
const BEHIND: usize = 256;

/// A sign of life goes out so often.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Another generation is told so often at most.
const GENERATION: Duration = Duration::from_millis(250);

/// Whoever listens is asked for so often whether they still may.
const KNOWN: Duration = Duration::from_secs(1);

/// Opens a stream, which ends when whoever asks with these fields would no longer be let in.
pub(super) fn open(
    state: &State,
    filter: Filter,
    peer: Peer,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = match headers.get("last-event-id") {
        None => None,
        Some(text) => {
            let number = text.to_str().ok().and_then(|t| t.trim().parse().ok());
            Some(number.ok_or_else(|| {
                Problem::parameter(
                    "Last-Event-ID",
                    "the header `Last-Event-ID` is not the number of an event; leave it out, or give \
                     the `id` of the last event that was heard",
                )
            })?)
        }
    };
    let listening = state.history.listen(after).map_err(|most| {
        Problem::unavailable(format!(
            "{} streams of events are open, as many as there may be; close some, or ask for pages",
            most.0
        ))
    })?;
    let (to, frames) = mpsc::channel(BEHIND);
    let gate = state.gate.clone();
    let known = move || gate.still_knows(&headers, &peer);
    tokio::spawn(feed(listening, filter, Feed(to), known));
    let mut response = Body::new(Frames(frames)).into_response();
    let head = response.headers_mut();
    head.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would keep it back.
    head.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Why a stream ends.
enum End {
    Gone,
    Slow,
    Closing,
    Unknown,
}

/// The way to one reader.
struct Feed(mpsc::Sender<Bytes>);

impl Feed {
    /// Hands over a piece; the last place is kept for the farewell.
    fn push(&self, piece: String) -> Result<(), End> {
        match self.0.capacity() {
            0 | 1 => Err(End::Slow),
            _ => self.0.try_send(piece.into()).map_err(|_| End::Gone),
        }
    }

    fn say(&self, event: &str, detail: &str) -> Result<(), End> {
        self.push(words(event, detail))
    }

    fn told(&self, told: &Told) -> Result<(), End> {
        let Ok(data) = serde_json::to_string(&LoggedEvent::from(told)) else {
            debug_assert!(false, "an event is text and numbers");
            return Ok(());
        };
        let (number, kind) = (told.number, &told.kind);
        self.push(format!("id: {number}\nevent: {kind}\ndata: {data}\n\n"))
    }
}

fn words(event: &str, detail: &str) -> String {
    let data = serde_json::json!({ "detail": detail });
    format!("event: {event}\ndata: {data}\n\n")
}

/// Tells one reader what happens, until it leaves, is too slow, is not `known` any more, or the node ends.
async fn feed(
    mut listening: Listening,
    filter: Filter,
    feed: Feed,
    known: impl Fn() -> bool + Send,
) {
    let end = match begin(&mut listening, &filter, &feed) {
        Ok(()) => tell(&mut listening, &filter, &feed, known).await,
        Err(end) => end,
    };
    let farewell = match end {
        End::Gone => None,
        End::Slow => Some(words(
            "slow",
            "this stream was not read fast enough and ends; connect again with the last `id`",
        )),
        End::Closing => Some(words(
            "closing",
            "this process ends; connect again with the last `id`",
        )),
        End::Unknown => Some(words(
            "signed-out",
            "the token, session or certificate of this stream is not good any more; show a new one, and \
             connect again with the last `id`",
        )),
    };
    if let Some(farewell) = farewell {
        // The reader may have left.
        drop(feed.0.try_send(farewell.into()));
    }
    (listening.ended)(match end {
        End::Slow => StreamEnd::Slow,
        _ => StreamEnd::Left,
    });
}

/// What was missed.
fn begin(listening: &mut Listening, filter: &Filter, feed: &Feed) -> Result<(), End> {
    let mut first = "retry: 1000\n".to_owned();
    if listening.missed.is_empty() {
        // Who connects again has a place to go on from, though nothing happened meanwhile.
        let _ = writeln!(first, "id: {}", listening.last);
    }
    first.push_str("event: hello\ndata: {}\n\n");
    feed.push(first)?;
    if listening.gap {
        feed.say(
            "gap",
            "some events after the one heard last are not to be had any more as a stream; ask for pages",
        )?;
    }
    let missed = std::mem::take(&mut listening.missed);
    let wanted = missed.iter().filter(|told| filter.wants(told));
    // More than a reader may be behind is asked for in pages.
    let wanted: Vec<_> = wanted.collect();
    let most = BEHIND - 16;
    if wanted.len() > most {
        feed.say("gap", "more was missed than fits a stream; ask for pages")?;
    }
    for told in wanted.iter().skip(wanted.len().saturating_sub(most)) {
        feed.told(told)?;
    }
    Ok(())
}

async fn tell(
    listening: &mut Listening,
    filter: &Filter,
    feed: &Feed,
    known: impl Fn() -> bool,
) -> End {
    let mut ask = tokio::time::interval(KNOWN);
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let mut look = tokio::time::interval(GENERATION);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let pushed = tokio::select! {
            biased;
            _ = listening.closing.wait_for(|closing| *closing) => return End::Closing,
            () = feed.0.closed() => return End::Gone,
            _ = ask.tick() => match known() {
                true => Ok(()),
                false => return End::Unknown,
            },
            told = listening.news.recv() => match told {
                Ok(told) if filter.wants(&told) => feed.told(&told),
                Ok(_) => Ok(()),
                Err(RecvError::Lagged(_)) => Err(End::Slow),
                Err(RecvError::Closed) => return End::Closing,
            },
            _ = look.tick() => match listening.generations.has_changed() {
                Ok(true) => {
                    let generation = *listening.generations.borrow_and_update();
                    let data = format!("{{\"generation\":{generation}}}");
                    feed.push(format!("event: generation\ndata: {data}\n\n"))
                }
                _ => Ok(()),
            },
            _ = heartbeat.tick() => feed.push(": alive\n\n".to_owned()),
        };
        if let Err(end) = pushed {
            return end;
        }
    }
}

/// The body of a stream.
struct Frames(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|p| Ok(Frame::data(p))))
    }
}
