//! Sockets of connections to backends: from which address they go out.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

use crate::sys;
use crate::traffic::{Origin, Plan};

/// Why a backend was not reached.
#[derive(Debug, thiserror::Error)]
pub enum NotReached {
    /// This machine has no socket for the connection, or may not have it: no fault of the backend.
    #[error("{0}")]
    NoSocket(io::Error),
    /// The backend does not take it.
    #[error("{0}")]
    Refused(io::Error),
}

/// A TCP connection to `backend` for `client`.
///
/// # Errors
/// Why there is none.
pub async fn connect(
    origin: Origin,
    client: SocketAddr,
    backend: SocketAddr,
) -> Result<TcpStream, NotReached> {
    let connected = match origin {
        Origin::System => TcpStream::connect(backend).await,
        _ => {
            let socket = open(origin, client, backend).map_err(NotReached::NoSocket)?;
            socket.connect(backend).await
        }
    };
    connected.map_err(|error| {
        if is_own(&error) {
            NotReached::NoSocket(error)
        } else {
            NotReached::Refused(error)
        }
    })
}

/// Whether an error says that we have no descriptor, port or memory left: that says nothing of the
/// backend, and all of them would be ejected for it.
fn is_own(error: &io::Error) -> bool {
    let own = [
        libc::EMFILE,
        libc::ENFILE,
        libc::EADDRNOTAVAIL,
        libc::ENOBUFS,
        libc::ENOMEM,
    ];
    error.raw_os_error().is_some_and(|code| own.contains(&code))
}

fn open(origin: Origin, client: SocketAddr, backend: SocketAddr) -> io::Result<TcpSocket> {
    let from = origin.bind(client, backend).map_err(io::Error::other)?;
    let socket = bound(from, backend, origin == Origin::Client)?;
    socket.set_nonblocking(true)?;
    Ok(TcpSocket::from_std_stream(socket.into()))
}

/// A socket for a connection to `backend` that comes from `from`. `foreign`: that address is not one of
/// this machine.
fn bound(from: Option<SocketAddr>, backend: SocketAddr, foreign: bool) -> io::Result<Socket> {
    let domain = Domain::for_address(backend);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    let Some(from) = from else {
        return Ok(socket);
    };
    if foreign {
        be_transparent(&socket, from.ip())?;
    }
    // The port is picked when the connection is made: the same one then serves connections to
    // several backends at once.
    sys::bind_address_without_port(&socket)?;
    socket
        .bind(&from.into())
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable => {
                let ip = from.ip();
                told(&error, &format!("{ip} is no address of this machine"))
            }
            _ => error,
        })?;
    Ok(socket)
}

fn be_transparent(socket: &Socket, address: IpAddr) -> io::Result<()> {
    let done = match address {
        IpAddr::V4(_) => socket.set_ip_transparent_v4(true),
        IpAddr::V6(_) => socket.set_ip_transparent_v6(true),
    };
    done.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => told(
            &error,
            "`transparent` needs the capability CAP_NET_ADMIN, which this process does not have",
        ),
        _ => error,
    })
}

fn told(error: &io::Error, why: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{why} ({error})"))
}

/// Says in the log, once per configuration, of which upstreams no backend will be reached: a wrong
/// address or a missing capability should not wait for the first client to be found out.
pub fn check(plan: &Plan) {
    for upstream in &plan.upstreams {
        let Some(backend) = upstream.backends.first() else {
            continue;
        };
        // Any address that is not of this machine, of the backend's family.
        let stranger: SocketAddr = if backend.address.is_ipv4() {
            ([192, 0, 2, 1], 0).into()
        } else {
            ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 0).into()
        };
        if upstream.origin == Origin::System {
            continue;
        }
        if let Err(error) = open_unpolled(upstream.origin, stranger, backend.address) {
            tracing::error!(
                upstream = %upstream.name,
                "its backends cannot be reached: {error}"
            );
        }
    }
}

fn open_unpolled(origin: Origin, client: SocketAddr, backend: SocketAddr) -> io::Result<()> {
    let from = origin.bind(client, backend).map_err(io::Error::other)?;
    bound(from, backend, origin == Origin::Client).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn local(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_connection_comes_from_the_address_that_is_asked_for() {
        for (at, from) in [("127.0.0.1:0", "127.0.0.77"), ("[::1]:0", "::1")] {
            let backend = TcpListener::bind(local(at)).unwrap();
            let address = backend.local_addr().unwrap();
            let client = local("192.0.2.1:5");
            let origin = Origin::Address(from.parse().unwrap());
            // Two at once: the port is not taken before the other end is known.
            let one = connect(origin, client, address).await.unwrap();
            let two = connect(origin, client, address).await.unwrap();
            for stream in [one, two] {
                let (_, source) = backend.accept().unwrap();
                assert_eq!(source.ip(), from.parse::<IpAddr>().unwrap());
                assert_eq!(stream.peer_addr().unwrap(), address);
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_the_backends_fault_is_told_apart() {
        let client = local("192.0.2.1:5");
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = backend.local_addr().unwrap();
        let foreign = Origin::Address([198, 51, 100, 7].into());
        let error = connect(foreign, client, address).await.unwrap_err();
        assert!(matches!(error, NotReached::NoSocket(_)));
        let told = error.to_string();
        assert!(
            told.contains("198.51.100.7 is no address of this machine"),
            "{told}"
        );
        let other = connect(Origin::Client, local("[2001:db8::1]:5"), address).await;
        assert!(matches!(other, Err(NotReached::NoSocket(_))));
        drop(backend);
        let own = Origin::Address([127, 0, 0, 77].into());
        let refused = connect(own, client, address).await.unwrap_err();
        assert!(matches!(refused, NotReached::Refused(_)), "{refused}");
        let refused = connect(Origin::System, client, address).await;
        assert!(matches!(refused, Err(NotReached::Refused(_))));
    }

    /// One address has at most so many ports; each of them is good for every backend.
    #[tokio::test]
    async fn ports_are_shared_between_backends() {
        let backends: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let origin = Origin::Address([127, 0, 0, 78].into());
        let mut held = Vec::new();
        for backend in &backends {
            let to = backend.local_addr().unwrap();
            for _ in 0..20 {
                held.push(connect(origin, to, to).await.unwrap());
            }
        }
        assert_eq!(held.len(), 60);
    }
}
