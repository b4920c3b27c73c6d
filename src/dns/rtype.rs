//! Record types: their codes and names (RFC 6895 section 3.1, RFC 3597 section 5).

use std::fmt;
use std::str::FromStr;

/// Declares the types known by name.
macro_rules! types {
    ($($name:ident $text:literal = $code:literal;)*) => {
        $(
            #[doc = concat!("The code of type ", $text, ".")]
            pub const $name: u16 = $code;
        )*

        /// The types known by name.
        const NAMES: &[(u16, &str)] = &[$(($code, $text),)*];
    };
}

types! {
    A "A" = 1;
    NS "NS" = 2;
    CNAME "CNAME" = 5;
    SOA "SOA" = 6;
    MB "MB" = 7;
    MG "MG" = 8;
    MR "MR" = 9;
    NULL "NULL" = 10;
    PTR "PTR" = 12;
    HINFO "HINFO" = 13;
    MINFO "MINFO" = 14;
    MX "MX" = 15;
    TXT "TXT" = 16;
    RP "RP" = 17;
    AFSDB "AFSDB" = 18;
    X25 "X25" = 19;
    ISDN "ISDN" = 20;
    RT "RT" = 21;
    SIG "SIG" = 24;
    KEY "KEY" = 25;
    PX "PX" = 26;
    GPOS "GPOS" = 27;
    AAAA "AAAA" = 28;
    LOC "LOC" = 29;
    NXT "NXT" = 30;
    SRV "SRV" = 33;
    NAPTR "NAPTR" = 35;
    KX "KX" = 36;
    CERT "CERT" = 37;
    DNAME "DNAME" = 39;
    OPT "OPT" = 41;
    DS "DS" = 43;
    SSHFP "SSHFP" = 44;
    RRSIG "RRSIG" = 46;
    NSEC "NSEC" = 47;
    DNSKEY "DNSKEY" = 48;
    DHCID "DHCID" = 49;
    NSEC3 "NSEC3" = 50;
    NSEC3PARAM "NSEC3PARAM" = 51;
    TLSA "TLSA" = 52;
    SMIMEA "SMIMEA" = 53;
    NINFO "NINFO" = 56;
    TALINK "TALINK" = 58;
    CDS "CDS" = 59;
    CDNSKEY "CDNSKEY" = 60;
    OPENPGPKEY "OPENPGPKEY" = 61;
    CSYNC "CSYNC" = 62;
    ZONEMD "ZONEMD" = 63;
    SVCB "SVCB" = 64;
    HTTPS "HTTPS" = 65;
    SPF "SPF" = 99;
    NXNAME "NXNAME" = 128;
    TKEY "TKEY" = 249;
    NID "NID" = 104;
    L32 "L32" = 105;
    L64 "L64" = 106;
    LP "LP" = 107;
    EUI48 "EUI48" = 108;
    EUI64 "EUI64" = 109;
    TSIG "TSIG" = 250;
    IXFR "IXFR" = 251;
    AXFR "AXFR" = 252;
    MAILB "MAILB" = 253;
    MAILA "MAILA" = 254;
    ANY "ANY" = 255;
    URI "URI" = 256;
    CAA "CAA" = 257;
    AVC "AVC" = 258;
    RESINFO "RESINFO" = 261;
    WALLET "WALLET" = 262;
    TA "TA" = 32768;
    DLV "DLV" = 32769;
}

/// The types known by name, by code.
pub fn known() -> impl Iterator<Item = Rtype> {
    NAMES.iter().map(|(code, _)| Rtype(*code))
}

/// A record type as text: its name, or `TYPE` and its code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rtype(pub u16);

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(code, _)| *code == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// A text is no record type.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is not a record type; write its name, such as A or AAAA, or TYPE and its number up to 65535"
)]
pub struct UnknownType(pub String);

impl FromStr for Rtype {
    type Err = UnknownType;

    /// Reads a name or `TYPEnnn`, in any case.
    fn from_str(text: &str) -> Result<Rtype, UnknownType> {
        if let Some((code, _)) = NAMES.iter().find(|(_, n)| n.eq_ignore_ascii_case(text)) {
            return Ok(Rtype(*code));
        }
        text.get(..4)
            .filter(|prefix| prefix.eq_ignore_ascii_case("TYPE"))
            .and(text.get(4..))
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .map(Rtype)
            .ok_or_else(|| UnknownType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3597_5_names_and_numbers() {
        for (text, code, shown) in [
            ("A", A, "A"),
            ("aaaa", AAAA, "AAAA"),
            ("Https", HTTPS, "HTTPS"),
            ("any", ANY, "ANY"),
            ("TYPE28", AAAA, "AAAA"),
            ("type65280", 65280, "TYPE65280"),
        ] {
            assert_eq!(text.parse::<Rtype>().unwrap(), Rtype(code));
            assert_eq!(Rtype(code).to_string(), shown);
        }
        for bad in ["", "AAA", "TYPE", "TYPE-1", "TYPE+1", "TYPE65536", "TYÉE1"] {
            assert!(bad.parse::<Rtype>().is_err(), "{bad}");
        }
    }
}
