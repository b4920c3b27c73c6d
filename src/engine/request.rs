//! Which queries are looked up, and how the others are refused.

use crate::dns::edns::Keepalive;
use crate::dns::message::{Fault, Query, Question};
use crate::dns::{Ede, Rcode, Rtype, rtype, tsig};

use super::Transport;
use super::chaos::CH;

/// Class IN (RFC 1035 section 3.2.4).
const IN: u16 = 1;

/// Why a query is not looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// FORMERR.
    Malformed(Fault),
    /// FORMERR: edns-tcp-keepalive with so many octets of data.
    Keepalive(u16),
    /// FORMERR: no query may have this type.
    Type(u16),
    /// NOTIMP: a type that asks for an action not done here.
    MetaType(u16),
    /// NOTIMP: NOTIFY, UPDATE and the like.
    Opcode,
    /// BADVERS.
    Version,
    /// REFUSED: HS, NONE, ANY.
    Class,
    /// NOTAUTH: the TSIG is not good.
    Tsig(tsig::Error),
    /// NOTAUTH: a transfer of what is no zone of ours.
    NoSuchZone,
    /// REFUSED: this client may not have the zone.
    TransferProhibited,
    /// REFUSED: the copy would lack its signatures.
    TransferOfSigned,
    /// REFUSED: zones do not leave over HTTPS or QUIC.
    TransferTransport,
    /// FORMERR: AXFR needs a stream.
    AxfrOverUdp,
    /// FORMERR: an IXFR query without the client's SOA.
    IxfrWithoutSoa,
    /// REFUSED where class CH says nothing of the name; with the type asked for.
    Chaos(u16),
    /// REFUSED: the sender's network may not ask.
    Access,
    /// REFUSED: too many queries; only on streams, a datagram gets no answer.
    Busy,
    /// NOERROR: no question, but a cookie that is answered by a cookie.
    NoQuestion,
    /// BADCOOKIE.
    Cookie,
}

impl Refusal {
    pub(super) fn rcode(self) -> Rcode {
        match self {
            Refusal::Malformed(_)
            | Refusal::Keepalive(_)
            | Refusal::Type(_)
            | Refusal::AxfrOverUdp
            | Refusal::IxfrWithoutSoa => Rcode::FORM_ERR,
            Refusal::Opcode | Refusal::MetaType(_) => Rcode::NOT_IMP,
            Refusal::Version => Rcode::BAD_VERS,
            Refusal::Tsig(_) | Refusal::NoSuchZone => Rcode::NOT_AUTH,
            Refusal::Class
            | Refusal::Chaos(_)
            | Refusal::TransferProhibited
            | Refusal::TransferOfSigned
            | Refusal::TransferTransport
            | Refusal::Access
            | Refusal::Busy => Rcode::REFUSED,
            Refusal::NoQuestion => Rcode::NO_ERROR,
            Refusal::Cookie => Rcode::BAD_COOKIE,
        }
    }

    /// The extended error's code (RFC 8914); `None` where the response code says all.
    pub(super) fn ede(self) -> Option<u16> {
        Some(match self {
            Refusal::Malformed(_)
            | Refusal::Keepalive(_)
            | Refusal::Version
            | Refusal::IxfrWithoutSoa
            | Refusal::Busy => Ede::OTHER,
            Refusal::Type(_) => Ede::INVALID_QUERY_TYPE,
            Refusal::Opcode
            | Refusal::MetaType(_)
            | Refusal::AxfrOverUdp
            | Refusal::TransferTransport => Ede::NOT_SUPPORTED,
            Refusal::Class | Refusal::Chaos(_) | Refusal::NoSuchZone => Ede::NOT_AUTHORITATIVE,
            Refusal::Tsig(_)
            | Refusal::TransferProhibited
            | Refusal::TransferOfSigned
            | Refusal::Access => Ede::PROHIBITED,
            Refusal::NoQuestion | Refusal::Cookie => return None,
        })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::Malformed(fault) => return fault.fmt(f),
            Refusal::Keepalive(octets) => {
                return write!(
                    f,
                    "edns-tcp-keepalive with {octets} octets in a query; it must be empty"
                );
            }
            Refusal::Type(code) => {
                return write!(f, "{} is not a type one can ask for", Rtype(*code));
            }
            Refusal::MetaType(code) => {
                return write!(f, "{} is not done here", Rtype(*code));
            }
            Refusal::Opcode => "only queries are answered here",
            Refusal::Version => "only EDNS version 0 is spoken here",
            Refusal::Class => "only class IN is served here",
            Refusal::Tsig(error) => return error.fmt(f),
            Refusal::NoSuchZone => "no zone served here has this apex",
            Refusal::TransferProhibited => "this client may not have the zone",
            Refusal::TransferOfSigned => {
                "the zone is signed when it answers, and the copy would not be"
            }
            Refusal::TransferTransport => "zones are transferred over TCP and TLS only",
            Refusal::AxfrOverUdp => "AXFR needs TCP",
            Refusal::IxfrWithoutSoa => {
                "an IXFR query has the client's SOA in its authority section"
            }
            Refusal::Chaos(_) => "class CH has no such name here",
            Refusal::Access => "your network may not ask here",
            Refusal::Busy => "too many queries from your network",
            Refusal::NoQuestion | Refusal::Cookie => "",
        })
    }
}

/// The question to look up.
///
/// The order is that of how much of the message must make sense: an unknown opcode may mean other
/// things by the rest, and another EDNS version by its options.
pub(super) fn admit<'p>(query: &Query<'p>, transport: Transport) -> Result<Question<'p>, Refusal> {
    if query.opcode() != 0 {
        return Err(Refusal::Opcode);
    }
    if let Some(fault) = query.fault {
        return Err(Refusal::Malformed(fault));
    }
    if query.edns.is_some_and(|e| e.version > 0) {
        return Err(Refusal::Version);
    }
    if let Some(Keepalive::Malformed(octets)) = query.edns.map(|e| e.keepalive)
        && transport.keeps_alive()
    {
        return Err(Refusal::Keepalive(octets));
    }
    let Some(question) = query.question else {
        return Err(Refusal::Malformed(Fault::QuestionCount(0)));
    };
    match question.qtype {
        qtype if question.qclass == CH => Err(Refusal::Chaos(qtype)),
        _ if question.qclass != IN => Err(Refusal::Class),
        // RFC 9824 section 3.5: to an explicit query for NXNAME "the DNS server MUST return a Format
        // Error". OPT and TSIG live in the additional section only (RFC 6891 section 6.1.1, RFC 8945
        // section 5.1).
        t @ (rtype::OPT | rtype::TSIG | rtype::NXNAME) => Err(Refusal::Type(t)),
        // TKEY asks to agree on a key (RFC 2930), MAILA and MAILB are obsolete (RFC 1035 section
        // 3.2.3). Answering them NODATA would say that the server knows them.
        t @ (rtype::TKEY | rtype::MAILA | rtype::MAILB) => Err(Refusal::MetaType(t)),
        _ => Ok(question),
    }
}
