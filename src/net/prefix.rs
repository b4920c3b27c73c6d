//! An IP prefix in canonical form (no bits set beyond its length).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{Family, Key};

/// An IP prefix. The address has no bit set beyond `len`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    addr: IpAddr,
    len: u8,
}

/// Why a text is not a prefix.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PrefixError {
    /// The address part does not parse.
    #[error("`{0}` is not an IPv4 or IPv6 address")]
    Address(String),
    /// The length part is no number or too large.
    #[error("prefix length `{len}` is not between 0 and {max}")]
    Length {
        /// The text found.
        len: String,
        /// 32 or 128.
        max: u8,
    },
    /// Bits are set beyond the length: probably a typing mistake, so it is refused.
    #[error("`{given}` has bits set beyond /{len}; did you mean `{meant}`?")]
    HostBits {
        /// The text found.
        given: String,
        /// The stated length.
        len: u8,
        /// The prefix with those bits cleared.
        meant: Prefix,
    },
}

impl Prefix {
    /// The prefix of `len` bits that holds `addr`; a `len` beyond the family's is cut to it.
    pub fn containing(addr: IpAddr, len: u8) -> Prefix {
        match addr {
            IpAddr::V4(a) => {
                let len = len.min(32);
                Prefix {
                    addr: Ipv4Addr::from(u32::from(a).first_of(len)).into(),
                    len,
                }
            }
            IpAddr::V6(a) => {
                let len = len.min(128);
                Prefix {
                    addr: Ipv6Addr::from(u128::from(a).first_of(len)).into(),
                    len,
                }
            }
        }
    }

    /// The first address.
    pub fn addr(&self) -> IpAddr {
        self.addr
    }

    /// The length in bits.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length in bits, not a count of items"
    )]
    pub fn len(&self) -> u8 {
        self.len
    }

    /// The family.
    pub fn family(&self) -> Family {
        Family::of(self.addr)
    }

    /// The last address.
    pub fn last(&self) -> IpAddr {
        match self.addr {
            IpAddr::V4(a) => Ipv4Addr::from(u32::from(a).last_of(self.len)).into(),
            IpAddr::V6(a) => Ipv6Addr::from(u128::from(a).last_of(self.len)).into(),
        }
    }

    /// Whether `addr` lies inside.
    pub fn contains(&self, addr: IpAddr) -> bool {
        Family::of(addr) == self.family() && Prefix::containing(addr, self.len).addr == self.addr
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `address/len`, or a bare address as a host prefix.
    fn from_str(s: &str) -> Result<Self, PrefixError> {
        let (addr_text, len_text) = match s.split_once('/') {
            Some((a, l)) => (a, Some(l)),
            None => (s, None),
        };
        let addr: IpAddr = addr_text
            .parse()
            .map_err(|_| PrefixError::Address(addr_text.to_owned()))?;
        let max = Family::of(addr).bits();
        let len = match len_text {
            None => max,
            Some(text) => text
                .parse::<u8>()
                .ok()
                .filter(|len| *len <= max)
                .ok_or_else(|| PrefixError::Length {
                    len: text.to_owned(),
                    max,
                })?,
        };
        let prefix = Prefix::containing(addr, len);
        if prefix.addr != addr {
            return Err(PrefixError::HostBits {
                given: s.to_owned(),
                len,
                meant: prefix,
            });
        }
        Ok(prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for s in [
            "0.0.0.0/0",
            "192.0.2.0/24",
            "192.0.2.1/32",
            "::/0",
            "2001:db8::/32",
        ] {
            assert_eq!(s.parse::<Prefix>().unwrap().to_string(), s);
        }
        assert_eq!("192.0.2.1".parse::<Prefix>().unwrap().len(), 32);
    }

    #[test]
    fn refuses_host_bits_and_says_what_was_meant() {
        let e = "192.0.2.1/24".parse::<Prefix>().unwrap_err();
        assert_eq!(
            e.to_string(),
            "`192.0.2.1/24` has bits set beyond /24; did you mean `192.0.2.0/24`?"
        );
        assert!("192.0.2.0/33".parse::<Prefix>().is_err());
        assert!("x/3".parse::<Prefix>().is_err());
    }

    #[test]
    fn contains_only_its_own() {
        let p: Prefix = "10.0.0.0/8".parse().unwrap();
        assert!(p.contains("10.255.255.255".parse().unwrap()));
        assert!(!p.contains("11.0.0.0".parse().unwrap()));
        assert!(!p.contains("::".parse().unwrap()));
        assert_eq!(p.last().to_string(), "10.255.255.255");
    }
}
