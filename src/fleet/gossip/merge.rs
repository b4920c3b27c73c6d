//! From what gossip holds to what is believed.
//!
//! Gossip knows lives of nodes: a name, a generation and an address, with the keys as far as they
//! have come here. One life per name is believed. Its last known values stay whatever happens to the
//! life: a key that is missing is never a state, since gossip forgets the dead and starts over after
//! long absences. A newer life takes over once it has told everything ([`COMPLETE`]) and the
//! believed one is silent or has said that it leaves; what the new life did not tell is retired then.
//! As long as the believed life shows that it lives, another life of the same name is a second node
//! with that name, and not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fleet::bus::{BusView, Change, Key, LAST_LIFE, MAX_VALUE, Member, Owner, Value};
use crate::fleet::credentials::Roles;
use crate::time::Moment;

use super::counters::{GossipCounters, GossipEvent};

#[cfg(test)]
mod tests;

/// The key with which a life says that it has told everything it had to tell at its start. A node
/// that starts anew publishes it last; until then the values of its earlier life stay.
pub const COMPLETE: &str = "m/complete";

/// The key with which a life says what it is about to do.
pub const STATE: &str = "m/state";

/// The value of [`STATE`] of a node that stops.
pub const LEAVING: &str = "leaving";

/// What the configuration lets a node do; `None` for one it does not know.
pub type RolesOf = Arc<dyn Fn(&str) -> Option<Roles> + Send + Sync>;

/// A dead life of this node with a higher generation is taken for an earlier start under a clock
/// that was ahead after this long.
const OVERTAKEN: Duration = Duration::from_secs(10);

/// Unknown names remembered, so that each is counted once.
const STRANGERS: usize = 64;

/// One life of a node, as gossip tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LifeId {
    /// Grows with each start.
    pub generation: u64,
    /// Where it says that it listens.
    pub address: SocketAddr,
}

/// What gossip holds of one life.
pub trait Space {
    /// Counts up as long as the node lives.
    fn heartbeat(&self) -> u64;
    /// Of its newest key that is here.
    fn version(&self) -> u64;
    /// Up to which version deleted keys were forgotten; changes when gossip starts over.
    fn collected(&self) -> u64;
    /// A value.
    fn get(&self, key: &str) -> Option<&str>;
    /// Keys newer than a version, with their values and versions. Deleted ones have empty values.
    fn after(&self, version: u64, take: &mut dyn FnMut(&str, &str, u64));
}

/// Signs of life of one life.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    first_seen: Moment,
    heartbeat: u64,
    advanced: Option<Moment>,
    alive: bool,
    pass: u64,
}

impl Pulse {
    fn new(heartbeat: u64, alive: bool, now: Moment, pass: u64) -> Pulse {
        Pulse {
            first_seen: now,
            heartbeat,
            advanced: None,
            alive,
            pass,
        }
    }

    fn feel(&mut self, heartbeat: u64, alive: bool, now: Moment, pass: u64) {
        if heartbeat > self.heartbeat {
            self.heartbeat = heartbeat;
            self.advanced = Some(now);
        }
        (self.alive, self.pass) = (alive, pass);
    }

    fn lives(&self, now: Moment, within: Duration) -> bool {
        self.advanced.is_some_and(|at| now.since(at) <= within)
    }
}

/// What is known about one name.
struct Name {
    roles: Roles,
    believed: LifeId,
    pulse: Pulse,
    leaving: bool,
    /// Up to which version of the believed life everything is in the view.
    read: u64,
    /// Up to which version bad keys were counted.
    counted: u64,
    collected: u64,
    others: BTreeMap<LifeId, Pulse>,
}

/// A second living node with the name of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Duplicate {
    /// The name.
    pub node: Arc<str>,
    /// The one that is believed.
    pub believed: LifeId,
    /// The one that is not.
    pub other: LifeId,
}

/// What is worth a line in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Remark {
    /// Two living nodes have one name.
    Duplicate(Duplicate),
    /// A node that the configuration does not know.
    Stranger(String, LifeId),
    /// A key was not accepted; says whose, which and why.
    Unaccepted(Arc<str>, String, &'static str),
}

/// Everything that is believed.
pub struct Merge {
    own: Arc<str>,
    own_life: LifeId,
    silence: Duration,
    roles_of: RolesOf,
    counters: Arc<GossipCounters>,
    names: BTreeMap<Arc<str>, Name>,
    strangers: BTreeSet<String>,
    own_others: BTreeMap<LifeId, Pulse>,
    view: Arc<BusView>,
    pass: u64,
}

impl Merge {
    /// Nothing is known yet. A life is silent when its heartbeat did not advance here for `silence`.
    pub fn new(
        own: Arc<str>,
        own_life: LifeId,
        silence: Duration,
        roles_of: RolesOf,
        counters: Arc<GossipCounters>,
    ) -> Merge {
        Merge {
            own,
            own_life,
            silence,
            roles_of,
            counters,
            names: BTreeMap::new(),
            strangers: BTreeSet::new(),
            own_others: BTreeMap::new(),
            view: Arc::default(),
            pass: 0,
        }
    }

    /// What is believed.
    pub fn view(&self) -> Arc<BusView> {
        self.view.clone()
    }

    /// This node lives on under another generation.
    pub fn reborn(&mut self, life: LifeId) {
        self.own_life = life;
        if let Some(owner) = Arc::make_mut(&mut self.view).owners.get_mut(&self.own) {
            Arc::make_mut(owner).generation = life.generation;
        }
    }

    /// This node says something; an empty value retires. `None` when that is no change.
    pub fn say(&mut self, key: &Key, value: &str, now: Moment) -> Option<Change> {
        let (own, generation) = (self.own.clone(), self.own_life.generation);
        owner_of(&mut self.view, &own, generation, now);
        put(&mut self.view, &own, key.as_str(), value, now)
    }

    /// Begins a pass over everything that gossip holds.
    pub fn begin(&mut self) {
        self.pass += 1;
    }

    /// One life, as gossip holds it. Changes and remarks are appended.
    pub fn hear(
        &mut self,
        name: &str,
        life: LifeId,
        alive: bool,
        space: &impl Space,
        now: Moment,
        out: &mut Heard,
    ) {
        if life.generation > LAST_LIFE {
            self.count_once(format!("{name} {}", life.generation), GossipEvent::BadValue);
            return;
        }
        if *name == *self.own {
            self.hear_own(life, alive, space, now, out);
            return;
        }
        let Some(known) = self.names.get_mut(name) else {
            self.meet(name, life, alive, space, now, out);
            return;
        };
        if life == known.believed {
            known.pulse.feel(space.heartbeat(), alive, now, self.pass);
            known.leaving = space.get(STATE) == Some(LEAVING);
            self.read(name, space, now, out);
            return;
        }
        let pulse = known
            .others
            .entry(life)
            .or_insert_with(|| Pulse::new(space.heartbeat(), alive, now, self.pass));
        pulse.feel(space.heartbeat(), alive, now, self.pass);
        let pulse = *pulse;
        // One that was first heard of just now has not had the time to show that it lives.
        let new = now.since(known.pulse.first_seen) <= self.silence;
        let believed_lives = (new || known.pulse.lives(now, self.silence)) && !known.leaving;
        if believed_lives {
            if is_second(&pulse, now, self.silence) {
                out.remarks.push(Remark::Duplicate(Duplicate {
                    node: name.into(),
                    believed: known.believed,
                    other: life,
                }));
            }
            return;
        }
        // The highest generation, and only when it has told everything.
        let complete = space.get(COMPLETE).is_some_and(|v| !v.is_empty());
        if complete && life.generation > known.believed.generation {
            self.believe(name, life, pulse, space, now, out);
        }
    }

    /// Ends a pass: lives that gossip has forgotten are forgotten, the values of believed ones stay.
    pub fn end(&mut self) {
        let pass = self.pass;
        for known in self.names.values_mut() {
            known.pulse.alive &= known.pulse.pass == pass;
            known.others.retain(|_, pulse| pulse.pass == pass);
        }
        self.own_others.retain(|_, pulse| pulse.pass == pass);
    }

    /// Asks the configuration again who may say what. What is no longer allowed is retired; what
    /// newly is will be read by the next pass.
    pub fn recheck(&mut self, now: Moment, out: &mut Heard) {
        self.strangers
            .retain(|name| (self.roles_of)(name).is_none());
        let mut gone = Vec::new();
        for (name, known) in &mut self.names {
            match (self.roles_of)(name) {
                Some(roles) if roles == known.roles => continue,
                Some(roles) => {
                    known.roles = roles;
                    known.read = 0;
                }
                None => gone.push(name.clone()),
            }
            let roles = (self.roles_of)(name).unwrap_or_default();
            let known_here = (self.roles_of)(name).is_some();
            let keys: Vec<Key> = self.view.owners.get(name).map_or_else(Vec::new, |owner| {
                let forbidden = |key: &&Key| !known_here || !roles.may_write(key);
                owner.keys.keys().filter(forbidden).cloned().collect()
            });
            for key in keys {
                out.changes
                    .extend(put(&mut self.view, name, key.as_str(), "", now));
            }
        }
        for name in gone {
            self.names.remove(&name);
            Arc::make_mut(&mut self.view).owners.remove(&name);
        }
    }

    /// The generation under which this node must be told anew, because gossip remembers a dead life
    /// of it with a higher one: the machine's clock was ahead at an earlier start.
    pub fn overtaken(&self, now: Moment) -> Option<u64> {
        let ahead = self.own_others.iter().filter(|(life, pulse)| {
            life.generation >= self.own_life.generation
                && now.since(pulse.first_seen) >= OVERTAKEN
                && !pulse.lives(now, OVERTAKEN)
        });
        ahead
            .map(|(life, _)| life.generation.saturating_add(1))
            .max()
    }

    /// Where the believed life of another node listens.
    pub fn address_of(&self, name: &str) -> Option<SocketAddr> {
        self.names.get(name).map(|known| known.believed.address)
    }

    /// Who is there, by name.
    pub fn members(&self) -> Vec<Member> {
        let mut members: Vec<Member> = self
            .names
            .iter()
            .map(|(name, known)| Member {
                node: name.clone(),
                generation: known.believed.generation,
                alive: (known.pulse.alive && !known.leaving)
                    || known.others.values().any(|pulse| pulse.alive),
                own: false,
            })
            .collect();
        members.push(Member {
            node: self.own.clone(),
            generation: self.own_life.generation,
            alive: true,
            own: true,
        });
        members.sort_by(|a, b| a.node.cmp(&b.node));
        members
    }

    fn hear_own(
        &mut self,
        life: LifeId,
        alive: bool,
        space: &impl Space,
        now: Moment,
        out: &mut Heard,
    ) {
        if life == self.own_life {
            return;
        }
        let pulse = self
            .own_others
            .entry(life)
            .or_insert_with(|| Pulse::new(space.heartbeat(), alive, now, self.pass));
        pulse.feel(space.heartbeat(), alive, now, self.pass);
        if is_second(pulse, now, self.silence) {
            out.remarks.push(Remark::Duplicate(Duplicate {
                node: self.own.clone(),
                believed: self.own_life,
                other: life,
            }));
        }
    }

    /// Counts what comes again with every pass only once; whether it does now.
    fn count_once(&mut self, who: String, event: GossipEvent) -> bool {
        let new = self.strangers.len() < STRANGERS && self.strangers.insert(who);
        if new {
            self.counters.count(event);
        }
        new
    }

    /// The first life of a name: believed at once, as far as it is here.
    fn meet(
        &mut self,
        name: &str,
        life: LifeId,
        alive: bool,
        space: &impl Space,
        now: Moment,
        out: &mut Heard,
    ) {
        let Some(roles) = (self.roles_of)(name) else {
            if self.count_once(name.to_owned(), GossipEvent::Stranger) {
                out.remarks.push(Remark::Stranger(name.to_owned(), life));
            }
            return;
        };
        let name: Arc<str> = name.into();
        self.names.insert(
            name.clone(),
            Name {
                roles,
                believed: life,
                pulse: Pulse::new(space.heartbeat(), alive, now, self.pass),
                leaving: space.get(STATE) == Some(LEAVING),
                read: 0,
                counted: 0,
                collected: space.collected(),
                others: BTreeMap::new(),
            },
        );
        owner_of(&mut self.view, &name, life.generation, now);
        self.read(&name, space, now, out);
    }

    /// Reads what is new of the believed life.
    fn read(&mut self, name: &str, space: &impl Space, now: Moment, out: &mut Heard) {
        let Some((name, known)) = self.names.get_key_value(name) else {
            return;
        };
        let name = name.clone();
        let (version, collected) = (space.version(), space.collected());
        // Gossip started over: what it has now may be a part, in any order with what was here.
        let over = collected != known.collected || version < known.read;
        let from = if over { 0 } else { known.read };
        if version == from {
            return;
        }
        let (roles, counted) = (known.roles, known.counted);
        space.after(
            from,
            &mut |key, value, at| match accept(roles, key, value) {
                Ok(()) => out
                    .changes
                    .extend(put(&mut self.view, &name, key, value, now)),
                Err(why) if at > counted => {
                    self.counters.count(why);
                    out.remarks.push(unaccepted(&name, key, why));
                }
                Err(_) => {}
            },
        );
        if let Some(known) = self.names.get_mut(&name) {
            known.read = version;
            known.counted = known.counted.max(version);
            known.collected = collected;
        }
    }

    /// Another life takes over: what it did not say is retired.
    fn believe(
        &mut self,
        name: &str,
        life: LifeId,
        pulse: Pulse,
        space: &impl Space,
        now: Moment,
        out: &mut Heard,
    ) {
        let Some(known) = self.names.get_mut(name) else {
            return;
        };
        known.others.remove(&life);
        known.others.insert(known.believed, known.pulse);
        (known.believed, known.pulse) = (life, pulse);
        known.leaving = space.get(STATE) == Some(LEAVING);
        (known.read, known.counted) = (0, 0);
        known.collected = space.collected();
        let name: Arc<str> = name.into();
        owner_of(&mut self.view, &name, life.generation, now);
        let missing: Vec<Key> = self.view.owners.get(&name).map_or_else(Vec::new, |owner| {
            let keys = owner.keys.keys();
            let silent = |key: &&Key| space.get(key.as_str()).is_none();
            keys.filter(silent).cloned().collect()
        });
        for key in missing {
            out.changes
                .extend(put(&mut self.view, &name, key.as_str(), "", now));
        }
        self.read(&name, space, now, out);
    }
}

/// What came of a pass.
#[derive(Default, Debug)]
pub struct Heard {
    /// In the order in which readers get them.
    pub changes: Vec<Change>,
    /// For the log.
    pub remarks: Vec<Remark>,
}

/// Heartbeats of a dead life still arrive for a while, over others; a second node has more breath.
fn is_second(pulse: &Pulse, now: Moment, silence: Duration) -> bool {
    pulse.lives(now, silence) && now.since(pulse.first_seen) > 2 * silence
}

fn accept(roles: Roles, key: &str, value: &str) -> Result<(), GossipEvent> {
    let key = Key::new(key).map_err(|_| GossipEvent::BadValue)?;
    if value.len() > MAX_VALUE {
        return Err(GossipEvent::BadValue);
    }
    if !roles.may_write(&key) {
        return Err(GossipEvent::Forbidden);
    }
    Ok(())
}

fn unaccepted(name: &Arc<str>, key: &str, why: GossipEvent) -> Remark {
    let key: String = key.chars().take(80).collect();
    let why = match why {
        GossipEvent::Forbidden => "the role of its owner does not allow it",
        _ => "no node may write such a key or so long a value",
    };
    Remark::Unaccepted(name.clone(), key, why)
}

/// Makes sure that the owner is in the view, in this life.
fn owner_of(view: &mut Arc<BusView>, name: &Arc<str>, generation: u64, now: Moment) {
    let known = view.owners.get(name);
    if known.is_some_and(|owner| owner.generation == generation) {
        return;
    }
    let owners = &mut Arc::make_mut(view).owners;
    let owner = owners.entry(name.clone()).or_insert_with(|| {
        Arc::new(Owner {
            generation,
            keys: BTreeMap::new(),
            last_progress: now,
        })
    });
    Arc::make_mut(owner).generation = generation;
}

/// Writes one value into the view; `None` when that is no change.
fn put(
    view: &mut Arc<BusView>,
    name: &Arc<str>,
    key: &str,
    value: &str,
    now: Moment,
) -> Option<Change> {
    let known = view.owners.get(name)?.keys.get(key);
    if known.map_or(value.is_empty(), |v| **v == *value) {
        return None;
    }
    let owner = Arc::make_mut(Arc::make_mut(view).owners.get_mut(name)?);
    owner.last_progress = now;
    let value: Value = value.into();
    let key = match owner.keys.get_key_value(key) {
        Some((key, _)) => key.clone(),
        None => Key::new(key).ok()?,
    };
    if value.is_empty() {
        owner.keys.remove(&key);
    } else {
        owner.keys.insert(key.clone(), value.clone());
    }
    Some(Change {
        owner: name.clone(),
        generation: owner.generation,
        key,
        value,
    })
}
