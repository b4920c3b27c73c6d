//! Response codes (RFC 6895 section 2.3).

use std::fmt;

/// A response code; 12 bits where EDNS carries the upper eight (RFC 6891 section 6.1.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NO_ERROR: Rcode = Rcode(0);
    /// The query could not be read.
    pub const FORM_ERR: Rcode = Rcode(1);
    /// The server cannot answer now.
    pub const SERV_FAIL: Rcode = Rcode(2);
    /// The name does not exist.
    pub const NX_DOMAIN: Rcode = Rcode(3);
    /// This kind of query is not implemented.
    pub const NOT_IMP: Rcode = Rcode(4);
    /// The server does not want to answer, or does not serve the zone.
    pub const REFUSED: Rcode = Rcode(5);
    /// A name exists that should not: a DNAME makes one that is too long (RFC 6672 section 2.2).
    pub const YX_DOMAIN: Rcode = Rcode(6);
    /// The server is not authoritative for the zone, or the TSIG is not good (RFC 8945 section 5.2).
    pub const NOT_AUTH: Rcode = Rcode(9);
    /// The EDNS version is not implemented (RFC 6891 section 9).
    pub const BAD_VERS: Rcode = Rcode(16);
    /// The server cookie is missing or not good (RFC 7873 section 8).
    pub const BAD_COOKIE: Rcode = Rcode(23);

    /// The four bits of the header.
    pub const fn low(self) -> u16 {
        self.0 & 0xF
    }

    /// The eight bits of the OPT record.
    pub const fn high(self) -> u8 {
        (self.0 >> 4) as u8
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Rcode::NO_ERROR => "NOERROR",
            Rcode::FORM_ERR => "FORMERR",
            Rcode::SERV_FAIL => "SERVFAIL",
            Rcode::NX_DOMAIN => "NXDOMAIN",
            Rcode::NOT_IMP => "NOTIMP",
            Rcode::REFUSED => "REFUSED",
            Rcode::YX_DOMAIN => "YXDOMAIN",
            Rcode::NOT_AUTH => "NOTAUTH",
            Rcode::BAD_VERS => "BADVERS",
            Rcode::BAD_COOKIE => "BADCOOKIE",
            Rcode(code) => return write!(f, "RCODE{code}"),
        })
    }
}
