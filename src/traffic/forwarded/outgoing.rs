//! What the backend is told of the client.

use std::net::{IpAddr, SocketAddr};

use crate::message::{Fields, Known, RequestHead, Scheme, Version};
use crate::traffic::fields::{write_ip, write_number};

use super::Client;

/// One of the fields in which a proxy tells who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Tell {
    /// `X-Forwarded-For`: the address that asked this proxy, after those that stand there.
    XForwardedFor,
    /// `X-Forwarded-Proto`: `http` or `https`.
    XForwardedProto,
    /// `X-Forwarded-Host`: the host that the client asked for.
    XForwardedHost,
    /// `X-Forwarded-Port`: the port that the client reached.
    XForwardedPort,
    /// `X-Real-IP`: the client's address.
    XRealIp,
    /// `Forwarded` (RFC 7239): all of it.
    Forwarded,
}

impl Tell {
    /// All of them.
    pub const ALL: [Tell; 6] = [
        Tell::XForwardedFor,
        Tell::XForwardedProto,
        Tell::XForwardedHost,
        Tell::XForwardedPort,
        Tell::XRealIp,
        Tell::Forwarded,
    ];

    /// The field.
    pub const fn field(self) -> Known {
        match self {
            Tell::XForwardedFor => Known::XForwardedFor,
            Tell::XForwardedProto => Known::XForwardedProto,
            Tell::XForwardedHost => Known::XForwardedHost,
            Tell::XForwardedPort => Known::XForwardedPort,
            Tell::XRealIp => Known::XRealIp,
            Tell::Forwarded => Known::Forwarded,
        }
    }
}

/// Which fields a listener writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Telling {
    set: u8,
    via: bool,
}

impl Default for Telling {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`.
    fn default() -> Telling {
        Telling::new(&[Tell::XForwardedFor, Tell::XForwardedProto], false)
    }
}

/// What this proxy knows of the hop to it.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The client, as far as is known.
    pub client: Client,
    /// Who asked this proxy: the connection's source.
    pub peer: SocketAddr,
    /// The address that it asked.
    pub local: SocketAddr,
    /// This proxy's name, for `Via`.
    pub node: &'a str,
}

impl Telling {
    /// These fields; `via`: also `Via` (RFC 9110 section 7.6.3), in both directions.
    pub fn new(tells: &[Tell], via: bool) -> Telling {
        Telling {
            set: tells.iter().fold(0, |set, t| set | 1 << *t as u8),
            via,
        }
    }

    /// Whether `Via` is written.
    pub fn via(self) -> bool {
        self.via
    }

    fn tells(self, tell: Tell) -> bool {
        self.set & 1 << tell as u8 != 0
    }

    /// Takes out what a stranger said, and adds what this proxy knows. `text` is memory to write into.
    pub fn write(self, head: &mut RequestHead, hop: &Hop<'_>, text: &mut Vec<u8>) {
        if !hop.client.trusted {
            for tell in Tell::ALL {
                head.fields.remove(tell.field());
            }
            let is_told = |name: &[u8]| {
                Tell::ALL
                    .iter()
                    .any(|t| t.field().as_str().as_bytes() == name)
            };
            head.fields.remove_lookalikes(is_told);
        }
        let fields = &mut head.fields;
        let scheme = head.scheme.as_str().as_bytes();
        if self.tells(Tell::XForwardedFor) {
            text.clear();
            append_to(fields, Known::XForwardedFor, text);
            write_ip(hop.peer.ip(), text);
            fields.set(Known::XForwardedFor, text);
        }
        if self.tells(Tell::XForwardedProto) {
            // A trusted proxy's word has become the request's scheme already.
            fields.set(Known::XForwardedProto, scheme);
        }
        if self.set >> 2 != 0 {
            self.write_rare(head, hop, text);
        }
        if self.via {
            via(&mut head.fields, head.version, hop.node, text);
        }
    }

    fn write_rare(self, head: &mut RequestHead, hop: &Hop<'_>, text: &mut Vec<u8>) {
        let fields = &mut head.fields;
        if self.tells(Tell::XForwardedHost)
            && !fields.has(Known::XForwardedHost)
            && !head.authority.is_empty()
        {
            fields.push_known(Known::XForwardedHost, &head.authority);
        }
        if self.tells(Tell::XForwardedPort) && !fields.has(Known::XForwardedPort) {
            text.clear();
            let told = hop.client.trusted && hop.client.scheme.is_some();
            let port = match head.scheme {
                // The port of the first proxy, where it did not say: the usual one of its scheme.
                Scheme::Https if told => 443,
                Scheme::Http if told => 80,
                _ => hop.local.port(),
            };
            write_number(u32::from(port), text);
            fields.set(Known::XForwardedPort, text);
        }
        if self.tells(Tell::XRealIp) {
            text.clear();
            write_ip(hop.client.address.ip(), text);
            fields.set(Known::XRealIp, text);
        }
        if self.tells(Tell::Forwarded) {
            text.clear();
            append_to(fields, Known::Forwarded, text);
            text.extend_from_slice(b"for=");
            write_node(hop.peer.ip(), text);
            text.extend_from_slice(b";by=");
            write_node(hop.local.ip(), text);
            if !head.authority.is_empty() {
                text.extend_from_slice(b";host=\"");
                for b in &head.authority {
                    if matches!(b, b'"' | b'\\') {
                        text.push(b'\\');
                    }
                    text.push(*b);
                }
                text.push(b'"');
            }
            text.extend_from_slice(b";proto=");
            text.extend_from_slice(head.scheme.as_str().as_bytes());
            fields.set(Known::Forwarded, text);
        }
    }

    /// Adds `Via` to a response that a backend gave in `version`, where it is wanted.
    pub fn write_response(
        self,
        fields: &mut Fields,
        version: Version,
        node: &str,
        text: &mut Vec<u8>,
    ) {
        if self.via {
            via(fields, version, node, text);
        }
    }
}

/// Copies the members of a list-based field, so that one can be added.
fn append_to(fields: &Fields, field: Known, text: &mut Vec<u8>) {
    if !fields.has(field) {
        return;
    }
    for value in fields.all(field) {
        text.extend_from_slice(value.trim_ascii());
        text.extend_from_slice(b", ");
    }
}

/// RFC 7239 section 6: IPv6 stands in brackets, and so in quotes.
fn write_node(ip: IpAddr, text: &mut Vec<u8>) {
    if ip.to_canonical().is_ipv4() {
        return write_ip(ip, text);
    }
    text.extend_from_slice(b"\"[");
    write_ip(ip, text);
    text.extend_from_slice(b"]\"");
}

fn via(fields: &mut Fields, version: Version, node: &str, text: &mut Vec<u8>) {
    text.clear();
    append_to(fields, Known::Via, text);
    text.extend_from_slice(match version {
        Version::Http10 => b"1.0 ",
        Version::Http11 => b"1.1 ",
        Version::Http2 => b"2.0 ",
    });
    text.extend_from_slice(if node.is_empty() { "tradewind" } else { node }.as_bytes());
    fields.set(Known::Via, text);
}
