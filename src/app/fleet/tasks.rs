//! The two tasks of a node in the fleet: one speaks, one listens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::FleetDesk;
use crate::fleet::listener::PREFIXES;
use crate::fleet::{Listener, Speaker};
use crate::health::{OwnWord, Testimony};
use crate::snapshot::Publisher;
use crate::time::Moment;

/// Time between two looks at whether something slow is due: heartbeats, refreshes.
const TICK: Duration = Duration::from_millis(500);

/// Votes that change within this time are told together.
const GATHER: Duration = Duration::from_millis(50);

/// The generation in force is told this often; it changes with every verdict.
const TELL_GENERATION: Duration = Duration::from_secs(10);

/// Tells the fleet what this vantage sees, until `words` ends. A node that does not probe says that it
/// lives, and no more.
pub async fn speak(
    desk: Arc<FleetDesk>,
    mut words: watch::Receiver<Arc<OwnWord>>,
    publisher: Publisher,
) {
    let mut speaker = Speaker::default();
    let mut told: Option<(Moment, u64)> = None;
    loop {
        let word = words.borrow_and_update().clone();
        let now = desk.clock.now();
        for (key, value) in speaker.say(&word, now) {
            desk.publish(&key, &value);
        }
        let generation = publisher.latest().generation.0;
        let due = |(at, last)| last != generation && now.since(at) >= TELL_GENERATION;
        if told.is_none_or(due) {
            told = Some((now, generation));
            desk.tell_config(generation);
        }
        tokio::select! {
            changed = words.changed() => match changed {
                Ok(()) => tokio::time::sleep(GATHER).await,
                Err(_) => return,
            },
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Hands on what other vantages say, until nobody wants it any more.
pub async fn listen(desk: Arc<FleetDesk>, testimonies: mpsc::Sender<Testimony>) {
    let mut changes = desk.bus.subscribe("");
    let mut listener = Listener::default();
    while let Some(change) = changes.recv().await {
        desk.note(&change);
        let key = change.key.as_str();
        let own = *change.owner == *desk.node();
        if own || !PREFIXES.iter().any(|p| key.starts_with(p)) {
            continue;
        }
        match listener.hear(&change) {
            Ok(heard) => {
                for testimony in heard {
                    desk.note_testimony(&testimony);
                    if testimonies.send(testimony).await.is_err() {
                        return;
                    }
                }
            }
            Err(e) => desk.malformed(&change, &e),
        }
    }
}
