//! The answer: query bytes → answer bytes.

use std::net::SocketAddr;

use crate::snapshot::View;
use crate::time::Moment;

use super::Scratch;

/// How the query came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Datagram: the answer must fit the client's size.
    Udp,
    /// Stream: up to 65,535 octets.
    Tcp,
}

/// One query as received.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// The message, without TCP's length prefix.
    pub packet: &'a [u8],
    /// Who sent it.
    pub peer: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// What to do with the query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Say nothing.
    Drop,
    /// Send the first so many bytes of the out buffer.
    Send(usize),
}

/// Answers one message. `out` must hold at least 1,232 octets for UDP, 65,535 for TCP.
pub fn answer(
    _view: &View,
    _inbound: &Inbound<'_>,
    _now: Moment,
    _scratch: &mut Scratch,
    _out: &mut [u8],
) -> Reply {
    Reply::Drop
}
