//! One connection of DNS over TCP or TLS: frames in, answers out in the same order.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::engine::transfer::{Next, Transfer, stream};
use crate::engine::{Inbound, Reply, Transport};
use crate::server::hall::{Hall, Lease, MESSAGE};
use crate::telemetry::DnsEvent;

/// Octets of the length before each message (RFC 1035 section 4.2.2).
const PREFIX: usize = 2;
/// Read at a time.
const READ: usize = 2_048;
/// Answers are written out once so much of them has gathered, before more queries are answered.
const GATHER: usize = 65_536;
/// Buffers that grew larger for one message are given back.
const KEEP: usize = 8_192;

/// For a client to close its side after this one has.
const GOODBYE: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The client closed it.
    Client,
    /// No query for too long.
    Idle,
    /// A query took too long to arrive.
    SlowQuery,
    /// The client took its answers too slowly.
    SlowReader,
    /// It made room for another.
    Evicted,
    /// No good header came from a trusted proxy.
    Proxy,
    /// The TLS handshake failed or took too long.
    Handshake,
    /// The client does not speak DNS, or sent something that gets no answer.
    NotDns,
    /// A record of a transfer fits no message.
    Unsendable,
    /// The client may not ask, or not as often.
    Refused,
    /// The server stops.
    Stopped,
    /// The network failed.
    Broken(io::ErrorKind),
}

/// What the queries read so far amount to.
#[derive(Debug)]
enum Answered {
    /// All whole queries are answered.
    All,
    /// More are waiting, but enough answers have gathered.
    Enough,
    /// A zone is to be sent before the queries that follow are answered.
    Transfer(Box<Transfer>),
    /// What came deserves no answer: the connection is to be closed.
    Hopeless,
    /// The last answer was a refusal: the connection is to be closed.
    Refused,
}

/// One connection's talk.
pub(super) struct Talk<'h, S> {
    hall: &'h Hall,
    lease: &'h Lease,
    peer: SocketAddr,
    transport: Transport,
    stream: S,
    /// What was read and not answered; begins with a frame.
    inbox: Vec<u8>,
    /// Framed answers to be written.
    outbox: Vec<u8>,
}

impl<'h, S: AsyncRead + AsyncWrite + Unpin> Talk<'h, S> {
    /// A talk with `peer` over `stream`.
    pub(super) fn new(
        hall: &'h Hall,
        lease: &'h Lease,
        peer: SocketAddr,
        transport: Transport,
        stream: S,
    ) -> Talk<'h, S> {
        Talk {
            hall,
            lease,
            peer,
            transport,
            stream,
            inbox: Vec::with_capacity(READ),
            outbox: Vec::new(),
        }
    }

    /// Talks until either side has enough, or until the client has its answers and another process
    /// accepts in this one's place.
    pub(super) async fn run(
        &mut self,
        (mut stopped, left): (watch::Receiver<bool>, watch::Receiver<bool>),
    ) -> End {
        let limits = self.hall.limits;
        let mut deadline = after(limits.idle_timeout);
        loop {
            let had_part = !self.inbox.is_empty();
            self.inbox.reserve(READ);
            let read = tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => return End::Stopped,
                read = timeout_at(deadline, self.stream.read_buf(&mut self.inbox)) => read,
            };
            match read {
                Err(_) if had_part => return End::SlowQuery,
                Err(_) => return End::Idle,
                Ok(Err(error)) => return End::Broken(error.kind()),
                Ok(Ok(0)) => return End::Client,
                Ok(Ok(_)) => {}
            }
            let before = self.inbox.len();
            if let Err(end) = self.answer_and_write().await {
                return end;
            }
            let whole_query_came = self.inbox.len() < before;
            while *left.borrow() && whole_query_came && self.inbox.is_empty() {
                // The client has all answers: now, if ever, no question is on its way.
                match self.read_what_waits().await {
                    None => {
                        self.see_out().await;
                        return End::Stopped;
                    }
                    Some(Ok(0)) => return End::Client,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return End::Broken(error.kind()),
                }
                if let Err(end) = self.answer_and_write().await {
                    return end;
                }
            }
            // The time for a query runs from its first octet: octets that trickle in do not extend it.
            if self.inbox.is_empty() {
                deadline = after(limits.idle_timeout);
            } else if whole_query_came || !had_part {
                deadline = after(limits.message_timeout);
            }
            for buffer in [&mut self.inbox, &mut self.outbox] {
                if buffer.is_empty() && buffer.capacity() > KEEP {
                    *buffer = Vec::new();
                }
            }
        }
    }

    /// Reads what has come already; `None` when nothing has.
    async fn read_what_waits(&mut self) -> Option<io::Result<usize>> {
        self.inbox.reserve(READ);
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.inbox) => Some(read),
            () = std::future::ready(()) => None,
        }
    }

    /// Says that there will be no more, and waits a moment for the client to do so: closed at once, a
    /// question that crosses the goodbye would take the last answer with it.
    async fn see_out(&mut self) {
        self.close().await;
        let mut rest = [0; 512];
        let gone = async { while let Ok(1..) = self.stream.read(&mut rest).await {} };
        drop(timeout(GOODBYE, gone).await);
    }

    /// Says goodbye as the transport does: a TLS client can tell an end from a cut (RFC 8446 section
    /// 6.1), a TCP client gets what is still under way.
    pub(super) async fn close(&mut self) {
        drop(timeout(self.hall.limits.write_timeout, self.stream.shutdown()).await);
    }

    /// Answers all whole queries of the inbox and writes the answers, as many together as have
    /// gathered. Nothing is read meanwhile, so a client that does not take its answers stops itself.
    async fn answer_and_write(&mut self) -> Result<(), End> {
        loop {
            let answered = self.answer_some();
            self.write().await?;
            match answered {
                Answered::All => return Ok(()),
                Answered::Enough => {}
                Answered::Transfer(transfer) => self.send_zone(transfer).await?,
                Answered::Hopeless => return Err(End::NotDns),
                Answered::Refused => return Err(End::Refused),
            }
        }
    }

    /// Writes what has gathered in the outbox.
    async fn write(&mut self) -> Result<(), End> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&self.outbox).await?;
            // TLS may hold back what the socket would not take at once.
            self.stream.flush().await
        };
        match timeout(self.hall.limits.write_timeout, write).await {
            Err(_) => Err(End::SlowReader),
            Ok(Err(error)) => Err(End::Broken(error.kind())),
            Ok(Ok(())) => {
                self.outbox.clear();
                Ok(())
            }
        }
    }

    /// Sends a zone, message by message, each made when the one before is written. A broken transfer
    /// ends the connection, so that the client does not take a part for the whole.
    async fn send_zone(&mut self, mut transfer: Box<Transfer>) -> Result<(), End> {
        let begun = self.hall.clock.now();
        let mut room = vec![0; MESSAGE];
        let sent = loop {
            let now = self.hall.clock.now();
            let unix = self.hall.clock.wall().unix(now);
            match transfer.next(unix, stream::MESSAGE, &mut room) {
                Next::Done => break Ok(()),
                Next::Broken => break Err(End::Unsendable),
                Next::Message(len) => {
                    // `room` is as long as the longest message, so the length fits.
                    self.outbox.extend_from_slice(&(len as u16).to_be_bytes());
                    self.outbox.extend_from_slice(&room[..len]);
                }
            }
            if let Err(end) = self.write().await {
                break Err(end);
            }
            // A client that takes its zone is not idle.
            self.lease.touch(now);
        };
        let peer = self.peer;
        let took = self.hall.clock.now().since(begun);
        match &sent {
            Ok(()) => tracing::info!(%peer, ?took, "{transfer}"),
            Err(end) => {
                self.hall.count(DnsEvent::TransferBroken);
                tracing::warn!(%peer, ?took, ?end, "{transfer}; it broke off");
            }
        }
        sent
    }

    /// Moves whole queries from the inbox to answers in the outbox.
    fn answer_some(&mut self) -> Answered {
        let Talk {
            hall,
            lease,
            peer,
            transport,
            inbox,
            outbox,
            ..
        } = self;
        let mut taken = 0;
        let mut state = Answered::All;
        hall.at_desk(|desk, room| {
            let mut round = desk.round();
            while let Some(message) = first_frame(&inbox[taken..]) {
                if outbox.len() >= GATHER {
                    state = Answered::Enough;
                    break;
                }
                taken += PREFIX + message.len();
                let inbound = Inbound {
                    packet: message,
                    peer: *peer,
                    transport: *transport,
                };
                let (len, last) = match round.answer(&inbound, room) {
                    Reply::Send(len) => (len, false),
                    Reply::SendAndClose(len) => (len, true),
                    Reply::Transfer => {
                        let begun = round.take_transfer();
                        state = begun.map_or(Answered::Hopeless, Answered::Transfer);
                        break;
                    }
                    // The engine keeps silent towards what is no query, and whom it shuts out.
                    Reply::Drop => {
                        state = Answered::Hopeless;
                        break;
                    }
                };
                let answer = &room[..len];
                // `room` is as long as the longest message, so the length fits.
                outbox.extend_from_slice(&(len as u16).to_be_bytes());
                outbox.extend_from_slice(answer);
                if last {
                    state = Answered::Refused;
                    break;
                }
            }
        });
        if taken > 0 {
            lease.touch(hall.clock.now());
            inbox.drain(..taken);
        }
        state
    }
}

/// The message of the first frame, when it is there in full.
fn first_frame(octets: &[u8]) -> Option<&[u8]> {
    let (prefix, rest) = octets.split_first_chunk::<PREFIX>()?;
    rest.get(..usize::from(u16::from_be_bytes(*prefix)))
}

fn after(time: Duration) -> Instant {
    Instant::now() + time
}
