//! DNS cookies on the wire (RFC 7873 section 4): what the client made, and what we gave it earlier.
//!
//! What a server cookie holds and whether it is good is not the wire's affair: `limit::cookies`.

use std::fmt;

use crate::dns::message::{Full, MessageWriter};

/// The option's code.
pub const CODE: u16 = 10;

/// Octets of a client cookie.
pub const CLIENT: usize = 8;

/// Octets of the server cookies made here (RFC 9018 section 4).
pub const SERVER: usize = 16;

/// Octets of the option in an answer, with its own head.
pub const OPTION_LEN: usize = 4 + CLIENT + SERVER;

/// Octets that a server cookie of any server may have.
const SERVER_RANGE: std::ops::RangeInclusive<usize> = 8..=32;

/// A well-formed cookie option of a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cookie<'p> {
    /// Made by the client for this server.
    pub client: &'p [u8; CLIENT],
    /// What the client says that a server gave it; empty when it has none.
    pub server: &'p [u8],
}

/// The option has a length that RFC 7873 section 5.2.2 answers with FORMERR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieFault(pub usize);

impl fmt::Display for CookieFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cookie of {} octets; 8 or 16 to 40 are allowed", self.0)
    }
}

impl<'p> Cookie<'p> {
    /// Reads the option's data.
    ///
    /// # Errors
    /// RFC 7873 section 5.2.2: "If the COOKIE option is too short to contain a Client Cookie, then
    /// FORMERR is generated. If the COOKIE option length is longer than that required to hold a COOKIE
    /// option with just a Client Cookie (8 bytes) but is shorter than the minimum COOKIE option with
    /// both a Client Cookie and a Server Cookie (16 bytes), then FORMERR is generated. If the COOKIE
    /// option length is longer than the maximum valid COOKIE option (40 bytes), then FORMERR is
    /// generated."
    pub fn read(data: &'p [u8]) -> Result<Cookie<'p>, CookieFault> {
        let fault = CookieFault(data.len());
        let (client, server) = data.split_first_chunk::<CLIENT>().ok_or(fault)?;
        if server.is_empty() || SERVER_RANGE.contains(&server.len()) {
            Ok(Cookie { client, server })
        } else {
            Err(fault)
        }
    }
}

/// The cookie option of an answer: the client's own part and a good server cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FullCookie {
    /// As the client sent it.
    pub client: [u8; CLIENT],
    /// For it to send next time.
    pub server: [u8; SERVER],
}

impl FullCookie {
    /// Writes the option.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write(&self, w: &mut MessageWriter<'_>) -> Result<(), Full> {
        let mut option = [0; OPTION_LEN];
        option[0..2].copy_from_slice(&CODE.to_be_bytes());
        option[2..4].copy_from_slice(&((CLIENT + SERVER) as u16).to_be_bytes());
        option[4..4 + CLIENT].copy_from_slice(&self.client);
        option[4 + CLIENT..].copy_from_slice(&self.server);
        w.put(&option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7873_5_2_2_lengths() {
        let data = [7; 64];
        for len in 0..=64 {
            let read = Cookie::read(&data[..len]);
            match len {
                8 => assert_eq!(read.unwrap().server, &[] as &[u8]),
                16..=40 => assert_eq!(read.unwrap().server.len(), len - 8),
                _ => assert_eq!(read, Err(CookieFault(len))),
            }
        }
    }
}
