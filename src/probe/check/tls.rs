//! The TLS check: passes when the handshake does, and the server chooses one of the protocols asked
//! for, if any are.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::expiry::SeenExpiry;
use super::secure::TlsClient;
use super::socket::connect_tcp;
use crate::health::{Failure, TlsCheck};
use crate::time::Clock;

/// One target's TLS check.
#[derive(Debug)]
pub struct TlsProbe {
    tls: Arc<TlsClient>,
    alpn: Box<[Box<str>]>,
    addr: SocketAddr,
    /// When the certificate that it showed last expires.
    pub(super) expiry: SeenExpiry,
}

impl TlsProbe {
    /// The check `check` of the target `addr`, which `tls` shakes hands for.
    pub fn new(check: &TlsCheck, tls: Arc<TlsClient>, addr: SocketAddr) -> TlsProbe {
        TlsProbe {
            tls,
            alpn: check.alpn.as_slice().into(),
            addr,
            expiry: SeenExpiry::default(),
        }
    }

    /// Shakes hands once, from the address `source` if one is given; gives the time to connect.
    ///
    /// # Errors
    /// When the handshake fails, the certificate does not verify, or the server chooses no protocol.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        self.tls.ready().await?;
        let name = self.tls.name(None, self.addr.ip())?;
        let (stream, rtt) = connect_tcp(self.addr, source, clock).await?;
        let (_closed_at_once, peer) = self.tls.handshake(stream, name).await?;
        self.expiry.saw(peer.not_after);
        // A server that knows ALPN and none of the protocols ends the handshake itself (RFC 7301
        // section 3.2); one that does not know ALPN says nothing of it.
        if !self.alpn.is_empty() && peer.alpn.is_none() {
            return Err(Failure::Unexpected(format!(
                "the server chose no protocol by ALPN, expected `{}`",
                self.alpn.join("` or `")
            )));
        }
        Ok(rtt)
    }
}

#[cfg(test)]
mod tests;
