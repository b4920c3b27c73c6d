//! The fields of each record type: one table for reading text and for checking octets.

use crate::dns::rtype;

/// What a field of the data is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    V4,
    V6,
    /// A name; the flag says whether it may be compressed (only types of RFC 1035, RFC 3597 section 4).
    Name(bool),
    U8,
    U16,
    U32,
    /// A time in seconds or with units, 32 bits.
    Seconds,
    /// One character-string.
    Text,
    /// One or more character-strings.
    Texts,
    /// The tag of a CAA record (RFC 8659 section 4.1).
    Tag,
    /// Bytes to the end of the data, without a length.
    Bytes,
    /// Hexadecimal digits in all remaining words.
    Hex,
    /// The kind of a certificate: a number or its word (RFC 4398 section 2.1).
    CertType,
    /// An algorithm of DNSSEC: a number or its word (RFC 4398 section 2.2).
    Algorithm,
    /// Record types in all remaining words, a bitmap on the wire (RFC 4034 section 4.1.2).
    Types,
    /// Base64 in all remaining words.
    Base64,
    /// Six octets with hyphens (RFC 7043 section 3.2).
    Eui48,
    /// Eight octets with hyphens (RFC 7043 section 4.2).
    Eui64,
    /// 64 bits as groups of hexadecimal digits (RFC 6742 section 2.1).
    Groups,
    /// A place on the Earth (RFC 1876 section 3).
    Location,
}

/// A type's fields with their names.
pub(super) type Row = &'static [(Field, &'static str)];

/// The fields of a type; `None` where hickory-proto reads it, or where it is known by number only.
pub(super) fn fields(code: u16) -> Option<Row> {
    use Field::*;
    Some(match code {
        rtype::A => &[(V4, "address")],
        rtype::AAAA => &[(V6, "address")],
        rtype::NS => &[(Name(true), "name server")],
        rtype::CNAME | rtype::PTR => &[(Name(true), "target")],
        rtype::DNAME => &[(Name(false), "target")],
        rtype::MX => &[(U16, "preference"), (Name(true), "mail host")],
        rtype::SOA => &[
            (Name(true), "primary server"),
            (Name(true), "mailbox"),
            (U32, "serial"),
            (Seconds, "refresh"),
            (Seconds, "retry"),
            (Seconds, "expire"),
            (Seconds, "minimum"),
        ],
        rtype::MB | rtype::MG | rtype::MR => &[(Name(true), "mailbox")],
        rtype::MINFO => &[(Name(true), "mailbox"), (Name(true), "error mailbox")],
        rtype::TXT
        | rtype::SPF
        | rtype::NINFO
        | rtype::AVC
        | rtype::RESINFO
        | rtype::WALLET
        | rtype::ISDN => &[(Texts, "text")],
        rtype::HINFO => &[(Text, "CPU"), (Text, "operating system")],
        rtype::RP => &[(Name(false), "mailbox"), (Name(false), "text name")],
        rtype::AFSDB => &[(U16, "subtype"), (Name(false), "host")],
        rtype::X25 => &[(Text, "address")],
        rtype::RT => &[(U16, "preference"), (Name(false), "intermediate host")],
        rtype::PX => &[
            (U16, "preference"),
            (Name(false), "mail name"),
            (Name(false), "X.400 name"),
        ],
        rtype::GPOS => &[(Text, "longitude"), (Text, "latitude"), (Text, "altitude")],
        rtype::LOC => &[(Location, "latitude, longitude, altitude")],
        rtype::SRV => &[
            (U16, "priority"),
            (U16, "weight"),
            (U16, "port"),
            (Name(false), "target"),
        ],
        rtype::NAPTR => &[
            (U16, "order"),
            (U16, "preference"),
            (Text, "flags"),
            (Text, "services"),
            (Text, "regular expression"),
            (Name(false), "replacement"),
        ],
        rtype::KX => &[(U16, "preference"), (Name(false), "exchanger")],
        rtype::DS | rtype::DLV | rtype::TA => &[
            (U16, "key tag"),
            (U8, "algorithm"),
            (U8, "digest type"),
            (Hex, "digest"),
        ],
        rtype::SSHFP => &[
            (U8, "algorithm"),
            (U8, "fingerprint type"),
            (Hex, "fingerprint"),
        ],
        rtype::TLSA | rtype::SMIMEA => &[
            (U8, "usage"),
            (U8, "selector"),
            (U8, "matching type"),
            (Hex, "association data"),
        ],
        rtype::DHCID => &[(Base64, "identity")],
        rtype::OPENPGPKEY => &[(Base64, "key")],
        rtype::CERT => &[
            (CertType, "type"),
            (U16, "key tag"),
            (Algorithm, "algorithm"),
            (Base64, "certificate"),
        ],
        rtype::CSYNC => &[(U32, "serial"), (U16, "flags"), (Types, "types")],
        rtype::TALINK => &[(Name(false), "previous"), (Name(false), "next")],
        rtype::NID => &[(U16, "preference"), (Groups, "a node identifier")],
        rtype::L32 => &[(U16, "preference"), (V4, "locator")],
        rtype::L64 => &[(U16, "preference"), (Groups, "a locator")],
        rtype::LP => &[(U16, "preference"), (Name(false), "locator name")],
        rtype::EUI48 => &[(Eui48, "an EUI-48 address")],
        rtype::EUI64 => &[(Eui64, "an EUI-64 address")],
        rtype::URI => &[(U16, "priority"), (U16, "weight"), (Bytes, "target")],
        rtype::CAA => &[(U8, "flags"), (Tag, "tag"), (Bytes, "value")],
        _ => return None,
    })
}

/// Whether hickory-proto reads the text of the type.
pub(super) fn of_library(code: u16) -> bool {
    matches!(code, rtype::SVCB | rtype::HTTPS)
}

/// The names of a row's fields.
pub(super) fn labels(row: Row) -> String {
    let labels: Vec<_> = row.iter().map(|(_, label)| *label).collect();
    labels.join(", ")
}
