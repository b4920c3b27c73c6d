//! One query of DNS over QUIC: a stream with the query and its end, then the answer and its end (RFC
//! 9250 section 4.2).

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{ReadExactError, RecvStream, SendStream};
use tokio::time::timeout;

use crate::dns::NameBuf;
use crate::dns::edns::Keepalive;
use crate::dns::message::parse;
use crate::engine::{Inbound, Transport};
use crate::server::hall::{Answer, Hall, Lease};

use super::code;

/// Octets of the length before each message.
const PREFIX: usize = 2;

/// What ends the whole connection with DOQ_PROTOCOL_ERROR (RFC 9250 section 4.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Breach {
    /// "an implementation receives a STREAM FIN before receiving all the bytes for a message
    /// indicated in the 2-octet length field"
    Cut,
    /// "a server receives more than one query on a stream", or anything behind the query.
    More,
    /// "a client or server receives a message with a non-zero Message ID"
    MessageId,
    /// "an implementation receives a message containing the edns-tcp-keepalive EDNS(0) Option"
    Keepalive,
    /// No query: a response, or shorter than a header.
    NoQuery,
}

impl Breach {
    /// For the close frame.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Breach::Cut => "the message is shorter than its length says",
            Breach::More => "more than one query on a stream",
            Breach::MessageId => "the message ID is not 0",
            Breach::Keepalive => "edns-tcp-keepalive has no place in QUIC",
            Breach::NoQuery => "not a query",
        }
    }
}

/// Why the connection shall end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// The client broke the protocol.
    Breach(Breach),
    /// The client may not ask, or not as often.
    Refused,
}

/// Why no query came.
enum NoQuery {
    /// The connection must end.
    Breach(Breach),
    /// The client changed its mind, or is gone.
    Gone,
}

/// Reads one query and answers it.
///
/// # Errors
/// When the whole connection shall end.
pub(super) async fn serve(
    hall: Arc<Hall>,
    lease: Arc<Lease>,
    peer: SocketAddr,
    mut send: SendStream,
    mut receive: RecvStream,
) -> Result<(), Ending> {
    let served = exchange(&hall, &lease, peer, &mut send, &mut receive).await;
    // Left alone, a stream without an answer would end as if an empty one were whole. One that is
    // answered is closed already, and stays so.
    let _ = match served {
        Err(Ending::Breach(_)) => send.reset(code::PROTOCOL_ERROR),
        Err(Ending::Refused) => send.reset(code::EXCESSIVE_LOAD),
        Ok(()) => Ok(()),
    };
    served
}

async fn exchange(
    hall: &Hall,
    lease: &Lease,
    peer: SocketAddr,
    send: &mut SendStream,
    receive: &mut RecvStream,
) -> Result<(), Ending> {
    let read = query(hall, receive);
    let query = match timeout(hall.limits.message_timeout, read).await {
        Ok(Ok(query)) => query,
        Ok(Err(NoQuery::Breach(breach))) => return Err(Ending::Breach(breach)),
        Ok(Err(NoQuery::Gone)) => {
            // Both fail only where the stream is closed already.
            let _ = send.reset(code::REQUEST_CANCELLED);
            return Ok(());
        }
        Err(_) => {
            let _ = receive.stop(code::EXCESSIVE_LOAD);
            let _ = send.reset(code::EXCESSIVE_LOAD);
            return Ok(());
        }
    };
    lease.touch(hall.clock.now());
    check(&query).map_err(Ending::Breach)?;
    let inbound = Inbound {
        packet: &query,
        peer,
        transport: Transport::Quic,
    };
    let (mut answer, last) = match hall.answer(&inbound, PREFIX) {
        Answer::Octets { octets, last } => (octets, last),
        Answer::NoQuery => return Err(Ending::Breach(Breach::NoQuery)),
        Answer::ShutOut => return Err(Ending::Refused),
    };
    // The engine's answers are at most 65,535 octets long.
    let len = (answer.len() - PREFIX) as u16;
    answer[..PREFIX].copy_from_slice(&len.to_be_bytes());
    let written = async {
        send.write_all(&answer).await.ok()?;
        send.finish().ok()?;
        // Until the client has all of it: what waits in buffers counts as under way.
        send.stopped().await.ok()
    };
    if timeout(hall.limits.write_timeout, written).await.is_err() {
        let _ = send.reset(code::EXCESSIVE_LOAD);
    }
    if last { Err(Ending::Refused) } else { Ok(()) }
}

/// The whole query.
async fn query(hall: &Hall, receive: &mut RecvStream) -> Result<Vec<u8>, NoQuery> {
    let mut prefix = [0; PREFIX];
    receive.read_exact(&mut prefix).await.map_err(cut)?;
    let len = usize::from(u16::from_be_bytes(prefix));
    let _room = hall.room_for(len).await;
    let mut message = vec![0; len];
    receive.read_exact(&mut message).await.map_err(cut)?;
    // Section 4.2: "The client MUST … indicate through the STREAM FIN mechanism that no further data
    // will be sent on that stream."
    match receive.read(&mut prefix).await {
        Ok(None) => Ok(message),
        Ok(Some(_)) => Err(NoQuery::Breach(Breach::More)),
        Err(_) => Err(NoQuery::Gone),
    }
}

fn cut(error: ReadExactError) -> NoQuery {
    match error {
        ReadExactError::FinishedEarly(_) => NoQuery::Breach(Breach::Cut),
        ReadExactError::ReadError(_) => NoQuery::Gone,
    }
}

/// What DoQ asks of a query beyond DNS.
fn check(query: &[u8]) -> Result<(), Breach> {
    // Section 4.2.1: "the DNS Message ID MUST be set to 0."
    if query.first_chunk::<2>().is_some_and(|id| *id != [0, 0]) {
        return Err(Breach::MessageId);
    }
    let mut name = NameBuf::default();
    let edns = parse(query, &mut name).and_then(|q| q.edns);
    match edns.map_or(Keepalive::Absent, |e| e.keepalive) {
        Keepalive::Absent => Ok(()),
        Keepalive::Asked | Keepalive::Malformed(_) => Err(Breach::Keepalive),
    }
}
