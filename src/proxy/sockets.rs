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
#[error(
    "listener `{}` cannot listen on {} ({}): {error}; {}",
    place.listener, place.address, place.transport(), help(place, error)
)]
pub struct BindError {
    /// What it wants.
    pub place: Place,
    error: io::Error,
}

impl Place {
    const fn transport(&self) -> &'static str {
        if self.is_datagram { "UDP" } else { "TCP" }
    }
}

/// What to do about it.
fn help(place: &Place, error: &io::Error) -> String {
    let option = format!("`listeners.{}.bind`", place.listener);
    let port = place.address.port();
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::AddrInUse, _) => {
            let kind = if place.is_datagram { 'u' } else { 't' };
            format!(
                "another process has the port (`ss -ln{kind}p sport = :{port}` says which): stop it, or \
                 choose another address or port in {option}"
            )
        }
        (io::ErrorKind::PermissionDenied, _) => format!(
            "ports below `net.ipv4.ip_unprivileged_port_start` (1024) need the capability \
             CAP_NET_BIND_SERVICE; or choose another port in {option}"
        ),
        (io::ErrorKind::AddrNotAvailable, _) => format!(
            "this machine does not have the address (`ip address` lists those it has): correct {option}, \
             or make it one of `[vips]` of this node where it is to come later"
        ),
        (_, Some(libc::EAFNOSUPPORT)) => {
            format!("this machine does not speak this family of addresses: take it out of {option}")
        }
        (_, Some(libc::EMFILE | libc::ENFILE)) => {
            "no more files may be open: raise the limit (`LimitNOFILE=` under systemd, `ulimit -n`)"
                .to_owned()
        }
        _ => format!("check {option}"),
    }
}

/// Sockets of this node that are not the proxy's and share their ports as its own do.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Whether there is a process before, which has its sockets still.
    pub before: bool,
    /// Where else this process takes datagrams.
    pub datagrams: Vec<SocketAddr>,
}

/// How the sockets of a place are to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// One for each of so many threads.
    pub workers: usize,
    /// Whether the address is one that this machine may get later.
    pub moves: bool,
    /// Whether nobody is to have the port yet.
    pub alone: bool,
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
///
/// # Errors
/// When the address cannot be had; also when another process of the same user has it, although the system
/// would have the two share what comes in (SO_REUSEPORT).
pub fn open(
    place: &Place,
    wanted: &Wanted,
    inherited: &mut Inherited<'_>,
) -> Result<Vec<Listening>, BindError> {
    let Wanted { workers, moves, .. } = *wanted;
    let failed = |error| BindError {
        place: place.clone(),
        error,
    };
    let mut address = place.address;
    let mut sockets = Vec::new();
    let came = inherited(place).into_iter();
    for socket in came.filter_map(|s| Listening::inherit(s, place.is_datagram).ok()) {
        address = socket.local_addr().unwrap_or(address);
        sockets.push(socket);
    }
    if sockets.is_empty() && wanted.alone && address.port() != 0 {
        drop(bound(place, address, moves, false).map_err(failed)?);
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
        let socket = bind(place, address, moves);
        let socket = socket.or_else(|e| shared().ok_or(e)).map_err(failed)?;
        if let Ok(bound) = socket.local_addr() {
            address = bound;
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

/// A socket that listens at `address`, and lets others of this user do so.
fn bind(place: &Place, address: SocketAddr, moves: bool) -> io::Result<Listening> {
    let socket = bound(place, address, moves, true)?;
    if place.is_datagram {
        // A smaller buffer than asked only means earlier losses under bursts.
        drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
        return Ok(Listening::Datagram(socket.into()));
    }
    // Small writes are whole messages here. Connections have it from their listener.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG)?;
    Ok(Listening::Stream(socket.into()))
}

/// A socket that has the address and does not listen yet.
fn bound(place: &Place, address: SocketAddr, moves: bool, shares: bool) -> io::Result<Socket> {
    let (kind, protocol) = if place.is_datagram {
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
    if !place.is_datagram {
        socket.set_reuse_address(true)?;
    }
    socket.set_reuse_port(shares)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
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

    fn wanted(workers: usize) -> Wanted {
        Wanted {
            workers,
            moves: false,
            alone: true,
        }
    }

    #[test]
    fn p2_all_inherited_sockets_are_used_and_missing_ones_are_bound_beside_them() {
        let old = open(&place(), &wanted(2), &mut nothing).unwrap();
        let at = old[0].local_addr().unwrap();
        for (workers, number) in [(1, 2), (2, 2), (4, 4)] {
            let mut heir = |_: &Place| old.iter().map(|s| s.copy().unwrap()).collect();
            let new = open(&place(), &wanted(workers), &mut heir).unwrap();
            assert_eq!(new.len(), number);
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
        let old = open(&place, &wanted(2), &mut nothing).unwrap();
        let mut heir = |_: &Place| old.iter().map(|s| s.copy().unwrap()).collect();
        for (workers, number) in [(1, 2), (2, 2), (4, 2)] {
            let new = open(&place, &wanted(workers), &mut heir).unwrap();
            assert_eq!(new.len(), number);
        }
    }

    #[test]
    fn a_socket_that_stands_alone_is_shared_by_the_workers() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = alone.local_addr().unwrap();
        let mut heir = |_: &Place| vec![alone.try_clone().unwrap().into()];
        let new = open(&place(), &wanted(3), &mut heir).unwrap();
        assert_eq!(new.len(), 3);
        drop(alone);
        std::net::TcpStream::connect(at).unwrap();
    }

    #[test]
    fn an_address_that_others_would_share_is_taken_all_the_same() {
        for is_datagram in [false, true] {
            let place = Place {
                is_datagram,
                ..place()
            };
            let first = open(&place, &wanted(2), &mut nothing).unwrap();
            let place = Place {
                address: first[0].local_addr().unwrap(),
                ..place
            };
            let said = open(&place, &wanted(2), &mut nothing)
                .unwrap_err()
                .to_string();
            let (kind, letter) = if is_datagram {
                ("UDP", "u")
            } else {
                ("TCP", "t")
            };
            let (address, port) = (place.address, place.address.port());
            assert_eq!(
                said,
                format!(
                    "listener `web` cannot listen on {address} ({kind}): Address already in use (os \
                     error 98); another process has the port (`ss -ln{letter}p sport = :{port}` says \
                     which): stop it, or choose another address or port in `listeners.web.bind`"
                )
            );
            let shared = Wanted {
                alone: false,
                ..wanted(2)
            };
            assert_eq!(open(&place, &shared, &mut nothing).unwrap().len(), 2);
        }
    }

    #[test]
    fn what_to_do_fits_what_is_wrong() {
        for (errno, words) in [
            (libc::EACCES, "CAP_NET_BIND_SERVICE"),
            (libc::EADDRNOTAVAIL, "`[vips]` of this node"),
            (libc::EAFNOSUPPORT, "family of addresses"),
            (libc::EMFILE, "LimitNOFILE="),
            (libc::EINVAL, "check `listeners.web.bind`"),
        ] {
            let said = help(&place(), &io::Error::from_raw_os_error(errno));
            assert!(said.contains(words), "{said}");
        }
    }
}
