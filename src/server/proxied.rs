//! Queries through trusted proxies: their PROXY protocol headers say who asks.
//!
//! From a trusted source every connection and every datagram must begin with a header; from all
//! others none is looked for, so that nobody else can claim an address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::net::Prefix;
use crate::net::proxy_v2::{LONGEST, ProxyError, parse};

/// The sources whose headers are believed. Cheap to clone.
#[derive(Clone, Default, Debug)]
pub struct Proxies(Arc<[Prefix]>);

impl Proxies {
    /// Believes the headers of these sources.
    pub fn new(from: impl IntoIterator<Item = Prefix>) -> Proxies {
        Proxies(from.into_iter().collect())
    }

    /// Whether no source is trusted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this source's headers are believed.
    pub fn trust(&self, source: IpAddr) -> bool {
        self.0.iter().any(|p| p.contains(source))
    }

    /// The query in a datagram from `peer`, and who asks.
    ///
    /// # Errors
    /// When the source is trusted and the datagram does not begin with a whole, sane header.
    pub(super) fn datagram<'p>(
        &self,
        packet: &'p [u8],
        peer: SocketAddr,
    ) -> Result<(&'p [u8], SocketAddr), ProxyError> {
        if !self.trust(peer.ip().to_canonical()) {
            return Ok((packet, peer));
        }
        let (who, len) = parse(packet)?;
        Ok((&packet[len..], who.map_or(peer, |w| w.source)))
    }

    /// Reads the header of a connection from `peer`, if there must be one, and nothing beyond it.
    /// Returns who asks.
    ///
    /// # Errors
    /// `InvalidData` with a [`ProxyError`] when there is no sane header, else when reading fails.
    pub(super) async fn stream(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        peer: SocketAddr,
    ) -> io::Result<SocketAddr> {
        if !self.trust(peer.ip().to_canonical()) {
            return Ok(peer);
        }
        let mut octets = Vec::with_capacity(64);
        loop {
            match parse(&octets) {
                Ok((who, _)) => return Ok(who.map_or(peer, |w| w.source)),
                Err(ProxyError::Incomplete(need)) => {
                    // What `parse` says is missing belongs to the header for sure.
                    let from = octets.len();
                    octets.resize(need.min(LONGEST), 0);
                    stream.read_exact(&mut octets[from..]).await?;
                }
                Err(error) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        error.to_string(),
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x12\x00\x0f\xcb\x00\x71\x07\xc0\x00\x02\x01\xdc\x04\x00\x35\xee\x00\x00";

    fn proxies() -> Proxies {
        Proxies::new(["192.0.2.1/32".parse().unwrap()])
    }

    fn proxy() -> SocketAddr {
        "192.0.2.1:4000".parse().unwrap()
    }

    fn client() -> SocketAddr {
        "203.0.113.7:56324".parse().unwrap()
    }

    #[test]
    fn datagrams_of_trusted_sources_must_have_a_header() {
        let mut packet = HEADER.to_vec();
        packet.extend_from_slice(b"query");
        let got = proxies().datagram(&packet, proxy());
        assert_eq!(got, Ok((&b"query"[..], client())));
        let bare = proxies().datagram(b"query", proxy());
        assert_eq!(bare, Err(ProxyError::Signature));
        let cut = proxies().datagram(&HEADER[..20], proxy());
        assert_eq!(cut, Err(ProxyError::Incomplete(HEADER.len())));
    }

    #[test]
    fn headers_of_others_are_not_read() {
        let stranger: SocketAddr = "192.0.2.2:4000".parse().unwrap();
        let got = proxies().datagram(HEADER, stranger);
        assert_eq!(got, Ok((HEADER, stranger)));
        let nobody = Proxies::default();
        assert_eq!(nobody.datagram(HEADER, proxy()), Ok((HEADER, proxy())));
    }

    #[tokio::test]
    async fn of_a_stream_nothing_beyond_the_header_is_read() {
        let mut all = HEADER.to_vec();
        all.extend_from_slice(b"rest");
        let mut stream = &all[..];
        let got = proxies().stream(&mut stream, proxy()).await.unwrap();
        assert_eq!(got, client());
        assert_eq!(stream, b"rest");
        let mut bare = &b"a plain DNS message"[..];
        let error = proxies().stream(&mut bare, proxy()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
