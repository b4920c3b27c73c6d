//! Which backend of an upstream gets a request.
//!
//! A [`Picker`] is what follows from the configuration, made once and shared by all workers: who stands
//! in the node's own zone, who is a backup, hash tables. [`Turns`] is what one worker remembers between
//! requests, so that a choice takes no lock: each worker goes its own rounds, beginning at another place.
//! Requests under way and response times are shared, in the candidates themselves.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::balance::consistent::{Consistent, Server, Table};
use crate::balance::least_connections::LeastConnections;
use crate::balance::least_time::LeastTime;
use crate::balance::lottery::Lottery;
use crate::balance::maglev::Maglev;
use crate::balance::modulo::Modulo;
use crate::balance::ring::Ring;
use crate::balance::smooth::Smooth;
use crate::balance::stride::Stride;
use crate::balance::two_choices::TwoChoices;
use crate::balance::{Candidate, Candidates, candidate::UNIT};
use crate::ids::UpstreamId;
use crate::message::RequestHead;
use crate::time::Moment;
use crate::traffic::{Algorithm, HashMethod, Hashing, Tuple, Upstream};

/// Up to so many take their turns in the exact order of smooth weighted round robin.
const EXACT_TURNS: usize = 64;

/// How one upstream chooses.
#[derive(Debug)]
pub struct Picker {
    algorithm: Algorithm,
    zone_first: u32,
    groups: Vec<Group>,
}

/// Backends among which one is chosen, before the next group is asked.
#[derive(Debug)]
struct Group {
    kind: GroupKind,
    /// Places of backends.
    members: Box<[usize]>,
    /// With [`Algorithm::Hash`].
    by_hash: Option<Consistent>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum GroupKind {
    /// In the node's own zone.
    OwnZone,
    /// All that are no backups.
    Main,
    /// Backups.
    Backup,
}

/// What a choice depends on beside the backends.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The time.
    pub now: Moment,
    /// A random word.
    pub random: u64,
    /// See [`Picker::hash`].
    pub hash: u64,
    /// Places of backends that this request has been given to and that failed it.
    pub tried: &'a [usize],
}

/// The place of the backend that was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Picked {
    /// Any other would have done.
    Any(usize),
    /// It is the one: by hash, or by the client's session. It may have no room; then one waits for it.
    Only(usize),
}

impl Picked {
    /// The place.
    pub fn place(self) -> usize {
        match self {
            Picked::Any(place) | Picked::Only(place) => place,
        }
    }
}

/// Why there is no backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoPick {
    /// None may be used.
    #[error("no backend can be used")]
    Nobody,
    /// All that may be used are full: one waits for any.
    #[error("all backends are full")]
    Full,
    /// The session's backend cannot serve, and no other shall.
    #[error("the backend of the session cannot serve")]
    SessionGone,
}

impl Picker {
    /// How `upstream` chooses on a node in `zone`.
    pub fn new(upstream: &Upstream, zone: Option<&str>) -> Picker {
        let places = |wanted: &dyn Fn(usize) -> bool| -> Box<[usize]> {
            let all = 0..upstream.backends.len();
            all.filter(|i| wanted(*i)).collect()
        };
        let is_backup = |i: usize| upstream.backends[i].backup;
        let is_near = |i: usize| zone.is_some() && upstream.backends[i].zone.as_deref() == zone;
        let main = places(&|i| !is_backup(i));
        let near = places(&|i| !is_backup(i) && is_near(i));
        // Where all stand in one zone, or none in ours, zones tell nothing.
        let tells = !near.is_empty() && near.len() < main.len();
        let groups = [
            (
                GroupKind::OwnZone,
                if tells { near } else { Box::default() },
            ),
            (GroupKind::Main, main),
            (GroupKind::Backup, places(&is_backup)),
        ];
        let group = |(kind, members): (GroupKind, Box<[usize]>)| Group {
            kind,
            by_hash: match &upstream.algorithm {
                Algorithm::Hash(hashing) => table(upstream, &members, hashing),
                _ => None,
            },
            members,
        };
        let used = groups
            .into_iter()
            .filter(|(_, members)| !members.is_empty());
        Picker {
            algorithm: upstream.algorithm.clone(),
            zone_first: upstream.zone_first,
            groups: used.map(group).collect(),
        }
    }

    /// The hash of a request; 0 where the upstream does not choose by hash.
    pub fn hash(&self, head: &RequestHead, client: IpAddr) -> u64 {
        match &self.algorithm {
            Algorithm::Hash(hashing) => hashing.on.hash(head, client),
            _ => 0,
        }
    }

    /// The hash of a connection of whose octets nothing is known; 0 where the upstream does not choose
    /// by hash.
    pub fn hash_connection(&self, tuple: &Tuple) -> u64 {
        match &self.algorithm {
            Algorithm::Hash(hashing) => hashing.on.hash_connection(tuple),
            _ => 0,
        }
    }

    /// Chooses among `backends`, which are those of the upstream, in its order.
    ///
    /// # Errors
    /// When none may be used, or all that may be used are full.
    pub fn pick<C: Candidate>(
        &self,
        turns: &mut Turns,
        backends: &[C],
        ask: &Ask<'_>,
    ) -> Result<Picked, NoPick> {
        let found = self.pick_untried(turns, backends, ask);
        if found.is_err() && !ask.tried.is_empty() {
            // Nobody else is left: who failed once may serve now.
            let again = Ask { tried: &[], ..*ask };
            return self.pick_untried(turns, backends, &again);
        }
        found
    }

    fn pick_untried<C: Candidate>(
        &self,
        turns: &mut Turns,
        backends: &[C],
        ask: &Ask<'_>,
    ) -> Result<Picked, NoPick> {
        for (group, turns) in self.groups.iter().zip(&mut turns.groups) {
            let mut view = View {
                members: &group.members,
                backends,
                now: ask.now,
                tried: ask.tried,
                full_too: group.by_hash.is_some(),
            };
            if group.kind == GroupKind::OwnZone && !self.is_well(&view) {
                continue;
            }
            if let Some(by_hash) = &group.by_hash {
                if let Some(at) = by_hash.pick(&view, ask.hash) {
                    return Ok(Picked::Only(group.members[at]));
                }
                continue;
            }
            if let Some(at) = turns.pick(&view, ask.random) {
                return Ok(Picked::Any(group.members[at]));
            }
            // Backups are for when the others cannot serve, not for when they are busy.
            view.full_too = true;
            if group.kind != GroupKind::OwnZone && (0..view.len()).any(|i| view.weight(i) > 0) {
                return Err(NoPick::Full);
            }
        }
        Err(NoPick::Nobody)
    }

    /// Whether enough of the node's own zone may be used.
    fn is_well<C: Candidate>(&self, view: &View<'_, C>) -> bool {
        let needed = (view.len() * self.zone_first as usize).div_ceil(100).max(1);
        let usable = view.members.iter().filter(|i| {
            let backend = &view.backends[**i];
            backend.eligible(view.now)
        });
        usable.take(needed).count() == needed
    }
}

/// The hash table of a group; `None` when all have weight 0.
fn table(upstream: &Upstream, members: &[usize], hashing: &Hashing) -> Option<Consistent> {
    let server = |i: &usize| {
        let backend = &upstream.backends[*i];
        Server::new(&backend.name, backend.weight.saturating_mul(UNIT))
    };
    let servers: Vec<Server<'_>> = members.iter().map(server).collect();
    let table = match hashing.method {
        HashMethod::Maglev => Maglev::new(&servers).map(Table::Maglev),
        HashMethod::Ring => Ring::new(&servers).map(Table::Ring),
        HashMethod::Modulo => Modulo::new(&servers).map(Table::Modulo),
    };
    table.map(|t| Consistent::new(t, &servers, hashing.bound))
}

/// One group at one moment.
struct View<'a, C> {
    members: &'a [usize],
    backends: &'a [C],
    now: Moment,
    tried: &'a [usize],
    /// Whether those without room count too.
    full_too: bool,
}

impl<C: Candidate> Candidates for View<'_, C> {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn weight(&self, i: usize) -> u32 {
        let place = self.members[i];
        let backend = &self.backends[place];
        let may = backend.eligible(self.now)
            && (self.full_too || backend.has_room())
            && !self.tried.contains(&place);
        if may { backend.weight(self.now) } else { 0 }
    }

    fn in_flight(&self, i: usize) -> u32 {
        self.backends[self.members[i]].in_flight()
    }

    fn ewma(&self, i: usize) -> Duration {
        self.backends[self.members[i]].ewma(self.now)
    }
}

/// What one worker remembers of an upstream between requests.
#[derive(Debug)]
pub struct Turns {
    groups: Vec<GroupTurns>,
}

#[derive(Debug)]
struct GroupTurns {
    memory: Memory,
    /// Turns to pass before the first, so that the workers do not all begin with the same backend.
    ahead: usize,
}

#[derive(Debug)]
enum Memory {
    Smooth(Smooth),
    Stride(Stride),
    LeastConnections(LeastConnections),
    LeastTime(LeastTime),
    TwoChoices(TwoChoices),
    Random(Lottery),
    Hash,
}

impl Turns {
    /// For the worker of this number, which begins to choose.
    pub fn new(picker: &Picker, number: usize) -> Turns {
        let group = |group: &Group| GroupTurns {
            ahead: number % group.members.len().max(1),
            memory: match picker.algorithm {
                Algorithm::RoundRobin if group.members.len() <= EXACT_TURNS => {
                    Memory::Smooth(Smooth::default())
                }
                Algorithm::RoundRobin => Memory::Stride(Stride::default()),
                Algorithm::LeastConnections => {
                    Memory::LeastConnections(LeastConnections::default())
                }
                Algorithm::LeastTime => Memory::LeastTime(LeastTime::default()),
                Algorithm::TwoChoices => Memory::TwoChoices(TwoChoices::default()),
                Algorithm::Random => Memory::Random(Lottery::default()),
                Algorithm::Hash(_) => Memory::Hash,
            },
        };
        Turns {
            groups: picker.groups.iter().map(group).collect(),
        }
    }
}

impl GroupTurns {
    fn pick(&mut self, view: &impl Candidates, random: u64) -> Option<usize> {
        for _ in 0..std::mem::take(&mut self.ahead) {
            self.memory.pick(view, random);
        }
        self.memory.pick(view, random)
    }
}

impl Memory {
    fn pick(&mut self, view: &impl Candidates, random: u64) -> Option<usize> {
        match self {
            Memory::Smooth(m) => m.pick(view),
            Memory::Stride(m) => m.pick(view),
            Memory::LeastConnections(m) => m.pick(view, random),
            Memory::LeastTime(m) => m.pick(view, random),
            Memory::TwoChoices(m) => m.pick(view, random),
            Memory::Random(m) => m.draw(view, random, None),
            // A group of a hashing upstream without a table has nobody of any weight.
            Memory::Hash => None,
        }
    }
}

/// A picker, and how far its turns are.
type Followed = (Arc<Picker>, Turns);

/// The turns of one worker at all upstreams.
#[derive(Debug)]
pub struct AllTurns {
    number: usize,
    /// By [`UpstreamId`], each with the picker it belongs to.
    of: RefCell<Vec<Option<Followed>>>,
}

impl AllTurns {
    /// Those of the worker of this number.
    pub fn new(number: usize) -> AllTurns {
        AllTurns {
            number,
            of: RefCell::default(),
        }
    }

    /// Runs `f` with the turns of an upstream. Not within itself.
    pub fn with<T>(
        &self,
        id: UpstreamId,
        picker: &Arc<Picker>,
        f: impl FnOnce(&mut Turns) -> T,
    ) -> T {
        let mut of = self.of.borrow_mut();
        if of.len() <= id.index() {
            of.resize_with(id.index() + 1, || None);
        }
        let slot = &mut of[id.index()];
        match slot {
            Some((known, turns)) if Arc::ptr_eq(known, picker) => f(turns),
            _ => {
                let (_, turns) = slot.insert((picker.clone(), Turns::new(picker, self.number)));
                f(turns)
            }
        }
    }
}

#[cfg(test)]
mod tests;
