//! What of a listener's sessions goes from one process of a node to the next, at a takeover.
//!
//! A session is its socket, connected to its backend from the port that the backend knows it by; its client;
//! and what it has carried so far. Its backend is known by its name and by where the socket is connected to:
//! numbers of backends are a process's own. Times are told as spans, for the same reason.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use crate::proxy::sockets::Place;
use crate::traffic::udp::connection_ids::Learned;
use crate::traffic::udp::table::Key;

/// What a session has carried so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// Since it began.
    pub age: Duration,
    /// Since its last datagram in either direction.
    pub silent: Duration,
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
}

/// A session on its way.
#[derive(Debug)]
pub struct Handed {
    /// Whose it is.
    pub key: Key,
    /// The name of its backend.
    pub backend: Box<str>,
    /// Connected to that.
    pub socket: UdpSocket,
    /// What it has carried.
    pub carried: Carried,
}

/// The sessions of one listening socket.
#[derive(Debug)]
pub struct Batch {
    /// The address that the socket listens at.
    pub place: Place,
    /// Which of the sockets of that address it is: clients are dealt out to them by the kernel, always the
    /// same way, so sessions belong to one.
    pub nth: usize,
    /// Those worth most first.
    pub sessions: Vec<Handed>,
}

/// A listening socket is asked for its sessions.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where it listens.
    pub place: Place,
    /// Which of the sockets there it is.
    pub nth: usize,
    /// Sessions that are wanted, at most.
    pub most: usize,
    /// Where they go.
    pub to: UnboundedSender<Batch>,
}

/// QUIC connection ids that a listener has learned. Backends are numbered by their place in the list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HandedIds {
    /// The listener's name.
    pub listener: Box<str>,
    /// Names and addresses of the backends that issued them.
    pub backends: Vec<(Box<str>, SocketAddr)>,
    /// The ids.
    pub learned: Learned,
}

/// All that came from the process before.
#[derive(Debug, Default)]
pub struct Inheritance {
    /// Sessions.
    pub batches: Vec<Batch>,
    /// Connection ids.
    pub ids: Vec<HandedIds>,
}

impl Inheritance {
    /// Takes out the sessions of the `nth` socket of a place: of that place, or else of what is bound to the
    /// same address under another name.
    pub fn take(&mut self, place: &Place, nth: usize) -> Vec<Handed> {
        let same = |b: &Batch| b.nth == nth && b.place == *place;
        let renamed = |b: &Batch| {
            b.nth == nth && place.address.port() != 0 && b.place.address == place.address
        };
        let named = self.batches.iter().any(|b| b.place == *place);
        let (taken, rest) = std::mem::take(&mut self.batches)
            .into_iter()
            .partition(|b| if named { same(b) } else { renamed(b) });
        self.batches = rest;
        let taken: Vec<Batch> = taken;
        taken.into_iter().flat_map(|b| b.sessions).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, port: u16) -> Place {
        Place {
            listener: name.into(),
            address: ([127, 0, 0, 1], port).into(),
            is_datagram: true,
        }
    }

    fn batch(name: &str, port: u16, nth: usize) -> Batch {
        let one = || Handed {
            key: Key {
                client: ([192, 0, 2, 1], port).into(),
                local: None,
            },
            backend: "b".into(),
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            carried: Carried::default(),
        };
        Batch {
            place: place(name, port),
            nth,
            sessions: vec![one()],
        }
    }

    #[test]
    fn p2_sessions_are_found_by_their_socket_also_where_its_listener_is_called_otherwise() {
        let all = [
            ("game", 0, 0),
            ("game", 0, 1),
            ("voice", 70, 0),
            ("chat", 80, 0),
        ];
        let mut came = Inheritance {
            batches: all.map(|(name, port, nth)| batch(name, port, nth)).into(),
            ids: Vec::new(),
        };
        let mut count = |name, port, nth| came.take(&place(name, port), nth).len();
        assert_eq!(count("game", 0, 1), 1);
        assert_eq!(count("game", 0, 1), 0, "each once");
        assert_eq!(count("play", 0, 0), 0, "port 0 is any");
        assert_eq!(count("speech", 70, 1), 0);
        assert_eq!(count("speech", 70, 0), 1);
        // It is not renamed: another listener only wants its address too.
        assert_eq!(count("chat", 80, 1), 0);
        assert_eq!(count("game", 0, 0) + count("chat", 80, 0), 2);
    }
}
