//! Whether a connection on which nothing moves is silent, or somebody is only slow to read.
//!
//! The kernel holds megabytes for a receiver, and takes more only when a good part of them has gone: a
//! slow one may read for minutes of what we have long handed over. That is no silence, and what it has not
//! read yet would be lost.

use tokio::net::TcpStream;

use crate::sys::unsent::unacknowledged;

/// What lay in the send queues of both sides when nothing had moved for as long as it may.
#[derive(Debug, Default)]
pub struct Silence {
    /// `None`: octets have moved since.
    seen: Option<[u32; 2]>,
}

impl Silence {
    /// Octets have moved.
    pub fn broken(&mut self) {
        self.seen = None;
    }

    /// Nothing has moved for as long as it may: whether one of the sides still takes what it was given. The
    /// first time one that has some left is believed to.
    pub fn is_slowness(&mut self, sides: [Option<&TcpStream>; 2]) -> bool {
        let left = sides.map(|side| side.and_then(|s| unacknowledged(s).ok()).unwrap_or(0));
        match self.seen.replace(left) {
            None => left.iter().any(|left| *left > 0),
            Some(before) => left.iter().zip(before).any(|(left, before)| *left < before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn who_reads_is_slow_and_who_does_not_is_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (sender, mut receiver) = (sender.unwrap(), accepted.unwrap().0);
        let mut silence = Silence::default();
        assert!(!silence.is_slowness([Some(&sender), None]), "nothing waits");
        sender.writable().await.unwrap();
        while sender.try_write(&[0; 64 << 10]).is_ok() {}
        silence.broken();
        assert!(silence.is_slowness([None, Some(&sender)]), "it may read");
        assert!(!silence.is_slowness([None, Some(&sender)]), "it does not");
        let before = unacknowledged(&sender).unwrap();
        let mut space = vec![0; 64 << 10];
        while unacknowledged(&sender).unwrap() == before {
            receiver.read_exact(&mut space).await.unwrap();
        }
        assert!(silence.is_slowness([None, Some(&sender)]), "it does");
    }
}
