//! Which queries are looked up, and how the others are refused.

use crate::dns::edns::Keepalive;
use crate::dns::message::{Fault, Query, Question};
use crate::dns::{Ede, Rcode, rtype};

use super::Transport;

/// Class IN (RFC 1035 section 3.2.4).
const IN: u16 = 1;

/// Why a query is not looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// FORMERR.
    Malformed(Fault),
    /// FORMERR: edns-tcp-keepalive with so many octets of data.
    Keepalive(u16),
    /// FORMERR: OPT is no type of data.
    OptAsked,
    /// FORMERR: nor is NXNAME.
    NxNameAsked,
    /// NOTIMP: NOTIFY, UPDATE and the like.
    Opcode,
    /// BADVERS.
    Version,
    /// REFUSED: CH, HS, NONE, ANY.
    Class,
    /// REFUSED: AXFR and IXFR.
    Transfer,
}

impl Refusal {
    pub(super) fn rcode(self) -> Rcode {
        match self {
            Refusal::Malformed(_)
            | Refusal::Keepalive(_)
            | Refusal::OptAsked
            | Refusal::NxNameAsked => Rcode::FORM_ERR,
            Refusal::Opcode => Rcode::NOT_IMP,
            Refusal::Version => Rcode::BAD_VERS,
            Refusal::Class | Refusal::Transfer => Rcode::REFUSED,
        }
    }

    /// The extended error's code (RFC 8914).
    pub(super) fn ede(self) -> u16 {
        match self {
            Refusal::Malformed(_)
            | Refusal::Keepalive(_)
            | Refusal::OptAsked
            | Refusal::Version => Ede::OTHER,
            Refusal::Opcode | Refusal::Transfer => Ede::NOT_SUPPORTED,
            Refusal::NxNameAsked => Ede::INVALID_QTYPE,
            Refusal::Class => Ede::NOT_AUTHORITATIVE,
        }
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
            Refusal::OptAsked => "OPT is not a type one can ask for",
            Refusal::NxNameAsked => "NXNAME stands in denials only and cannot be asked for",
            Refusal::Opcode => "only queries are answered here",
            Refusal::Version => "only EDNS version 0 is spoken here",
            Refusal::Class => "only class IN is served here",
            Refusal::Transfer => "zones are not transferred from here",
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
        _ if question.qclass != IN => Err(Refusal::Class),
        rtype::AXFR | rtype::IXFR => Err(Refusal::Transfer),
        rtype::OPT => Err(Refusal::OptAsked),
        // RFC 9824 section 3.5: "the DNS server MUST return a Format Error".
        rtype::NXNAME => Err(Refusal::NxNameAsked),
        _ => Ok(question),
    }
}
