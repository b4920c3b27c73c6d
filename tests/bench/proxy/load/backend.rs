//! The server behind the proxies: far cheaper than any of them, and the same for all.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _, stdout};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use crate::Error;
use crate::poll::Poll;
use crate::workload::{LARGE, SMALL};

/// The listener's number among the sockets; connections have their file descriptors'.
const LISTENER: usize = usize::MAX;

/// Octets of a request's head.
const HEAD: usize = 16 << 10;

struct Peer {
    stream: TcpStream,
    /// A head that has not come whole.
    head: Vec<u8>,
    /// An answer that did not fit the socket, and how much of it did.
    rest: Option<(Vec<u8>, usize)>,
}

/// The answers.
struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
}

fn answer(body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "HTTP/1.1 200 OK\r\nServer: backend\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

impl Peer {
    /// Reads what came, answers when a head is whole. False when the connection is over.
    fn ready(&mut self, answers: &Answers, scratch: &mut [u8]) -> std::io::Result<bool> {
        if self.rest.is_some() {
            return self.push().map(|()| true);
        }
        let n = match self.stream.read(scratch) {
            Ok(0) => return Ok(false),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        let mut head = &scratch[..n];
        if !self.head.is_empty() || !head.ends_with(b"\r\n\r\n") {
            self.head.extend_from_slice(head);
            head = &self.head;
            if !head.ends_with(b"\r\n\r\n") {
                return Ok(head.len() < HEAD);
            }
        }
        let seen;
        let out = if head.starts_with(b"GET /64k ") {
            &answers.large
        } else if head.starts_with(b"GET /seen ") {
            seen = answer(head);
            &seen
        } else {
            &answers.small
        };
        let done = match self.stream.write(out) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            done => done?,
        };
        if done < out.len() {
            self.rest = Some((out.clone(), done));
        }
        self.head.clear();
        Ok(true)
    }

    /// Sends the rest of an answer.
    fn push(&mut self) -> std::io::Result<()> {
        if let Some((out, done)) = &mut self.rest {
            *done += match self.stream.write(&out[*done..]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                more => more?,
            };
            if *done == out.len() {
                self.rest = None;
            }
        }
        Ok(())
    }
}

/// Answers until it is ended.
pub(crate) fn run() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    poll.add(&listener, LISTENER)?;
    println!("ready {}", listener.local_addr()?);
    stdout().flush()?;
    let answers = Answers {
        small: answer(&[b'x'; SMALL]),
        large: answer(&vec![b'x'; LARGE]),
    };
    let mut scratch = vec![0; HEAD];
    let mut peers: HashMap<usize, Peer> = HashMap::new();
    loop {
        poll.wait(None)?;
        while let Some(key) = poll.take() {
            if key == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let key = stream.as_raw_fd() as usize;
                    poll.add(&stream, key)?;
                    peers.insert(
                        key,
                        Peer {
                            stream,
                            head: Vec::new(),
                            rest: None,
                        },
                    );
                }
                continue;
            }
            let Some(peer) = peers.get_mut(&key) else {
                continue;
            };
            let blocked = peer.rest.is_some();
            match peer.ready(&answers, &mut scratch) {
                // Closing takes it out of the set, too.
                Ok(false) | Err(_) => drop(peers.remove(&key)),
                Ok(true) if peer.rest.is_some() != blocked => {
                    poll.writable(&peer.stream, key, !blocked)?;
                }
                Ok(true) => {}
            }
        }
    }
}
