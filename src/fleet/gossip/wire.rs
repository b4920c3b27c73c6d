//! The UDP socket under QUIC, with an eye on what passes: octets, and datagrams that are no QUIC.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::counters::{GossipCounters, GossipEvent};
use super::rarely::Rarely;

/// Shortest packet of an established connection: first octet, a connection ID of 8 octets, one octet
/// of packet number and at least 16 of ciphertext with its tag (RFC 9001 section 5.4.2).
const SHORTEST: usize = 21;

/// Whether a datagram may be one of QUIC version 1. RFC 9000 section 17.2: in long headers the first
/// bit is 1, the version follows the first octet; in all packets of version 1 the second bit is 1.
pub fn is_quic(datagram: &[u8]) -> bool {
    let [first, rest @ ..] = datagram else {
        return false;
    };
    let (long, fixed) = (first & 0x80 != 0, first & 0x40 != 0);
    if !long {
        return fixed && datagram.len() >= SHORTEST;
    }
    let Some((version, ids)) = rest.split_first_chunk::<4>() else {
        return false;
    };
    match u32::from_be_bytes(*version) {
        // A version negotiation packet (section 17.2.1) uses the other bits as it likes.
        0 => ids.len() >= 2,
        1 => fixed && ids.len() >= 2,
        _ => false,
    }
}

/// A socket that counts.
pub(super) struct Wire {
    pub(super) socket: Arc<dyn AsyncUdpSocket>,
    pub(super) counters: Arc<GossipCounters>,
    pub(super) rarely: Arc<Rarely>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl Wire {
    fn look(&self, datagram: &[u8], from: SocketAddr) {
        if is_quic(datagram) {
            return;
        }
        self.counters.count(GossipEvent::BadDatagram);
        if let Some(times) = self.rarely.due("datagram") {
            tracing::warn!(
                %from,
                octets = datagram.len(),
                times,
                "datagrams at the fleet's port that are no QUIC: ignored"
            );
        }
    }
}

impl AsyncUdpSocket for Wire {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)?;
        self.counters
            .add(GossipEvent::WireOut, transmit.contents.len());
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.socket.poll_recv(cx, bufs, meta))?;
        for (buf, meta) in bufs.iter().zip(&*meta).take(received) {
            self.counters.add(GossipEvent::WireIn, meta.len);
            // Several datagrams of one sender may come as one, `stride` octets each.
            for datagram in buf[..meta.len].chunks(meta.stride.max(1)) {
                self.look(datagram, meta.addr);
            }
            if meta.len == 0 {
                self.look(&[], meta.addr);
            }
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quic() {
        let long = |first: u8, version: u32| {
            let mut packet = vec![first];
            packet.extend(version.to_be_bytes());
            packet.extend([0; 30]);
            packet
        };
        assert!(is_quic(&long(0xc0, 1)));
        assert!(is_quic(&long(0x80, 0)));
        assert!(!is_quic(&long(0x80, 1)));
        assert!(!is_quic(&long(0xc0, 2)));
        assert!(!is_quic(&long(0xc0, 1)[..6]));
        assert!(is_quic(&[0x40; 21]));
        assert!(!is_quic(&[0x40; 20]));
        assert!(!is_quic(&[0x00; 60]));
        assert!(!is_quic(&[]));
        assert!(!is_quic(b"\x00\x01plain chitchat"));
    }
}
