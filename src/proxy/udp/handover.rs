//! Sessions out of one process, and into the next.
//!
//! The process before stops reading the listening socket, then takes its sessions out; the next one puts them
//! into its table, and only then reads the listening socket. What comes meanwhile waits in the sockets, so
//! nothing is lost and no session is begun twice. A session that is given away is neither ended nor begun:
//! who has it last counts its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::proxy::backend::Permit;
use crate::proxy::tier::{Group, Server, Tier};
use crate::time::Moment;
use crate::traffic::Protocol;
use crate::traffic::udp::UdpRules;
use crate::traffic::udp::connection_ids::{ConnectionIds, LearnedId};

use super::counters::{Event, add};
use super::handed::{Carried, Handed, HandedIds};
use super::ours::Ours;
use super::relay::{EARLIER, Relay};
use super::session::Session;

impl Relay {
    /// Takes out the sessions that clients may go on with, `most` at most. Those that only wait for answers
    /// stay, and so do those that are too many: what backends still answer to them is passed on here.
    pub fn hand_over(&mut self, most: usize) -> Vec<Handed> {
        let Some(ours) = self.ours() else {
            return Vec::new();
        };
        if ours.rules.is_one_way() {
            return Vec::new();
        }
        let now = self.worker.now();
        let mut worth = self.table.by_worth();
        let ids: Vec<_> = worth.by_ref().take(most).collect();
        let left = worth.count();
        ours.state.lose(left);
        let mut handed = Vec::with_capacity(ids.len());
        for id in ids {
            let seen = self.table.seen(id).unwrap_or_default();
            let Some((key, session)) = self.table.remove(id) else {
                continue;
            };
            // It lives on elsewhere, and would wake this process with every answer.
            self.ready.forget(&session.socket);
            if session.counted {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
            if let Some(counters) = ours.counters() {
                let open = counters.open.load(Ordering::Relaxed);
                let open = open.saturating_sub(1);
                counters.open.store(open, Ordering::Relaxed);
            }
            handed.push(Handed {
                key,
                backend: session.server().name.clone(),
                carried: Carried {
                    age: session.earlier + now.since(session.began),
                    silent: (now + EARLIER).since(seen),
                    requests: session.requests,
                    octets_in: session.octets_in,
                    answers: session.answers,
                    octets_out: session.octets_out,
                    tries: session.tries,
                    proven: session.proven,
                },
                socket: session.socket,
            });
        }
        handed
    }

    /// So many sessions were taken out too late.
    pub fn lost(&mut self, sessions: usize) {
        if let Some(ours) = self.ours() {
            ours.state.lose(sessions);
        }
    }

    /// Goes on with sessions of the process before. Those that find no backend or no room are dropped and
    /// counted: their clients' next datagrams begin others.
    pub fn adopt(&mut self, mut handed: Vec<Handed>) {
        let Some(ours) = self.ours() else {
            return;
        };
        let now = self.worker.now();
        // Those worth most are given first: where there is less room now, the others are left out. The
        // table wants them in the order of their last datagrams.
        let room = self.table.most().saturating_sub(self.table.len());
        let left_out = handed.len().saturating_sub(room);
        handed.truncate(room);
        handed.sort_by_key(|h| std::cmp::Reverse(h.carried.silent));
        let all = handed.len();
        let adopted = handed
            .into_iter()
            .filter_map(|one| self.adopt_one(&ours, one, now))
            .count();
        ours.note(Event::TakenOver, adopted);
        ours.state.lose(left_out + all - adopted);
    }

    fn adopt_one(&mut self, ours: &Ours, handed: Handed, now: Moment) -> Option<()> {
        let Handed {
            key,
            backend,
            socket,
            carried,
        } = handed;
        if ours.rules.is_one_way() || self.table.find(&key).is_some() {
            return None;
        }
        let (upstream, group) = ours.tier.upstream(ours.rules.upstream);
        let server = same(group, &backend, socket.peer_addr().ok()?)?;
        let permit = Permit::take(server)?;
        let source = ours
            .tier
            .guards
            .resume(&ours.tier.plan, ours.listener, key.client.ip());
        let counted = !self.worker.draining();
        let session = Session {
            socket,
            permit,
            source,
            header: self.header(ours, &key),
            began: now,
            earlier: carried.age,
            requests: carried.requests,
            octets_in: carried.octets_in,
            answers: carried.answers,
            octets_out: carried.octets_out,
            tries: carried.tries,
            proven: carried.proven,
            refused: false,
            counted,
            look: Moment::ZERO,
            drain: upstream.resilience.drain_timeout,
            leave_by: None,
        };
        let seen = now + EARLIER - carried.silent;
        let id = self.table.insert(key, session, seen).ok()?;
        if carried.proven {
            self.table.prove(id);
        }
        // What has come meanwhile is told of at once.
        let watched = self.table.get(id).map(|s| self.ready.watch(&s.socket, id));
        if !matches!(watched, Some(Ok(()))) {
            self.table.remove(id);
            return None;
        }
        if counted {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(counters) = ours.counters() {
            add(&counters.open, 1);
        }
        Some(())
    }
}

/// The server at an address, the one of this name where several are there.
pub fn same<'g>(group: &'g Group, name: &str, address: SocketAddr) -> Option<&'g Arc<Server>> {
    let here =
        |s: &&Arc<Server>| (s.address.ip(), s.address.port()) == (address.ip(), address.port());
    let mut there = group.servers.iter().filter(here);
    let named = there.clone().find(|s| *s.name == *name);
    named.or_else(|| there.next())
}

/// Listeners that learn connection ids: name, rules, and what they have learned.
fn learners(tier: &Tier) -> impl Iterator<Item = (&str, &UdpRules, &ConnectionIds)> {
    let all = tier.plan.listeners.iter().zip(&tier.udp);
    all.filter_map(|(listener, state)| {
        let Protocol::Udp(rules) = &listener.protocol else {
            return None;
        };
        Some((&*listener.name, &**rules, state.as_ref()?.ids()?))
    })
}

/// What the listeners of a tier have learned, so many ids of each at most.
pub fn learned(tier: &Tier, most: usize, now: Moment) -> Vec<HandedIds> {
    let one = |(name, rules, ids): (&str, &UdpRules, &ConnectionIds)| {
        let (_, group) = tier.upstream(rules.upstream);
        let mut learned = ids.learned(most, now);
        let place = |id: u64| group.servers.iter().position(|s| s.id == id);
        let placed = learned.ids.iter().filter_map(|id| {
            let backend = place(id.backend)? as u64;
            Some(LearnedId { backend, ..*id })
        });
        learned.ids = placed.collect();
        let backends = group.servers.iter();
        HandedIds {
            listener: name.into(),
            backends: backends.map(|s| (s.name.clone(), s.address)).collect(),
            learned,
        }
    };
    learners(tier).map(one).collect()
}

/// Goes on with what the listeners of the process before learned. Ids of backends that are no more are left
/// out.
pub fn remember(tier: &Tier, came: &[HandedIds], now: Moment) {
    for (name, rules, ids) in learners(tier) {
        let Some(handed) = came.iter().find(|h| *h.listener == *name) else {
            continue;
        };
        let (_, group) = tier.upstream(rules.upstream);
        let servers: Vec<Option<u64>> = handed
            .backends
            .iter()
            .map(|(backend, address)| same(group, backend, *address).map(|s| s.id))
            .collect();
        let mut learned = handed.learned.clone();
        learned.ids.retain_mut(|id| {
            let server = usize::try_from(id.backend).ok();
            let server = server.and_then(|at| *servers.get(at)?);
            id.backend = server.unwrap_or_default();
            server.is_some()
        });
        let ids = ids.remember(&learned, now);
        tracing::info!(
            listener = name,
            ids,
            "connection ids are known from the process before"
        );
    }
}
