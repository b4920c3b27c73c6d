//! What the two processes of a takeover say to each other.
//!
//! One packet is one message: an octet that says which, then text. Descriptors travel beside
//! [`Message::Sockets`].

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::sessions::{Passed, read_ids, write_ids};
use crate::proxy::udp::HandedIds;

/// The version of what is said. Two processes speak the older one of theirs.
pub const VERSION: u32 = 2;

/// Since when sessions of datagrams, flows in the kernel and what is remembered go over.
pub const SESSIONS_SINCE: u32 = 2;

/// How a process of version 1, which knows no other, refuses one.
pub const ONLY_THE_FIRST: &str = "the running process speaks version 1 of the takeover";

/// What a passed socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// DNS over UDP; one per worker.
    DnsUdp,
    /// DNS over TCP.
    DnsTcp,
    /// DNS over TLS.
    Dot,
    /// DNS over HTTPS.
    Doh,
    /// DNS over QUIC.
    Doq,
    /// The admin API.
    Admin,
    /// Gossip of the fleet, over QUIC.
    Gossip,
    /// Where nodes push that are no members.
    Ingest,
    /// A listener of the proxy that takes connections; one per worker.
    ProxyStream,
    /// A listener of the proxy that takes datagrams; one per worker.
    ProxyDatagram,
    /// Where takeovers are asked for.
    Takeover,
    /// A map of the kernel that the proxy forwards by; its name is the label's.
    KernelMap,
    /// A file in memory with what a process remembers; its name is the label's.
    Kept,
}

impl Kind {
    const WORDS: [(Kind, &'static str); 13] = [
        (Kind::DnsUdp, "dns-udp"),
        (Kind::DnsTcp, "dns-tcp"),
        (Kind::Dot, "dot"),
        (Kind::Doh, "doh"),
        (Kind::Doq, "doq"),
        (Kind::Admin, "admin"),
        (Kind::Gossip, "gossip"),
        (Kind::Ingest, "ingest"),
        (Kind::ProxyStream, "proxy-stream"),
        (Kind::ProxyDatagram, "proxy-datagram"),
        (Kind::Takeover, "takeover"),
        (Kind::KernelMap, "kernel-map"),
        (Kind::Kept, "kept"),
    ];

    /// The version since which it is understood.
    pub fn since(self) -> u32 {
        match self {
            Kind::KernelMap | Kind::Kept => SESSIONS_SINCE,
            _ => 1,
        }
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        let found = Kind::WORDS.iter().find(|(kind, _)| *kind == self);
        found.map_or("", |(_, word)| word)
    }

    fn of(word: &str) -> Option<Kind> {
        let found = Kind::WORDS.iter().find(|(_, w)| *w == word);
        found.map(|(kind, _)| *kind)
    }

    /// Whether it takes datagrams.
    pub fn is_datagram(self) -> bool {
        matches!(
            self,
            Kind::DnsUdp | Kind::Doq | Kind::Gossip | Kind::ProxyDatagram
        )
    }
}

/// Which socket of a node one is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// What it is for.
    pub kind: Kind,
    /// Its address as configured: port 0 stays 0.
    pub configured: SocketAddr,
    /// The name of the proxy's listener; of others empty.
    pub name: Box<str>,
}

impl Label {
    /// A socket that has no name.
    pub fn new(kind: Kind, configured: SocketAddr) -> Label {
        Label {
            kind,
            configured,
            name: "".into(),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.kind.word(), self.configured, self.name)
    }
}

impl FromStr for Label {
    type Err = Garbled;
    fn from_str(line: &str) -> Result<Label, Garbled> {
        let mut words = line.splitn(3, ' ');
        let kind = words.next().and_then(Kind::of).ok_or(Garbled)?;
        let configured = words.next().and_then(|w| w.parse().ok()).ok_or(Garbled)?;
        let name = words.next().ok_or(Garbled)?.into();
        Ok(Label {
            kind,
            configured,
            name,
        })
    }
}

/// A message that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the other process says something that is not understood; restart the node instead")]
pub struct Garbled;

/// What is said. `→` comes from the new process, `←` from the old one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// → Wants to take over.
    Hello {
        /// Of the protocol.
        version: u32,
        /// The node that it runs.
        node: String,
        /// How long its first round of probes may take.
        patience: Duration,
    },
    /// ← The version that both speak. A process of version 1 is not told.
    Speaks(u32),
    /// ← Sockets; the descriptors come beside it, in the same order.
    Sockets(Vec<Label>),
    /// ← That were all.
    AllSockets {
        /// The view in force.
        generation: u64,
    },
    /// → Give up what only one process can have: the state directory, the fleet.
    Release,
    /// ← It is given up.
    Released,
    /// → Clients are served.
    Serving,
    /// ← Sessions of a listening socket; their sockets come beside it, in the same order.
    Sessions {
        /// The place of the socket.
        label: Label,
        /// Which of the sockets of the place it is.
        nth: usize,
        /// The sessions.
        list: Vec<Passed>,
    },
    /// ← Some of the connection ids that a listener has learned.
    Ids(HandedIds),
    /// ← That were all sessions and ids.
    AllSessions,
    /// ← A part of the metrics page; the parts make one text.
    Counts(String),
    /// ← The page is whole.
    AllCounts,
    /// ← Reads nothing that comes anew: what could not be shared is free.
    Left {
        /// The last view that was in force.
        generation: u64,
    },
    /// ← Does not let itself be taken over, or goes on after all: end.
    Refused(String),
    /// → Cannot take over after all.
    GaveUp(String),
}

impl Message {
    /// As octets.
    pub fn encode(&self) -> Vec<u8> {
        let (octet, text) = match self {
            Message::Hello {
                version,
                node,
                patience,
            } => (b'h', format!("{version}\n{}\n{node}", patience.as_millis())),
            Message::Sockets(labels) => {
                let lines = labels.iter().map(ToString::to_string);
                (b's', lines.collect::<Vec<_>>().join("\n"))
            }
            Message::AllSockets { generation } => (b'S', generation.to_string()),
            Message::Speaks(version) => (b'p', version.to_string()),
            Message::Sessions { label, nth, list } => {
                let mut text = format!("{nth} {label}");
                for passed in list {
                    text.push('\n');
                    text.push_str(&passed.to_string());
                }
                (b'u', text)
            }
            Message::Ids(ids) => (b'i', write_ids(ids)),
            Message::AllSessions => (b'U', String::new()),
            Message::Release => (b'r', String::new()),
            Message::Released => (b'R', String::new()),
            Message::Serving => (b'v', String::new()),
            Message::Counts(text) => (b'c', text.clone()),
            Message::AllCounts => (b'C', String::new()),
            Message::Left { generation } => (b'l', generation.to_string()),
            Message::Refused(why) => (b'x', why.clone()),
            Message::GaveUp(why) => (b'g', why.clone()),
        };
        let mut octets = vec![octet];
        octets.extend_from_slice(text.as_bytes());
        octets
    }

    /// Of octets.
    ///
    /// # Errors
    /// When they are no message of this version.
    pub fn decode(octets: &[u8]) -> Result<Message, Garbled> {
        let (octet, text) = octets.split_first().ok_or(Garbled)?;
        let text = std::str::from_utf8(text).map_err(|_| Garbled)?;
        let number = || text.parse().map_err(|_| Garbled);
        let bare = |message: Message| match text {
            "" => Ok(message),
            _ => Err(Garbled),
        };
        match octet {
            b'h' => {
                let mut lines = text.splitn(3, '\n');
                let mut line = || lines.next().ok_or(Garbled);
                let version = line()?.parse().map_err(|_| Garbled)?;
                let patience = line()?.parse().map_err(|_| Garbled)?;
                Ok(Message::Hello {
                    version,
                    node: line()?.to_owned(),
                    patience: Duration::from_millis(patience),
                })
            }
            b's' if text.is_empty() => Ok(Message::Sockets(Vec::new())),
            b's' => {
                let labels = text.split('\n').map(Label::from_str);
                Ok(Message::Sockets(labels.collect::<Result<_, _>>()?))
            }
            b'S' => Ok(Message::AllSockets {
                generation: number()?,
            }),
            b'p' => text.parse().map(Message::Speaks).map_err(|_| Garbled),
            b'u' => {
                let mut lines = text.split('\n');
                let (nth, label) = lines
                    .next()
                    .and_then(|line| line.split_once(' '))
                    .ok_or(Garbled)?;
                Ok(Message::Sessions {
                    label: label.parse()?,
                    nth: nth.parse().map_err(|_| Garbled)?,
                    list: lines.map(Passed::from_str).collect::<Result<_, _>>()?,
                })
            }
            b'i' => read_ids(text).map(Message::Ids),
            b'U' => bare(Message::AllSessions),
            b'r' => bare(Message::Release),
            b'R' => bare(Message::Released),
            b'v' => bare(Message::Serving),
            b'c' => Ok(Message::Counts(text.to_owned())),
            b'C' => bare(Message::AllCounts),
            b'l' => Ok(Message::Left {
                generation: number()?,
            }),
            b'x' => Ok(Message::Refused(text.to_owned())),
            b'g' => Ok(Message::GaveUp(text.to_owned())),
            _ => Err(Garbled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::takeover::sessions::tests::{ids, passed};
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = Label> {
        let kinds = prop::sample::select(Kind::WORDS.map(|(kind, _)| kind).to_vec());
        (kinds, any::<[u8; 4]>(), any::<u16>(), "[a-z0-9 -]{0,20}").prop_map(
            |(kind, ip, port, name)| Label {
                kind,
                configured: (ip, port).into(),
                name: name.into(),
            },
        )
    }

    fn sessions() -> impl Strategy<Value = Message> {
        let list = prop::collection::vec(passed(), 0..5);
        (labels(), 0..9_usize, list).prop_map(|(label, nth, list)| Message::Sessions {
            label,
            nth,
            list,
        })
    }

    fn messages() -> impl Strategy<Value = Message> {
        prop_oneof![
            (any::<u32>(), any::<u32>(), ".*").prop_map(|(version, ms, node)| Message::Hello {
                version,
                node,
                patience: Duration::from_millis(ms.into()),
            }),
            prop::collection::vec(labels(), 0..5).prop_map(Message::Sockets),
            any::<u64>().prop_map(|generation| Message::AllSockets { generation }),
            any::<u64>().prop_map(|generation| Message::Left { generation }),
            any::<u32>().prop_map(Message::Speaks),
            sessions(),
            ids(5).prop_map(Message::Ids),
            Just(Message::AllSessions),
            Just(Message::Release),
            Just(Message::Released),
            Just(Message::Serving),
            Just(Message::AllCounts),
            ".*".prop_map(Message::Counts),
            ".*".prop_map(Message::Refused),
            ".*".prop_map(Message::GaveUp),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(message in messages()) {
            prop_assert_eq!(Message::decode(&message.encode()), Ok(message));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(message) = Message::decode(&octets) {
                let again = Message::decode(&message.encode());
                prop_assert_eq!(again, Ok(message));
            }
        }
    }
}
