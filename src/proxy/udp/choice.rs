//! Which backend a session, or a datagram without one, is given.

use std::net::UdpSocket;
use std::sync::Arc;

use crate::balance::Candidate as _;
use crate::proxy::backend::Permit;
use crate::proxy::pick::{Ask, NoPick};
use crate::proxy::session::Bond;
use crate::proxy::tier::Server;
use crate::proxy::worker::Worker;
use crate::time::Moment;
use crate::traffic::udp::quic;
use crate::traffic::udp::table::Key;

use super::counters::Event;
use super::ours::Ours;
use super::session::connect;

/// A place at a backend for a client whose datagram begins with `head`; not at those of `tried`, where there
/// are others.
///
/// # Errors
/// Why there is none.
pub fn choose(
    worker: &Worker,
    ours: &Ours,
    key: &Key,
    head: &[u8],
    tried: &[usize],
    now: Moment,
) -> Result<Permit, Event> {
    let id = ours.rules.upstream;
    let (_, group) = ours.tier.upstream(id);
    if let Some(ids) = ours.state.ids()
        && let Some(header) = quic::parse(head)
        && let Some(backend) = ids.find(&header, now)
        && let Some(server) = group.servers.iter().find(|s| s.id == backend)
        && server.serves_bound(now)
        && let Some(permit) = Permit::take(server)
    {
        return Ok(permit);
    }
    let chooser = &group.chooser;
    let sessions = chooser.sessions.as_ref();
    let mut bond =
        sessions.map_or_else(Bond::default, |s| s.claim_connection(key.client.ip(), now));
    let ask = Ask {
        now,
        random: worker.random(),
        hash: chooser.picker.hash_connection(&ours.tuple(key)),
        tried,
    };
    let picked = worker.turns.with(id, &chooser.picker, |turns| {
        chooser.choose(&mut bond, turns, &group.servers, &ask)
    });
    match picked {
        Ok(picked) => Permit::take(&group.servers[picked.place()]).ok_or(Event::BackendsFull),
        Err(NoPick::Full) => Err(Event::BackendsFull),
        Err(NoPick::Nobody | NoPick::SessionGone) => Err(Event::NoBackend),
    }
}

/// The backend of a datagram that begins no session.
///
/// # Errors
/// Why there is none.
pub fn choose_for_one(
    worker: &Worker,
    ours: &Ours,
    key: &Key,
    tried: &[usize],
) -> Result<Arc<Server>, Event> {
    let now = worker.watches.coarse();
    choose(worker, ours, key, &[], tried, now).map(|permit| permit.backend().clone())
}

/// As [`connect`]; for those that have no sessions.
///
/// # Errors
/// Why there is none.
pub fn socket_to(ours: &Ours, server: &Server) -> Result<UdpSocket, Event> {
    connect(ours.origin(), server.address).map_err(|_| Event::NoSocket)
}
