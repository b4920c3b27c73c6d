//! Who the client is.

use std::net::{IpAddr, SocketAddr};

use crate::message::{Fields, Known, Name, Scheme};
use crate::net::Prefix;

use super::element::{elements, node, scheme};

/// The field in which the trusted proxies of a listener say who asked.
///
/// It is one field: a proxy that extends one of them hands the others on as they came, so whoever reads
/// them all reads what the client wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// `X-Forwarded-For`, `X-Forwarded-Proto`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// A field that holds one address.
    Field(Name),
}

/// How the client of a listener is found.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Sources that are believed.
    pub trusted: Box<[Prefix]>,
    /// Where they say it.
    pub said: Said,
    /// The client is the address so many hops from the right, 1 being the last one, whoever the proxies
    /// in between are; `None`: the last address that is not trusted.
    pub hops: Option<u8>,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            trusted: Box::default(),
            said: Said::XForwarded,
            hops: None,
        }
    }
}

/// The client of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Client {
    /// Its address; port 0 where a proxy does not say it.
    pub address: SocketAddr,
    /// Whether the connection comes from a trusted proxy, so that what it says is handed on.
    pub trusted: bool,
    /// How the client reached the first proxy, where a trusted one says it.
    pub scheme: Option<Scheme>,
}

/// More addresses than this are not looked at: a chain of proxies is short.
const LONGEST_CHAIN: usize = 64;

impl Reading {
    /// Whether `source` is believed.
    pub fn trusts(&self, source: IpAddr) -> bool {
        !self.trusted.is_empty() && self.is_trusted(source.to_canonical())
    }

    fn is_trusted(&self, source: IpAddr) -> bool {
        self.trusted.iter().any(|p| p.contains(source))
    }

    /// The client of a request that came from `peer`: the connection's source, or what the PROXY
    /// protocol says it is.
    #[inline]
    pub fn client(&self, peer: SocketAddr, fields: &Fields) -> Client {
        if !self.trusts(peer.ip()) {
            return Client {
                address: peer,
                trusted: false,
                scheme: None,
            };
        }
        self.told(peer, fields)
    }

    fn told(&self, peer: SocketAddr, fields: &Fields) -> Client {
        let (address, scheme) = match &self.said {
            Said::XForwarded => {
                let mut chain = Chain::new();
                for member in fields.members(Known::XForwardedFor) {
                    chain.push(node(member));
                }
                // The last one: those before it are of the client's side.
                let proto = fields.members(Known::XForwardedProto).last();
                (self.walk(peer, &chain).0, proto.and_then(scheme))
            }
            Said::Forwarded => {
                let mut chain = Chain::new();
                let mut schemes = Chain::new();
                for line in fields.all(Known::Forwarded) {
                    for element in elements(line) {
                        chain.push(element.client);
                        schemes.push(element.scheme);
                    }
                }
                let (address, at) = self.walk(peer, &chain);
                (address, at.and_then(|at| schemes.get(at)))
            }
            Said::Field(name) => {
                // Several are ambiguous: one of them may be the client's own.
                let mut all = fields.all_named(name);
                let only = all.next().filter(|_| all.next().is_none());
                let proto = fields.members(Known::XForwardedProto).last();
                let address = only.and_then(|v| node(v.trim_ascii()));
                (address.unwrap_or(peer), proto.and_then(scheme))
            }
        };
        Client {
            address,
            trusted: true,
            scheme,
        }
    }

    /// Walks from the right to the left while the addresses are trusted, or so many hops. An address
    /// that cannot be read ends the walk: who stands before it was vouched for by nobody. Also the place
    /// of the address in the chain; `None`: it is the peer's.
    fn walk(&self, peer: SocketAddr, chain: &Chain<SocketAddr>) -> (SocketAddr, Option<usize>) {
        let mut found = (peer, None);
        for (hop, at) in (0..chain.len).rev().enumerate() {
            let Some(address) = chain.get(at) else {
                break;
            };
            found = (address, Some(at));
            let done = match self.hops {
                Some(hops) => hop + 1 >= usize::from(hops),
                None => !self.is_trusted(address.ip()),
            };
            if done {
                break;
            }
        }
        found
    }
}

/// The last elements of a list, by their distance from its start; older ones are forgotten.
struct Chain<T> {
    last: [Option<T>; LONGEST_CHAIN],
    len: usize,
}

impl<T: Copy> Chain<T> {
    fn new() -> Chain<T> {
        Chain {
            last: [None; LONGEST_CHAIN],
            len: 0,
        }
    }

    fn push(&mut self, item: Option<T>) {
        self.last[self.len % LONGEST_CHAIN] = item;
        self.len += 1;
    }

    /// The element at `at`, unless it is unreadable or too far back.
    fn get(&self, at: usize) -> Option<T> {
        let near = at + LONGEST_CHAIN >= self.len;
        near.then(|| self.last[at % LONGEST_CHAIN]).flatten()
    }
}
