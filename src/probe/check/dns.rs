//! The DNS check: asks one question and judges response code and, where asked for, an answer.
//!
//! The query has no EDNS, so that it is one that every server understands.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::socket::{connect_tcp, connect_udp, refused};
use crate::dns::message::{HEADER, flags};
use crate::dns::rcode::Rcode;
use crate::health::{DnsCheck, Failure, Transport};
use crate::time::Clock;

/// Class IN.
const IN: u16 = 1;
/// Largest answer over UDP without EDNS is 512 octets (RFC 1035 section 4.2.1); servers that send more
/// are heard out.
const LARGEST_DATAGRAM: usize = 4096;

/// One target's DNS check.
#[derive(Debug)]
pub struct DnsProbe {
    check: DnsCheck,
    addr: SocketAddr,
}

impl DnsProbe {
    /// The check `check` of the name server `addr`.
    pub fn new(check: &DnsCheck, addr: SocketAddr) -> DnsProbe {
        DnsProbe {
            check: check.clone(),
            addr,
        }
    }

    /// Asks once; gives the time to connect over TCP, and to answer over UDP, which has no handshake.
    ///
    /// # Errors
    /// When there is no answer, or not the one expected.
    pub async fn run(
        &self,
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<Duration, Failure> {
        let query = self.query()?;
        let (answer, rtt) = match self.check.transport {
            Transport::Tcp => self.over_tcp(&query, source, clock).await?,
            Transport::Udp => {
                let (answer, rtt) = self.over_udp(&query, source, clock).await?;
                if flags_of(&answer) & flags::TC == 0 {
                    (answer, rtt)
                } else {
                    // RFC 7766 section 5: what did not fit is asked for over TCP.
                    (self.over_tcp(&query, source, clock).await?.0, rtt)
                }
            }
        };
        self.judge(&answer)?;
        Ok(rtt)
    }

    /// The query, with an id that nobody can guess (RFC 5452 section 9.2).
    fn query(&self) -> Result<Vec<u8>, Failure> {
        let mut id = [0; 2];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| Failure::Unable("the system gives no random numbers".to_owned()))?;
        let flags = if self.check.recursion { flags::RD } else { 0 };
        let mut query = id.to_vec();
        for field in [flags, 1, 0, 0, 0] {
            query.extend(field.to_be_bytes());
        }
        query.extend(self.check.name.as_bytes());
        query.extend(self.check.rtype.0.to_be_bytes());
        query.extend(IN.to_be_bytes());
        Ok(query)
    }

    async fn over_udp(
        &self,
        query: &[u8],
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<(Vec<u8>, Duration), Failure> {
        let socket = connect_udp(self.addr, source).await?;
        let start = clock.now();
        socket.send(query).await.map_err(|e| refused(&e))?;
        let mut datagram = vec![0; LARGEST_DATAGRAM];
        loop {
            let n = socket.recv(&mut datagram).await.map_err(|e| refused(&e))?;
            // Something else than the answer does not keep the answer from coming.
            if answers(&datagram[..n], query) {
                datagram.truncate(n);
                return Ok((datagram, start.until(clock.now())));
            }
        }
    }

    async fn over_tcp(
        &self,
        query: &[u8],
        source: Option<IpAddr>,
        clock: &dyn Clock,
    ) -> Result<(Vec<u8>, Duration), Failure> {
        let (mut stream, rtt) = connect_tcp(self.addr, source, clock).await?;
        // Length and message in one segment (RFC 7766 section 8).
        let mut framed = (query.len() as u16).to_be_bytes().to_vec();
        framed.extend(query);
        let exchange = async {
            stream.write_all(&framed).await?;
            let mut answer = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        let answer = exchange.await.map_err(|e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => {
                Failure::Unexpected("closed without an answer".to_owned())
            }
            _ => refused(&e),
        })?;
        if !answers(&answer, query) {
            return Err(Failure::Unexpected(
                "the answer has another id or question than the query".to_owned(),
            ));
        }
        Ok((answer, rtt))
    }

    fn judge(&self, answer: &[u8]) -> Result<(), Failure> {
        let rcode = rcode(answer);
        if rcode != self.check.rcode {
            return Err(Failure::Unexpected(format!(
                "response code {rcode}, expected {}",
                self.check.rcode
            )));
        }
        let Some(wanted) = &self.check.answer else {
            return Ok(());
        };
        let message = Message::from_vec(answer)
            .map_err(|e| Failure::Unexpected(format!("the answer cannot be read: {e}")))?;
        if message.answers.iter().any(|r| is(&r.data, wanted)) {
            return Ok(());
        }
        let count = message.answers.len();
        let others = message.answers.iter().take(3).map(|r| r.data.to_string());
        let others: Vec<String> = others.collect();
        Err(Failure::Unexpected(format!(
            "none of {count} answers is `{wanted}`{}{}",
            if count == 0 { "" } else { ": " },
            others.join(", ")
        )))
    }
}

fn flags_of(message: &[u8]) -> u16 {
    u16::from_be_bytes([message[2], message[3]])
}

/// The four bits of the header; there is no OPT record in an answer to a query without one (RFC 6891
/// section 7).
fn rcode(message: &[u8]) -> Rcode {
    Rcode(flags_of(message) & 0xF)
}

/// Whether `message` answers `query`: same id, same question (RFC 5452 section 9.1). A server that did
/// not understand the query may leave the question out.
fn answers(message: &[u8], query: &[u8]) -> bool {
    if message.len() < HEADER || message[..2] != query[..2] || flags_of(message) & flags::QR == 0 {
        return false;
    }
    let (name, kind) = query[HEADER..].split_at(query.len() - HEADER - 4);
    match u16::from_be_bytes([message[4], message[5]]) {
        0 => rcode(message) != Rcode::NO_ERROR,
        1 => message.get(HEADER..query.len()).is_some_and(|q| {
            let (its_name, its_kind) = q.split_at(name.len());
            its_name.eq_ignore_ascii_case(name) && its_kind == kind
        }),
        _ => false,
    }
}

/// Whether the record's data is `wanted`, in the form of zone files; of names neither case nor the
/// last dot matter, of texts the quotes.
fn is(data: &RData, wanted: &str) -> bool {
    match data {
        RData::A(a) => wanted.parse() == Ok(IpAddr::V4(a.0)),
        RData::AAAA(a) => wanted.parse() == Ok(IpAddr::V6(a.0)),
        RData::TXT(txt) => txt.txt_data.concat() == wanted.as_bytes(),
        other => {
            let text = other.to_string();
            let plain = |t: &str| t.trim_end_matches('.').to_ascii_lowercase();
            plain(&text) == plain(wanted)
        }
    }
}

#[cfg(test)]
mod tests;
