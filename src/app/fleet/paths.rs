//! What the proxies of the fleet measured of the way to their clients: this node's proxy tells the prefixes
//! it knows best, and what others tell goes to who decides what of it steers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::super::judge_loop::Order;
use super::super::proxy::SharedCarrier;
use super::FleetDesk;
use crate::fleet::Change;
use crate::fleet::protocol::paths::{
    CHUNKS, PREFIX, RECORDS, chunk_of, decode, encode, is_key, key,
};
use crate::fleet::push::{relay, unwrap_pushed};
use crate::health::clients::{ClientPath, PathHeard, PathWord, calendar};
use crate::net::Prefix;
use crate::snapshot::Publisher;
use crate::time::Moment;

/// Time between two looks at the proxy's table.
const LOOK: Duration = Duration::from_secs(5);

/// Chunks told with a look: some 57 KiB if all are full, 12 KiB a second; usually a tenth of that.
const CHUNKS_AT_ONCE: usize = 8;

/// A path that is in use is told again after this time, or after a sixth of the time in which it expires.
const REFRESH: Duration = Duration::from_secs(60);

/// So much that others say is taken at a time.
const BATCH: usize = 64;

/// What was told of a prefix.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// The moment of the newest sample then.
    newest: Moment,
    /// Its distance then.
    distance: Duration,
    connections: u64,
}

impl Said {
    fn of(path: &ClientPath, distance: Duration) -> Said {
        Said {
            newest: path.at(),
            distance,
            connections: path.connections(),
        }
    }

    /// Whether what is known now is worth telling.
    fn differs(&self, now: &Said, refresh: Duration) -> bool {
        let band = (self.distance / 20).max(Duration::from_millis(1));
        now.distance.abs_diff(self.distance) > band
            || now.connections > self.connections + self.connections / 2
            || now.newest.since(self.newest) >= refresh
    }
}

/// Tells and hears, for as long as the bus and the judge loop last.
pub async fn share_paths(
    desk: Arc<FleetDesk>,
    carrier: SharedCarrier,
    publisher: Publisher,
    orders: mpsc::Sender<Order>,
) {
    let (mut changes, mut relayed) = (
        desk.bus.subscribe(PREFIX),
        desk.bus.subscribe(relay::PREFIX),
    );
    let (mut said, mut carried) = (Vec::new(), Vec::new());
    let mut told = Told::default();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What was said before this task listened.
    let mut heard: Vec<PathHeard> = overheard(&desk);
    loop {
        if !heard.is_empty() {
            let words = std::mem::take(&mut heard);
            if orders.send(Order::Paths(words)).await.is_err() {
                return;
            }
        }
        let count = tokio::select! {
            count = changes.recv_many(&mut said, BATCH) => count,
            count = relayed.recv_many(&mut carried, BATCH) => count,
            _ = look.tick() => {
                if let Some(carrier) = &carrier {
                    heard = told.look(&desk, carrier, &publisher);
                }
                1
            }
        };
        if count == 0 {
            return;
        }
        let changes = said.drain(..).chain(carried.drain(..));
        heard.extend(changes.flat_map(|change| hear(&desk, change)));
    }
}

/// What this node has told.
#[derive(Default)]
struct Told {
    said: HashMap<Prefix, Said>,
    /// The chunk that the next look begins with.
    turn: usize,
}

impl Told {
    /// Tells the chunks in which something is new, as many as are told at once; gives all that is known
    /// for this node itself.
    fn look(
        &mut self,
        desk: &FleetDesk,
        carrier: &super::super::proxy::Carrier,
        publisher: &Publisher,
    ) -> Vec<PathHeard> {
        let tier = carrier.proxy().tier();
        let Some(table) = &tier.clients else {
            return Vec::new();
        };
        let now = desk.clock.now();
        let wall = desk.clock.wall();
        let expire = publisher.latest().snapshot.settings.client_pace.expire;
        let best = table.best(tier.plan.node.clients.tell as usize, expire, now);
        let refresh = REFRESH.min(expire / 6);
        let mut chunks: Vec<Vec<(Prefix, PathWord)>> = vec![Vec::new(); CHUNKS];
        let mut due = [false; CHUNKS];
        let mut latest = HashMap::with_capacity(best.len());
        let today = calendar(wall, now);
        let node: Arc<str> = desk.node().into();
        let mut own = Vec::with_capacity(best.len());
        for (prefix, path) in &best {
            let Some(distance) = path.distance_within(expire, now) else {
                continue;
            };
            let (word, at) = (path.tell(now), chunk_of(prefix));
            own.extend(ClientPath::heard(&word, today).map(|path| PathHeard {
                node: node.clone(),
                prefix: *prefix,
                path,
            }));
            // Of one chunk no more is told than fits: those with most connections come first.
            if chunks[at].len() == RECORDS {
                continue;
            }
            chunks[at].push((*prefix, word));
            let now = Said::of(path, distance);
            let before = self.said.get(prefix);
            due[at] |= before.is_none_or(|before| before.differs(&now, refresh));
            latest.insert(*prefix, now);
        }
        self.said.retain(|prefix, _| latest.contains_key(prefix));
        let first = self.turn;
        let order = (0..CHUNKS).map(|i| (first + i) % CHUNKS);
        for at in order.filter(|at| due[*at]).take(CHUNKS_AT_ONCE) {
            self.turn = (at + 1) % CHUNKS;
            for (prefix, _) in &chunks[at] {
                self.said.extend(latest.get(prefix).map(|s| (*prefix, *s)));
            }
            if !desk.is_alone() {
                desk.publish(&key(at), &encode(&chunks[at], wall.unix(now)));
            }
        }
        own
    }
}

/// What another says, if it may say it and can be believed.
fn hear(desk: &FleetDesk, change: Change) -> Vec<PathHeard> {
    let change = unwrap_pushed(&change).map_or(change, |pushed| pushed.change);
    // What is no longer told was true, and expires; and this node knows its own words.
    if !is_key(change.key.as_str())
        || change.value.is_empty()
        || *change.owner == *desk.node()
        || !desk.may_say(&change)
    {
        return Vec::new();
    }
    let today = calendar(desk.clock.wall(), desk.clock.now());
    match decode(&change.value, today) {
        Ok(paths) => paths
            .into_iter()
            .map(|(prefix, path)| PathHeard {
                node: change.owner.clone(),
                prefix,
                path,
            })
            .collect(),
        Err(e) => {
            desk.malformed(&change, &e);
            Vec::new()
        }
    }
}

/// What has been said so far.
fn overheard(desk: &FleetDesk) -> Vec<PathHeard> {
    let mut all = Vec::new();
    for (name, owner) in &desk.bus.view().owners {
        for (key, value) in &owner.keys {
            let at = key.as_str();
            if at.starts_with(PREFIX) || at.starts_with(relay::PREFIX) {
                let change = Change {
                    owner: name.clone(),
                    generation: owner.generation,
                    key: key.clone(),
                    value: value.clone(),
                };
                all.extend(hear(desk, change));
            }
        }
    }
    all
}
