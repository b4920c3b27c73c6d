//! The server behind layer 4, over TCP and UDP: far cheaper than any proxy, and the same for all.
//!
//! What a connection begins with says what it gets: after [`ASK_BULK`] a stream of [`BULK`] octets for
//! each [`ASKED`] octets that come, else what it sends. A connection whose client has ended is closed once all is sent.
//! Datagrams come back.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _, stdout};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;

use crate::Error;
use crate::batch::Batch;
use crate::poll::Poll;
use crate::workload::{ASK_BULK, ASKED, BULK};

/// Numbers of the listener and of the datagrams' socket; connections have their file descriptors'.
const LISTENER: usize = usize::MAX;
const DATAGRAMS: usize = usize::MAX - 1;

/// Octets that one read takes.
const READ: usize = 64 << 10;

/// Datagrams per system call.
const BATCH: usize = 64;

/// What a connection is for.
enum Job {
    /// Nothing has come.
    Unknown,
    /// What came and is not sent back, from where on.
    Echo(Vec<u8>, usize),
    /// Octets of a request that is not whole, and octets that are to be sent.
    Bulk(usize, usize),
}

struct Peer {
    stream: TcpStream,
    job: Job,
    ended: bool,
}

/// `None`: would have to wait.
fn now(done: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        done => done.map(Some),
    }
}

impl Peer {
    /// Whether something waits to be sent.
    fn owes(&self) -> bool {
        match &self.job {
            Job::Unknown => false,
            Job::Echo(rest, _) => !rest.is_empty(),
            Job::Bulk(_, owed) => *owed > 0,
        }
    }

    /// Reads what came unless something waits to be sent, and sends. False when all is done.
    fn ready(&mut self, bulk: &[u8], scratch: &mut [u8]) -> std::io::Result<bool> {
        if !self.owes() && !self.ended {
            let Some(n) = now(self.stream.read(scratch))? else {
                return Ok(true);
            };
            self.ended = n == 0;
            self.take(&scratch[..n])?;
        }
        self.push(bulk)?;
        Ok(self.owes() || !self.ended)
    }

    fn take(&mut self, part: &[u8]) -> std::io::Result<()> {
        if let (Job::Unknown, Some(first)) = (&self.job, part.first()) {
            self.job = match *first {
                ASK_BULK => Job::Bulk(0, 0),
                _ => Job::Echo(Vec::new(), 0),
            };
        }
        match &mut self.job {
            Job::Unknown => {}
            Job::Echo(rest, done) => {
                *done = 0;
                let sent = if part.is_empty() {
                    0
                } else {
                    now(self.stream.write(part))?.unwrap_or(0)
                };
                rest.extend_from_slice(&part[sent..]);
            }
            Job::Bulk(asked, owed) => {
                *asked += part.len();
                *owed += *asked / ASKED * BULK;
                *asked %= ASKED;
            }
        }
        Ok(())
    }

    fn push(&mut self, bulk: &[u8]) -> std::io::Result<()> {
        while self.owes() {
            match &mut self.job {
                Job::Echo(rest, done) => {
                    let Some(n) = now(self.stream.write(&rest[*done..]))? else {
                        return Ok(());
                    };
                    *done += n;
                    if *done == rest.len() {
                        rest.clear();
                    }
                }
                Job::Bulk(_, owed) => {
                    // Where in the stream it stands: streams are as long as `bulk`.
                    let at = (BULK - *owed % BULK) % BULK;
                    let Some(n) = now(self.stream.write(&bulk[at..]))? else {
                        return Ok(());
                    };
                    *owed -= n;
                }
                Job::Unknown => {}
            }
        }
        Ok(())
    }
}

/// Sends back the datagrams that wait.
fn echo(socket: &UdpSocket, batch: &mut Batch) -> std::io::Result<()> {
    let n = batch.receive(socket, libc::MSG_DONTWAIT)?;
    for i in 0..n {
        let len = batch.received(i).len();
        batch.set_len(i, len);
    }
    match batch.send(socket, n) {
        // A proxy that has ended.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        done => done.map(|_| ()),
    }
}

/// What a stream consists of: no two neighbouring pages are alike.
pub(crate) fn stream() -> Vec<u8> {
    let mut random = crate::random::Random::new(1);
    let mut out = Vec::with_capacity(BULK);
    while out.len() < BULK {
        out.extend_from_slice(&random.next().to_le_bytes());
    }
    out
}

/// Serves until it is ended.
pub(crate) fn run() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let datagrams = UdpSocket::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    datagrams.set_nonblocking(true)?;
    socket2::SockRef::from(&datagrams).set_recv_buffer_size(1 << 20)?;
    let mut poll = Poll::new()?;
    poll.add(&listener, LISTENER)?;
    poll.add(&datagrams, DATAGRAMS)?;
    println!(
        "ready {} {}",
        listener.local_addr()?,
        datagrams.local_addr()?
    );
    stdout().flush()?;
    let bulk = stream();
    let mut batch = Batch::new(BATCH, true);
    let mut scratch = vec![0; READ];
    let mut peers: HashMap<usize, Peer> = HashMap::new();
    loop {
        poll.wait(None)?;
        while let Some(key) = poll.take() {
            if key == DATAGRAMS {
                echo(&datagrams, &mut batch)?;
                continue;
            }
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let key = stream.as_raw_fd() as usize;
                    poll.add(&stream, key)?;
                    let job = Job::Unknown;
                    peers.insert(
                        key,
                        Peer {
                            stream,
                            job,
                            ended: false,
                        },
                    );
                }
                continue;
            }
            let Some(peer) = peers.get_mut(&key) else {
                continue;
            };
            let owed = peer.owes();
            match peer.ready(&bulk, &mut scratch) {
                // Closing takes it out of the set, too.
                Ok(false) | Err(_) => drop(peers.remove(&key)),
                Ok(true) if peer.owes() != owed => poll.writable(&peer.stream, key, !owed)?,
                Ok(true) => {}
            }
        }
    }
}
