//! The side that takes over: asks the running process, and goes on from where that one is.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::bag::Bag;
use super::link::Link;
use super::message::{Label, Message, VERSION};
use crate::app::run::RunError;
use crate::compile::Node;
use crate::telemetry::Stats;

/// For the old process to answer. It answers at once, or has to write to its disk before.
const ANSWER: Duration = Duration::from_secs(30);

/// Counts of the old process that are taken: some ten times what a large node has.
const MOST_COUNTS: usize = 64 << 20;

/// What came from the process before: nothing on a usual start.
#[derive(Debug, Default)]
pub struct Arrival {
    link: Option<Link>,
    began: bool,
    /// Its sockets.
    pub sockets: Bag,
    /// The view that was in force there.
    pub generation: u64,
    counts: Counts,
}

/// Counts that come in parts.
#[derive(Debug, Default)]
struct Counts {
    part: String,
    whole: String,
}

impl Counts {
    /// Takes a message that is about counts; others are given back.
    fn hear(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Counts(part) => {
                if self.part.len() + part.len() <= MOST_COUNTS {
                    self.part.push_str(&part);
                }
            }
            Message::AllCounts => self.whole = std::mem::take(&mut self.part),
            other => return Some(other),
        }
        None
    }
}

/// Asks the process that runs `node` for its sockets. Where there is none, nothing has come.
///
/// # Errors
/// When the node has no state directory to ask in, or the process refuses.
pub async fn ask(node: &Node) -> Result<Arrival, RunError> {
    let Some(dir) = &node.state_dir else {
        return Err(other(
            "a takeover is asked for in the state directory, and this node has none; set `state-dir`, \
             or start it without --takeover once the old process has ended"
                .to_owned(),
        ));
    };
    let Some(link) = connect(dir)? else {
        tracing::info!(
            state_dir = %dir.display(),
            "no process of this node is running to take over from: a usual start"
        );
        return Ok(Arrival::default());
    };
    let mut arrival = Arrival {
        link: Some(link),
        began: true,
        ..Arrival::default()
    };
    let hello = Message::Hello {
        version: VERSION,
        node: node.name.clone(),
        patience: node.first_round,
    };
    arrival.say(&hello).await;
    while arrival.link.is_some() {
        match arrival.hear().await? {
            Some(Message::AllSockets { generation }) => {
                arrival.generation = generation;
                tracing::info!(
                    sockets = arrival.sockets.len(),
                    "taking over from the running process"
                );
                break;
            }
            Some(_) => return Err(out_of_turn()),
            None => {}
        }
    }
    if arrival.link.is_none() {
        // What came of its sockets is as good as bound anew.
        tracing::warn!("the old process died before it had passed all sockets");
    }
    Ok(arrival)
}

fn connect(dir: &Path) -> Result<Option<Link>, RunError> {
    Link::connect(dir).map_err(|e| {
        let what = match e.kind() {
            io::ErrorKind::PermissionDenied => {
                "; start the new process as the user that runs the old one, or as root"
            }
            _ => "",
        };
        let place = dir.join(super::link::NAME);
        other(format!(
            "cannot ask for a takeover at `{}`: {e}{what}",
            place.display()
        ))
    })
}

impl Arrival {
    /// Whether there is a process to take over from.
    pub fn is_takeover(&self) -> bool {
        self.link.is_some()
    }

    /// Whether there was one at all: if it has died, its state directory is free by now.
    pub fn began(&self) -> bool {
        self.began
    }

    /// Has the old process give up the state directory and the fleet.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn release(&mut self) -> Result<(), RunError> {
        self.say(&Message::Release).await;
        self.until(|message| matches!(message, Message::Released))
            .await
            .map(drop)
    }

    /// Tells the old process that clients are served; returns when that one reads nothing any more that
    /// comes anew, with the last generation of its views, or has died.
    ///
    /// # Errors
    /// When it goes on itself: then this process must end.
    pub async fn serving(&mut self) -> Result<u64, RunError> {
        self.say(&Message::Serving).await;
        let left = self
            .until(|message| matches!(message, Message::Left { .. }))
            .await?;
        Ok(match left {
            Some(Message::Left { generation }) => generation.max(self.generation),
            _ => self.generation,
        })
    }

    /// Returns, with why, when the old process says that this one must end. When that one dies there is
    /// nobody to take over from, and this one goes on. Safe to cancel.
    pub async fn told_to_end(&mut self) -> RunError {
        while self.link.is_some() {
            match self.hear_now().await {
                Ok(_) => {}
                Err(e) => return e,
            }
        }
        std::future::pending().await
    }

    /// Tells the old process why this one cannot take over.
    pub async fn give_up(&mut self, why: &str) {
        self.say(&Message::GaveUp(why.to_owned())).await;
    }

    /// Goes on from what the old process counted, and follows what it counts until it has ended. To be
    /// awaited by whoever ends this process.
    pub async fn follow(mut self, stats: Arc<Stats>) {
        loop {
            if !self.counts.whole.is_empty() {
                stats.before().take(&std::mem::take(&mut self.counts.whole));
            }
            if self.link.is_none() {
                return;
            }
            if let Err(RunError::Other(why)) = self.hear_now().await.map(drop) {
                tracing::debug!(why, "the old process counts no more");
                return;
            }
        }
    }

    /// Takes what was counted so far.
    pub fn count_on(&mut self, stats: &Stats) {
        if !self.counts.whole.is_empty() {
            stats.before().take(&std::mem::take(&mut self.counts.whole));
        }
    }

    /// Hears until what is wanted comes; `None` when the old process died instead.
    async fn until(
        &mut self,
        wanted: impl Fn(&Message) -> bool,
    ) -> Result<Option<Message>, RunError> {
        while self.link.is_some() {
            match self.hear().await? {
                Some(message) if wanted(&message) => return Ok(Some(message)),
                Some(_) => return Err(out_of_turn()),
                None => {}
            }
        }
        Ok(None)
    }

    async fn say(&mut self, message: &Message) {
        if let Some(link) = &self.link
            && let Err(error) = link.say(message).await
        {
            // What it said last is still to be heard.
            tracing::debug!(%error, "the old process does not hear");
        }
    }

    /// As [`Arrival::hear_now`], but not for ever.
    async fn hear(&mut self) -> Result<Option<Message>, RunError> {
        match timeout(ANSWER, self.hear_now()).await {
            Ok(heard) => heard,
            Err(_) => Err(other(format!(
                "the running process does not answer within {ANSWER:?}; look at its log, or restart \
                 the node instead"
            ))),
        }
    }

    /// The next message that is not about sockets or counts, which are put where they belong; `None`
    /// when the old process has died.
    async fn hear_now(&mut self) -> Result<Option<Message>, RunError> {
        while let Some(link) = &self.link {
            let heard = link.hear().await;
            let Some((message, descriptors)) = heard.map_err(|e| other(e.to_string()))? else {
                self.link = None;
                break;
            };
            match message {
                Message::Sockets(labels) if labels.len() == descriptors.len() => {
                    self.put(labels.into_iter().zip(descriptors));
                }
                Message::Refused(why) => {
                    return Err(other(format!("the running process goes on: {why}")));
                }
                message => {
                    if let Some(message) = self.counts.hear(message) {
                        return Ok(Some(message));
                    }
                    // Whoever follows the counts looks at them now.
                    if !self.counts.whole.is_empty() {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }

    fn put(&mut self, sockets: impl Iterator<Item = (Label, std::os::fd::OwnedFd)>) {
        for (label, socket) in sockets {
            self.sockets.put(label, socket);
        }
    }
}

fn other(what: String) -> RunError {
    RunError::Other(what)
}

fn out_of_turn() -> RunError {
    other(
        "the running process says something out of turn; restart the node instead of taking over"
            .to_owned(),
    )
}
