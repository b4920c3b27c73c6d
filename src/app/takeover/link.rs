//! A conversation of two processes, message by message.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use super::bag::Bag;
use super::message::{Label, Message};
use crate::sys::pass::{self, DESCRIPTORS, PACKET, Peer, Waited};

/// The name of the socket in the state directory.
pub const NAME: &str = "takeover.sock";

/// One end of a conversation.
#[derive(Debug)]
pub struct Link {
    socket: Waited,
    peer: Peer,
    /// The version that both speak.
    pub speaks: u32,
}

impl Link {
    /// Connects to the process that has a state directory; `None` when there is none. Within a runtime.
    ///
    /// # Errors
    /// When it cannot be known whether there is one.
    pub fn connect(state_dir: &Path) -> io::Result<Option<Link>> {
        pass::connect_to(state_dir, NAME)?
            .map(Link::new)
            .transpose()
    }

    fn new(socket: OwnedFd) -> io::Result<Link> {
        let peer = pass::peer(&socket)?;
        let socket = Waited::new(socket)?;
        Ok(Link {
            socket,
            peer,
            speaks: 1,
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Says something.
    ///
    /// # Errors
    /// When nobody hears it any more.
    pub async fn say(&self, message: &Message) -> io::Result<()> {
        self.send(message, &[]).await
    }

    /// Says something with descriptors beside it.
    ///
    /// # Errors
    /// As [`Link::say`].
    pub async fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let packet = message.encode();
        let send = |socket: &OwnedFd| pass::send(socket, &packet, descriptors);
        self.socket.when_writable(send).await
    }

    /// Gives sockets away, those that the other side knows of.
    ///
    /// # Errors
    /// As [`Link::say`].
    pub async fn give(&self, sockets: &Bag) -> io::Result<()> {
        let known = |(label, _): &&(Label, OwnedFd)| label.kind.since() <= self.speaks;
        let all: Vec<_> = sockets.iter().filter(known).collect();
        for some in all.chunks(DESCRIPTORS) {
            let labels: Vec<Label> = some.iter().map(|(label, _)| label.clone()).collect();
            let descriptors: Vec<_> = some.iter().map(|(_, socket)| socket.as_fd()).collect();
            self.send(&Message::Sockets(labels), &descriptors).await?;
        }
        Ok(())
    }

    /// Tells what was counted, in parts.
    ///
    /// # Errors
    /// As [`Link::say`].
    pub async fn tell_counts(&self, counts: &str) -> io::Result<()> {
        let mut rest = counts;
        while !rest.is_empty() {
            let part = (0..rest.len().min(PACKET - 1) + 1)
                .rev()
                .find(|at| rest.is_char_boundary(*at))
                .unwrap_or(rest.len());
            let (part, after) = rest.split_at(part);
            self.say(&Message::Counts(part.to_owned())).await?;
            rest = after;
        }
        self.say(&Message::AllCounts).await
    }

    /// What is said next, with the descriptors beside it; `None` when nobody is there any more. Safe to
    /// cancel.
    ///
    /// # Errors
    /// When it cannot be understood.
    pub async fn hear(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        let received = self.socket.when_readable(pass::receive).await?;
        let Some((packet, descriptors)) = received else {
            return Ok(None);
        };
        let message =
            Message::decode(&packet).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        Ok(Some((message, descriptors)))
    }

    /// Waits until the other end has gone, whatever it still says.
    pub async fn until_gone(&self) {
        while let Ok(Some(_)) = self.hear().await {}
    }
}

/// Where takeovers are asked for.
#[derive(Debug)]
pub struct Door(Waited);

impl Door {
    /// Listens in a state directory, or goes on with the socket of the process before. Within a runtime.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn open(state_dir: &Path, came: Option<OwnedFd>) -> io::Result<Door> {
        let socket = match came {
            Some(socket) => socket,
            None => pass::listen_at(state_dir, NAME)?,
        };
        Ok(Door(Waited::new(socket)?))
    }

    /// Another descriptor of it.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        self.0.copy()
    }

    /// The next who comes and may: others are turned away. Safe to cancel.
    pub async fn next(&self) -> io::Result<Link> {
        loop {
            let link = Link::new(self.0.when_readable(pass::accept_one).await?)?;
            let peer = link.peer();
            if pass::may_take(peer) {
                return Ok(link);
            }
            tracing::warn!(
                pid = peer.pid,
                uid = peer.uid,
                "a process of another user asks for a takeover: not heard"
            );
        }
    }
}
