//! Where the proxy's listening sockets come from: bound here, or inherited from the process before.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

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

/// Gives the sockets of a place that the process before had, if any: each once.
pub type Inherited<'a> = dyn FnMut(&Place) -> Vec<OwnedFd> + 'a;

/// Of a process that comes after none.
pub fn nothing(_: &Place) -> Vec<OwnedFd> {
    Vec::new()
}

impl Listening {
    fn inherit(socket: OwnedFd, is_datagram: bool) -> io::Result<Listening> {
        if is_datagram {
            let socket = UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            return Ok(Listening::Datagram(socket));
        }
        let socket = TcpListener::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Listening::Stream(socket))
    }

    /// Another descriptor of the same socket.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        match self {
            Listening::Stream(socket) => Ok(socket.try_clone()?.into()),
            Listening::Datagram(socket) => Ok(socket.try_clone()?.into()),
        }
    }
}

/// One socket per worker, all on the same address: the kernel spreads clients over them. Inherited
/// sockets are all used, however many they are: what waits in one must find somebody. Those of datagrams
/// are not added to: among more sockets the kernel would deal clients out anew, away from their sessions.
/// `moves`: the address is one that this machine may get later.
///
/// # Errors
/// When the address cannot be had.
pub fn open(
    place: &Place,
    workers: usize,
    moves: bool,
    inherited: &mut Inherited<'_>,
) -> Result<Vec<Listening>, BindError> {
    let mut address = place.address;
    let mut sockets = Vec::new();
    let came = inherited(place).into_iter();
    for socket in came.filter_map(|s| Listening::inherit(s, place.is_datagram).ok()) {
        address = socket.local_addr().unwrap_or(address);
        sockets.push(socket);
    }
    let keeps_number = place.is_datagram && !sockets.is_empty();
    if keeps_number && sockets.len() < workers {
        let (listener, sockets) = (&place.listener, sockets.len());
        tracing::info!(
            %listener, sockets, workers,
            "datagrams keep the sockets that they have, so that clients keep their sessions; a restart \
             gives each worker one"
        );
    }
    while sockets.len() < workers && !keeps_number {
        // A socket that was bound for itself alone lets no other beside it: workers share it.
        let shared = || match sockets.first().map(Listening::copy) {
            Some(Ok(copy)) => Listening::inherit(copy, place.is_datagram).ok(),
            _ => None,
        };
        let socket = bind(address, place.is_datagram, moves).or_else(|e| shared().ok_or(e));
        let socket = socket.map_err(|error| BindError {
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
    // Small writes are whole messages here. Connections have it from their listener.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG)?;
    Ok(Listening::Stream(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            listener: "web".into(),
            address: "127.0.0.1:0".parse().unwrap(),
            is_datagram: false,
        }
    }

    #[test]
    fn p2_all_inherited_sockets_are_used_and_missing_ones_are_bound_beside_them() {
        let old = open(&place(), 2, false, &mut nothing).unwrap();
        let at = old[0].local_addr().unwrap();
        for (workers, wanted) in [(1, 2), (2, 2), (4, 4)] {
            let mut heir = |_: &Place| old.iter().map(|s| s.copy().unwrap()).collect();
            let new = open(&place(), workers, false, &mut heir).unwrap();
            assert_eq!(new.len(), wanted);
            for socket in &new {
                assert_eq!(socket.local_addr().unwrap(), at);
            }
        }
    }

    #[test]
    fn p2_datagrams_keep_the_number_of_their_sockets() {
        let place = Place {
            is_datagram: true,
            ..place()
        };
        let old = open(&place, 2, false, &mut nothing).unwrap();
        let mut heir = |_: &Place| old.iter().map(|s| s.copy().unwrap()).collect();
        for (workers, wanted) in [(1, 2), (2, 2), (4, 2)] {
            let new = open(&place, workers, false, &mut heir).unwrap();
            assert_eq!(new.len(), wanted);
        }
    }

    #[test]
    fn a_socket_that_stands_alone_is_shared_by_the_workers() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = alone.local_addr().unwrap();
        let mut heir = |_: &Place| vec![alone.try_clone().unwrap().into()];
        let new = open(&place(), 3, false, &mut heir).unwrap();
        assert_eq!(new.len(), 3);
        drop(alone);
        std::net::TcpStream::connect(at).unwrap();
    }
}
