//! Packet I/O as the UDP worker sees it: a batch in, answers written in place, a batch out.

use std::io;
use std::net::SocketAddr;

/// Octets of every reply buffer: the largest UDP answer ever sent (requirement A5, RFC 9715).
pub const REPLY_BYTES: usize = 1_232;

/// One received packet and the room for its answer.
#[derive(Debug)]
pub struct Packet<'a> {
    /// The message; empty where the packet was longer than any query may be.
    pub query: &'a [u8],
    /// Who sent it.
    pub peer: SocketAddr,
    /// Where its answer is written; [`REPLY_BYTES`] long.
    pub reply: &'a mut [u8],
}

/// What became of the queued answers.
#[derive(Debug, Default)]
pub struct Sent {
    /// Handed to the system.
    pub sent: usize,
    /// Lost: the system did not take them.
    pub failed: usize,
    /// The last reason for a loss.
    pub error: Option<io::Error>,
}

/// Moves packets in batches over one socket, or something like one.
///
/// A round is `receive`, then for each index `packet` and perhaps `queue`, then `send`.
pub trait PacketIo {
    /// Waits for packets and returns how many came; 0 when none came within the time that this
    /// implementation waits, so that the worker can look at its stop flag. Forgets the last batch.
    ///
    /// # Errors
    /// What the system says. The next call may succeed.
    fn receive(&mut self) -> io::Result<usize>;

    /// The packet at `index` of the batch.
    ///
    /// # Panics
    /// When `index` is not below what [`PacketIo::receive`] returned.
    fn packet(&mut self, index: usize) -> Packet<'_>;

    /// Takes the first `len` octets of the reply to packet `index` for sending, to whom it came from
    /// and from the address that it was sent to. At most once per packet.
    ///
    /// # Panics
    /// When `index` is out of the batch, `len` exceeds [`REPLY_BYTES`], or more replies are queued
    /// than packets came.
    fn queue(&mut self, index: usize, len: usize);

    /// Sends what is queued. One answer that cannot be sent does not keep the others back.
    fn send(&mut self) -> Sent;
}
