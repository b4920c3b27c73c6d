//! The side that is taken over: hears whoever asks, and tells the node what to do.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::bag::Bag;
use super::giver::{Event, Giver, Step};
use super::link::{Door, Link};
use super::message::Message;

/// For a process that was refused to let go of what it has.
const LET_GO: Duration = Duration::from_secs(2);

/// For somebody who comes to say what it wants.
const GREETING: Duration = Duration::from_secs(5);

/// Pause after the system refused to accept.
const ERROR_PAUSE: Duration = Duration::from_millis(500);

/// Nobody takes over.
const NOBODY: i32 = 0;

/// What the node is asked to do.
#[derive(Debug)]
pub enum Call {
    /// Give up what only one process can have; answers with why that cannot be done.
    Release(oneshot::Sender<Result<(), String>>),
    /// Take it back.
    TakeBack(oneshot::Sender<()>),
    /// Stop reading what comes anew, drain and end. The new process listens at the link.
    HandOver(Link),
}

/// What is given.
pub struct Gifts {
    /// The node's name.
    pub node: String,
    /// All sockets as they are now.
    pub sockets: Box<dyn Fn() -> io::Result<Bag> + Send + Sync>,
    /// The view in force.
    pub generation: Box<dyn Fn() -> u64 + Send + Sync>,
    /// What was counted so far.
    pub counts: Counts,
}

/// Says what was counted so far, by this process and those before it.
pub type Counts = Arc<dyn Fn() -> String + Send + Sync>;

/// Hears whoever asks, one at a time, until `stopped` turns true or the node has been handed over.
pub async fn listen(
    door: Door,
    gifts: Gifts,
    calls: mpsc::Sender<Call>,
    mut stopped: watch::Receiver<bool>,
) {
    let gifts = Arc::new(gifts);
    let taker = Arc::new(AtomicI32::new(NOBODY));
    loop {
        let came = tokio::select! {
            came = door.next() => came,
            _ = stopped.wait_for(|stop| *stop) => return,
            () = calls.closed() => return,
        };
        let link = match came {
            Ok(link) => link,
            Err(error) => {
                tracing::warn!(%error, "cannot hear who asks for a takeover");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
        };
        let pid = link.peer().pid;
        let first = taker.compare_exchange(NOBODY, pid, Ordering::Relaxed, Ordering::Relaxed);
        if let Err(other) = first {
            tokio::spawn(turn_away(link, other));
            continue;
        }
        let talk = Talk {
            link,
            gifts: gifts.clone(),
            calls: calls.clone(),
            stopped: stopped.clone(),
        };
        let taker = taker.clone();
        tokio::spawn(async move {
            talk.run().await;
            taker.store(NOBODY, Ordering::Relaxed);
        });
    }
}

/// What the other process must take, and does at once unless it hangs.
async fn bounded(saying: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let said = timeout(GREETING, saying).await;
    said.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Waits until `stopped` turns true, or can no more.
async fn until(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stop| *stop).await);
}

/// Refuses a second takeover.
async fn turn_away(link: Link, other: i32) {
    let pid = link.peer().pid;
    tracing::warn!(pid, other, "a second takeover is refused: one is under way");
    let why = format!(
        "process {other} is taking this node over already; wait until it has, or end that process, \
         and try again"
    );
    // What it said must be read, or its end would break before it has read the answer.
    drop(timeout(GREETING, link.hear()).await);
    drop(link.say(&Message::Refused(why)).await);
    drop(timeout(LET_GO, link.until_gone()).await);
}

struct Talk {
    link: Link,
    gifts: Arc<Gifts>,
    calls: mpsc::Sender<Call>,
    stopped: watch::Receiver<bool>,
}

impl Talk {
    async fn run(mut self) {
        let pid = self.link.peer().pid;
        tracing::info!(pid, "a new process asks to take over");
        let mut giver = Giver::new(&self.gifts.node);
        let mut refused = false;
        loop {
            let mut events = VecDeque::from([self.next(&giver).await]);
            while let Some(event) = events.pop_front() {
                let steps = giver.on(event);
                self.link.speaks = giver.speaks();
                for step in steps {
                    let done = match step {
                        Step::GiveSockets => bounded(self.give()).await,
                        Step::Say(message) => {
                            refused |= matches!(message, Message::Refused(_));
                            bounded(self.link.say(&message)).await
                        }
                        Step::Release => {
                            events.push_back(Event::Released(self.release().await));
                            Ok(())
                        }
                        Step::TakeBack => {
                            if refused {
                                drop(timeout(LET_GO, self.link.until_gone()).await);
                            }
                            self.take_back().await;
                            Ok(())
                        }
                        Step::HandOver => {
                            // Fails only when the node ends anyway.
                            drop(self.calls.send(Call::HandOver(self.link)).await);
                            return;
                        }
                        Step::Failed(why) => {
                            tracing::error!(pid, "no takeover: {why}; this process goes on");
                            if refused {
                                drop(timeout(LET_GO, self.link.until_gone()).await);
                            }
                            return;
                        }
                    };
                    if let Err(error) = done {
                        tracing::debug!(%error, "the new process does not hear");
                        events.push_back(Event::Gone);
                    }
                }
            }
        }
    }

    /// What happens next.
    async fn next(&mut self, giver: &Giver) -> Event {
        tokio::select! {
            heard = timeout(giver.patience(), self.link.hear()) => match heard {
                Ok(Ok(Some((message, _)))) => Event::Said(message),
                Ok(Ok(None)) => Event::Gone,
                Ok(Err(error)) => Event::Said(Message::GaveUp(error.to_string())),
                Err(_) => Event::Late,
            },
            () = until(&mut self.stopped) => {
                let why = Message::Refused("the node is being stopped".to_owned());
                drop(self.link.say(&why).await);
                Event::Gone
            }
        }
    }

    async fn give(&self) -> io::Result<()> {
        let sockets = (self.gifts.sockets)().inspect_err(|error| {
            tracing::error!(%error, "cannot pass sockets; raise the limit of open files");
        })?;
        self.link.give(&sockets).await?;
        self.link.tell_counts(&(self.gifts.counts)()).await?;
        let generation = (self.gifts.generation)();
        self.link.say(&Message::AllSockets { generation }).await
    }

    async fn release(&self) -> Result<(), String> {
        let (done, released) = oneshot::channel();
        let ending = || "the node is ending".to_owned();
        let asked = self.calls.send(Call::Release(done)).await;
        asked.map_err(|_| ending())?;
        released.await.unwrap_or_else(|_| Err(ending()))
    }

    async fn take_back(&self) {
        let (done, taken) = oneshot::channel();
        if self.calls.send(Call::TakeBack(done)).await.is_ok() {
            // An error means that the node ends.
            drop(taken.await);
        }
    }
}
