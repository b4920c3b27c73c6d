//! How an upstream chooses a backend: which algorithm, and what a hash is taken of.

use std::net::IpAddr;

use super::tuple::Tuple;
use crate::balance::mix::{hash_bytes, mix};
use crate::message::{Name, RequestHead};

/// How a backend is chosen. All heed weights.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Algorithm {
    /// In turn, smoothly by weight.
    #[default]
    RoundRobin,
    /// The fewest requests under way for its weight.
    LeastConnections,
    /// The lowest recent response time, weighed by the requests under way.
    LeastTime,
    /// The less busy of two drawn at random.
    TwoChoices,
    /// By weight at random.
    Random,
    /// By something of the request.
    Hash(Hashing),
}

/// What is hashed, and how the hash names a backend.
#[derive(Clone, PartialEq, Debug)]
pub struct Hashing {
    /// What is hashed.
    pub on: HashKey,
    /// How the hash names a backend.
    pub method: HashMethod,
    /// A backend with more than so many times its share of the requests under way takes no more;
    /// above 1.
    pub bound: Option<f64>,
}

/// How a hash names a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum HashMethod {
    /// A Maglev table: consistent, even.
    #[default]
    Maglev,
    /// A ring of points: consistent, less even, small for few backends.
    Ring,
    /// The remainder of the sum of weights: even, moves nearly all when the backends change.
    Modulo,
}

/// What of a request is hashed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HashKey {
    /// The client's address.
    Source,
    /// Source, destination and transport of a connection; not of a request.
    Tuple,
    /// The host, without port.
    Host,
    /// The path, without query.
    Path,
    /// Path and query.
    Uri,
    /// The first field of the name.
    Header(Name),
    /// The cookie of the name.
    Cookie(Box<[u8]>),
    /// The query parameter of the name, as sent.
    Query(Box<[u8]>),
}

impl HashKey {
    /// The hash of what a request has of it; of the client's address where it has none.
    pub fn hash(&self, head: &RequestHead, client: IpAddr) -> u64 {
        self.of(head)
            .map_or_else(|| hash_address(client), hash_bytes)
    }

    /// The hash of what a connection has of it, of whose octets nothing is known.
    pub fn hash_connection(&self, tuple: &Tuple) -> u64 {
        match self {
            HashKey::Tuple => tuple.hash(),
            _ => hash_address(tuple.source.ip()),
        }
    }

    /// Whether connections have it, too, of whose octets nothing is known.
    pub fn is_of_connections(&self) -> bool {
        matches!(self, HashKey::Source | HashKey::Tuple)
    }

    /// What a request has of it; `None` also for the client's address.
    pub fn of<'a>(&self, head: &'a RequestHead) -> Option<&'a [u8]> {
        let found = match self {
            HashKey::Source | HashKey::Tuple => None,
            HashKey::Host => Some(head.host()),
            HashKey::Path => Some(head.path()),
            HashKey::Uri => Some(&head.target[..]),
            HashKey::Header(name) => head.fields.get_named(name),
            HashKey::Cookie(name) => head.cookie(name),
            HashKey::Query(name) => head.parameter(name),
        };
        found.filter(|text| !text.is_empty())
    }
}

/// The hash of an address; an IPv4 address in IPv6 form is the IPv4 address.
pub fn hash_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(v4) => mix(u64::from(u32::from(v4)) ^ 0x5472_6164_6577_696e),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6);
            mix(mix((bits >> 64) as u64) ^ bits as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_what_is_hashed_of_a_request() {
        let mut head = RequestHead {
            authority: b"www.example:8080".to_vec(),
            target: b"/a/b?user=7&x=".to_vec(),
            ..RequestHead::default()
        };
        head.fields.push(b"X-User", b"seven");
        head.fields.push(b"Cookie", b"sid=s1");
        let client = IpAddr::from([192, 0, 2, 1]);
        let of = |key: HashKey| key.of(&head).map(<[u8]>::to_vec);
        assert_eq!(of(HashKey::Host).unwrap(), b"www.example");
        assert_eq!(of(HashKey::Path).unwrap(), b"/a/b");
        assert_eq!(of(HashKey::Uri).unwrap(), b"/a/b?user=7&x=");
        assert_eq!(of(HashKey::Header(Name::new(b"x-user"))).unwrap(), b"seven");
        assert_eq!(of(HashKey::Cookie((*b"sid").into())).unwrap(), b"s1");
        assert_eq!(of(HashKey::Query((*b"user").into())).unwrap(), b"7");
        // What is absent or empty is replaced by the client's address.
        let absent = HashKey::Query((*b"x").into());
        assert_eq!(absent.hash(&head, client), hash_address(client));
        assert_eq!(HashKey::Source.hash(&head, client), hash_address(client));
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(hash_address(mapped), hash_address(client));
        assert_ne!(
            hash_address(client),
            hash_address(IpAddr::from([192, 0, 2, 2]))
        );
    }
}
