//! Sockets with their labels: those that came from the old process, and those of this one that the next
//! may have.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use socket2::SockRef;

use super::message::{Kind, Label};

/// Sockets.
#[derive(Debug, Default)]
pub struct Bag(Vec<(Label, OwnedFd)>);

impl Bag {
    /// Puts one in.
    pub fn put(&mut self, label: Label, socket: OwnedFd) {
        self.0.push((label, socket));
    }

    /// Takes out the sockets of one place: those with this label; or, where the configuration calls the
    /// place otherwise now, those that are bound to the address. A port of 0 is any, so it is found by
    /// its label alone.
    pub fn take(&mut self, label: &Label) -> Vec<OwnedFd> {
        let same = self.take_those(|has, _| has == label);
        if !same.is_empty() || label.configured.port() == 0 {
            return same;
        }
        self.take_those(|has, socket| {
            has.kind.is_datagram() == label.kind.is_datagram()
                && has.kind != Kind::Takeover
                && bound_to(socket) == Some(label.configured)
        })
    }

    /// As [`Bag::take`], of a place with one socket.
    pub fn take_one(&mut self, label: &Label) -> Option<OwnedFd> {
        self.take(label).into_iter().next()
    }

    /// Takes out all of a kind, with their names.
    pub fn take_named(&mut self, kind: Kind) -> Vec<(Box<str>, OwnedFd)> {
        let all = std::mem::take(&mut self.0);
        let (taken, rest) = all.into_iter().partition(|(label, _)| label.kind == kind);
        self.0 = rest;
        let taken: Vec<(Label, OwnedFd)> = taken;
        let named = taken
            .into_iter()
            .map(|(label, socket)| (label.name, socket));
        named.collect()
    }

    fn take_those(&mut self, wanted: impl Fn(&Label, &OwnedFd) -> bool) -> Vec<OwnedFd> {
        let all = std::mem::take(&mut self.0);
        let (taken, rest) = all
            .into_iter()
            .partition(|(label, socket)| wanted(label, socket));
        self.0 = rest;
        let taken: Vec<(Label, OwnedFd)> = taken;
        taken.into_iter().map(|(_, socket)| socket).collect()
    }

    /// Adds further descriptors of all of another bag's sockets.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn copy(&mut self, other: &Bag) -> io::Result<()> {
        for (label, socket) in &other.0 {
            self.put(label.clone(), socket.try_clone()?);
        }
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(Label, OwnedFd)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a node binds its listeners with: sockets that came are taken, and of all sockets a second
/// descriptor is kept for the next process.
#[derive(Debug, Default)]
pub struct Sockets {
    /// What came and is not taken yet.
    pub came: Bag,
    /// What the next process may have.
    pub kept: Bag,
    /// Whether there may be a next process: only with a state directory can it ask.
    pub keeps: bool,
}

impl Sockets {
    /// The sockets of a place: those that came, or what `bind` makes of none; kept for the next.
    ///
    /// # Errors
    /// Those of `bind`, and when this process may not open as many files.
    pub fn have<S: AsFd>(
        &mut self,
        kind: Kind,
        configured: SocketAddr,
        bind: impl FnOnce(Vec<OwnedFd>) -> io::Result<Vec<S>>,
    ) -> io::Result<Vec<S>> {
        let label = Label::new(kind, configured);
        let sockets = bind(self.came.take(&label))?;
        self.keep(&label, sockets.iter())?;
        Ok(sockets)
    }

    /// As [`Sockets::have`], of a place with one socket, which does not block.
    ///
    /// # Errors
    /// As [`Sockets::have`].
    pub fn one<S: AsFd + From<OwnedFd>>(
        &mut self,
        kind: Kind,
        configured: SocketAddr,
        bind: impl FnOnce(SocketAddr) -> io::Result<S>,
    ) -> io::Result<S> {
        let had = self.have(kind, configured, |came| match came.into_iter().next() {
            Some(socket) => {
                SockRef::from(&socket).set_nonblocking(true)?;
                Ok(vec![S::from(socket)])
            }
            None => Ok(vec![bind(configured)?]),
        });
        first(had?)
    }

    /// Keeps sockets for the next process.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn keep<'s, S: AsFd + 's>(
        &mut self,
        label: &Label,
        sockets: impl Iterator<Item = &'s S>,
    ) -> io::Result<()> {
        if self.keeps {
            for socket in sockets {
                let copy = socket.as_fd().try_clone_to_owned()?;
                self.kept.put(label.clone(), copy);
            }
        }
        Ok(())
    }
}

/// The one socket of a place.
///
/// # Errors
/// When there is none, which does not happen.
pub fn first<S>(sockets: Vec<S>) -> io::Result<S> {
    let first = sockets.into_iter().next();
    first.ok_or_else(|| io::Error::other("no socket"))
}

fn bound_to(socket: &OwnedFd) -> Option<SocketAddr> {
    SockRef::from(socket).local_addr().ok()?.as_socket()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn udp() -> (SocketAddr, OwnedFd) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        (socket.local_addr().unwrap(), socket.into())
    }

    #[test]
    fn all_sockets_of_a_place_are_taken_and_no_others() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let dns = Label::new(Kind::DnsUdp, any);
        let doq = Label::new(Kind::Doq, any);
        let mut bag = Bag::default();
        for label in [&dns, &doq, &dns] {
            bag.put(label.clone(), udp().1);
        }
        assert_eq!(bag.take(&dns).len(), 2);
        assert_eq!(bag.take(&dns).len(), 0);
        assert_eq!(bag.len(), 1);
        assert!(bag.take_one(&doq).is_some());
    }

    #[test]
    fn a_place_that_is_called_otherwise_is_found_by_its_address() {
        let (at, socket) = udp();
        let named = |name: &str, kind| Label {
            kind,
            configured: at,
            name: name.into(),
        };
        let mut bag = Bag::default();
        bag.put(named("old", Kind::ProxyDatagram), socket);
        // Same port, but connections.
        assert!(bag.take_one(&named("new", Kind::ProxyStream)).is_none());
        assert!(bag.take_one(&named("new", Kind::ProxyDatagram)).is_some());
        assert!(bag.is_empty());
    }

    #[test]
    fn what_is_kept_outlives_what_is_used() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut sockets = Sockets {
            keeps: true,
            ..Sockets::default()
        };
        let bind = |came: Vec<OwnedFd>| {
            assert!(came.is_empty());
            Ok(vec![TcpListener::bind(any)?])
        };
        let used = sockets.have(Kind::DnsTcp, any, bind).unwrap();
        let at = used[0].local_addr().unwrap();
        drop(used);
        // The next process gets it, in the same state.
        let mut next = Sockets {
            came: sockets.kept,
            ..Sockets::default()
        };
        let had = next.have(Kind::DnsTcp, any, Ok).unwrap();
        assert_eq!(bound_to(&had[0]), Some(at));
        assert!(next.kept.is_empty(), "nobody may ask");
        std::net::TcpStream::connect(at).unwrap();
    }
}
