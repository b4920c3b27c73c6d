//! The messages of dnstap (dnstap.proto), declared as structures; only the fields that are written.

use std::net::{IpAddr, SocketAddr};

use prost::Message as _;

use crate::engine::Transport;
use crate::server::tap::Sample;

/// `Dnstap.Type` MESSAGE.
const MESSAGE: i32 = 1;
/// `Message.Type` AUTH_RESPONSE: an answer of an authoritative server, with the query.
const AUTH_RESPONSE: i32 = 2;
/// `Message.Type` AUTH_QUERY: a query that was not answered.
const AUTH_QUERY: i32 = 1;

/// The envelope.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dnstap {
    #[prost(bytes = "vec", optional, tag = "1")]
    identity: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    version: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    extra: Option<Vec<u8>>,
    #[prost(message, optional, tag = "14")]
    message: Option<Message>,
    #[prost(int32, required, tag = "15")]
    kind: i32,
}

/// A query with its answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(int32, optional, tag = "2")]
    socket_family: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    socket_protocol: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    query_address: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "6")]
    query_port: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    query_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "9")]
    query_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "10")]
    query_message: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "12")]
    response_time_sec: Option<u64>,
    #[prost(fixed32, optional, tag = "13")]
    response_time_nsec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "14")]
    response_message: Option<Vec<u8>>,
}

/// `SocketProtocol`
fn protocol(transport: Transport) -> i32 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
        Transport::Tls => 3,
        Transport::Https => 4,
        Transport::Quic => 7,
    }
}

/// A sample as the octets of a message. `unix_ms` is when it was answered; `identity` is the node.
pub(super) fn encode(sample: &Sample, identity: &str, unix_ms: u64) -> Vec<u8> {
    let weight = (sample.weight > 1).then(|| format!("weight={}", sample.weight));
    let parts = Parts {
        transport: sample.transport,
        peer: sample.peer,
        query: sample.query(),
        answer: sample.answer(),
        extra: weight.map(String::into_bytes),
    };
    parts.encode(identity, unix_ms)
}

struct Parts<'a> {
    transport: Transport,
    peer: SocketAddr,
    query: &'a [u8],
    answer: &'a [u8],
    extra: Option<Vec<u8>>,
}

impl Parts<'_> {
    fn encode(self, identity: &str, unix_ms: u64) -> Vec<u8> {
        let ip = self.peer.ip().to_canonical();
        let (family, address) = match ip {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        let (sec, nsec) = (unix_ms / 1000, (unix_ms % 1000) as u32 * 1_000_000);
        let answered = !self.answer.is_empty();
        let message = Message {
            kind: if answered { AUTH_RESPONSE } else { AUTH_QUERY },
            socket_family: Some(family),
            socket_protocol: Some(protocol(self.transport)),
            query_address: Some(address),
            query_port: Some(u32::from(self.peer.port())),
            query_time_sec: Some(sec),
            query_time_nsec: Some(nsec),
            query_message: Some(self.query.to_vec()),
            response_time_sec: answered.then_some(sec),
            response_time_nsec: answered.then_some(nsec),
            response_message: answered.then(|| self.answer.to_vec()),
        };
        let version = concat!("tradewind ", env!("CARGO_PKG_VERSION"));
        Dnstap {
            identity: Some(identity.as_bytes().to_vec()),
            version: Some(version.as_bytes().to_vec()),
            extra: self.extra,
            message: Some(message),
            kind: MESSAGE,
        }
        .encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_what_the_schema_calls_for() {
        let octets = Parts {
            transport: Transport::Quic,
            peer: "[::ffff:192.0.2.7]:53000".parse().unwrap(),
            query: b"query",
            answer: b"answer",
            extra: Some(b"weight=8".to_vec()),
        }
        .encode("ns1", 1_700_000_000_250);
        // Field 1 (identity), length-delimited.
        assert_eq!(&octets[..5], b"\x0a\x03ns1");
        // Field 15 (type) is MESSAGE, and the last.
        assert_eq!(octets[octets.len() - 2..], [0x78, 1]);
        let back = Dnstap::decode(&octets[..]).unwrap();
        let message = back.message.unwrap();
        assert_eq!(
            (message.kind, message.socket_family),
            (AUTH_RESPONSE, Some(1))
        );
        assert_eq!(message.socket_protocol, Some(7));
        assert_eq!(message.query_address.as_deref(), Some(&[192, 0, 2, 7][..]));
        assert_eq!(message.query_time_nsec, Some(250_000_000));
        assert_eq!(message.response_message.as_deref(), Some(&b"answer"[..]));
        assert_eq!(back.extra.as_deref(), Some(&b"weight=8"[..]));
    }

    #[test]
    fn what_was_not_answered_is_a_query_alone() {
        let octets = Parts {
            transport: Transport::Udp,
            peer: "[2001:db8::1]:5".parse().unwrap(),
            query: b"query",
            answer: b"",
            extra: None,
        }
        .encode("ns1", 5);
        let message = Dnstap::decode(&octets[..]).unwrap().message.unwrap();
        assert_eq!((message.kind, message.socket_family), (AUTH_QUERY, Some(2)));
        assert_eq!(
            (message.response_message, message.response_time_sec),
            (None, None)
        );
    }
}
