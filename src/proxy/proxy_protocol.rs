//! The PROXY protocol on connections: read from those who may say whom they speak for, written to
//! backends that want to know.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::net::proxy_header::{self, Header, HeaderError};
use crate::net::proxy_tlv::{Facts, FrontTls};
use crate::net::proxy_v2::{Endpoints, LONGEST};
use crate::net::{proxy_v1, proxy_v2};
use crate::traffic::proxy_protocol::{Beginning, ProxyProtocol, ProxyVersion};

use super::message::TlsFacts;

/// Why a connection is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RefusedConnection {
    /// It comes from elsewhere than the configured proxies.
    #[error("it is from none of `proxy-protocol.from`, and `proxy-protocol.others` is \"refuse\"")]
    Stranger,
    /// Its header is none.
    #[error("{0}")]
    Header(HeaderError),
    /// Its header did not come in time.
    #[error("the PROXY header did not come in time")]
    Timeout,
    /// The proxy left before its header was whole.
    #[error("the connection ended before the PROXY header did")]
    Cut,
    /// The connection.
    #[error("{0}")]
    Io(io::Error),
}

/// Reads what must stand at the start of a connection from `peer`, and not an octet more. `None`: nothing
/// must.
///
/// # Errors
/// [`RefusedConnection`]: the connection is to be closed without an answer, since nobody sound is there
/// to read one.
pub async fn begin(
    rules: &ProxyProtocol,
    stream: &mut TcpStream,
    peer: SocketAddr,
) -> Result<Option<Header>, RefusedConnection> {
    match rules.of(peer.ip()) {
        Beginning::Plain => Ok(None),
        Beginning::Refused => Err(RefusedConnection::Stranger),
        Beginning::Header => match timeout(rules.timeout, read(stream)).await {
            Ok(read) => read.map(Some),
            Err(_) => Err(RefusedConnection::Timeout),
        },
    }
}

async fn read(stream: &mut TcpStream) -> Result<Header, RefusedConnection> {
    use RefusedConnection::{Cut, Io};
    // Of nearly all headers this is the whole, and a request or a ClientHello comes behind it.
    let mut window = vec![0; 256];
    // Octets of the window that are taken off the stream already.
    let mut taken = 0;
    loop {
        let seen = taken + stream.peek(&mut window[taken..]).await.map_err(Io)?;
        if seen == taken {
            return Err(Cut);
        }
        let need = match proxy_header::parse(&window[..seen]) {
            Ok((header, len)) => {
                stream
                    .read_exact(&mut window[taken..len])
                    .await
                    .map_err(Io)?;
                return Ok(header);
            }
            Err(HeaderError::Incomplete(need)) => need,
            Err(error) => return Err(RefusedConnection::Header(error)),
        };
        // All that is there belongs to the header. It is taken, so that the next look waits for more.
        stream
            .read_exact(&mut window[taken..seen])
            .await
            .map_err(Io)?;
        taken = seen;
        let want = need.max(taken + 1).min(LONGEST);
        if window.len() < want {
            window.resize(want, 0);
        }
    }
}

/// The octets that tell a backend whom a connection is for. `endpoints`: `None` for a connection of our
/// own. `sni`: the name that TLS asks for which does not end here.
pub fn header(
    version: ProxyVersion,
    endpoints: Option<&Endpoints>,
    tls: Option<&TlsFacts>,
    sni: Option<&str>,
) -> Vec<u8> {
    let mut octets = Vec::with_capacity(proxy_v1::LONGEST);
    match version {
        ProxyVersion::V1 => proxy_v1::write(endpoints, &mut octets),
        ProxyVersion::V2 => {
            let seen = || Facts {
                authority: sni.map(Into::into),
                tls: None,
            };
            let facts = tls.map_or_else(seen, |tls| Facts {
                authority: tls.sni.clone().or_else(|| sni.map(Into::into)),
                tls: Some(FrontTls {
                    version: Some(tls.version.into()),
                    verified_name: tls.client.as_ref().and_then(|c| c.common_name.clone()),
                }),
            });
            proxy_v2::write(endpoints, &facts, &mut octets);
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    fn rules(from: &str) -> ProxyProtocol {
        ProxyProtocol {
            from: vec![from.parse().unwrap()],
            refuse_others: true,
            timeout: Duration::from_millis(300),
        }
    }

    /// What comes of a connection on which `parts` are sent one by one, and what is left on it.
    async fn told(
        parts: &[&[u8]],
        close: bool,
    ) -> (Result<Option<Header>, RefusedConnection>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.set_nodelay(true).unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        let rules = rules("127.0.0.0/8");
        let sending = async {
            for part in parts {
                client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            if close {
                client.shutdown().await.unwrap();
            }
        };
        let (got, ()) = tokio::join!(begin(&rules, &mut server, peer), sending);
        let mut rest = vec![0; 100];
        let n = server.try_read(&mut rest).unwrap_or(0);
        rest.truncate(n);
        (got, rest)
    }

    #[tokio::test]
    async fn not_an_octet_beyond_the_header_is_taken() {
        let said = Endpoints {
            source: "203.0.113.7:56324".parse().unwrap(),
            destination: "192.0.2.1:443".parse().unwrap(),
        };
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            let octets = header(version, Some(&said), None, None);
            let whole = [&octets[..], b"rest"].concat();
            let (got, rest) = told(&[&whole], false).await;
            assert_eq!(got.unwrap().unwrap().endpoints, Some(said));
            assert_eq!(rest, b"rest");
            let single: Vec<&[u8]> = octets.chunks(1).collect();
            let (got, rest) = told(&single, false).await;
            assert_eq!(got.unwrap().unwrap().endpoints, Some(said));
            assert_eq!(rest, b"");
        }
    }

    #[tokio::test]
    async fn a_long_header_is_read_in_parts() {
        let mut octets = Vec::new();
        let said = Endpoints {
            source: "203.0.113.7:1".parse().unwrap(),
            destination: "192.0.2.1:443".parse().unwrap(),
        };
        proxy_v2::write(Some(&said), &Facts::default(), &mut octets);
        octets.extend_from_slice(&[0xEE, 0x08, 0]);
        octets.extend_from_slice(&[7; 2_048]);
        let len = u16::try_from(octets.len() - 16).unwrap();
        octets[14..16].copy_from_slice(&len.to_be_bytes());
        octets.extend_from_slice(b"rest");
        let (got, rest) = told(&[&octets], false).await;
        assert_eq!(got.unwrap().unwrap().endpoints, Some(said));
        assert_eq!(rest, b"rest");
    }

    #[tokio::test]
    async fn what_is_slow_cut_off_or_no_header_is_refused() {
        let (got, _) = told(&[b"PROXY TCP4 "], false).await;
        assert!(matches!(got, Err(RefusedConnection::Timeout)), "{got:?}");
        let (got, _) = told(&[b"PROXY TCP4 "], true).await;
        assert!(matches!(got, Err(RefusedConnection::Cut)), "{got:?}");
        let (got, _) = told(&[], true).await;
        assert!(matches!(got, Err(RefusedConnection::Cut)), "{got:?}");
        let (got, _) = told(&[b"GET / HTTP/1.1\r\n"], false).await;
        let is_none = matches!(got, Err(RefusedConnection::Header(HeaderError::Neither)));
        assert!(is_none, "{got:?}");
    }

    #[tokio::test]
    async fn strangers_are_refused_or_taken_as_they_are() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let mut client = client.await.unwrap();
        let (_server, peer) = listener.accept().await.unwrap();
        let mut rules = rules("192.0.2.0/24");
        let got = begin(&rules, &mut client, peer).await;
        assert!(matches!(got, Err(RefusedConnection::Stranger)), "{got:?}");
        rules.refuse_others = false;
        assert_eq!(begin(&rules, &mut client, peer).await.unwrap(), None);
    }
}
