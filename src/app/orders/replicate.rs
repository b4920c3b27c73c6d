//! Orders between nodes: telling, taking in, saying what is stored, and carrying what the author no
//! longer can.
//!
//! A record is told under `ov/STAMP` in the author's own space. Every node that takes orders keeps
//! it, and says so under `ovseen/AUTHOR`. Gossip forgets what a dead node told, so after ten minutes
//! three others tell it in its place, with the author's signature.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hasher as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use siphasher::sip::SipHasher13;

use super::Desk;
use super::book::Seen;
use crate::fleet::{Change, Key};
use crate::overrides::{Record, Stamp};
use crate::time::Moment;

/// An order that no node alive tells is adopted after this time.
const ADOPT: Duration = Duration::from_secs(600);

/// How many nodes adopt it.
const ADOPTERS: usize = 3;

/// Refused orders of one node are logged once in this time.
const TELL: Duration = Duration::from_secs(60);

/// What this node tells, and since when others tell nothing.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Told in this node's space.
    told: BTreeSet<Stamp>,
    /// Since when nobody else who is alive tells a record.
    orphaned: HashMap<Stamp, Moment>,
    /// What was last said to be stored, by author.
    seen: BTreeMap<Arc<str>, String>,
    /// When a node's refused orders were last logged, and how many were since.
    refusals: HashMap<Arc<str>, (Moment, u64)>,
}

/// Where a node says which orders of `author` it has.
pub(super) fn seen_key(author: &str) -> Option<Key> {
    Key::new(&format!("ovseen/{author}")).ok()
}

/// A stamp without its node.
pub(super) fn short(stamp: &Stamp) -> String {
    format!("{}.{}", stamp.ms, stamp.count)
}

fn key_of(stamp: &Stamp) -> Option<Key> {
    Key::new(&format!("ov/{stamp}")).ok()
}

impl Desk {
    /// Takes in what other nodes told.
    pub(super) async fn take_in(&self, batch: Vec<Change>) {
        let now_ms = self.now_ms();
        let mut new: Vec<(Arc<Record>, bool)> = Vec::new();
        for change in batch {
            // A key that is missing is never a state: what is retired stays kept here.
            if change.owner == self.tools.node || change.value.is_empty() {
                continue;
            }
            match self.believable(&change) {
                Ok(record) => {
                    let record = Arc::new(record);
                    let accepted = self.book().accept(&record, "received", now_ms);
                    new.extend(accepted.map(|believed| (record, believed)));
                }
                Err(why) => self.refuse(&change.owner, &why),
            }
        }
        if new.is_empty() {
            return;
        }
        let rows = new
            .iter()
            .map(|(record, believed)| (record.stamp.to_string(), (record.text(), *believed)));
        let written = self.write(rows.collect()).await;
        {
            let mut book = self.book();
            for (record, believed) in &new {
                let seen = match &written {
                    _ if !believed => Seen::Quarantined,
                    Ok(()) => Seen::Done,
                    Err(_) => Seen::Unstored,
                };
                book.note_seen(&record.stamp, seen);
            }
        }
        self.enforce(false).await;
        // Said only now: it is on the disk and in force.
        self.show_seen();
    }

    /// Reads and checks what a node told.
    fn believable(&self, change: &Change) -> Result<Record, String> {
        let record = Record::parse(&change.value).map_err(|e| e.to_string())?;
        if Some(&change.key) != key_of(&record.stamp).as_ref() {
            return Err(format!("its key `{}` is another's", change.key.as_str()));
        }
        if self.book().ledger.get(&record.stamp).is_some() {
            // Known, and checked when it came; the same stamp with other words changes nothing.
            return Ok(record);
        }
        self.tools
            .vouch
            .check(
                record.author(),
                record.signed_text().as_bytes(),
                record.signed.as_ref(),
                record.stamp.ms,
            )
            .map_err(|e| e.0)?;
        Ok(record)
    }

    /// Counts a refused order; logs once per interval and node.
    fn refuse(&self, owner: &Arc<str>, why: &str) {
        self.tools.gauges.refused.fetch_add(1, Ordering::Relaxed);
        let now = self.tools.clock.now();
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let known = carried.refusals.get(owner);
        if let Some((at, count)) = known.filter(|(at, _)| now.since(*at) < TELL).copied() {
            carried.refusals.insert(owner.clone(), (at, count + 1));
            return;
        }
        let since = known.map_or(0, |(_, count)| *count);
        carried.refusals.insert(owner.clone(), (now, 0));
        tracing::error!(node = %owner, since, "an order told by this node is refused: {why}");
    }

    /// Says which orders are stored here, where that changed.
    pub(super) fn show_seen(&self) {
        let seen: Vec<(Arc<str>, String)> = {
            let book = self.book();
            let of = book.seen.iter().map(|(author, stamps)| {
                let all: Vec<String> = stamps
                    .iter()
                    .map(|(s, seen)| short(s) + seen.mark())
                    .collect();
                (author.clone(), all.join(" "))
            });
            of.collect()
        };
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        for (author, value) in seen {
            if carried.seen.get(&author) == Some(&value) {
                continue;
            }
            let Some(key) = seen_key(&author) else {
                continue;
            };
            match self.tools.bus.publish(&key, &value) {
                Ok(()) => drop(carried.seen.insert(author, value)),
                Err(e) => tracing::error!("cannot say which orders are stored: {e}"),
            }
        }
    }

    /// Tells this node's records and those it adopts; takes back what needs no telling any more.
    pub(super) fn carry(&self) {
        self.show_seen();
        let wanted = self.book().ledger.told();
        let now = self.tools.clock.now();
        let (view, members) = (self.tools.bus.view(), self.tools.bus.members());
        let own = &self.tools.node;
        let alive: HashSet<&Arc<str>> = members
            .iter()
            .filter(|m| m.alive && !m.own)
            .map(|m| &m.node)
            .collect();
        let others: Vec<_> = view
            .owners
            .iter()
            .filter(|(node, _)| *node != own && alive.contains(node))
            .collect();
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tell = BTreeSet::new();
        let mut orphaned = HashMap::new();
        for record in &wanted {
            let stamp = &record.stamp;
            let Some(key) = key_of(stamp) else { continue };
            if record.author() != own {
                let author_tells = others
                    .iter()
                    .any(|(node, o)| *node == record.author() && o.keys.contains_key(&key));
                if author_tells {
                    continue;
                }
                // Adopters do not count, or they would take turns.
                let since = *carried.orphaned.get(stamp).unwrap_or(&now);
                orphaned.insert(stamp.clone(), since);
                if now.since(since) < ADOPT || !self.adopts(stamp, &alive) {
                    continue;
                }
            }
            tell.insert(stamp.clone());
            if carried.told.contains(stamp) {
                continue;
            }
            if let Err(e) = self.tools.bus.publish(&key, &record.text()) {
                tracing::error!(%stamp, "cannot tell the fleet an order: {e}");
                tell.remove(stamp);
            } else if record.author() != own {
                tracing::info!(node = %record.author(), %stamp, "order adopted: its author is gone");
            }
        }
        for stamp in carried.told.difference(&tell) {
            if let Some(key) = key_of(stamp) {
                self.tools.bus.retire(&key);
            }
        }
        carried.told = tell;
        carried.orphaned = orphaned;
    }

    /// Whether this node is among the adopters of a record: those with the highest hash of it and
    /// their name, so that all nodes choose the same without asking.
    fn adopts(&self, stamp: &Stamp, alive: &HashSet<&Arc<str>>) -> bool {
        let score = |node: &str| {
            let mut hasher = SipHasher13::new_with_keys(0, 0);
            hasher.write(stamp.to_string().as_bytes());
            hasher.write_u8(0);
            hasher.write(node.as_bytes());
            hasher.finish()
        };
        let own = score(&self.tools.node);
        let peers = self.tools.peers.iter().filter(|p| alive.contains(p));
        peers.filter(|p| score(p) > own).count() < ADOPTERS
    }
}
