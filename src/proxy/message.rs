//! A request and its response on their way through the proxy, whatever version carried them.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::ids::ListenerId;
use crate::message::{RequestHead, ResponseHead};

use super::body::Body;
use super::io::Io;
use super::upstream::Lease;

/// The other end of a client's connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The listener that was reached.
    pub listener: ListenerId,
    /// The source of the connection, or what a PROXY protocol header said.
    pub source: SocketAddr,
    /// Where it arrived.
    pub local: SocketAddr,
    /// What TLS agreed on; `None` without TLS.
    pub tls: Option<Rc<TlsFacts>>,
    /// Differs from that of every other connection of its worker; not 0.
    pub number: u64,
}

impl Peer {
    /// The source's address.
    pub fn ip(&self) -> IpAddr {
        self.source.ip()
    }
}

/// What a TLS handshake agreed on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as IANA names it.
    pub cipher: Box<str>,
    /// The server name asked for.
    pub sni: Option<Box<str>>,
    /// The subject of the client's certificate, verified (RFC 4514, printable ASCII).
    pub client_subject: Option<Box<str>>,
    /// What else the client's certificate says.
    pub client: Option<Box<ClientCertificate>>,
}

/// A client's certificate, verified.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientCertificate {
    /// First common name of the subject.
    pub common_name: Option<Box<str>>,
    /// The issuer (RFC 4514, printable ASCII).
    pub issuer: Box<str>,
    /// Serial number, hexadecimal.
    pub serial: Box<str>,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: Box<str>,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// Its head, without hop-by-hop fields and without `host`.
    pub head: Box<RequestHead>,
    /// Its body.
    pub body: Body,
    /// The protocol that it asks to go on with (RFC 9110 section 7.8), in lower case.
    pub upgrade: Option<Box<[u8]>>,
    /// Where interim answers (1xx) go; `None`: the client cannot be sent any.
    pub interim: Option<Interim>,
}

/// Interim answers that wait to be sent to a client of HTTP/1.1, as octets.
pub type Interim = Rc<RefCell<Vec<u8>>>;

/// A response.
pub struct Response {
    /// Its head, without hop-by-hop fields.
    pub head: Box<ResponseHead>,
    /// Its body.
    pub body: Body,
    /// The backend's connection, when it has switched protocols (status 101), and the protocol's name.
    pub upgrade: Option<Box<Upgraded>>,
    /// Whether the client's connection ends with it.
    pub close: bool,
}

/// A backend's connection that speaks another protocol now.
pub struct Upgraded {
    /// The connection.
    pub io: Io,
    /// What the backend sent already.
    pub ahead: bytes::BytesMut,
    /// The protocol's name.
    pub protocol: Box<[u8]>,
    /// Counts it at its server for as long as it is open.
    pub lease: Option<Lease>,
}

impl Response {
    /// A response with this head and body.
    pub fn new(head: ResponseHead, body: Body) -> Response {
        Response {
            head: Box::new(head),
            body,
            upgrade: None,
            close: false,
        }
    }
}
