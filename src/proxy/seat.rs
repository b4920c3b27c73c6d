//! A place at a backend, for a request or for a connection: choosing one, and waiting for one that is
//! full.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::UpstreamId;
use crate::time::Moment;

use super::backend::queue::Wanted;
use super::backend::upstream::Busy;
use super::backend::{Permit, Unavailable};
use super::pick::{Ask, NoPick, Picked};
use super::session::Bond;
use super::tier::{Group, Tier};
use super::watch::TICK;
use super::worker::Worker;

/// Tries at most: the first one and ten more.
const TRIES: usize = 11;

/// How often one that is sent on to the next plan looks for that plan.
const LOOKS: usize = 30;

/// So many of them come quickly one after the other.
const QUICK_LOOKS: usize = 10;

/// Between two quick looks.
const QUICK: Duration = Duration::from_millis(1);

/// A place that is had.
pub struct Taken {
    /// The place.
    pub permit: Permit,
    /// Which backend of the group it is at.
    pub place: usize,
    /// When it was had.
    pub at: Moment,
}

/// Why there is no place.
pub enum NoSeat {
    /// The upstream cannot give one now.
    Busy(Unavailable),
    /// The plan has changed while it waited. With a permit: that is a place at a backend of the next
    /// plan.
    Moved(Option<Permit>),
}

/// Where one request or connection is given a place.
pub struct Seat<'a> {
    worker: &'a Worker,
    group: &'a Group,
    id: UpstreamId,
    hash: u64,
    /// The session.
    pub bond: Bond,
    /// Places of backends that failed it.
    tried: [usize; TRIES],
    count: usize,
}

impl<'a> Seat<'a> {
    /// At the upstream `id`, which is `group`.
    pub fn new(
        worker: &'a Worker,
        group: &'a Group,
        id: UpstreamId,
        hash: u64,
        bond: Bond,
    ) -> Seat<'a> {
        Seat {
            worker,
            group,
            id,
            hash,
            bond,
            tried: [0; TRIES],
            count: 0,
        }
    }

    /// Another backend is better.
    pub fn avoid(&mut self, place: usize) {
        if let Some(slot) = self.tried.get_mut(self.count) {
            *slot = place;
            self.count += 1;
        }
    }

    fn choose(&mut self, now: Moment) -> Result<Picked, NoPick> {
        let (group, chooser) = (self.group, &self.group.chooser);
        let ask = Ask {
            now,
            random: self.worker.random(),
            hash: self.hash,
            tried: &self.tried[..self.count],
        };
        let bond = &mut self.bond;
        self.worker.turns.with(self.id, &chooser.picker, |turns| {
            chooser.choose(bond, turns, &group.servers, &ask)
        })
    }

    /// A place at a backend: now, or after waiting for one.
    ///
    /// # Errors
    /// When no backend may be used, the queue is full, or nothing became free in time; or the plan has
    /// changed meanwhile.
    pub async fn take(&mut self, now: Moment) -> Result<Taken, NoSeat> {
        match self.take_now(now) {
            Ok(taken) => Ok(taken),
            // Boxed: who need not wait has no room for it.
            Err(Ok(wanted)) => Box::pin(self.wait(wanted)).await,
            // Of another plan's backends some are taken away: the plan in force, or in a moment, may have one.
            Err(Err(_)) if self.group.servers.iter().any(|s| s.is_removed()) => {
                Err(NoSeat::Moved(None))
            }
            Err(Err(busy)) => Err(NoSeat::Busy(busy)),
        }
    }

    /// A place that is there, or for what one has to wait, or why that is of no use.
    fn take_now(&mut self, now: Moment) -> Result<Taken, Result<Wanted, Unavailable>> {
        let group = self.group;
        match self.choose(now) {
            Ok(picked) => {
                let server = &group.servers[picked.place()];
                if let Some(permit) = Permit::take(server) {
                    return Ok(Taken {
                        permit,
                        place: picked.place(),
                        at: now,
                    });
                }
                Err(Ok(match picked {
                    Picked::Only(_) => Wanted::One(server.clone()),
                    Picked::Any(_) => Wanted::Any,
                }))
            }
            Err(NoPick::Full) => Err(Ok(Wanted::Any)),
            Err(NoPick::Nobody | NoPick::SessionGone) => Err(Err(group.state.no_backend(now))),
        }
    }

    async fn wait(&mut self, mut wanted: Wanted) -> Result<Taken, NoSeat> {
        // Every round but the first follows a backend that was taken out.
        for _ in 0..=self.group.servers.len() {
            let waited = self.group.state.wait(wanted, &self.group.servers).await;
            let at = self.worker.now();
            match waited {
                Ok(permit) => return self.sit(permit, at),
                Err(busy) if busy.why != Busy::NoBackend => return Err(NoSeat::Busy(busy)),
                Err(_) => {}
            }
            // Who it waited for was taken out: another one may do. If there is none, the next plan may
            // have one.
            wanted = match self.take_now(at) {
                Ok(taken) => return Ok(taken),
                Err(Ok(wanted)) => wanted,
                Err(Err(_)) => break,
            };
        }
        Err(NoSeat::Moved(None))
    }

    fn sit(&mut self, permit: Permit, at: Moment) -> Result<Taken, NoSeat> {
        let Some(place) = self.group.place_of(permit.backend()) else {
            return Err(NoSeat::Moved(Some(permit)));
        };
        if let Some(sessions) = &self.group.chooser.sessions {
            sessions.bind(&mut self.bond, place, at);
        }
        Ok(Taken { permit, place, at })
    }
}

/// The plan after `tier` that has the upstream called `name` and, with a permit, the backend that it is
/// a place at: it is in force in a moment. `None` when there is none.
pub async fn successor(
    worker: &Worker,
    tier: &Arc<Tier>,
    name: &str,
    permit: Option<&Permit>,
) -> Option<(Arc<Tier>, UpstreamId)> {
    for look in 0..LOOKS {
        let newer = worker.tier();
        let at = newer.plan.upstreams.iter().position(|u| &*u.name == name);
        let found = at.filter(|at| {
            let group = &newer.upstreams[*at];
            permit.is_none_or(|permit| group.place_of(permit.backend()).is_some())
        });
        let is_newer = !Arc::ptr_eq(&newer, tier);
        match found {
            Some(at) if is_newer => return Some((newer, UpstreamId::from_index(at))),
            // Nothing goes by that name any more.
            _ if is_newer && at.is_none() => return None,
            // As a rule it is there within microseconds.
            _ if look < QUICK_LOOKS => tokio::time::sleep(QUICK).await,
            _ => tokio::time::sleep(TICK).await,
        }
    }
    None
}

#[cfg(test)]
mod tests;
