//! Transaction signatures with shared secrets (RFC 8945).
//!
//! [`key`] has the secret and its algorithm, [`record`] the record on the wire, [`mod@verify`] checks a
//! message, [`sign`] signs one, or a chain of them that answer one request.

pub mod key;
pub mod record;
pub mod sign;
pub mod verify;

pub use key::{Algorithm, Secret, TsigKey};
pub use record::{KeyName, Tsig};
pub use sign::{Chain, Mac, Tail};
pub use verify::{Checked, verify, verify_answer};

use std::fmt;

/// Seconds that the clocks of both sides may differ (RFC 8945 section 10: "SHOULD be 300 seconds").
pub const FUDGE: u16 = 300;

/// Class ANY, which a TSIG record has (RFC 8945 section 4.2).
const ANY: u16 = 255;

/// Why a TSIG is not good (RFC 8945 section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The MAC is not that of the message.
    BadSig,
    /// No such key here, or not with this algorithm.
    BadKey,
    /// Signed too long ago, or in the future.
    BadTime,
    /// The MAC was cut shorter than is accepted here.
    BadTrunc,
}

impl Error {
    /// The code in the record's error field.
    pub const fn code(self) -> u16 {
        match self {
            Error::BadSig => 16,
            Error::BadKey => 17,
            Error::BadTime => 18,
            Error::BadTrunc => 22,
        }
    }

    /// Whether the answer that says so is signed itself: where the MAC was good (RFC 8945 section
    /// 5.3.2).
    pub const fn is_signed(self) -> bool {
        match self {
            Error::BadSig | Error::BadKey => false,
            Error::BadTime | Error::BadTrunc => true,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::BadSig => "BADSIG: the TSIG is not that of the message under this key",
            Error::BadKey => "BADKEY: no TSIG key of this name and algorithm is known here",
            Error::BadTime => "BADTIME: the TSIG's time is over 300 s away from the clock here",
            Error::BadTrunc => "BADTRUNC: the TSIG's MAC is cut; send all of it",
        })
    }
}

#[cfg(test)]
mod tests;
