//! What the API reads of the history: implemented here, declared by `admin`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot, watch};

use super::course::{self, Of};
use super::files::short;
use super::shelf::{Job, NotRecalled, Recalled};
use super::then::{Unreadable, Workshop};
use super::{Shared, add};
use crate::admin::history::{
    Based, Course, HistoryDesk, Listening, NoThen, Page, StreamEnd, Then, TooMany, Turn,
};
use crate::app::load::Wanted;
use crate::history::{Blank, Filter, Told};
use crate::snapshot::{Publisher, Snapshot, then};
use crate::time::when;

/// Streams at most.
const STREAMS: usize = 128;

/// Questions that may wait for the disk.
const QUESTIONS: usize = 16;

/// How long one may wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the history.
pub struct HistoryKeeper {
    shared: Arc<Shared>,
    publisher: Publisher,
    /// Since when this process is told what happens, in milliseconds since 1970.
    begun_ms: u64,
    /// What the configuration is loaded as.
    wanted: Wanted,
    /// Turns true when streams shall end.
    closing: watch::Receiver<bool>,
    streams: Arc<Semaphore>,
    questions: Semaphore,
    workshop: Workshop,
}

impl HistoryKeeper {
    /// The desk of a chronicle.
    pub(super) fn new(
        shared: &Arc<Shared>,
        publisher: Publisher,
        wanted: Wanted,
        closing: watch::Receiver<bool>,
    ) -> Arc<HistoryKeeper> {
        Arc::new(HistoryKeeper {
            begun_ms: shared.clock.wall().unix_ms(shared.clock.now()),
            shared: shared.clone(),
            publisher,
            wanted,
            closing,
            streams: Arc::new(Semaphore::new(STREAMS)),
            questions: Semaphore::new(QUESTIONS),
            workshop: Workshop::default(),
        })
    }

    /// Asks the disk's thread.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, String> {
        let busy = || "too many ask for the history at once; ask again in a moment".to_owned();
        let _one = self.questions.try_acquire().map_err(|_| busy())?;
        let (done, answer) = oneshot::channel();
        self.shared.shelf.try_send(job(done)).map_err(|_| busy())?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err("the node is stopping".to_owned()),
            Err(_) => Err(format!(
                "the disk has not answered within {} s",
                PATIENCE.as_secs()
            )),
        }
    }

    async fn snapshot(&self, recalled: &Recalled) -> Result<Arc<Snapshot>, NoThen> {
        let digest = &recalled.state.config;
        let in_force = self.publisher.latest().snapshot.clone();
        if !digest.is_empty() && self.shared.digest_of(&in_force) == *digest {
            return Ok(in_force);
        }
        let Some(kept) = recalled.config.clone() else {
            return Err(NoThen::Unknown(match digest.is_empty() {
                true => "it is not known which configuration was in force then".to_owned(),
                false => format!(
                    "configuration {}, in force then, is not kept: it was too large, or made room for \
                     later ones; raise `[history] max-size`",
                    short(digest)
                ),
            }));
        };
        match self.workshop.snapshot(kept, &self.wanted).await {
            Ok((snapshot, made)) => {
                if made {
                    add(&self.shared.counts.compiled);
                }
                Ok(snapshot)
            }
            Err(Unreadable::Busy) => Err(NoThen::Trouble(
                "others wait for configurations of other times; ask again in a moment".to_owned(),
            )),
            Err(Unreadable::Unknown(why)) => Err(NoThen::Unknown(why)),
        }
    }
}

#[async_trait]
impl HistoryDesk for HistoryKeeper {
    async fn page(&self, filter: Filter, limit: usize) -> Page {
        // One more, to know whether there is more.
        let (mut events, begins) = self.shared.ring().page(&filter, limit + 1);
        let mut partial = None;
        let mut further = None;
        if events.len() <= limit && begins > 1 {
            let mut rest = filter;
            rest.before = Some(rest.before.map_or(begins, |b| b.min(begins)));
            let wanted = limit + 1 - events.len();
            match self.ask(|done| Job::Page(rest, wanted, done)).await {
                Ok(Ok((more, next))) => {
                    events.extend(more.into_iter().map(Arc::new));
                    further = next;
                }
                Ok(Err(why)) | Err(why) => {
                    partial = Some(format!(
                        "events before number {begins} are not to be had: {why}"
                    ));
                }
            }
        }
        let next = match events.len() > limit {
            true => {
                events.truncate(limit);
                events.last().map(|e| e.number)
            }
            false => further,
        };
        Page {
            events,
            next,
            partial,
        }
    }

    fn listen(&self, after: Option<u64>) -> Result<Listening, TooMany> {
        let permit = self.streams.clone().try_acquire_owned();
        let permit = permit.map_err(|_| TooMany(STREAMS))?;
        // Under the lock, so that nothing is missed and nothing comes twice.
        let (missed, gap, last, news) = {
            let ring = self.shared.ring();
            let (missed, gap) = match after {
                Some(number) => ring.after(number),
                None => (Vec::new(), false),
            };
            (missed, gap, ring.last(), self.shared.news.subscribe())
        };
        let shared = self.shared.clone();
        self.shared.counts.streams.fetch_add(1, Ordering::Relaxed);
        Ok(Listening {
            missed,
            gap,
            last,
            news,
            generations: self.shared.generations.subscribe(),
            closing: self.closing.clone(),
            ended: Box::new(move |end| {
                shared.counts.streams.fetch_sub(1, Ordering::Relaxed);
                if end == StreamEnd::Slow {
                    add(&shared.counts.slow_streams);
                }
                drop(permit);
            }),
        })
    }

    fn turns(&self, endpoint: &str, limit: usize) -> Vec<Turn> {
        self.shared.turns().of(endpoint, limit)
    }

    async fn course(&self, endpoints: &[Arc<str>], since_ms: u64) -> Course {
        let begun_ms = self.begun_ms;
        let remembered = course::remembered(&self.shared.turns(), endpoints, since_ms, begun_ms);
        if let Some(course) = remembered {
            return course;
        }
        let of = Of {
            endpoints: endpoints.iter().cloned().collect(),
            since_ms,
        };
        let written = self.ask(|done| Job::Course(of, done)).await;
        let memory = self.shared.turns();
        course::joined(written.flatten(), &memory, endpoints, since_ms, begun_ms)
    }

    async fn then(&self, at_ms: u64) -> Result<Then, NoThen> {
        let recalled = self.ask(|done| Job::Recall(at_ms, done)).await;
        let recalled = match recalled {
            Ok(Ok(recalled)) => recalled,
            Ok(Err(NotRecalled::Blank(blank))) => return Err(NoThen::Blank(words(blank))),
            Ok(Err(NotRecalled::Trouble(why))) | Err(why) => return Err(NoThen::Trouble(why)),
        };
        let snapshot = self.snapshot(&recalled).await?;
        // Lays health over all names: not beside what answers.
        let Recalled { state, event, .. } = recalled;
        let made = tokio::task::spawn_blocking(move || (then::view(&state, snapshot), state)).await;
        let (made, state) = made.map_err(|panic| NoThen::Trouble(panic.to_string()))?;
        Ok(Then {
            view: Arc::new(made.view),
            now: then::moment(at_ms),
            based: Based {
                at_ms,
                config: short(&state.config).to_owned(),
                changed_ms: state.at_ms,
                generation: state.generation,
                event,
                missing: made.missing,
            },
        })
    }

    fn last(&self) -> Option<Arc<Told>> {
        let (page, _) = self.shared.ring().page(&Filter::default(), 1);
        page.into_iter().next()
    }
}

fn words(blank: Blank) -> String {
    match blank {
        Blank::Empty => "nothing is recorded yet".to_owned(),
        Blank::Before(begins) => format!(
            "the record begins at {}; how long it is kept says `[history]`",
            when::show(begins)
        ),
        Blank::Between(from, to) => format!(
            "nothing was recorded between {} and {}: the node did not run, or its disk took nothing",
            when::show(from),
            when::show(to)
        ),
    }
}
