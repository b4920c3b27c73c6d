//! What is known of an exchange: what variables stand for.

use std::net::SocketAddr;

use crate::message::{RequestHead, ResponseHead};

/// What is known of an exchange while it runs. Names that are not known yet are empty.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request.
    pub head: &'a RequestHead,
    /// The response, once there is one.
    pub response: Option<&'a ResponseHead>,
    /// The status of the response, once there is one; 0 before.
    pub status: u16,
    /// The client: the connection's source, or what a trusted proxy says. Port 0: not known.
    pub client: SocketAddr,
    /// The name of the listener.
    pub listener: &'a str,
    /// The port of the listener that the client reached.
    pub port: u16,
    /// The name of the route.
    pub route: &'a str,
    /// The name of the upstream.
    pub upstream: &'a str,
    /// The name of the backend.
    pub backend: &'a str,
    /// The name of this node.
    pub node: &'a str,
    /// The name of this node's region.
    pub region: &'a str,
    /// The request's id.
    pub request_id: &'a [u8],
    /// The client's TLS connection.
    pub tls: TlsView<'a>,
}

impl<'a> Facts<'a> {
    /// Only the request and the client are known.
    pub fn new(head: &'a RequestHead, client: SocketAddr) -> Facts<'a> {
        Facts {
            head,
            response: None,
            status: 0,
            client,
            listener: "",
            port: 0,
            route: "",
            upstream: "",
            backend: "",
            node: "",
            region: "",
            request_id: b"",
            tls: TlsView::default(),
        }
    }
}

/// What is known of a client's TLS connection; empty where it is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TlsView<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'a str,
    /// The cipher suite, by its IANA name.
    pub cipher: &'a str,
    /// The server name that the client asked for.
    pub server_name: &'a str,
    /// The subject of the client's certificate (RFC 4514), once it is verified.
    pub client_subject: &'a str,
}
