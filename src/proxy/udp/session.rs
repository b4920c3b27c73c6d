//! One session: a client's datagrams to a backend, and the answers.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::balance::Candidate as _;
use crate::limit::Counted;
use crate::proxy::backend::Permit;
use crate::proxy::tier::Server;
use crate::sys;
use crate::time::Moment;
use crate::traffic::Origin;

/// A session.
#[derive(Debug)]
pub struct Session {
    /// Connected to the backend.
    pub socket: UdpSocket,
    /// Its place at the backend.
    pub permit: Permit,
    /// Its place among those of its source.
    pub source: Option<Counted>,
    /// What stands before each datagram to the backend.
    pub header: Box<[u8]>,
    /// When it began; exact where the backend's times are listened to.
    pub began: Moment,
    /// How long it had lasted when this process got it.
    pub earlier: Duration,
    /// Datagrams of the client.
    pub requests: u64,
    /// Their octets.
    pub octets_in: u64,
    /// Datagrams of the backend.
    pub answers: u64,
    /// Their octets.
    pub octets_out: u64,
    /// Backends it has had.
    pub tries: u32,
    /// Whether the client has shown that it hears the answers.
    pub proven: bool,
    /// Whether the system said that nobody listens at the backend.
    pub refused: bool,
    /// Whether it is counted among those that a draining proxy waits for.
    pub counted: bool,
    /// When its QUIC connection id is looked at again.
    pub look: Moment,
    /// How long it may stay with a backend that the configuration does not name any more.
    pub drain: Duration,
    /// When that is over.
    pub leave_by: Option<Moment>,
}

impl Session {
    /// Its backend.
    pub fn server(&self) -> &Arc<Server> {
        self.permit.backend()
    }

    /// Whether it may stay with its backend.
    pub fn may_stay(&mut self, now: Moment) -> bool {
        if self.refused {
            return false;
        }
        if self.permit.backend().serves_bound(now) {
            self.leave_by = None;
            return true;
        }
        if !self.permit.backend().is_only_removed() {
            return false;
        }
        // As a drained one: it is not asked for new sessions and keeps those it has for a while.
        let until = *self.leave_by.get_or_insert(now + self.drain);
        now < until
    }
}

/// A socket that talks to a backend only, from where `origin` says; a client's own address is not
/// among that.
///
/// # Errors
/// When the system has no descriptor or no port left, does not have the address, or knows no way.
pub fn connect(origin: Origin, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(to),
        Type::DGRAM.nonblocking().cloexec(),
        Some(Protocol::UDP),
    )?;
    if let Origin::Address(from) = origin {
        sys::bind_address_without_port(&socket)?;
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    socket.connect(&to.into())?;
    Ok(socket.into())
}
