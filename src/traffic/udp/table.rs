//! The sessions of one socket: by client and local address, bounded, oldest first out.
//!
//! Datagrams have no connections, so anybody can open a session with a forged source address. What the
//! table keeps when it is full is decided by what a forger cannot do: *hear the answer*. A session is
//! [`Standing::Proven`] once its client has sent again after an answer went out to it; all others are
//! [`Standing::New`], and only those make room for a newcomer, the one silent for longest first. When
//! every session is proven a newcomer is refused, as by any listener that has as many connections as it
//! may.
//!
//! Both kinds stand in lists by the time of their last datagram, so that finding those that idle costs
//! nothing but those that do. The lists are woven through one array of slots; a slot keeps its place, and
//! an [`Id`] carries the slot's generation, so that what names a session that has ended names nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hashbrown::HashTable;

use crate::balance::mix::mix;
use crate::time::Moment;

/// No slot.
const NONE: u32 = u32::MAX;

/// Whose datagrams make up a session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Where they come from.
    pub client: SocketAddr,
    /// The address they were sent to, where the socket has several.
    pub local: Option<IpAddr>,
}

/// What is known of the client of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing says yet that it is where it says it is.
    New,
    /// It has sent again after an answer: it hears what is sent to it.
    Proven,
}

/// A session's place in its table, until it ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id {
    slot: u32,
    generation: u32,
}

impl Id {
    /// As one word.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// Of [`Id::to_bits`].
    pub fn from_bits(bits: u64) -> Id {
        Id {
            slot: bits as u32,
            generation: (bits >> 32) as u32,
        }
    }
}

/// The table is full, and nobody in it makes room: the session is given back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Full<S>(pub S);

struct Slot<S> {
    key: Key,
    hash: u64,
    generation: u32,
    seen: Moment,
    standing: Standing,
    /// Whether its key leads to it.
    indexed: bool,
    /// Towards the one heard of later; free slots: the next free one.
    newer: u32,
    /// Towards the one heard of earlier.
    older: u32,
    session: Option<S>,
}

/// The ends of a list.
#[derive(Clone, Copy)]
struct Ends {
    newest: u32,
    oldest: u32,
    len: usize,
}

impl Default for Ends {
    fn default() -> Ends {
        Ends {
            newest: NONE,
            oldest: NONE,
            len: 0,
        }
    }
}

/// Sessions by their keys.
pub struct Table<S> {
    slots: Vec<Slot<S>>,
    /// First of the free slots.
    free: u32,
    index: HashTable<u32>,
    /// By [`Standing`].
    lists: [Ends; 2],
    most: usize,
    seed: u64,
}

impl<S> Table<S> {
    /// An empty table of at most `most` sessions. `seed` is random: keys come from strangers.
    pub fn new(most: usize, seed: u64) -> Table<S> {
        Table {
            slots: Vec::new(),
            free: NONE,
            index: HashTable::new(),
            lists: [Ends::default(); 2],
            most: most.clamp(1, NONE as usize - 1),
            seed,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lists[0].len + self.lists[1].len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Another bound. Those that are too many stay until they end or make room.
    pub fn set_most(&mut self, most: usize) {
        self.most = most.clamp(1, NONE as usize - 1);
    }

    /// Whether there are as many as there may be.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    fn hash(&self, key: &Key) -> u64 {
        let half = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u64::from(u32::from(v4)), 4),
            IpAddr::V6(v6) => {
                let bits = u128::from(v6);
                (bits as u64, (bits >> 64) as u64)
            }
        };
        let (low, high) = half(key.client.ip());
        let mut hash = mix(self.seed ^ low ^ u64::from(key.client.port()) << 40);
        hash = mix(hash ^ high);
        if let Some(local) = key.local {
            let (low, high) = half(local);
            hash = mix(mix(hash ^ low) ^ high);
        }
        hash
    }

    /// The session of a key.
    pub fn find(&self, key: &Key) -> Option<Id> {
        let hash = self.hash(key);
        let slots = &self.slots;
        let is = |slot: &u32| slots[*slot as usize].key == *key;
        let slot = *self.index.find(hash, is)?;
        Some(Id {
            slot,
            generation: self.slots[slot as usize].generation,
        })
    }

    fn slot(&self, id: Id) -> Option<&Slot<S>> {
        let slot = self.slots.get(id.slot as usize)?;
        (slot.generation == id.generation && slot.session.is_some()).then_some(slot)
    }

    /// A session; `None` once it has ended.
    pub fn get(&self, id: Id) -> Option<&S> {
        self.slot(id)?.session.as_ref()
    }

    /// As [`Table::get`].
    pub fn get_mut(&mut self, id: Id) -> Option<&mut S> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.session.as_mut()
    }

    /// The key of a session.
    pub fn key(&self, id: Id) -> Option<Key> {
        self.slot(id).map(|s| s.key)
    }

    /// What is known of the client of a session.
    pub fn standing(&self, id: Id) -> Option<Standing> {
        self.slot(id).map(|s| s.standing)
    }

    /// When a datagram of the session last came or went.
    pub fn seen(&self, id: Id) -> Option<Moment> {
        self.slot(id).map(|s| s.seen)
    }

    /// The sessions that their clients' next datagrams go to, in the order in which they are worth keeping:
    /// the proven ones first, and of each standing those heard of last.
    pub fn by_worth(&self) -> impl Iterator<Item = Id> + '_ {
        let older = |at: &u32| self.slots.get(*at as usize).map(|slot| slot.older);
        let list = move |standing: Standing| {
            let newest = Some(self.lists[standing as usize].newest);
            std::iter::successors(newest, older).map_while(|at| {
                let slot = self.slots.get(at as usize)?;
                let id = Id {
                    slot: at,
                    generation: slot.generation,
                };
                Some((id, slot.indexed))
            })
        };
        let all = list(Standing::Proven).chain(list(Standing::New));
        all.filter(|(_, indexed)| *indexed).map(|(id, _)| id)
    }

    /// A datagram of the session came or went.
    pub fn heard(&mut self, id: Id, now: Moment) {
        let Some(slot) = self.slot(id) else {
            return;
        };
        // A coarse clock stands still between its ticks: most of the time there is nothing to do.
        if slot.seen < now {
            let standing = slot.standing;
            self.unlink(id.slot);
            self.slots[id.slot as usize].seen = now;
            self.link(id.slot, standing);
        }
    }

    /// The client of the session has shown that it hears what is sent to it.
    pub fn prove(&mut self, id: Id) {
        if self.standing(id) == Some(Standing::New) {
            self.unlink(id.slot);
            self.slots[id.slot as usize].standing = Standing::Proven;
            self.link(id.slot, Standing::Proven);
        }
    }

    /// Who makes room when the table is full: the new session that was silent for longest.
    pub fn victim(&self) -> Option<Id> {
        self.oldest(Standing::New).map(|(id, _)| id)
    }

    fn oldest(&self, standing: Standing) -> Option<(Id, Moment)> {
        let at = self.lists[standing as usize].oldest;
        let slot = self.slots.get(at as usize)?;
        let id = Id {
            slot: at,
            generation: slot.generation,
        };
        Some((id, slot.seen))
    }

    /// A session that was silent for at least `idle`.
    pub fn expired(&self, now: Moment, idle: Duration) -> Option<Id> {
        [Standing::New, Standing::Proven]
            .into_iter()
            .filter_map(|standing| self.oldest(standing))
            .find(|(_, seen)| now.since(*seen) >= idle)
            .map(|(id, _)| id)
    }

    /// Any session; for ending all.
    pub fn any(&self) -> Option<Id> {
        let new = self.oldest(Standing::New);
        new.or_else(|| self.oldest(Standing::Proven))
            .map(|(id, _)| id)
    }

    /// Begins a session. Its key must have none.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub fn insert(&mut self, key: Key, session: S, now: Moment) -> Result<Id, Full<S>> {
        if self.is_full() {
            return Err(Full(session));
        }
        let hash = self.hash(&key);
        let at = if self.free == NONE {
            let at = self.slots.len() as u32;
            self.slots.push(Slot {
                key,
                hash,
                generation: 0,
                seen: now,
                standing: Standing::New,
                indexed: true,
                newer: NONE,
                older: NONE,
                session: Some(session),
            });
            at
        } else {
            let at = self.free;
            let slot = &mut self.slots[at as usize];
            self.free = slot.newer;
            slot.key = key;
            slot.hash = hash;
            slot.seen = now;
            slot.standing = Standing::New;
            slot.indexed = true;
            slot.session = Some(session);
            at
        };
        let slots = &self.slots;
        self.index
            .insert_unique(hash, at, |slot| slots[*slot as usize].hash);
        self.link(at, Standing::New);
        Ok(Id {
            slot: at,
            generation: self.slots[at as usize].generation,
        })
    }

    /// Lets the next datagram of its key begin another session. This one lives on, for its answers.
    pub fn detach(&mut self, id: Id) {
        let Some(slot) = self.slot(id).filter(|s| s.indexed) else {
            return;
        };
        let entry = self.index.find_entry(slot.hash, |slot| *slot == id.slot);
        if let Ok(entry) = entry {
            entry.remove();
        }
        self.slots[id.slot as usize].indexed = false;
    }

    /// Ends a session; `None` when it has ended already.
    pub fn remove(&mut self, id: Id) -> Option<(Key, S)> {
        self.slot(id)?;
        self.detach(id);
        self.unlink(id.slot);
        let slot = &mut self.slots[id.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        slot.newer = self.free;
        self.free = id.slot;
        let session = slot.session.take()?;
        Some((slot.key, session))
    }

    fn unlink(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        let (newer, older, list) = (slot.newer, slot.older, slot.standing as usize);
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.lists[list].newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.lists[list].oldest = newer,
        }
        self.lists[list].len -= 1;
    }

    /// Puts a slot into a list by its time: at the new end, as a rule.
    fn link(&mut self, at: u32, standing: Standing) {
        let list = standing as usize;
        let seen = self.slots[at as usize].seen;
        let (mut older, mut newer) = (self.lists[list].newest, NONE);
        // Who is proven was heard of just now, so this is a step or two where it is any.
        while let Some(slot) = self.slots.get(older as usize)
            && slot.seen > seen
        {
            (newer, older) = (older, slot.older);
        }
        let slot = &mut self.slots[at as usize];
        (slot.newer, slot.older) = (newer, older);
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = at,
            None => self.lists[list].oldest = at,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = at,
            None => self.lists[list].newest = at,
        }
        self.lists[list].len += 1;
    }

    /// How many sessions are of this standing.
    pub fn count(&self, standing: Standing) -> usize {
        self.lists[standing as usize].len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u16) -> Key {
        Key {
            client: SocketAddr::from(([192, 0, 2, (n >> 8) as u8], n)),
            local: n.is_multiple_of(3).then(|| IpAddr::from([10, 0, 0, 1])),
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment(seconds * 1_000_000_000)
    }

    #[test]
    fn s4_forged_sources_push_out_each_other_and_nobody_who_was_proven() {
        let mut table = Table::new(100, 7);
        let friend = table.insert(key(0), 0, at(0)).unwrap();
        table.prove(friend);
        for n in 1..10_000_u16 {
            if table.is_full() {
                let victim = table.victim().unwrap();
                assert_ne!(victim, friend);
                table.remove(victim).unwrap();
            }
            table.insert(key(n), n, at(u64::from(n))).unwrap();
        }
        assert_eq!(table.len(), 100);
        assert_eq!(table.get(friend), Some(&0));
        assert!(table.slots.len() <= 100, "slots are used again");
        assert_eq!(table.find(&key(1)), None);
        assert!(table.find(&key(9_999)).is_some());
    }

    #[test]
    fn s4_when_all_are_proven_a_newcomer_is_refused() {
        let mut table = Table::new(2, 7);
        for n in 0..2 {
            let id = table.insert(key(n), n, at(0)).unwrap();
            table.prove(id);
        }
        assert_eq!(table.victim(), None);
        assert_eq!(table.insert(key(2), 2, at(1)), Err(Full(2)));
        table.set_most(3);
        assert!(table.insert(key(2), 2, at(1)).is_ok());
    }

    #[test]
    fn the_silent_expire_in_order_and_a_datagram_keeps_a_session() {
        let mut table = Table::new(10, 7);
        let ids: Vec<Id> = (0..3)
            .map(|n| table.insert(key(n), n, at(u64::from(n))).unwrap())
            .collect();
        let idle = Duration::from_secs(10);
        assert_eq!(table.expired(at(9), idle), None);
        table.heard(ids[0], at(9));
        table.prove(ids[0]);
        assert_eq!(table.expired(at(11), idle), Some(ids[1]));
        table.remove(ids[1]);
        assert_eq!(table.expired(at(11), idle), None);
        table.remove(ids[2]);
        assert_eq!(table.expired(at(18), idle), None);
        assert_eq!(table.expired(at(19), idle), Some(ids[0]));
    }

    #[test]
    fn what_names_a_session_that_ended_names_nothing() {
        let mut table = Table::new(10, 7);
        let old = table.insert(key(1), 'a', at(0)).unwrap();
        assert_eq!(table.remove(old), Some((key(1), 'a')));
        let new = table.insert(key(1), 'b', at(0)).unwrap();
        assert_eq!(old.slot, new.slot);
        assert_eq!(table.get(old), None);
        assert_eq!(table.get_mut(old), None);
        assert_eq!(table.remove(old), None);
        table.heard(old, at(5));
        table.prove(old);
        assert_eq!(table.standing(new), Some(Standing::New));
        assert_eq!(Id::from_bits(new.to_bits()), new);
        assert_eq!(table.get(new), Some(&'b'));
    }

    #[test]
    fn p2_the_proven_come_before_the_new_and_the_latest_before_the_older() {
        let mut table = Table::new(10, 7);
        let ids: Vec<Id> = (0..6)
            .map(|n| table.insert(key(n), n, at(u64::from(n))).unwrap())
            .collect();
        for n in [1, 3] {
            table.prove(ids[n]);
        }
        table.heard(ids[0], at(9));
        // Nobody's next datagram comes to this one.
        table.detach(ids[5]);
        let worth: Vec<u16> = table.by_worth().map(|id| *table.get(id).unwrap()).collect();
        assert_eq!(worth, [3, 1, 0, 4, 2]);
        assert_eq!(table.seen(ids[0]), Some(at(9)));
        table.remove(ids[0]);
        assert_eq!(table.seen(ids[0]), None);
        assert_eq!(table.by_worth().count(), 4);
    }

    #[test]
    fn a_detached_session_lives_on_beside_the_next_of_its_client() {
        let mut table = Table::new(2, 7);
        let first = table.insert(key(1), 'a', at(0)).unwrap();
        table.detach(first);
        assert_eq!(table.find(&key(1)), None);
        let second = table.insert(key(1), 'b', at(1)).unwrap();
        assert_eq!(table.find(&key(1)), Some(second));
        assert_eq!(table.key(first), Some(key(1)));
        assert!(table.is_full(), "it takes its room");
        assert_eq!(table.remove(first), Some((key(1), 'a')));
        assert_eq!(table.find(&key(1)), Some(second));
        table.detach(second);
        table.detach(second);
        assert_eq!(table.remove(second), Some((key(1), 'b')));
        assert!(table.is_empty());
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn s4_any_sequence_keeps_index_and_lists_in_step(
            steps in proptest::collection::vec((0..6_u8, 0..40_u16), 1..400),
        ) {
            let mut table = Table::new(16, 99);
            let mut model: Vec<(Key, u16, Moment, Standing)> = Vec::new();
            let mut now = 0;
            for (what, n) in steps {
                now += u64::from(n % 3);
                let moment = at(now);
                match what {
                    0 | 1 => {
                        let known = model.iter().any(|m| m.0 == key(n));
                        prop_assert_eq!(table.find(&key(n)).is_some(), known);
                        if !known && model.len() < 16 {
                            table.insert(key(n), n, moment).unwrap();
                            model.push((key(n), n, moment, Standing::New));
                        }
                    }
                    2 => {
                        if let Some(id) = table.find(&key(n)) {
                            table.heard(id, moment);
                            let m = model.iter_mut().find(|m| m.0 == key(n)).unwrap();
                            m.2 = moment;
                        }
                    }
                    3 => {
                        if let Some(id) = table.find(&key(n)) {
                            table.prove(id);
                            let m = model.iter_mut().find(|m| m.0 == key(n)).unwrap();
                            m.3 = Standing::Proven;
                        }
                    }
                    4 => {
                        if let Some(id) = table.find(&key(n)) {
                            prop_assert_eq!(table.remove(id), Some((key(n), n)));
                            model.retain(|m| m.0 != key(n));
                        }
                    }
                    _ => {
                        let oldest = model.iter().filter(|m| m.3 == Standing::New).map(|m| m.2).min();
                        let victim = table.victim();
                        prop_assert_eq!(victim.map(|v| table.slot(v).unwrap().seen), oldest);
                        if let Some(victim) = victim {
                            let (gone, _) = table.remove(victim).unwrap();
                            model.retain(|m| m.0 != gone);
                        }
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                let new = model.iter().filter(|m| m.3 == Standing::New).count();
                prop_assert_eq!(table.count(Standing::New), new);
                prop_assert_eq!(table.count(Standing::Proven), model.len() - new);
            }
            let mut left = 0;
            while let Some(id) = table.any() {
                table.remove(id).unwrap();
                left += 1;
            }
            prop_assert_eq!(left, model.len());
        }
    }
}
