//! The ICMP check: passes when an echo request is answered (RFC 792, RFC 4443 section 4).
//!
//! Each run opens a socket of its own that is connected to the target, so that the kernel picks what
//! belongs to it and nothing is shared between runs. On Linux a process without rights may have a
//! datagram socket for this where `net.ipv4.ping_group_range` holds its group (for both families);
//! else a raw socket is tried, which needs the capability CAP_NET_RAW. Where neither is allowed the
//! check has no opinion, and its error says what is missing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::socket::{no_socket, no_source, refused};
use crate::health::Failure;
use crate::time::Clock;

/// Octets before the data of an echo message.
const HEADER: usize = 8;
/// Octets of data: by them an answer is known.
const DATA: usize = 16;

/// What the kernel lets us have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A datagram socket: the kernel sets and looks at the identifier.
    Datagram,
    /// A raw socket: it also gets what belongs to others.
    Raw,
}

/// One target's ICMP check.
#[derive(Debug)]
pub struct IcmpProbe {
    addr: IpAddr,
}

impl IcmpProbe {
    /// The check of `addr`.
    pub fn new(addr: IpAddr) -> IcmpProbe {
        IcmpProbe { addr }
    }

    /// Sends one echo request and waits for its answer, however long that takes; gives the time it
    /// took.
    ///
    /// # Errors
    /// [`Failure::Connect`] when the way there is known to be closed, [`Failure::Unable`] when the
    /// system gives no socket.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        let (socket, kind) = open(self.addr).map_err(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => Failure::Unable(MISSING.to_owned()),
            _ => no_socket(&e),
        })?;
        if let Some(source) = source {
            let from = SocketAddr::new(source, 0).into();
            socket.bind(&from).map_err(|e| no_source(source, &e))?;
        }
        let to = SocketAddr::new(self.addr, 0).into();
        socket.connect(&to).map_err(|e| refused(&e))?;
        // The runtime's type for sockets that speak in datagrams, which these do as well.
        let socket = UdpSocket::from_std(socket.into()).map_err(|e| no_socket(&e))?;
        let request = request(self.addr)?;
        let start = clock.now();
        socket.send(&request).await.map_err(|e| refused(&e))?;
        // Of an answer to another's larger request no more is needed.
        let mut packet = [0; 256];
        loop {
            let n = socket.recv(&mut packet).await.map_err(|e| refused(&e))?;
            if message(&packet[..n], self.addr, kind).is_some_and(|m| is_answer(m, &request)) {
                return Ok(start.until(clock.now()));
            }
        }
    }
}

/// What to do where neither kind of socket is allowed.
const MISSING: &str = "ICMP sockets are not allowed; let net.ipv4.ping_group_range hold the group of \
                       this process, or give it the capability CAP_NET_RAW";

/// A socket of the better kind that is to be had.
fn open(addr: IpAddr) -> io::Result<(Socket, Kind)> {
    let (domain, protocol) = match addr {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let new = |kind, ty| {
        let socket = Socket::new(domain, ty, Some(protocol))?;
        socket.set_nonblocking(true)?;
        Ok((socket, kind))
    };
    new(Kind::Datagram, Type::DGRAM).or_else(|_: io::Error| new(Kind::Raw, Type::RAW))
}

/// An echo request with identifier and data that nobody can guess.
fn request(to: IpAddr) -> Result<[u8; HEADER + DATA], Failure> {
    let mut message = [0; HEADER + DATA];
    SystemRandom::new()
        .fill(&mut message[4..])
        .map_err(|_| Failure::Unable("the system gives no random numbers".to_owned()))?;
    message[0] = match to {
        IpAddr::V4(_) => 8,
        IpAddr::V6(_) => 128,
    };
    // Of ICMPv6 the kernel computes it, with the addresses it sends from and to (RFC 3542 section 3.1).
    if to.is_ipv4() {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    Ok(message)
}

/// The Internet checksum of an even number of octets (RFC 1071 section 1).
fn checksum(message: &[u8]) -> u16 {
    let words = message
        .chunks_exact(2)
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

/// The ICMP message of a packet: raw sockets of IPv4 hand out the IP header too.
fn message(packet: &[u8], addr: IpAddr, kind: Kind) -> Option<&[u8]> {
    if kind == Kind::Datagram || addr.is_ipv6() {
        return Some(packet);
    }
    // RFC 791 section 3.1: the header's length in words of four octets.
    let header = usize::from(packet.first()? & 0xF) * 4;
    packet.get(header..)
}

/// Whether `message` is the echo reply to `request`.
fn is_answer(message: &[u8], request: &[u8]) -> bool {
    let reply = if request[0] == 8 { 0 } else { 129 };
    message.len() == request.len()
        && message[0] == reply
        // The data is ours alone; a datagram socket's identifier is the kernel's.
        && message[HEADER..] == request[HEADER..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::*;

    /// Whether this process may ping at all.
    fn allowed() -> bool {
        open(IpAddr::from([127, 0, 0, 1])).is_ok()
    }

    async fn run(addr: &str, source: Option<&str>) -> Result<Duration, Failure> {
        let probe = IcmpProbe::new(addr.parse().unwrap());
        let source = source.map(|s| s.parse().unwrap());
        tokio::time::timeout(BOUND, probe.run(source, &RuntimeClock::start()))
            .await
            .expect("must end")
    }

    #[tokio::test]
    async fn this_machine_answers_in_both_families_or_the_error_says_what_is_missing() {
        for (addr, source) in [("127.0.0.1", Some("127.0.0.4")), ("::1", None)] {
            match run(addr, source).await {
                Ok(rtt) => assert!(allowed() && rtt < BOUND),
                Err(Failure::Unable(why)) => {
                    assert!(!allowed(), "{why}");
                    assert!(why.contains("ping_group_range") && why.contains("CAP_NET_RAW"));
                }
                Err(other) => panic!("{addr}: {other}"),
            }
        }
    }

    #[tokio::test]
    async fn many_at_once_each_get_their_own_answer() {
        let mut runs = tokio::task::JoinSet::new();
        for _ in 0..100 {
            runs.spawn(run("127.0.0.1", None));
        }
        while let Some(run) = runs.join_next().await {
            assert_eq!(run.unwrap().is_ok(), allowed());
        }
    }

    #[tokio::test]
    async fn no_way_there_is_no_connection() {
        // 240.0.0.0/4 is reserved: the kernel sends nothing there.
        let failure = run("255.255.255.255", None).await.unwrap_err();
        assert!(
            matches!(failure, Failure::Connect(_)) == allowed(),
            "{failure:?}"
        );
    }

    #[test]
    fn the_checksum_of_an_answer_is_right_too() {
        let mut message = request(IpAddr::from([127, 0, 0, 1])).unwrap();
        assert_eq!(
            checksum(&message),
            0,
            "with its checksum in it the sum is 0"
        );
        // The example of RFC 1071 section 3.
        assert_eq!(checksum(&[0, 1, 0xF2, 3, 0xF4, 0xF5, 0xF6, 0xF7]), !0xDDF2);
        let asked = message;
        assert!(!is_answer(&message, &asked), "the request itself");
        message[0] = 0;
        assert!(is_answer(&message, &asked));
        message[HEADER] ^= 1;
        assert!(!is_answer(&message, &asked), "another's data");
        let mut packet = vec![0x46; 24];
        packet.extend(asked);
        let v4 = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(super::message(&packet, v4, Kind::Raw), Some(&asked[..]));
        assert_eq!(super::message(&[], v4, Kind::Raw), None);
    }
}
