//! Datagrams that nobody answers (syslog, metrics): each goes to a backend by itself, and nothing is kept of
//! who sent it. One socket per backend is enough, and no source, forged or not, takes any memory.

use std::io;
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::health::backend::Fault;
use crate::proxy::tier::Server;
use crate::proxy::worker::Worker;
use crate::sys::Datagrams;
use crate::traffic::udp::table::Key;

use super::choice::{choose_for_one, socket_to};
use super::counters::Event;
use super::ours::Ours;
use super::relay::is_busy;

/// Sockets by backend.
#[derive(Default)]
pub struct OneWay {
    sockets: HashMap<u64, UdpSocket>,
}

impl OneWay {
    /// Forgets the sockets of backends that are not in force any more.
    pub fn keep(&mut self, ours: &Ours) {
        let (_, group) = ours.tier.upstream(ours.rules.upstream);
        self.sockets
            .retain(|id, _| group.servers.iter().any(|s| s.id == *id));
    }

    fn socket(&mut self, ours: &Ours, server: &Server) -> Result<&UdpSocket, Event> {
        match self.sockets.entry(server.id) {
            hashbrown::hash_map::Entry::Occupied(there) => Ok(there.into_mut()),
            hashbrown::hash_map::Entry::Vacant(free) => Ok(free.insert(socket_to(ours, server)?)),
        }
    }

    /// Passes on datagrams of one client, each to the backend whose turn it is.
    pub fn forward(
        &mut self,
        worker: &Worker,
        ours: &Ours,
        key: &Key,
        header: &[u8],
        inbound: &mut Datagrams,
        run: Range<usize>,
    ) {
        for at in run {
            if let Err(why) = self.one(worker, ours, key, header, inbound, at) {
                ours.note(why, 1);
            }
        }
    }

    fn one(
        &mut self,
        worker: &Worker,
        ours: &Ours,
        key: &Key,
        header: &[u8],
        inbound: &mut Datagrams,
        at: usize,
    ) -> Result<(), Event> {
        let (_, group) = ours.tier.upstream(ours.rules.upstream);
        let mut tried = None;
        loop {
            let server: Arc<Server> = choose_for_one(worker, ours, key, tried.as_slice())?;
            let socket = self.socket(ours, &server)?;
            let sending = inbound.send(socket.as_fd(), at..at + 1, header);
            let Some(error) = sending.error else {
                server.begin(tried.is_some());
                ours.passed(&server, 1, inbound.octets(at));
                return Ok(());
            };
            let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
            if is_refused {
                // Of a datagram before: this one was not sent yet.
                server.failed(Fault::Connect, worker.now());
            }
            if tried.is_some() || is_busy(&error) || !is_refused {
                return Err(Event::ToBackend);
            }
            tried = group.place_of(&server);
        }
    }
}
