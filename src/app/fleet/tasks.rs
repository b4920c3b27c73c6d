//! The two tasks of a node in the fleet: one speaks, one listens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::super::judge_loop::Order;
use super::FleetDesk;
use crate::fleet::gossip::COMPLETE;
use crate::fleet::listener::PREFIXES;
use crate::fleet::push::{Newest, unwrap_pushed};
use crate::fleet::speaker::HEARTBEAT;
use crate::fleet::{Listener, Speaker};
use crate::health::{Opinion, Vote};
use crate::snapshot::Publisher;
use crate::time::Moment;

/// Time between two looks at what this vantage sees.
const LOOK: Duration = Duration::from_millis(200);

/// The generation in force is told this often; it changes with every verdict.
const TELL_GENERATION: Duration = Duration::from_secs(10);

/// A node that has no verdict of its own after this long will have none soon, or does not probe.
pub const NO_VERDICT: Duration = Duration::from_secs(10);

/// The same for one that took over from a process of this node. That one is silent by now: with what
/// others need to believe the new one, this stays below the time after which they call a node silent.
pub const NO_VERDICT_AFTER_TAKEOVER: Duration = Duration::from_secs(3);

/// So much that others say is handed on at a time.
const BATCH: usize = 256;

/// Tells the fleet what this vantage sees, until the judge loop ends. A node that does not probe says
/// that it lives, and no more. After `no_verdict` it says that this is all, whatever it waits for.
pub async fn speak(
    desk: Arc<FleetDesk>,
    orders: mpsc::Sender<Order>,
    publisher: Publisher,
    no_verdict: Duration,
) {
    if desk.is_alone() {
        return;
    }
    let mut speaker = Speaker::default();
    let mut told: Option<(Moment, u64, String)> = None;
    let (start, mut complete) = (desk.clock.now(), false);
    let mut asked: Option<(Moment, u64)> = None;
    loop {
        // A vote that changes is in a view of its own; without one only the heartbeat is due.
        let (now, generation) = (desk.clock.now(), publisher.latest().generation.0);
        let quiet = |(at, of)| of == generation && now.since(at) < HEARTBEAT;
        if asked.is_some_and(quiet) {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        asked = Some((now, generation));
        let (ask, answer) = oneshot::channel();
        if orders.send(Order::Tell(ask)).await.is_err() {
            return;
        }
        let Ok(word) = answer.await else { return };
        let now = desk.clock.now();
        let word = word.unwrap_or_default();
        for (key, value) in speaker.say(&word, now) {
            desk.publish(&key, &value);
        }
        // Until then the others go by what this node said before it was started anew.
        let believes = |(_, vote): &(_, Vote)| vote.opinion != Opinion::None;
        let sure = !word.votes.is_empty() && word.votes.iter().all(believes);
        if !complete && (sure || now.since(start) >= no_verdict) {
            complete = true;
            desk.publish(COMPLETE, "1");
        }
        let config = desk.config();
        let due = |(at, last, digest): &(Moment, u64, String)| {
            *digest != config || (*last != generation && now.since(*at) >= TELL_GENERATION)
        };
        if told.as_ref().is_none_or(due) {
            desk.tell_config(&config, generation);
            told = Some((now, generation, config));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Hands on what other vantages say, until the judge loop ends.
pub async fn listen(desk: Arc<FleetDesk>, orders: mpsc::Sender<Order>) {
    let mut changes = desk.bus.subscribe("");
    let mut listener = Listener::default();
    let mut newest = Newest::default();
    let mut batch = Vec::new();
    while changes.recv_many(&mut batch, BATCH).await > 0 {
        let mut heard = Vec::new();
        for change in batch.drain(..) {
            // Before anything is remembered of it: a relay may name whom it likes.
            let said = unwrap_pushed(&change).map(|p| p.change);
            if !desk.may_say(said.as_ref().unwrap_or(&change)) {
                continue;
            }
            // Of what several nodes relay of one that pushes, the newest counts.
            let Some(change) = newest.take(&change) else {
                continue;
            };
            desk.note(&change);
            let key = change.key.as_str();
            let own = *change.owner == *desk.node();
            if own || !PREFIXES.iter().any(|p| key.starts_with(p)) {
                continue;
            }
            match listener.hear(&change) {
                Ok(says) => heard.extend(says),
                Err(e) => desk.malformed(&change, &e),
            }
        }
        for testimony in &heard {
            desk.note_testimony(testimony);
        }
        if !heard.is_empty() && orders.send(Order::Hear(heard)).await.is_err() {
            return;
        }
    }
}
