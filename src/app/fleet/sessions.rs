//! Sessions that the proxies of a region remember together: what this one bound is told to the fleet, and
//! what others of its region say goes into its tables. A proxy never waits for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::FleetDesk;
use crate::fleet::Change;
use crate::fleet::protocol::sessions::{PREFIX, decode, encode, key, upstream_of};
use crate::fleet::push::{relay, unwrap_pushed};
use crate::proxy::chooser::Share;
use crate::snapshot::Publisher;
use crate::traffic::session::shared::SharedTable;

/// Time between two rounds of telling.
const PACE: Duration = Duration::from_secs(1);

/// Chunks told in a round, over all upstreams: some 30 KiB, which gossip carries beside the votes. Under
/// more load the newest sessions are told, and some never.
const CHUNKS_AT_ONCE: usize = 8;

/// So much that others say is taken at a time.
const BATCH: usize = 64;

/// The tables that are shared, by upstream. The proxy holds them; one that it dropped is gone.
#[derive(Debug, Default)]
pub struct SharedSessions(Mutex<BTreeMap<Box<str>, Known>>);

#[derive(Debug)]
struct Known {
    table: Weak<SharedTable>,
    /// Whether it was told what others had said before there was the table.
    is_briefed: bool,
}

impl SharedSessions {
    /// What makes the tables of the proxy.
    pub fn share(self: Arc<SharedSessions>) -> Box<Share> {
        Box::new(move |upstream, rules| {
            let table = Arc::new(SharedTable::new(rules.entries, rules.ttl));
            let known = Known {
                table: Arc::downgrade(&table),
                is_briefed: false,
            };
            self.lock().insert(upstream.into(), known);
            table
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Known>> {
        // Nothing that holds it can leave it half-done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self, upstream: &str) -> Option<Arc<SharedTable>> {
        self.lock().get(upstream)?.table.upgrade()
    }

    /// All that are in use.
    fn tables(&self) -> Vec<(Box<str>, Arc<SharedTable>)> {
        let mut all = self.lock();
        all.retain(|_, known| known.table.strong_count() > 0);
        let used = all
            .iter()
            .map(|(name, known)| Some((name.clone(), known.table.upgrade()?)));
        used.flatten().collect()
    }

    /// Whether there are new tables, which are taken for briefed from now on.
    fn to_brief(&self) -> bool {
        let mut new = false;
        for known in self.lock().values_mut() {
            new |= !std::mem::replace(&mut known.is_briefed, true);
        }
        new
    }
}

/// What is out of one upstream's table.
struct Out {
    // Not held: the proxy says how long it lives.
    table: Weak<SharedTable>,
    chunks: HashSet<usize>,
}

/// Tells and hears sessions for as long as the bus lasts. A node that is alone does neither.
pub async fn share_sessions(
    desk: Arc<FleetDesk>,
    sessions: Arc<SharedSessions>,
    publisher: Publisher,
) {
    if desk.is_alone() {
        return;
    }
    let (mut changes, mut relayed) = (
        desk.bus.subscribe(PREFIX),
        desk.bus.subscribe(relay::PREFIX),
    );
    let (mut said, mut carried) = (Vec::new(), Vec::new());
    let mut out: BTreeMap<Box<str>, Out> = BTreeMap::new();
    let mut turn = 0_usize;
    let mut round = tokio::time::interval(PACE);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let heard = tokio::select! {
            heard = changes.recv_many(&mut said, BATCH) => heard,
            heard = relayed.recv_many(&mut carried, BATCH) => heard,
            _ = round.tick() => {
                brief(&desk, &sessions, &publisher);
                tell(&desk, &sessions, &mut out, turn);
                turn = turn.wrapping_add(1);
                continue;
            }
        };
        if heard == 0 {
            return;
        }
        let neighbours = neighbours(&publisher, desk.node());
        for change in said.drain(..).chain(carried.drain(..)) {
            hear(&desk, &sessions, &neighbours, change);
        }
    }
}

/// The other nodes of this node's region.
fn neighbours(publisher: &Publisher, own: &str) -> HashSet<Box<str>> {
    let view = publisher.latest();
    let nodes = &view.snapshot.settings.nodes;
    let this = nodes.iter().find(|n| *n.name == *own);
    let others = nodes.iter().filter(|n| *n.name != *own);
    let here = others.filter(|n| this.is_some_and(|this| this.region == n.region));
    here.map(|n| n.name.clone()).collect()
}

/// Takes in what another says, if it is of the region and may say it.
fn hear(
    desk: &FleetDesk,
    sessions: &SharedSessions,
    neighbours: &HashSet<Box<str>>,
    change: Change,
) {
    // That several nodes relay the same, some of it late, does no harm: tables take it in any order.
    let change = unwrap_pushed(&change).map_or(change, |pushed| pushed.change);
    let Some(upstream) = upstream_of(change.key.as_str()) else {
        return;
    };
    // What is no longer told lives on until it expires.
    if change.value.is_empty() || !neighbours.contains(&*change.owner) || !desk.may_say(&change) {
        return;
    }
    let Some(table) = sessions.table(upstream) else {
        return;
    };
    match decode(&change.value) {
        Ok(records) => {
            let now = desk.clock.now();
            let news = records.iter().filter(|record| table.hear(record, now));
            desk.heard_sessions(news.count() as u64);
        }
        Err(e) => desk.malformed(&change, &e),
    }
}

/// Tells new tables what others have said so far.
fn brief(desk: &FleetDesk, sessions: &SharedSessions, publisher: &Publisher) {
    if !sessions.to_brief() {
        return;
    }
    let neighbours = neighbours(publisher, desk.node());
    for (name, owner) in &desk.bus.view().owners {
        let said = owner.keys.iter().filter(|(key, _)| {
            let key = key.as_str();
            key.starts_with(PREFIX) || key.starts_with(relay::PREFIX)
        });
        for (key, value) in said {
            let change = Change {
                owner: name.clone(),
                generation: owner.generation,
                key: key.clone(),
                value: value.clone(),
            };
            hear(desk, sessions, &neighbours, change);
        }
    }
}

/// Tells what is new, each round beginning with another upstream, and retires what is no more.
fn tell(
    desk: &FleetDesk,
    sessions: &SharedSessions,
    out: &mut BTreeMap<Box<str>, Out>,
    turn: usize,
) {
    let tables = sessions.tables();
    out.retain(|upstream, said| {
        let same = |(name, table): &(Box<str>, Arc<SharedTable>)| {
            name == upstream && std::ptr::eq(Arc::as_ptr(table), said.table.as_ptr())
        };
        let stays = tables.iter().any(same);
        if !stays {
            for number in &said.chunks {
                desk.publish(&key(upstream, *number), "");
            }
        }
        stays
    });
    let (now, mut left) = (desk.clock.now(), CHUNKS_AT_ONCE);
    let first = turn % tables.len().max(1);
    let (before, after) = tables.split_at(first);
    for (upstream, table) in after.iter().chain(before) {
        let chunks = table.say(now, left);
        left -= chunks.len().min(left);
        if chunks.is_empty() {
            continue;
        }
        let said = out.entry(upstream.clone()).or_insert_with(|| Out {
            table: Arc::downgrade(table),
            chunks: HashSet::new(),
        });
        for chunk in chunks {
            let key = key(upstream, chunk.number);
            if chunk.records.is_empty() {
                said.chunks.remove(&chunk.number);
                desk.publish(&key, "");
            } else {
                said.chunks.insert(chunk.number);
                desk.publish(&key, &encode(&chunk.records));
            }
        }
    }
}
