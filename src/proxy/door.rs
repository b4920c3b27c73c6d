//! What stands between accept and HTTP: the PROXY protocol, then TLS.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use crate::net::proxy_header::Header;
use crate::tls::subject;
use crate::traffic::Listener;
use crate::traffic::proxy_protocol::ProxyProtocol;

use super::io::Io;
use super::message::TlsFacts;
use super::proxy_protocol;
use super::tls::{Alpn, HandshakeError, ListenerTls, accept};

/// A connection on which HTTP can begin.
pub struct Entered {
    /// The connection.
    pub io: Io,
    /// Who it is for.
    pub source: SocketAddr,
    /// Where that one connected to.
    pub local: SocketAddr,
    /// What TLS agreed on, here or at the proxy in front.
    pub tls: Option<Rc<TlsFacts>>,
    /// Whether HTTP/2 was agreed on.
    pub http2: bool,
}

/// Whom a connection is for, as far as the proxy in front says.
pub struct Announced {
    /// The client.
    pub source: SocketAddr,
    /// Where it connected to.
    pub local: SocketAddr,
    /// What the client's TLS agreed on with the proxy in front.
    pub tls: Option<Rc<TlsFacts>>,
}

/// Reads what must stand at the start of a connection from `source` to `local`, and not an octet more;
/// `None` when the connection is refused. Bounded in time by itself.
pub async fn announced(
    tcp: &mut TcpStream,
    rules: &ProxyProtocol,
    listener: &Listener,
    (source, local): (SocketAddr, SocketAddr),
) -> Option<Announced> {
    let header = match proxy_protocol::begin(rules, tcp, source).await {
        Ok(header) => header.unwrap_or_default(),
        Err(why) => {
            let name = &listener.name;
            tracing::debug!(%source, listener = %name, "connection refused: {why}");
            return None;
        }
    };
    let (source, local) = match &header.endpoints {
        Some(said) => (said.source, said.destination),
        None => (source, local),
    };
    Some(Announced {
        source,
        local,
        tls: in_front(header).map(Rc::new),
    })
}

/// Lets a connection in; `None` when it does not come to HTTP. Bounded in time by itself. `handed`:
/// another listener read what stands before TLS.
pub async fn enter(
    mut tcp: TcpStream,
    source: SocketAddr,
    local: SocketAddr,
    listener: &Listener,
    tls: Option<&ListenerTls>,
    handed: bool,
) -> Option<Entered> {
    let (mut from, mut to, mut facts) = (source, local, None);
    if let Some(rules) = listener.proxy_protocol.as_ref().filter(|_| !handed) {
        let said = announced(&mut tcp, rules, listener, (source, local)).await?;
        (from, to, facts) = (said.source, said.local, said.tls);
    }
    let Some(tls) = tls else {
        return Some(Entered {
            io: Io::Tcp(tcp),
            source: from,
            local: to,
            tls: facts,
            http2: false,
        });
    };
    match accept(tcp, tls, listener.timeouts.head).await {
        Ok((stream, agreed)) => Some(Entered {
            io: Io::Tls(Box::new(stream.into())),
            source: from,
            local: to,
            http2: agreed.alpn == Alpn::Http2,
            tls: Some(agreed.facts),
        }),
        Err(HandshakeError::Left) => None,
        Err(why) => {
            let name = &listener.name;
            tracing::debug!(source = %from, listener = %name, "no TLS handshake: {why}");
            None
        }
    }
}

/// What the proxy in front says of its client's TLS.
fn in_front(header: Header) -> Option<TlsFacts> {
    let said = header.facts.tls?;
    Some(TlsFacts {
        version: match said.version.as_deref() {
            Some("TLSv1.3") => "TLSv1.3",
            Some("TLSv1.2") => "TLSv1.2",
            _ => "TLS",
        },
        sni: header.facts.authority,
        client_subject: said
            .verified_name
            .map(|name| subject::of_common_name(&name).into()),
        ..TlsFacts::default()
    })
}
