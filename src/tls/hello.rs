//! The first message of a TLS client, read off the start of a connection without taking part in it: the
//! host that it asks for (SNI, RFC 6066 section 3) and the protocols that it offers (ALPN, RFC 7301).
//!
//! What is read decides where a connection goes, so that nothing may be read two ways: whatever a server
//! behind could take for another name is an error here. Of a client that encrypts its hello (ECH) the
//! outer one is read, which is for whoever routes.

mod extensions;
mod record;
#[cfg(test)]
mod tests;

use extensions::Extensions;
use record::Cursor;

/// Octets of the longest message that is taken, where nothing else is said. Post-quantum key shares and
/// the padding of browsers need 2 KiB; of legal ones hardly any is longer than 4 KiB.
pub const MESSAGE: usize = 16 << 10;

/// Octets of a connection within which a hello of `most` octets must be whole, records' heads included:
/// what is cut into records so small that it needs more is refused.
pub const fn window(most: usize) -> usize {
    2 * most
}

/// What a client says first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hello {
    /// The host it asks for: lower case, no final dot. `None` when it names none, or an address, which is
    /// no name (RFC 6066 section 3).
    pub server_name: Option<Box<str>>,
    /// What it would speak.
    pub alpn: Alpn,
}

/// Protocols that a client offers, in its order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Alpn {
    /// As they stand in the extension, each behind its length.
    list: Box<[u8]>,
}

impl Alpn {
    /// The protocols, such as `h2`.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut list = Cursor(&self.list);
        // The list was read before it was taken.
        std::iter::from_fn(move || list.vector8())
    }

    /// These protocols, each of 1 to 255 octets.
    pub fn of<'p>(protocols: impl IntoIterator<Item = &'p [u8]>) -> Alpn {
        let mut list = Vec::new();
        for protocol in protocols {
            let len = u8::try_from(protocol.len()).unwrap_or(u8::MAX);
            list.push(len);
            list.extend_from_slice(&protocol[..len.into()]);
        }
        Alpn { list: list.into() }
    }

    /// Whether the client would speak this.
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.iter().any(|offered| offered == protocol)
    }

    /// Whether it said nothing.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Why there is no hello.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HelloError {
    /// So far all is well, and the hello reaches at least to this octet.
    #[error("the ClientHello is cut off: it has at least {0} octets")]
    Incomplete(usize),
    /// It does not begin like TLS: another protocol, or SSL 2.
    #[error("it does not begin with TLS")]
    NotTls,
    /// It begins like TLS and breaks its rules.
    #[error("ClientHello: {0}")]
    Malformed(Malformed),
}

/// Which rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// RFC 8446 section 5.1: "MUST NOT send zero-length fragments of Handshake types".
    #[error("a record is empty")]
    EmptyRecord,
    /// RFC 8446 section 5.1: "The length MUST NOT exceed 2^14 bytes".
    #[error("a record has {0} octets; at most 16384 are allowed")]
    LongRecord(u16),
    /// RFC 8446 section 5.1: "Handshake messages MUST NOT be interleaved with other record types".
    #[error("a record of type {0} stands within it")]
    OtherRecord(u8),
    /// RFC 8446 section 4.1.2: it must be a client's first message.
    #[error("the first message is of type {0}")]
    OtherMessage(u8),
    /// Over the bound of whoever reads.
    #[error("it has {octets} octets; at most {most} are read")]
    Long {
        /// Octets announced.
        octets: usize,
        /// Octets allowed.
        most: usize,
    },
    /// Over [`window`].
    #[error("its records are so small that it is not whole within {0} octets")]
    Scattered(usize),
    /// RFC 8446 section 4.1.2: `legacy_version` is 0x0303; before, 0x0300 to 0x0302.
    #[error("version 0x{0:04x} is none of TLS")]
    Version(u16),
    /// A length reaches beyond what it is in, or something stands behind its end.
    #[error("a length in {0} is wrong")]
    Torn(Part),
    /// RFC 8446 section 4.2: "There MUST NOT be more than one extension of the same type".
    #[error("extension {0} stands in it twice")]
    Twice(u16),
    /// RFC 6066 section 3: "MUST NOT contain more than one name of the same name_type".
    #[error("it names two hosts")]
    TwoNames,
    /// RFC 6066 section 3: a host name is a "fully qualified DNS hostname", in ASCII.
    #[error("the host name in it is none")]
    HostName,
}

/// A part of the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// What stands before the extensions.
    Message,
    /// The list of extensions.
    Extensions,
    /// `server_name`
    ServerName,
    /// `application_layer_protocol_negotiation`
    Alpn,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Part::Message => "the message",
            Part::Extensions => "the list of extensions",
            Part::ServerName => "the extension `server_name`",
            Part::Alpn => "the extension `alpn`",
        })
    }
}

/// Reads the hello at the start of `octets`, of whose message at most `most` octets are taken.
///
/// With all of [`window`]`(most)` octets there is always an answer.
///
/// # Errors
/// [`HelloError`]. Only [`HelloError::Incomplete`] may become another answer with more octets, and it does
/// not before there are as many as it says, unless the hello is malformed.
pub fn read(octets: &[u8], most: usize) -> Result<Hello, HelloError> {
    let message = record::message(octets, most)?;
    hello(&message).map_err(HelloError::Malformed)
}

/// RFC 8446 section 4.1.2, which describes the hellos of older versions, too.
fn hello(body: &[u8]) -> Result<Hello, Malformed> {
    let torn = Malformed::Torn(Part::Message);
    let mut rest = Cursor(body);
    let version = rest.u16().ok_or(torn)?;
    if version >> 8 != 3 {
        return Err(Malformed::Version(version));
    }
    rest.take(32).ok_or(torn)?;
    // "opaque legacy_session_id<0..32>"
    let session = rest.vector8().ok_or(torn)?;
    // "CipherSuite cipher_suites<2..2^16-2>", each of two octets
    let suites = rest.vector16().ok_or(torn)?;
    // "opaque legacy_compression_methods<1..2^8-1>"
    let compression = rest.vector8().ok_or(torn)?;
    let sound = session.len() <= 32
        && !suites.is_empty()
        && suites.len().is_multiple_of(2)
        && !compression.is_empty();
    if !sound {
        return Err(torn);
    }
    // Before TLS 1.3 a hello may end here (RFC 5246 section 7.4.1.2).
    if rest.0.is_empty() {
        return Ok(Hello::default());
    }
    let list = rest.vector16().filter(|_| rest.0.is_empty());
    let list = list.ok_or(Malformed::Torn(Part::Extensions))?;
    let found = Extensions::read(list)?;
    Ok(Hello {
        server_name: match found.server_name {
            Some(extension) => extensions::host_name(extension)?,
            None => None,
        },
        alpn: match found.alpn {
            Some(extension) => Alpn {
                list: extensions::protocols(extension)?.into(),
            },
            None => Alpn::default(),
        },
    })
}
