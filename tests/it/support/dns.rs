//! A DNS client on plain sockets; hickory-proto builds queries and reads answers.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};

/// A query for `name` with ECS where `subnet` says so.
pub fn query(name: &str, rtype: RecordType, subnet: Option<&str>) -> Vec<u8> {
    let id = std::process::id() as u16 ^ 0x5a5a;
    let mut m = Message::new(id, MessageType::Query, OpCode::Query);
    m.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    if let Some(subnet) = subnet {
        let (addr, len) = subnet.split_once('/').unwrap();
        let addr: IpAddr = addr.parse().unwrap();
        edns.options_mut()
            .insert(EdnsOption::Subnet(ClientSubnet::new(
                addr,
                len.parse().unwrap(),
                0,
            )));
    }
    m.set_edns(edns);
    m.to_vec().unwrap()
}

/// Sends over UDP and waits for the answer; a lost datagram is sent again, as every resolver does.
pub fn udp(server: SocketAddr, packet: &[u8]) -> Message {
    let local: SocketAddr = match server.is_ipv4() {
        true => "127.0.0.1:0".parse().unwrap(),
        false => "[::1]:0".parse().unwrap(),
    };
    let socket = UdpSocket::bind(local).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    socket.connect(server).unwrap();
    let mut buf = [0; 4096];
    for _ in 0..3 {
        socket.send(packet).unwrap();
        if let Ok(n) = socket.recv(&mut buf) {
            return Message::from_vec(&buf[..n]).unwrap();
        }
    }
    panic!("no answer from {server} to three queries");
}

/// Sends over TCP and waits for the answer.
pub fn tcp(server: SocketAddr, packet: &[u8]) -> Message {
    exchange(&mut connect(server), packet)
}

/// A TCP connection for several queries.
pub fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
}

/// Sends over an open connection and waits for the answer.
pub fn exchange(stream: &mut TcpStream, packet: &[u8]) -> Message {
    let mut framed = (packet.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(packet);
    stream.write_all(&framed).unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut buf = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut buf).unwrap();
    Message::from_vec(&buf).unwrap()
}

/// The A and AAAA addresses of an answer, sorted.
pub fn addresses(m: &Message) -> Vec<IpAddr> {
    let mut list: Vec<IpAddr> = m
        .answers
        .iter()
        .filter_map(|r| match &r.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(a) => Some(IpAddr::V6(a.0)),
            _ => None,
        })
        .collect();
    list.sort();
    list
}

/// The ECS scope of an answer.
pub fn scope(m: &Message) -> Option<u8> {
    m.edns
        .as_ref()?
        .options()
        .as_ref()
        .iter()
        .find_map(|(_, o)| match o {
            EdnsOption::Subnet(s) => Some(s.scope_prefix()),
            _ => None,
        })
}

/// The strings of the TXT records of an answer.
pub fn texts(m: &Message) -> Vec<String> {
    m.answers
        .iter()
        .filter_map(|r| match &r.data {
            RData::TXT(t) => Some(
                t.txt_data
                    .iter()
                    .map(|s| String::from_utf8_lossy(s).into_owned())
                    .collect(),
            ),
            _ => None,
        })
        .collect()
}

/// The text of the extended error of an answer (RFC 8914).
pub fn extended_error(m: &Message) -> Option<String> {
    let options = m.edns.as_ref()?.options().as_ref();
    options.iter().find_map(|(_, o)| match o {
        EdnsOption::Unknown(15, bytes) => {
            Some(String::from_utf8_lossy(bytes.get(2..)?).into_owned())
        }
        _ => None,
    })
}
