//! What is asked, over what, and how much of it at once.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::{Error, wire};

/// Octets of a small body.
pub(crate) const SMALL: usize = 128;
/// Octets of a large one.
pub(crate) const LARGE: usize = 64 << 10;

/// At layer 4: octets of a request, and of an answer that is what was asked.
pub(crate) const ASKED: usize = 64;
/// Octets of a long stream.
pub(crate) const BULK: usize = 1 << 20;
/// What a connection begins with that is to get long streams.
pub(crate) const ASK_BULK: u8 = b'b';

/// Of the workload `routes`: hosts, and paths of each.
const HOSTS: usize = 100;
const PATHS: usize = 100;

/// How a connection is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// HTTP/1.1, one request after the other.
    Keep,
    /// HTTP/1.1, one request.
    Once,
    /// HTTP/2, so many requests at once.
    Streams(usize),
    /// Octets that are not HTTP, one exchange after the other.
    Octets,
    /// The same, one exchange, after which the client closes.
    OctetsOnce,
}

/// What carries the octets.
#[derive(Clone)]
pub(crate) enum Over {
    Tcp,
    Tls(Arc<ClientConfig>),
    Udp,
}

pub(crate) struct Workload {
    /// Open at once.
    pub(crate) connections: usize,
    pub(crate) usage: Use,
    pub(crate) over: Over,
    /// What is sent, one of them at a time: HTTP/1.1 requests, HTTP/2 field blocks, or any octets.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Octets of an answer's body, or of the answer where it is not HTTP.
    pub(crate) length: u64,
}

fn request(host: &str, path: &str, more: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: proxy_load\r\nAccept: */*\r\n{more}\r\n"
    )
    .into_bytes()
}

impl Workload {
    pub(crate) fn of(name: &str) -> Result<Workload, Error> {
        let host = "www.bench.example";
        let keep = Workload {
            connections: 50,
            usage: Use::Keep,
            over: Over::Tcp,
            requests: vec![request(host, "/", "")],
            length: SMALL as u64,
        };
        let round = || Workload {
            connections: 50,
            usage: Use::Octets,
            over: Over::Tcp,
            requests: vec![vec![b'e'; ASKED]],
            length: ASKED as u64,
        };
        Ok(match name {
            "plain" => keep,
            "64k" => Workload {
                requests: vec![request(host, "/64k", "")],
                length: LARGE as u64,
                ..keep
            },
            "tls" => Workload {
                over: Over::Tls(wire::client(b"http/1.1")?),
                ..keep
            },
            "handshake" => Workload {
                connections: 16,
                usage: Use::Once,
                over: Over::Tls(wire::client(b"http/1.1")?),
                requests: vec![request(host, "/", "Connection: close\r\n")],
                ..keep
            },
            "h2" => Workload {
                connections: 10,
                usage: Use::Streams(10),
                over: Over::Tls(wire::client(b"h2")?),
                requests: vec![],
                ..keep
            },
            "routes" => Workload {
                requests: (0..HOSTS * PATHS)
                    .filter(|i| i % 2 == 0)
                    .map(|i| {
                        let (host, path) = (i / PATHS, i % PATHS);
                        request(
                            &format!("h{host}.bench.example"),
                            &format!("/p{path}/x"),
                            "",
                        )
                    })
                    .collect(),
                ..keep
            },
            "tcp-bulk" => Workload {
                connections: 4,
                requests: vec![vec![ASK_BULK; ASKED]],
                length: BULK as u64,
                ..round()
            },
            "tcp-round" => round(),
            "tcp-one" => Workload {
                connections: 1,
                ..round()
            },
            "tcp-connect" => Workload {
                connections: 16,
                usage: Use::OctetsOnce,
                ..round()
            },
            "udp" => Workload {
                over: Over::Udp,
                ..round()
            },
            _ => return Err(format!("there is no workload `{name}`").into()),
        })
    }
}
