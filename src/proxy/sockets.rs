//! Where the proxy's listening sockets come from: bound here, or inherited from the process before.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted, per listener and worker.
const BACKLOG: i32 = 4096;

/// Asked of the kernel for datagrams that wait; it gives up to `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 1 << 20;

/// One address of a listener, as configured.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The listener's name.
    pub listener: Box<str>,
    /// The address; port 0 picks a free one.
    pub address: SocketAddr,
    /// Whether datagrams come in, rather than connections.
    pub is_datagram: bool,
}

/// A socket that listens.
#[derive(Debug)]
pub enum Listening {
    /// For connections.
    Stream(TcpListener),
    /// For datagrams.
    Datagram(UdpSocket),
}

impl Listening {
    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Listening::Stream(socket) => socket.local_addr(),
            Listening::Datagram(socket) => socket.local_addr(),
        }
    }
}

/// Why a listener cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("listener `{listener}` cannot listen on {address}: {error}; {help}")]
pub struct BindError {
    listener: Box<str>,
    address: SocketAddr,
    error: io::Error,
    help: &'static str,
}

/// One socket per worker, all on the same address: the kernel spreads clients over them. `moves`: the
/// address is one that this machine may get later.
///
/// # Errors
/// When the address cannot be had.
pub fn open(place: &Place, workers: usize, moves: bool) -> Result<Vec<Listening>, BindError> {
    let mut address = place.address;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = bind(address, place.is_datagram, moves).map_err(|error| BindError {
            listener: place.listener.clone(),
            address: place.address,
            help: match error.kind() {
                io::ErrorKind::AddrInUse => {
                    "another process has the port; stop it or choose another"
                }
                io::ErrorKind::PermissionDenied => {
                    "ports below 1024 need the capability CAP_NET_BIND_SERVICE"
                }
                _ => "check the address",
            },
            error,
        })?;
        if let Ok(bound) = socket.local_addr() {
            address = bound;
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

fn bind(address: SocketAddr, is_datagram: bool, moves: bool) -> io::Result<Listening> {
    let (kind, protocol) = if is_datagram {
        (Type::DGRAM, Protocol::UDP)
    } else {
        (Type::STREAM, Protocol::TCP)
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if moves {
        match address {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
    }
    if !is_datagram {
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if is_datagram {
        // A smaller buffer than asked only means earlier losses under bursts.
        drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
        return Ok(Listening::Datagram(socket.into()));
    }
    socket.listen(BACKLOG)?;
    Ok(Listening::Stream(socket.into()))
}
