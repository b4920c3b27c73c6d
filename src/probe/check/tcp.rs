//! The TCP check: passes when the connection is established and, where asked for, the answer is right.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::expect::Expectation;
use super::socket::{connect_tcp, refused};
use crate::health::{Failure, TcpCheck};
use crate::time::Clock;

/// One target's TCP check.
#[derive(Debug)]
pub struct TcpProbe {
    check: TcpCheck,
    addr: SocketAddr,
    expect: Result<Expectation, Failure>,
}

impl TcpProbe {
    /// The check `check` of the target `addr`.
    pub fn new(check: &TcpCheck, addr: SocketAddr) -> TcpProbe {
        TcpProbe {
            check: check.clone(),
            addr,
            expect: Expectation::of(&check.expect),
        }
    }

    /// Connects, and talks where the check says so; gives the time to connect.
    ///
    /// # Errors
    /// When there is no connection, or not the answer that is expected.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        let expect = self.expect.as_ref().map_err(Failure::clone)?;
        let (mut stream, rtt) = connect_tcp(self.addr, source, clock).await?;
        if let Some(send) = &self.check.send {
            let sent = stream.write_all(send).await;
            // One that refuses to listen may have said why: then that is what is judged.
            if !expect.is_some() {
                sent.map_err(|e| refused(&e))?;
            }
        }
        if !expect.is_some() {
            return Ok(rtt);
        }
        let mut answer = Vec::with_capacity(self.check.max_answer.min(1024));
        let mut stream = stream.take(self.check.max_answer as u64);
        loop {
            let ended = match stream.read_buf(&mut answer).await {
                Ok(n) => n == 0,
                Err(e) if answer.is_empty() => return Err(refused(&e)),
                Err(_) => true,
            };
            // A pattern may hold only of a part, or only of the whole.
            if !answer.is_empty() && expect.met_by(&answer) {
                return Ok(rtt);
            }
            if ended {
                return Err(match answer.is_empty() {
                    true => Failure::Unexpected("closed without an answer".to_owned()),
                    false => expect.unmet(&answer),
                });
            }
        }
    }
}

/// Connects to exactly `addr` and closes again; gives the time it took.
///
/// # Errors
/// When there is no connection.
pub async fn connect(addr: SocketAddr, clock: &dyn Clock) -> Result<Duration, Failure> {
    let (_closed_at_once, rtt) = connect_tcp(addr, None, clock).await?;
    Ok(rtt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Expect;
    use crate::probe::testing::*;
    use tokio::net::TcpListener;

    /// A server that greets, reads a line and answers it turned round.
    async fn serve(greeting: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.write_all(greeting).await?;
                    let mut line = vec![0; 64];
                    let n = stream.read(&mut line).await?;
                    line.truncate(n);
                    line.reverse();
                    for octet in line {
                        stream.write_all(&[octet]).await?;
                        stream.flush().await?;
                        tokio::task::yield_now().await;
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        addr
    }

    fn check(send: Option<&[u8]>, contains: Option<&[u8]>, regex: Option<&str>) -> TcpCheck {
        TcpCheck {
            send: send.map(Into::into),
            expect: Expect {
                contains: contains.map(Into::into),
                regex: regex.map(Into::into),
            },
            max_answer: 32,
        }
    }

    async fn run(check: &TcpCheck, addr: SocketAddr) -> Result<(), String> {
        let probe = TcpProbe::new(check, addr);
        tokio::time::timeout(BOUND, probe.run(None, &RuntimeClock::start()))
            .await
            .expect("must end")
            .map(|_| ())
            .map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn what_is_sent_is_answered_piece_by_piece() {
        let addr = serve(b"").await;
        let ping = |want: &[u8]| check(Some(b"\x00\xFFping\n"), Some(want), None);
        assert_eq!(run(&ping(b"gnip\xFF\x00"), addr).await, Ok(()));
        assert_eq!(
            run(&ping(b"pong"), addr).await.unwrap_err(),
            "the answer `\\ngnip\\xff\\x00` lacks `pong`"
        );
        assert_eq!(run(&check(Some(b"x"), None, None), addr).await, Ok(()));
    }

    #[tokio::test]
    async fn a_greeting_is_enough_where_nothing_is_sent() {
        let addr = serve(b"220 mail ready\r\n").await;
        assert_eq!(run(&check(None, None, Some("^220 ")), addr).await, Ok(()));
    }

    #[tokio::test]
    async fn no_more_is_read_than_allowed() {
        let server = Server::start(Does::NeverStops).await;
        let want = check(Some(b"x\r\n\r\n"), Some(b"never"), None);
        let words = run(&want, server.addr).await.unwrap_err();
        assert!(words.contains("lacks `never`"), "{words}");
    }

    #[tokio::test]
    async fn a_connection_closed_without_a_word_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok(taken) = listener.accept().await {
                drop(taken)
            }
        });
        let words = run(&check(None, Some(b"ok"), None), addr).await;
        assert_eq!(words.unwrap_err(), "closed without an answer");
        assert_eq!(run(&check(None, None, None), addr).await, Ok(()));
        let words = run(&check(None, None, None), closed().await).await;
        assert!(words.unwrap_err().starts_with("connect failed: "));
    }
}
