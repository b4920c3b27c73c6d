//! What stands between accept and HTTP: the PROXY protocol, then TLS.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::net::TcpStream;

use crate::net::proxy_header::Header;
use crate::tls::subject;
use crate::traffic::Listener;

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

/// Lets a connection in; `None` when it does not come to HTTP. Bounded in time by itself.
pub async fn enter(
    mut tcp: TcpStream,
    source: SocketAddr,
    local: SocketAddr,
    listener: &Listener,
    tls: Option<&ListenerTls>,
) -> Option<Entered> {
    let (mut from, mut to, mut facts) = (source, local, None);
    if let Some(rules) = &listener.proxy_protocol {
        match proxy_protocol::begin(rules, &mut tcp, source).await {
            Ok(None) => {}
            Ok(Some(header)) => {
                if let Some(said) = &header.endpoints {
                    (from, to) = (said.source, said.destination);
                }
                facts = in_front(header).map(Rc::new);
            }
            Err(why) => {
                let name = &listener.name;
                tracing::debug!(%source, listener = %name, "connection refused: {why}");
                return None;
            }
        }
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
