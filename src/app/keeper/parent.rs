//! Asks resolvers, or the parent's own servers, which DS records a zone has.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::dnssec::crypto::Digest;
use hickory_proto::dnssec::rdata::DNSSECRData;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::BinDecodable as _;

use crate::dns::name::WireName;
use crate::dnssec::key::key_tag;

/// One try waits so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// One DS record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ParentDs {
    tag: u16,
    algorithm: u8,
    digest_type: hickory_proto::dnssec::DigestType,
    digest: Vec<u8>,
}

impl ParentDs {
    /// Whether it is of this DNSKEY.
    pub(super) fn is_of(&self, apex: &WireName, dnskey: &[u8]) -> bool {
        if self.tag != key_tag(dnskey) || dnskey.get(3) != Some(&self.algorithm) {
            return false;
        }
        let text = [apex.as_bytes(), dnskey].concat();
        Digest::new(&text, self.digest_type).is_ok_and(|d| d.as_ref() == self.digest)
    }
}

/// The DS set that a server has.
///
/// # Errors
/// When it does not answer, or not with a DS set or its absence.
pub(super) fn ask(server: SocketAddr, apex: &WireName, id: u16) -> Result<Vec<ParentDs>, String> {
    let name = Name::read(&mut hickory_proto::serialize::binary::BinDecoder::new(
        apex.as_bytes(),
    ))
    .map_err(|e| e.to_string())?;
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    // For a resolver; a parent's own server does not look at it.
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), RecordType::DS));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    query.set_edns(edns);
    let packet = query.to_vec().map_err(|e| e.to_string())?;
    let mut answer = over_udp(server, &packet, id)?;
    if answer.metadata.truncation {
        answer = over_tcp(server, &packet).map_err(|e| e.to_string())?;
    }
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(format!("it answers {}", answer.metadata.response_code));
    }
    let of_zone = answer.answers.iter().filter(|r| r.name == name);
    Ok(of_zone
        .filter_map(|r| match &r.data {
            RData::DNSSEC(DNSSECRData::DS(ds)) => Some(ParentDs {
                tag: ds.key_tag(),
                algorithm: u8::from(ds.algorithm()),
                digest_type: ds.digest_type(),
                digest: ds.digest().to_vec(),
            }),
            _ => None,
        })
        .collect())
}

fn over_udp(server: SocketAddr, packet: &[u8], id: u16) -> Result<Message, String> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).map_err(|e| e.to_string())?;
    socket
        .connect(server)
        .and_then(|()| socket.set_read_timeout(Some(PATIENCE)))
        .map_err(|e| e.to_string())?;
    let mut buffer = [0; 4096];
    let mut last = String::new();
    for _ in 0..2 {
        let got = socket.send(packet).and_then(|_| socket.recv(&mut buffer));
        match got.map(|n| Message::from_vec(&buffer[..n])) {
            Ok(Ok(answer)) if answer.metadata.id == id => return Ok(answer),
            Ok(Ok(_)) => last = "an answer to something else".to_owned(),
            Ok(Err(e)) => last = e.to_string(),
            Err(e) => last = e.to_string(),
        }
    }
    Err(last)
}

fn over_tcp(server: SocketAddr, packet: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let len = u16::try_from(packet.len()).map_err(io::Error::other)?;
    stream.write_all(&[&len.to_be_bytes()[..], packet].concat())?;
    let mut len = [0; 2];
    stream.read_exact(&mut len)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut answer)?;
    Message::from_vec(&answer).map_err(io::Error::other)
}
