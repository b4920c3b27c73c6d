//! The side that takes over: asks the running process, and goes on from where that one is.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::bag::Bag;
use super::link::Link;
use super::message::{Label, Message, ONLY_THE_FIRST, SESSIONS_SINCE, VERSION};
use super::{kept, sessions};
use crate::app::proxy::Carrier;
use crate::app::run::RunError;
use crate::compile::Node;
use crate::proxy::udp::Inheritance;
use crate::telemetry::Stats;

/// For the old process to answer. It answers at once, or has to write to its disk before.
const ANSWER: Duration = Duration::from_secs(30);

/// For the sessions of datagrams, which wait in their sockets meanwhile: more than giving them may take.
const SESSIONS: Duration = Duration::from_secs(5);

/// Between two tries while the old process has yet to let go of this one's first try.
const AGAIN: Duration = Duration::from_millis(50);

/// How often it is tried.
const TRIES: usize = 100;

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
    /// Its sessions of datagrams, as they come.
    inheritance: Inheritance,
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
    for version in [VERSION, 1] {
        for _ in 0..TRIES {
            let Some(link) = connect(dir)? else {
                tracing::info!(
                    state_dir = %dir.display(),
                    "no process of this node is running to take over from: a usual start"
                );
                return Ok(Arrival::default());
            };
            let asked = ask_at(link, node, version).await;
            match &asked {
                Err(RunError::Other(why)) if version > 1 && why.contains(ONLY_THE_FIRST) => {
                    tracing::info!(
                        "the running process speaks an older version: sessions of datagrams begin anew"
                    );
                    break;
                }
                // It has yet to see that the first try has ended.
                Err(RunError::Other(why)) if version == 1 && why.contains(&own_first_try()) => {
                    tokio::time::sleep(AGAIN).await;
                }
                _ => return asked,
            }
        }
    }
    Err(out_of_turn())
}

fn own_first_try() -> String {
    format!("process {} is taking this node over", std::process::id())
}

async fn ask_at(link: Link, node: &Node, version: u32) -> Result<Arrival, RunError> {
    let mut arrival = Arrival {
        link: Some(link),
        began: true,
        ..Arrival::default()
    };
    let hello = Message::Hello {
        version,
        node: node.name.clone(),
        patience: node.first_round,
    };
    arrival.say(&hello).await;
    while arrival.link.is_some() {
        match arrival.hear().await? {
            Some(Message::Speaks(speaks)) => {
                if let Some(link) = &mut arrival.link {
                    link.speaks = speaks.min(version);
                }
            }
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

    /// Has the proxy serve, and tells the old process that clients are served; returns when that one reads
    /// nothing any more that comes anew, with the last generation of its views, or has died. Datagrams of the
    /// proxy's clients are read when the old process has passed its sessions, or that takes too long.
    ///
    /// # Errors
    /// When it goes on itself: then this process must end.
    pub async fn serving(&mut self, carrier: Option<&Carrier>) -> Result<u64, RunError> {
        if let Some(carrier) = carrier.filter(|_| self.link.is_some()) {
            carrier.proxy().serve_connections();
        }
        self.say(&Message::Serving).await;
        let speaks = self.link.as_ref().map_or(0, |link| link.speaks);
        let mut left = None;
        if speaks >= SESSIONS_SINCE {
            let all = self.until(|m| matches!(m, Message::AllSessions));
            match timeout(SESSIONS, all).await {
                Ok(heard) => drop(heard?),
                Err(_) => tracing::warn!(
                    "sessions of datagrams have not all come within {SESSIONS:?}: those that are \
                     missing begin anew"
                ),
            }
        } else {
            left = self.until_left().await?;
        }
        if let Some(carrier) = carrier {
            let came = std::mem::take(&mut self.inheritance);
            carrier.proxy().serve_after(came);
        }
        if left.is_none() {
            left = self.until_left().await?;
        }
        if let Some(carrier) = carrier {
            // Whom the old process bound while this one started.
            carrier.proxy().remember(&kept::take(&mut self.sockets));
        }
        Ok(match left {
            Some(Message::Left { generation }) => generation.max(self.generation),
            _ => self.generation,
        })
    }

    async fn until_left(&mut self) -> Result<Option<Message>, RunError> {
        self.until(|message| matches!(message, Message::Left { .. }))
            .await
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
                // They took too long.
                Some(Message::AllSessions) => {}
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

    /// The next message that is not about sockets, sessions or counts, which are put where they belong; `None`
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
                Message::Sessions { label, nth, list } if list.len() == descriptors.len() => {
                    let batch = sessions::batch(&label, nth, list, descriptors);
                    self.inheritance.batches.push(batch);
                }
                Message::Ids(ids) => sessions::gather(&mut self.inheritance.ids, ids),
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
