//! Sockets of checks: bound to the monitor's source address, connected to exactly the target.
//!
//! What fails before anything was sent (no socket left, a source address that this machine does not
//! have) says nothing about the target: it is [`Failure::Unable`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::health::Failure;
use crate::time::Clock;

/// Connects to exactly `addr`, from the address `source` if one is given; gives the connection and
/// the time it took.
///
/// # Errors
/// [`Failure::Connect`] when there is no connection, [`Failure::Unable`] when this machine could not
/// even try.
pub async fn connect_tcp(
    addr: SocketAddr,
    source: Option<IpAddr>,
    clock: &dyn Clock,
) -> Result<(TcpStream, Duration), Failure> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(|e| no_socket(&e))?;
    if let Some(source) = source {
        // With port 0 the kernel picks one when it knows the target.
        let from = SocketAddr::new(source, 0);
        socket.bind(from).map_err(|e| no_source(source, &e))?;
    }
    let start = clock.now();
    let stream = socket.connect(addr).await.map_err(|e| refused(&e))?;
    Ok((stream, start.until(clock.now())))
}

/// A datagram socket that talks to `addr` only, so that the kernel drops what others send and reports
/// an ICMP port-unreachable as an error.
///
/// # Errors
/// As [`connect_tcp`].
pub async fn connect_udp(addr: SocketAddr, source: Option<IpAddr>) -> Result<UdpSocket, Failure> {
    let from = source.unwrap_or(match addr {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    });
    let socket = UdpSocket::bind(SocketAddr::new(from, 0))
        .await
        .map_err(|e| match source {
            Some(source) => no_source(source, &e),
            None => no_socket(&e),
        })?;
    socket.connect(addr).await.map_err(|e| refused(&e))?;
    Ok(socket)
}

/// The words for an error of an exchange with the target.
pub fn refused(e: &io::Error) -> Failure {
    Failure::Connect(e.to_string())
}

/// The words for a socket that this machine does not give.
pub fn no_socket(e: &io::Error) -> Failure {
    Failure::Unable(format!("no socket: {e}"))
}

/// The words for a source address that cannot be used.
pub fn no_source(source: IpAddr, e: &io::Error) -> Failure {
    Failure::Unable(format!("cannot use the source address {source}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::{RuntimeClock, closed};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_comes_from_the_source_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let source: IpAddr = "127.0.0.9".parse().unwrap();
        let (stream, _) = connect_tcp(addr, Some(source), &RuntimeClock::start())
            .await
            .unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), source);
        assert_eq!(listener.accept().await.unwrap().1.ip(), source);
        let socket = connect_udp(addr, Some(source)).await.unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), source);
    }

    #[tokio::test]
    async fn a_source_address_of_another_machine_is_no_failure_of_the_target() {
        let addr = closed().await;
        let source = Some("192.0.2.77".parse().unwrap());
        let tcp = connect_tcp(addr, source, &RuntimeClock::start())
            .await
            .unwrap_err();
        let udp = connect_udp(addr, source).await.unwrap_err();
        for failure in [tcp, udp] {
            assert!(matches!(&failure, Failure::Unable(_)), "{failure:?}");
            assert!(failure.to_string().contains("192.0.2.77"), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_is_named() {
        let failure = connect_tcp(closed().await, None, &RuntimeClock::start())
            .await
            .unwrap_err();
        assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
    }
}
