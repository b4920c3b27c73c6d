//! A question as a line of text: `NAME TYPE [+option …]`.
//!
//! Options: `+tcp`, `+edns[=SIZE]`, `+do`, `+ednsflags=HEX` (the flags beside DO), `+version=N`,
//! `+opt=CODE:HEX`, `+rdata=HEX` (the OPT record's data as it is), `+class=N`, `+opcode=N`, `+rd`,
//! `+cd`, `+ad`, `+z` (the header's reserved bit), `+qr`, `+qdcount=N`, `+twice` (the question a second
//! time), `+trailing`, `+noquestion`, `+twoopt` (the OPT record a second time), `+cut=N` (only the
//! first N octets), `+0x20` (odd letters in upper case). `+octets` and `+ede` change nothing in the
//! question: they have the answer's length and its extended error told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use super::told;

/// A question.
#[derive(Default)]
pub(super) struct Ask {
    /// As it stands in the file.
    pub(super) text: String,
    tcp: bool,
    octets: bool,
    ede: bool,
    packet: Vec<u8>,
}

const ID: u16 = 0x1234;

impl Ask {
    pub(super) fn read(text: &str) -> Ask {
        let mut words = text.split(' ');
        let (name, rtype) = (words.next().unwrap(), words.next().unwrap());
        let mut flags = 0u16;
        let mut class = 1u16;
        let mut edns: Option<(u16, u32)> = None;
        let mut options = Vec::new();
        let (mut tcp, mut twice, mut upper, mut question) = (false, false, false, true);
        let mut count = None;
        let mut cut = usize::MAX;
        let (mut trailing, mut two_opt, mut octets, mut ede) = (false, false, false, false);
        for word in words {
            let (option, value) = word.split_once('=').unwrap_or((word, ""));
            let number = || value.parse::<u32>().unwrap();
            match option {
                "+tcp" => tcp = true,
                "+edns" => {
                    let size = if value.is_empty() { 1232 } else { number() };
                    edns.get_or_insert((0, 0)).0 = size as u16;
                }
                "+do" => edns.get_or_insert((1232, 0)).1 |= 0x8000,
                "+version" => edns.get_or_insert((1232, 0)).1 |= number() << 16,
                "+opt" => {
                    edns.get_or_insert((1232, 0));
                    let (code, data) = value.split_once(':').unwrap();
                    let data = octets_of(data);
                    options.extend(code.parse::<u16>().unwrap().to_be_bytes());
                    options.extend((data.len() as u16).to_be_bytes());
                    options.extend(data);
                }
                "+rdata" => {
                    edns.get_or_insert((1232, 0));
                    options.extend(octets_of(value));
                }
                "+ednsflags" => {
                    edns.get_or_insert((1232, 0)).1 |= u32::from_str_radix(value, 16).unwrap();
                }
                "+class" => class = number() as u16,
                "+opcode" => flags |= (number() as u16) << 11,
                "+rd" => flags |= 0x0100,
                "+cd" => flags |= 0x0010,
                "+ad" => flags |= 0x0020,
                "+z" => flags |= 0x0040,
                "+qr" => flags |= 0x8000,
                "+qdcount" => count = Some(number() as u16),
                "+twice" => twice = true,
                "+trailing" => trailing = true,
                "+twoopt" => two_opt = true,
                "+octets" => octets = true,
                "+ede" => ede = true,
                "+noquestion" => question = false,
                "+cut" => cut = number() as usize,
                "+0x20" => upper = true,
                other => panic!("unknown option {other:?} in {text:?}"),
            }
        }
        let mut body = Vec::new();
        if question {
            let mut wire = Vec::new();
            let name = Name::from_ascii(name).unwrap();
            name.emit(&mut BinEncoder::new(&mut wire)).unwrap();
            if upper {
                for octet in wire.iter_mut().step_by(2) {
                    octet.make_ascii_uppercase();
                }
            }
            wire.extend(number_of(rtype).to_be_bytes());
            wire.extend(class.to_be_bytes());
            body.extend(&wire);
            if twice {
                body.extend(&wire);
            }
        }
        if let Some((size, ttl)) = edns {
            let mut opt = vec![0, 0, 41];
            opt.extend(size.to_be_bytes());
            opt.extend(ttl.to_be_bytes());
            opt.extend((options.len() as u16).to_be_bytes());
            opt.extend(options);
            body.extend(opt.repeat(1 + usize::from(two_opt)));
        }
        if trailing {
            body.push(0);
        }
        let questions = count.unwrap_or(u16::from(question) + u16::from(twice));
        let counts = [
            questions,
            0,
            0,
            u16::from(edns.is_some()) + u16::from(two_opt),
        ];
        let mut packet = Vec::new();
        for word in [ID, flags].into_iter().chain(counts) {
            packet.extend(word.to_be_bytes());
        }
        packet.extend(body);
        packet.truncate(cut);
        Ask {
            text: text.to_owned(),
            tcp,
            octets,
            ede,
            packet,
        }
    }

    /// Asks, and tells the answer as text.
    pub(super) fn put(&self, server: SocketAddr) -> String {
        let answer = if self.tcp {
            self.over_tcp(server)
        } else {
            self.over_udp(server)
        };
        match answer {
            Some(bytes) if self.octets => {
                format!(
                    "{} octets\n{}",
                    bytes.len(),
                    told::told(&bytes, &self.packet, self.ede)
                )
            }
            Some(bytes) => told::told(&bytes, &self.packet, self.ede),
            None => "nothing\n".to_owned(),
        }
    }

    fn over_udp(&self, server: SocketAddr) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        let mut buf = [0; 65_535];
        // Silence is proved by the answer to a question that follows.
        let mut probe = Ask::read("conf.test. SOA").packet;
        probe[..2].copy_from_slice(&[0x77, 0x77]);
        for wait in [1, 2, 4] {
            socket
                .set_read_timeout(Some(Duration::from_secs(wait)))
                .unwrap();
            socket.send(&self.packet).unwrap();
            socket.send(&probe).unwrap();
            let mut answer = None;
            while let Ok(n) = socket.recv(&mut buf) {
                if buf[..2] == [0x77, 0x77] {
                    // A server of several threads may answer the second question first.
                    if answer.is_none() {
                        socket
                            .set_read_timeout(Some(Duration::from_millis(200)))
                            .unwrap();
                        if let Ok(n) = socket.recv(&mut buf) {
                            return Some(buf[..n].to_vec());
                        }
                    }
                    return answer;
                }
                answer = Some(buf[..n].to_vec());
            }
        }
        panic!("{server} answers nothing any more after {:?}", self.text);
    }

    fn over_tcp(&self, server: SocketAddr) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(server).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut framed = (self.packet.len() as u16).to_be_bytes().to_vec();
        framed.extend(&self.packet);
        stream.write_all(&framed).unwrap();
        let mut len = [0; 2];
        stream.read_exact(&mut len).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    }
}

fn octets_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap())
        .collect()
}

fn number_of(rtype: &str) -> u16 {
    match rtype.strip_prefix("TYPE") {
        Some(number) => number.parse().unwrap(),
        None => u16::from(rtype.parse::<RecordType>().unwrap()),
    }
}
