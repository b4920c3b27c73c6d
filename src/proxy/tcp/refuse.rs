//! What a client sees of a connection that is not carried.

use tokio::net::TcpStream;

use crate::proxy::io::Io;
use crate::traffic::{Listener, Protocol, Refusal};

/// Prepares a client's connection to be dropped so.
pub fn show(refusal: Refusal, client: &Io) {
    match client {
        Io::Tcp(tcp) => prepare(refusal, tcp),
        Io::Tls(tls) => prepare(refusal, tls.get_ref().0),
        Io::Other(_) => {}
    }
}

/// Drops a connection that a bound of the listener turned away.
pub fn turn_away(listener: &Listener, tcp: TcpStream) {
    if let Protocol::Tcp(rules) = &listener.protocol {
        prepare(rules.refusal, &tcp);
    }
}

/// Prepares a connection to be dropped so.
pub fn prepare(refusal: Refusal, tcp: &TcpStream) {
    if refusal == Refusal::Reset {
        // One that the client has reset already needs no more.
        let _ = tcp.set_zero_linger();
    }
}
