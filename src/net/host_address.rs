//! An address of a host with the length of its network's prefix, as `ip address add` takes it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Family, Prefix};

/// `192.0.2.10/24`: an address and how many of its first bits are its network's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostAddress {
    address: IpAddr,
    len: u8,
}

/// Why a text is no [`HostAddress`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostAddressError {
    /// The address part does not parse.
    #[error("`{0}` is not an IPv4 or IPv6 address")]
    Address(String),
    /// There is no `/`.
    #[error("`{0}` lacks the length of its network's prefix")]
    NoLength(IpAddr),
    /// The length part is no number or too large.
    #[error("prefix length `{len}` is not between 1 and {max}")]
    Length {
        /// The text found.
        len: String,
        /// 32 or 128.
        max: u8,
    },
}

impl HostAddress {
    /// The address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its family.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// Its network.
    pub fn network(&self) -> Prefix {
        Prefix::containing(self.address, self.len)
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

impl FromStr for HostAddress {
    type Err = HostAddressError;

    fn from_str(text: &str) -> Result<Self, HostAddressError> {
        let (address, len) = match text.split_once('/') {
            Some((address, len)) => (address, Some(len)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| HostAddressError::Address(address.to_owned()))?;
        let len = len.ok_or(HostAddressError::NoLength(address))?;
        let max = Family::of(address).bits();
        let digits = len.bytes().all(|b| b.is_ascii_digit());
        match len.parse() {
            Ok(bits) if digits && (1..=max).contains(&bits) => {
                Ok(HostAddress { address, len: bits })
            }
            _ => Err(HostAddressError::Length {
                len: len.to_owned(),
                max,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ip_address_add_takes_and_nothing_else() {
        for text in ["192.0.2.10/24", "2001:db8::10/64", "192.0.2.1/32"] {
            let read: HostAddress = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert!(read.network().contains(read.address()));
        }
        let refused = |text: &str| text.parse::<HostAddress>().unwrap_err().to_string();
        assert_eq!(
            refused("192.0.2.10"),
            "`192.0.2.10` lacks the length of its network's prefix"
        );
        assert_eq!(
            refused("192.0.2.10/33"),
            "prefix length `33` is not between 1 and 32"
        );
        assert!(refused("192.0.2.10/+24").contains("`+24`"));
        assert!(refused("192.0.2.10/0").contains("`0`"));
        assert_eq!(refused("vip/24"), "`vip` is not an IPv4 or IPv6 address");
    }
}
