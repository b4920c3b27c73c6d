//! Questions to single members, over the connections of gossip: a stream in both directions for each.
//!
//! The question comes in its frame to the end of one direction; back comes one octet version, one octet
//! outcome, and the answer to the end of the stream. A node that answers nothing resets the stream. One
//! that does not know of questions lets nobody open such streams, and whoever asks gives up.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fleet::asking::{Answers, MAX_ANSWER, MAX_QUESTION, Unanswered};
use crate::fleet::credentials::Peer;

use super::counters::GossipEvent;
use super::frame::{MAX_CLUSTER, QUESTION, VERSION, frame_of, unframe_of};
use super::link::{Links, MESSAGE};

/// Answers that are made at a time: each may take a core for a moment.
const AT_ONCE: usize = 4;

/// Outcomes.
const ANSWERED: u8 = 0;
const NOT_ANSWERED: u8 = 1;

/// Code with which streams are reset.
const NOTHING: VarInt = VarInt::from_u32(0);

/// What answers, once somebody does.
pub(super) struct AnswerDesk {
    answers: Mutex<Option<Arc<dyn Answers>>>,
    room: Semaphore,
}

impl Default for AnswerDesk {
    fn default() -> AnswerDesk {
        AnswerDesk {
            answers: Mutex::default(),
            room: Semaphore::new(AT_ONCE),
        }
    }
}

impl AnswerDesk {
    /// From now on `answers` answers.
    pub(super) fn open(&self, answers: Arc<dyn Answers>) {
        *self.lock() = Some(answers);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn Answers>>> {
        // Replaced whole.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, asker: Peer, question: String) -> Option<Vec<u8>> {
        let answers = self.lock().clone()?;
        // Never closed.
        let _room = self.room.acquire().await.ok()?;
        let work = tokio::task::spawn_blocking(move || answers.answer(&asker, &question));
        let answer = work.await.ok()??;
        (answer.len() <= MAX_ANSWER).then_some(answer)
    }
}

/// A task that ends when nobody waits for it any more.
pub(super) struct AbortOnDrop<T>(pub(super) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl AbortOnDrop<Result<Vec<u8>, Unanswered>> {
    /// What it comes to. A runtime that has ended answers nothing.
    pub(super) async fn ended(mut self) -> Result<Vec<u8>, Unanswered> {
        let ended = (&mut self.0).await;
        ended.unwrap_or(Err(Unanswered::Unreachable))
    }
}

impl Links {
    /// Asks the member `node` at `to`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        to: SocketAddr,
        node: &str,
        question: &str,
    ) -> Result<Vec<u8>, Unanswered> {
        let connection = match self.existing(to) {
            Some(connection) => connection,
            None => self.connected(to).await?,
        };
        match self.ask_over(&connection, node, question).await {
            // Of two connections that members made to each other at once one is closed, as are those of a
            // process that is gone: another may do.
            Err(Unanswered::Unreachable) if connection.close_reason().is_some() => {
                let connection = self.connected(to).await?;
                self.ask_over(&connection, node, question).await
            }
            answer => answer,
        }
    }

    async fn connected(self: &Arc<Self>, to: SocketAddr) -> Result<Connection, Unanswered> {
        let connection = self.connect(to).await;
        connection.map_err(|_| Unanswered::Unreachable)
    }

    async fn ask_over(
        &self,
        connection: &Connection,
        node: &str,
        question: &str,
    ) -> Result<Vec<u8>, Unanswered> {
        // Gossip says where a node is; its certificate says who it is.
        let peer = self.peer_of(connection);
        if peer.is_ok_and(|peer| *peer.node == *node) {
            let question = frame_of(QUESTION, &self.cluster, question.as_bytes());
            return ask_over(connection, &question).await;
        }
        Err(Unanswered::Unreachable)
    }

    /// Answers one member until the connection ends.
    pub(super) async fn answer_all(self: Arc<Self>, connection: Connection, peer: Peer) {
        while let Ok((to, from)) = connection.accept_bi().await {
            let (links, peer) = (self.clone(), peer.clone());
            // A slow one holds up no other; there are only so many at a time.
            tokio::spawn(async move {
                // An error means that nobody waits for it any more.
                drop(timeout(MESSAGE, links.answer_one(to, from, peer)).await);
            });
        }
    }

    async fn answer_one(&self, mut to: SendStream, mut from: RecvStream, peer: Peer) {
        let most = MAX_QUESTION + MAX_CLUSTER + 3;
        let Ok(stream) = from.read_to_end(most).await else {
            self.bad(
                GossipEvent::BadFrame,
                &peer,
                "a question is too long or cut off",
            );
            let _ = from.stop(NOTHING);
            let _ = to.reset(NOTHING);
            return;
        };
        let question = match unframe_of(QUESTION, &self.cluster, &stream) {
            Ok(octets) => String::from_utf8_lossy(octets).into_owned(),
            Err(error) => {
                self.bad(GossipEvent::BadFrame, &peer, &error.to_string());
                let _ = to.reset(NOTHING);
                return;
            }
        };
        let answer = tokio::select! {
            answer = self.desk.answer(peer, question) => answer,
            // Whoever asked has given up.
            _ = to.stopped() => return,
        };
        let outcome = match answer {
            Some(_) => ANSWERED,
            None => NOT_ANSWERED,
        };
        let head = [VERSION, outcome];
        let body = answer.unwrap_or_default();
        let told = to.write_all(&head).await.is_ok()
            && to.write_all(&body).await.is_ok()
            && to.finish().is_ok();
        if told && outcome == ANSWERED {
            self.counters.count(GossipEvent::AnswerGiven);
        }
    }
}

/// Asks over a connection.
async fn ask_over(connection: &Connection, question: &[u8]) -> Result<Vec<u8>, Unanswered> {
    let asked = async {
        let (mut to, mut from) = connection.open_bi().await.ok()?;
        to.write_all(question).await.ok()?;
        to.finish().ok()?;
        from.read_to_end(MAX_ANSWER + 2).await.ok()
    };
    let stream = asked.await.ok_or(Unanswered::Unreachable)?;
    match stream.split_at_checked(2) {
        Some(([VERSION, ANSWERED], answer)) => Ok(answer.to_vec()),
        _ => Err(Unanswered::Silent),
    }
}
