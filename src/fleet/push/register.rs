//! Which nodes push here, and that each does so once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;
use tokio::sync::watch;

use super::SILENCE;
use super::frame::Frame;
use super::inbox::{Inbox, Outcome, Visit};
use crate::fleet::bus::Key;
use crate::fleet::credentials::Peer;
use crate::time::{Clock, Moment};

/// All nodes that have pushed here.
pub(super) struct Register {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    nodes: Mutex<HashMap<Arc<str>, Node>>,
}

#[derive(Default)]
struct Node {
    inbox: Inbox,
    live: Option<Live>,
    /// Connections so far.
    count: u64,
}

struct Live {
    /// Which connection.
    number: u64,
    generation: u64,
    visit: Visit,
    heard: Moment,
    /// Told when another connection takes its place.
    replaced: watch::Sender<bool>,
}

/// Why a connection is not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    /// In words.
    pub(super) text: String,
    /// The highest life of the node, where the connection is of a lower one and nobody else of that
    /// name is there.
    pub(super) known: Option<u64>,
}

/// The place of one connection; gives it up when dropped.
pub(super) struct Slot {
    shared: Arc<Shared>,
    node: Arc<str>,
    number: u64,
    replaced: watch::Receiver<bool>,
}

impl Register {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Register {
        Register {
            shared: Arc::new(Shared {
                clock,
                nodes: Mutex::default(),
            }),
        }
    }

    pub(super) fn connected(&self) -> usize {
        let nodes = self.shared.nodes();
        nodes.values().filter(|n| n.live.is_some()).count()
    }

    /// Takes a connection of a node in that life. Another connection of the same life is replaced: the
    /// node has lost it. While one of another life is alive, the newcomer has the name of another.
    pub(super) fn admit(&self, peer: &Peer, generation: u64) -> Result<Slot, Refusal> {
        let now = self.shared.clock.now();
        let mut nodes = self.shared.nodes();
        let node = nodes.entry(peer.node.clone()).or_default();
        if let Some(live) = &node.live
            && live.generation != generation
            && now.since(live.heard) < SILENCE
        {
            return Err(Refusal {
                text: format!(
                    "another node called `{}` is connected (life {}, this one is {generation}); every \
                     node needs a name and a certificate of its own",
                    peer.node, live.generation
                ),
                known: None,
            });
        }
        let known = node.inbox.generation();
        if generation < known {
            return Err(Refusal {
                text: format!(
                    "node `{}` comes with life {generation} after life {known}: its clock has gone \
                     back",
                    peer.node
                ),
                known: Some(known),
            });
        }
        node.count += 1;
        let number = node.count;
        let visit = node.inbox.visit(&peer.node, peer.roles, generation);
        let (sender, replaced) = watch::channel(false);
        let live = Live {
            number,
            generation,
            visit,
            heard: now,
            replaced: sender,
        };
        if let Some(old) = node.live.replace(live) {
            old.replaced.send_replace(true);
        }
        Ok(Slot {
            shared: self.shared.clone(),
            node: peer.node.clone(),
            number,
            replaced,
        })
    }
}

impl Shared {
    fn nodes(&self) -> MutexGuard<'_, HashMap<Arc<str>, Node>> {
        // Nothing that holds it can leave it half-done.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Takes a frame of the connection. `tell` passes on what follows, before another connection of the
    /// node can have a say.
    pub(super) fn take(&self, frame: Frame, tell: impl FnOnce(&[(Key, String)])) -> Outcome {
        let now = self.shared.clock.now();
        let mut nodes = self.shared.nodes();
        let Some(node) = nodes.get_mut(&self.node) else {
            return Outcome::Tell(Vec::new());
        };
        match &mut node.live {
            Some(live) if live.number == self.number => {
                live.heard = now;
                let outcome = node.inbox.take(&mut live.visit, frame);
                if let Outcome::Tell(keys) = &outcome {
                    tell(keys);
                }
                outcome
            }
            // Replaced, and about to end.
            _ => Outcome::Tell(Vec::new()),
        }
    }

    /// Returns when another connection has taken the place.
    pub(super) async fn replaced(&self) {
        let mut replaced = self.replaced.clone();
        // An error says that the place is gone altogether.
        let _ = replaced.wait_for(|r| *r).await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut nodes = self.shared.nodes();
        if let Some(node) = nodes.get_mut(&self.node)
            && node.live.as_ref().is_some_and(|l| l.number == self.number)
        {
            node.live = None;
        }
    }
}
