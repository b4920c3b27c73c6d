//! The UDP check: passes when an answer comes, and is right where that is asked for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::expect::Expectation;
use super::socket::{connect_udp, refused};
use crate::health::{Failure, UdpCheck};
use crate::time::Clock;

/// One target's UDP check.
#[derive(Debug)]
pub struct UdpProbe {
    check: UdpCheck,
    addr: SocketAddr,
    expect: Result<Expectation, Failure>,
}

impl UdpProbe {
    /// The check `check` of the target `addr`.
    pub fn new(check: &UdpCheck, addr: SocketAddr) -> UdpProbe {
        UdpProbe {
            check: check.clone(),
            addr,
            expect: Expectation::of(&check.expect),
        }
    }

    /// Sends and waits for the first answer, however long that takes; gives the time it took. The
    /// target's thinking is in it: UDP has no handshake that could be measured.
    ///
    /// # Errors
    /// [`Failure::Connect`] when the target's machine says that nobody listens (ICMP port
    /// unreachable), [`Failure::Unexpected`] when the answer is another.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        let expect = self.expect.as_ref().map_err(Failure::clone)?;
        let socket = connect_udp(self.addr, source).await?;
        let start = clock.now();
        socket
            .send(&self.check.send)
            .await
            .map_err(|e| refused(&e))?;
        let mut answer = vec![0; self.check.max_answer.max(1)];
        let n = socket.recv(&mut answer).await.map_err(|e| refused(&e))?;
        let rtt = start.until(clock.now());
        if !expect.met_by(&answer[..n]) {
            return Err(expect.unmet(&answer[..n]));
        }
        Ok(rtt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Expect;
    use crate::probe::testing::*;
    use tokio::net::UdpSocket;

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 2048];
            while let Ok((n, from)) = socket.recv_from(&mut datagram).await {
                drop(socket.send_to(&datagram[..n], from).await);
            }
        });
        addr
    }

    async fn run(
        contains: Option<&[u8]>,
        max_answer: usize,
        addr: SocketAddr,
    ) -> Result<(), Failure> {
        let probe = UdpProbe::new(
            &UdpCheck {
                send: b"ping\x00pong"[..].into(),
                expect: Expect {
                    contains: contains.map(Into::into),
                    regex: None,
                },
                max_answer,
            },
            addr,
        );
        tokio::time::timeout(BOUND, probe.run(None, &RuntimeClock::start()))
            .await
            .expect("must end")
            .map(|_| ())
    }

    #[tokio::test]
    async fn an_answer_passes_and_another_than_expected_fails() {
        let addr = echo().await;
        assert_eq!(run(None, 100, addr).await, Ok(()));
        assert_eq!(run(Some(b"\x00pong"), 100, addr).await, Ok(()));
        // Only so much of the answer is looked at.
        let failure = run(Some(b"pong"), 6, addr).await.unwrap_err();
        assert_eq!(failure.to_string(), "the answer `ping\\x00p` lacks `pong`");
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_no_connection() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        drop(socket);
        let failure = run(None, 100, addr).await.unwrap_err();
        assert!(matches!(failure, Failure::Connect(_)), "{failure:?}");
    }

    #[tokio::test]
    async fn an_answer_of_somebody_else_is_not_heard() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = silent.local_addr().unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 64];
            while let Ok((_, from)) = silent.recv_from(&mut datagram).await {
                drop(stranger.send_to(b"pong", from).await);
            }
        });
        let probe = UdpProbe::new(
            &UdpCheck {
                max_answer: 9,
                ..UdpCheck::default()
            },
            addr,
        );
        // 200 ms are an eternity on the loopback.
        let clock = RuntimeClock::start();
        let run = probe.run(None, &clock);
        let run = tokio::time::timeout(Duration::from_millis(200), run).await;
        assert!(run.is_err(), "{run:?}");
    }
}
