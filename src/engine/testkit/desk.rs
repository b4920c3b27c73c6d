//! A client who asks.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::engine::{Inbound, Reply, Scratch, Transport, answer};
use crate::snapshot::View;
use crate::telemetry::DnsCounters;
use crate::time::Moment;

use super::{Ask, Got, World};

/// A client at one address with a worker of its own.
pub(in crate::engine) struct Desk {
    pub view: Arc<View>,
    pub scratch: Scratch,
    pub peer: SocketAddr,
    pub now: Moment,
}

impl Desk {
    pub(in crate::engine) fn new(world: &World) -> Desk {
        Desk::at(Arc::new(world.view()))
    }

    /// A fresh worker; all fresh workers draw the same.
    pub(in crate::engine) fn at(view: Arc<View>) -> Desk {
        Desk {
            view,
            scratch: Scratch::new(7, Arc::new(DnsCounters::default())),
            peer: "127.0.0.1:5353".parse().unwrap(),
            now: Moment::ZERO,
        }
    }

    pub(in crate::engine) fn from(mut self, peer: &str) -> Desk {
        self.peer = SocketAddr::new(peer.parse().unwrap(), 5353);
        self
    }

    pub(in crate::engine) fn raw(
        &mut self,
        packet: &[u8],
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let mut out = vec![0xEE; 65535];
        let inbound = Inbound {
            packet,
            peer: self.peer,
            transport,
        };
        match answer(&self.view, &inbound, self.now, &mut self.scratch, &mut out) {
            Reply::Drop => None,
            Reply::Send(len) | Reply::SendAndClose(len) => Some(out[..len].to_vec()),
            Reply::Transfer => panic!("a transfer has many messages"),
        }
    }

    pub(in crate::engine) fn udp(&mut self, ask: &Ask) -> Got {
        Got::new(self.raw(&ask.bytes(), Transport::Udp).unwrap())
    }

    pub(in crate::engine) fn tcp(&mut self, ask: &Ask) -> Got {
        Got::new(self.raw(&ask.bytes(), Transport::Tcp).unwrap())
    }
}
