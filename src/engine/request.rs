//! Which queries are looked up, and how the others are refused.

use crate::dns::message::{Fault, Query, Question};
use crate::dns::{Ede, Rcode, rtype, tsig};

/// Class IN (RFC 1035 section 3.2.4).
const IN: u16 = 1;

/// Why a query is not looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// FORMERR.
    Malformed(Fault),
    /// FORMERR: OPT is no type of data.
    OptAsked,
    /// NOTIMP: NOTIFY, UPDATE and the like.
    Opcode,
    /// BADVERS.
    Version,
    /// REFUSED: CH, HS, NONE, ANY.
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
}

impl Refusal {
    pub(super) fn rcode(self) -> Rcode {
        match self {
            Refusal::Malformed(_)
            | Refusal::OptAsked
            | Refusal::AxfrOverUdp
            | Refusal::IxfrWithoutSoa => Rcode::FORM_ERR,
            Refusal::Opcode => Rcode::NOT_IMP,
            Refusal::Version => Rcode::BAD_VERS,
            Refusal::Tsig(_) | Refusal::NoSuchZone => Rcode::NOT_AUTH,
            Refusal::Class
            | Refusal::TransferProhibited
            | Refusal::TransferOfSigned
            | Refusal::TransferTransport => Rcode::REFUSED,
        }
    }

    /// The extended error's code (RFC 8914).
    pub(super) fn ede(self) -> u16 {
        match self {
            Refusal::Malformed(_)
            | Refusal::OptAsked
            | Refusal::Version
            | Refusal::IxfrWithoutSoa => Ede::OTHER,
            Refusal::Opcode | Refusal::AxfrOverUdp | Refusal::TransferTransport => {
                Ede::NOT_SUPPORTED
            }
            Refusal::Class | Refusal::NoSuchZone => Ede::NOT_AUTHORITATIVE,
            Refusal::Tsig(_) | Refusal::TransferProhibited | Refusal::TransferOfSigned => {
                Ede::PROHIBITED
            }
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::Malformed(fault) => return fault.fmt(f),
            Refusal::OptAsked => "OPT is not a type one can ask for",
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
        })
    }
}

/// The question to look up.
///
/// The order is that of how much of the message must make sense: an unknown opcode may mean other
/// things by the rest, and another EDNS version by its options.
pub(super) fn admit<'p>(query: &Query<'p>) -> Result<Question<'p>, Refusal> {
    if query.opcode() != 0 {
        return Err(Refusal::Opcode);
    }
    if let Some(fault) = query.fault {
        return Err(Refusal::Malformed(fault));
    }
    if query.edns.is_some_and(|e| e.version > 0) {
        return Err(Refusal::Version);
    }
    let Some(question) = query.question else {
        return Err(Refusal::Malformed(Fault::QuestionCount(0)));
    };
    match question.qtype {
        _ if question.qclass != IN => Err(Refusal::Class),
        rtype::OPT => Err(Refusal::OptAsked),
        _ => Ok(question),
    }
}
