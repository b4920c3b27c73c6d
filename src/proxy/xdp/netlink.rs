//! What the kernel knows of an interface and of its neighbours, over rtnetlink (RFC 3549).
//!
//! Building and reading messages is pure; [`Netlink`] is the socket.

use std::io::{self, Read as _};
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use socket2::{Domain, Protocol, Socket, Type};

use super::kernel::Attachment;
use super::layout::Mac;

const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;
const NEWNEIGH: u16 = 28;
const GETNEIGH: u16 = 30;
const ERROR: u16 = 2;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_XDP: u16 = 43;
/// Within [`IFLA_XDP`].
const XDP_ATTACHED: u16 = 2;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

/// The kernel resolves the neighbour, or makes sure that it is still there.
const NTF_USE: u8 = 1;
/// States in which a hardware address may be used: reachable, stale, delay, probe, noarp, permanent.
const NUD_VALID: u16 = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;

/// Octets of the head of a message.
const HEAD: usize = 16;
/// Octets of `struct ifinfomsg`.
const LINK_HEAD: usize = 16;
/// Octets of `struct ndmsg`.
const NEIGHBOUR_HEAD: usize = 12;

/// How long the kernel may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// An interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// Its number.
    pub(super) index: u32,
    /// Its hardware address.
    pub(super) mac: Mac,
    /// How an XDP program stands before its stack.
    pub(super) program: Option<Attachment>,
}

/// A message with its head and one attribute.
fn message(kind: u16, flags: u16, body: &[u8], attribute: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut m = vec![0; 4];
    m.extend(kind.to_ne_bytes());
    m.extend((REQUEST | flags).to_ne_bytes());
    m.extend([0; 8]);
    m.extend(body);
    if let Some((kind, value)) = attribute {
        m.extend((value.len() as u16 + 4).to_ne_bytes());
        m.extend(kind.to_ne_bytes());
        m.extend(value);
        m.resize(m.len().next_multiple_of(4), 0);
    }
    let length = m.len() as u32;
    m[..4].copy_from_slice(&length.to_ne_bytes());
    m
}

/// Asks for an interface by its name.
fn ask_link(name: &str) -> Vec<u8> {
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    message(GETLINK, 0, &[0; LINK_HEAD], Some((IFLA_IFNAME, &value)))
}

/// A message about one neighbour.
fn about(kind: u16, flags: u16, index: u32, address: IpAddr, wish: u8) -> Vec<u8> {
    let mut body = [0; NEIGHBOUR_HEAD];
    body[0] = match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    };
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[10] = wish;
    let octets = match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    message(kind, flags, &body, Some((NDA_DST, &octets)))
}

/// Has the kernel look for a neighbour.
fn ask_use(index: u32, address: IpAddr) -> Vec<u8> {
    about(NEWNEIGH, CREATE | ACK, index, address, NTF_USE)
}

/// Asks what the kernel knows of a neighbour.
fn ask_neighbour(index: u32, address: IpAddr) -> Vec<u8> {
    about(GETNEIGH, 0, index, address, 0)
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    let octets = data.get(at..at + 2)?;
    Some(u16::from_ne_bytes([octets[0], octets[1]]))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let octets = data.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(octets))
}

/// The next part of a list: its kind and body. `head` octets stand before the body, length first and
/// the kind at `kind_at`.
fn next<'a>(data: &mut &'a [u8], head: usize, wide: bool) -> Option<(u16, &'a [u8])> {
    let length = if wide {
        u32_at(data, 0)? as usize
    } else {
        usize::from(u16_at(data, 0)?)
    };
    let kind = u16_at(data, if wide { 4 } else { 2 })?;
    if length < head {
        return None;
    }
    let body = data.get(head..length)?;
    *data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, body))
}

fn next_message<'a>(data: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    next(data, HEAD, true)
}

fn attribute(mut data: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((kind, value)) = next(&mut data, 4, false) {
        // The kernel marks some as lists of others.
        if kind & 0x3fff == wanted {
            return Some(value);
        }
    }
    None
}

/// The interface that a message is about.
fn read_link(body: &[u8]) -> Option<Link> {
    let attributes = body.get(LINK_HEAD..)?;
    Some(Link {
        index: u32_at(body, 4)?,
        mac: attribute(attributes, IFLA_ADDRESS)?.try_into().ok()?,
        program: match attribute(attributes, IFLA_XDP).and_then(|x| attribute(x, XDP_ATTACHED)) {
            Some([1]) => Some(Attachment::Native),
            Some([2]) => Some(Attachment::Generic),
            _ => None,
        },
    })
}

/// The hardware address of the neighbour that a message is about, where it may be used.
fn read_neighbour(body: &[u8]) -> Option<Mac> {
    let attributes = body.get(NEIGHBOUR_HEAD..)?;
    if u16_at(body, 8)? & NUD_VALID == 0 {
        return None;
    }
    attribute(attributes, NDA_LLADDR)?.try_into().ok()
}

/// The kernel's answer to what was asked; `None`: it is done.
fn read_error(body: &[u8]) -> Option<io::Error> {
    match u32_at(body, 0)? as i32 {
        0 => None,
        code => Some(io::Error::from_raw_os_error(-code)),
    }
}

/// Hardware addresses of neighbours, by interface and address.
pub(super) type Neighbours = HashMap<(u32, IpAddr), Mac>;

/// A socket to the kernel.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
}

impl Netlink {
    /// Opens one.
    pub(super) fn open() -> io::Result<Netlink> {
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            Type::DGRAM,
            Some(Protocol::from(libc::NETLINK_ROUTE)),
        )?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Netlink { socket })
    }

    /// The interface called `name`.
    ///
    /// # Errors
    /// When there is none, or it has no hardware address of six octets.
    pub(super) fn link(&mut self, name: &str) -> io::Result<Link> {
        let found = self.ask(&ask_link(name), |kind, body| {
            (kind == NEWLINK).then(|| read_link(body)).flatten()
        })?;
        found.ok_or_else(|| io::Error::other("it has no Ethernet address"))
    }

    /// The hardware address of a neighbour. Has the kernel look for it, or make sure that it is still
    /// there, and does not wait for that.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub(super) fn neighbour(&mut self, index: u32, address: IpAddr) -> io::Result<Option<Mac>> {
        let asked = self.ask(&ask_use(index, address), |_, _| None::<()>);
        if let Err(error) = asked
            && is_silence(&error)
        {
            return Err(error);
        }
        let known = self.ask(&ask_neighbour(index, address), |_, body| {
            read_neighbour(body)
        });
        match known {
            Err(error) if is_silence(&error) => Err(error),
            // The kernel knows nothing of it.
            Err(_) => Ok(None),
            Ok(known) => Ok(known),
        }
    }

    /// Asks, and reads the answer: what `read` makes of a message, `None` of a bare yes.
    fn ask<T>(
        &mut self,
        message: &[u8],
        read: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> io::Result<Option<T>> {
        self.socket.send(message)?;
        let mut buffer = [0; 8 << 10];
        let n = self.socket.read(&mut buffer)?;
        let mut rest = &buffer[..n];
        match next_message(&mut rest) {
            Some((ERROR, body)) => read_error(body).map_or(Ok(None), Err),
            Some((kind, body)) => Ok(read(kind, body)),
            None => Err(io::Error::other("an answer of no message")),
        }
    }
}

/// Whether nothing came, so that what comes later would answer another question.
fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn neighbour(state: u16, dst: &[u8], mac: &[u8]) -> Vec<u8> {
        let mut body = vec![0; NEIGHBOUR_HEAD];
        body[4..8].copy_from_slice(&3_u32.to_ne_bytes());
        body[8..10].copy_from_slice(&state.to_ne_bytes());
        for (kind, value) in [(NDA_DST, dst), (NDA_LLADDR, mac)] {
            body.extend((value.len() as u16 + 4).to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        body
    }

    #[test]
    fn a_neighbour_counts_while_its_address_may_be_used() {
        let v4 = neighbour(0x04, &[10, 0, 0, 1], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(read_neighbour(&v4), Some([1, 2, 3, 4, 5, 6]));
        let v6 = neighbour(0x80, &[0xfd; 16], &[1, 2, 3, 4, 5, 7]);
        assert_eq!(read_neighbour(&v6), Some([1, 2, 3, 4, 5, 7]));
        for (state, mac) in [(0x01, &[1_u8; 6][..]), (0x20, &[1; 6]), (0x02, &[1; 8])] {
            assert_eq!(read_neighbour(&neighbour(state, &[10, 0, 0, 1], mac)), None);
        }
    }

    #[test]
    fn messages_are_as_long_as_they_say() {
        for m in [
            ask_link("eth0"),
            ask_neighbour(3, [0xfd_u8; 16].into()),
            ask_use(3, [10, 0, 0, 1].into()),
        ] {
            let mut rest = &m[..];
            assert!(next_message(&mut rest).is_some());
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn the_kernel_knows_the_loopback_interface() {
        let link = Netlink::open().unwrap().link("lo").unwrap();
        assert_eq!((link.index, link.mac), (1, [0; 6]));
        let missing = Netlink::open().unwrap().link("no-such-if").unwrap_err();
        assert_eq!(missing.raw_os_error(), Some(libc::ENODEV));
        let nobody = Netlink::open().unwrap().neighbour(1, [192, 0, 2, 1].into());
        assert_eq!(nobody.unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_left(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = &data[..];
            while let Some((_, body)) = next_message(&mut rest) {
                read_link(body);
                read_neighbour(body);
                read_error(body);
            }
            read_neighbour(&data);
            read_link(&data);
        }
    }
}
