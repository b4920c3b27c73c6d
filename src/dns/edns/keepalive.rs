//! How long a connection may idle (edns-tcp-keepalive, RFC 7828).

use std::time::Duration;

use crate::dns::message::{Full, MessageWriter};

/// The option's code.
pub const CODE: u16 = 11;

/// Octets of the option in an answer, with its own head.
pub const LEN: usize = 6;

/// The option in a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keepalive {
    /// Not there.
    #[default]
    Absent,
    /// The client wants to know the timeout.
    Asked,
    /// With data. RFC 7828 section 3.2.1: "the client … MUST specify an OPTION-LENGTH of 0 and omit
    /// the TIMEOUT value"; with its octets.
    Malformed(u16),
}

impl Keepalive {
    /// Reads the option's data.
    pub fn read(data: &[u8]) -> Keepalive {
        match u16::try_from(data.len()) {
            Ok(0) => Keepalive::Asked,
            Ok(octets) => Keepalive::Malformed(octets),
            // The length field of an option has 16 bits.
            Err(_) => Keepalive::Malformed(u16::MAX),
        }
    }
}

/// TIMEOUT: in units of 100 milliseconds, rounded down so that the server is never the first to
/// forget; the longest that can be said is nearly two hours.
pub fn timeout(idle: Duration) -> u16 {
    u16::try_from(idle.as_millis() / 100).unwrap_or(u16::MAX)
}

/// Writes the option with its TIMEOUT.
///
/// # Errors
/// [`Full`].
pub fn write(w: &mut MessageWriter<'_>, timeout: u16) -> Result<(), Full> {
    let mut option = [0; LEN];
    option[0..2].copy_from_slice(&CODE.to_be_bytes());
    option[2..4].copy_from_slice(&2u16.to_be_bytes());
    option[4..6].copy_from_slice(&timeout.to_be_bytes());
    w.put(&option)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7828_3_1_units_of_100_milliseconds() {
        for (idle, units) in [(0, 0), (99, 0), (100, 1), (10_000, 100), (10_199, 101)] {
            assert_eq!(timeout(Duration::from_millis(idle)), units);
        }
        assert_eq!(timeout(Duration::from_secs(86_400)), u16::MAX);
    }
}
