//! From chitchat's messages to octets and back.
//!
//! chitchat 0.13 keeps its codec for itself; only its own UDP socket uses it. So a message makes a hop
//! over the loopback interface, from such a socket to a plain one or the other way round. One message
//! is under way at a time, followed on the way back by a mark, so that a message that cannot be read
//! is told from one that is late. No other process can take part: both sockets look at the sender.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use chitchat::transport::{Socket, UdpSocket as CodecSocket};
use chitchat::{ChitchatEnvelope, ChitchatMessage, ProtocolVersion};
use ring::rand::SecureRandom;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::frame::MAX_MESSAGE;

/// A hop takes microseconds; when it takes so long the message is lost.
const HOP: Duration = Duration::from_secs(1);

/// A pair of sockets with chitchat's codec on one side.
pub(super) struct Hop {
    codec: CodecSocket,
    codec_address: SocketAddr,
    plain: UdpSocket,
    plain_address: SocketAddr,
    buffer: Vec<u8>,
    /// An encoded message that nobody else can know, and the name in it.
    mark: Vec<u8>,
    mark_name: String,
}

impl Hop {
    /// A pair on free ports of the loopback interface.
    pub(super) async fn open() -> anyhow::Result<Hop> {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let codec = CodecSocket::open(loopback).await?;
        let codec_address = codec.local_addr()?;
        let plain = UdpSocket::bind(loopback).await?;
        let plain_address = plain.local_addr()?;
        // From now on nothing else arrives there.
        plain.connect(codec_address).await?;
        let mut random = [0; 16];
        ring::rand::SystemRandom::new()
            .fill(&mut random)
            .ok()
            .context("the system gives no random numbers")?;
        let mark_name = data_encoding::HEXLOWER.encode(&random);
        let mut hop = Hop {
            codec,
            codec_address,
            plain,
            plain_address,
            buffer: vec![0; MAX_MESSAGE + 1],
            mark: Vec::new(),
            mark_name: mark_name.clone(),
        };
        let mark = ChitchatMessage::Syn {
            cluster_id: mark_name,
            digest: Default::default(),
        };
        hop.mark = hop
            .encode(ChitchatEnvelope {
                version: ProtocolVersion::V1,
                message: mark,
            })
            .await?
            .to_vec();
        Ok(hop)
    }

    /// The octets of a message.
    ///
    /// # Errors
    /// When the loopback interface loses it.
    pub(super) async fn encode(&mut self, envelope: ChitchatEnvelope) -> anyhow::Result<&[u8]> {
        // What an earlier message left behind when it was given up.
        while self.plain.try_recv(&mut self.buffer).is_ok() {}
        self.codec.send(self.plain_address, envelope).await?;
        let received = timeout(HOP, self.plain.recv(&mut self.buffer));
        let octets = received.await.context("the codec gave no octets")??;
        Ok(&self.buffer[..octets])
    }

    /// The message of some octets; `None` when they are none. The errors are not for the cause: only
    /// chitchat knows it, and logs it.
    ///
    /// # Errors
    /// When the loopback interface loses it.
    pub(super) async fn decode(
        &mut self,
        octets: &[u8],
    ) -> anyhow::Result<Option<ChitchatEnvelope>> {
        self.plain.send(octets).await?;
        self.plain.send(&self.mark).await?;
        let mut found = None;
        let read = async {
            loop {
                let message = self.codec.recv().await?;
                if message.from_addr != self.plain_address {
                    continue;
                }
                match &message.envelope.message {
                    ChitchatMessage::Syn { cluster_id, .. } if *cluster_id == self.mark_name => {
                        return anyhow::Ok(());
                    }
                    _ => found = Some(message.envelope),
                }
            }
        };
        match timeout(HOP, read).await {
            Ok(done) => done?,
            Err(_) => bail!("the codec at {} gave no message", self.codec_address),
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syn(cluster: &str) -> ChitchatEnvelope {
        ChitchatEnvelope {
            version: ProtocolVersion::V1,
            message: ChitchatMessage::Syn {
                cluster_id: cluster.to_owned(),
                digest: Default::default(),
            },
        }
    }

    #[tokio::test]
    async fn messages_survive_the_hop_and_garbage_does_not() {
        let (mut there, mut back) = (Hop::open().await.unwrap(), Hop::open().await.unwrap());
        for version in [ProtocolVersion::V0, ProtocolVersion::V1] {
            for message in [syn("a").message, ChitchatMessage::BadCluster] {
                let envelope = ChitchatEnvelope { version, message };
                let expected = format!("{envelope:?}");
                let octets = there.encode(envelope).await.unwrap().to_vec();
                let read = back.decode(&octets).await.unwrap().unwrap();
                assert_eq!(format!("{read:?}"), expected);
                // Cut off or with something changed it is none, or at least another one.
                for end in 0..octets.len() {
                    let read = back.decode(&octets[..end]).await.unwrap();
                    assert_ne!(format!("{read:?}"), format!("Some({expected})"), "{end}");
                }
            }
        }
        for garbage in [&b""[..], b"x", &[0xff; 1000], &[0; 60_000]] {
            assert!(back.decode(garbage).await.unwrap().is_none());
        }
        let octets = there.encode(syn("b")).await.unwrap().to_vec();
        assert_eq!(back.decode(&octets).await.unwrap(), Some(syn("b")));
    }

    #[tokio::test]
    async fn other_processes_cannot_speak_into_it() {
        let mut hop = Hop::open().await.unwrap();
        let octets = hop.encode(syn("ours")).await.unwrap().to_vec();
        let forged = hop.encode(syn("forged")).await.unwrap().to_vec();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for target in [hop.codec_address, hop.plain_address] {
            other.send_to(&forged, target).await.unwrap();
        }
        assert_eq!(hop.decode(&octets).await.unwrap(), Some(syn("ours")));
        let again = hop.encode(syn("again")).await.unwrap().to_vec();
        assert_eq!(hop.decode(&again).await.unwrap(), Some(syn("again")));
    }
}
