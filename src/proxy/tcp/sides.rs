//! Both sides of a connection while octets move: what is cut off is seen to be.

use tokio::net::TcpStream;

use crate::proxy::io::Io;

/// One side.
pub trait Side {
    /// The connection of TCP beneath.
    fn tcp(&self) -> Option<&TcpStream>;
}

impl Side for TcpStream {
    fn tcp(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

impl Side for Io {
    fn tcp(&self) -> Option<&TcpStream> {
        Io::tcp(self)
    }
}

/// Both sides. Unless all went well they end in a reset, also when the proxy itself ends: what was broken off
/// must not look like a whole stream to whoever reads it.
pub struct Sides<S: Side> {
    /// Who came.
    pub client: S,
    /// Where it went.
    pub backend: S,
    /// Whether both have ended as they should.
    pub is_whole: bool,
}

impl<S: Side> Sides<S> {
    /// Two that have not ended.
    pub fn new(client: S, backend: S) -> Sides<S> {
        Sides {
            client,
            backend,
            is_whole: false,
        }
    }
}

impl<S: Side> Drop for Sides<S> {
    fn drop(&mut self) {
        if self.is_whole {
            return;
        }
        for tcp in [&self.client, &self.backend]
            .into_iter()
            .filter_map(Side::tcp)
        {
            // One that was reset already needs no more.
            let _ = tcp.set_zero_linger();
        }
    }
}
