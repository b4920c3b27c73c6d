//! Client subnet (RFC 7871): for whom the answer is meant.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::message::{Full, MessageWriter};
use crate::net::Prefix;
use crate::units::ScopeLen;

/// The option's code.
pub const CODE: u16 = 8;

/// Octets of the option before its address, with the option's own head.
const FIXED: usize = 8;

/// A well-formed client subnet option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ecs<'p> {
    /// Address family as sent: 0 (only with source 0), 1 or 2.
    family: u16,
    /// SOURCE PREFIX-LENGTH.
    source: u8,
    /// The address octets as sent.
    octets: &'p [u8],
}

/// Which rule of RFC 7871 section 6 an option breaks. All of them get FORMERR (section 7.1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EcsFault {
    /// Fewer than four octets.
    Short,
    /// Neither IPv4 (1) nor IPv6 (2).
    Family(u16),
    /// SOURCE PREFIX-LENGTH over the family's bits.
    Source {
        /// As sent.
        source: u8,
        /// 32 or 128.
        most: u8,
    },
    /// "SCOPE PREFIX-LENGTH … in queries, it MUST be set to 0".
    Scope(u8),
    /// Not as many address octets as SOURCE PREFIX-LENGTH needs.
    Octets {
        /// As sent.
        octets: usize,
        /// As needed.
        need: usize,
    },
    /// Bits set beyond SOURCE PREFIX-LENGTH.
    HostBits(u8),
}

impl fmt::Display for EcsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("client subnet: ")?;
        match self {
            EcsFault::Short => f.write_str("fewer than 4 octets"),
            EcsFault::Family(family) => write!(f, "family {family} is neither 1 nor 2"),
            EcsFault::Source { source, most } => {
                write!(f, "source prefix length {source} is over {most}")
            }
            EcsFault::Scope(scope) => write!(f, "scope {scope} in a query; it must be 0"),
            EcsFault::Octets { octets, need } => {
                write!(f, "{octets} address octets; the source prefix needs {need}")
            }
            EcsFault::HostBits(source) => write!(f, "bits are set beyond /{source}"),
        }
    }
}

impl<'p> Ecs<'p> {
    /// Reads the option's data.
    ///
    /// # Errors
    /// The first rule of RFC 7871 section 6 that it breaks.
    pub fn read(data: &'p [u8]) -> Result<Ecs<'p>, EcsFault> {
        let (head, octets) = data.split_first_chunk::<4>().ok_or(EcsFault::Short)?;
        let family = u16::from_be_bytes([head[0], head[1]]);
        let (source, scope) = (head[2], head[3]);
        let most = match family {
            // Some stubs say "do not use my address" without naming a family.
            0 if source == 0 => 0,
            1 => 32,
            2 => 128,
            other => return Err(EcsFault::Family(other)),
        };
        if source > most {
            return Err(EcsFault::Source { source, most });
        }
        if scope != 0 {
            return Err(EcsFault::Scope(scope));
        }
        let need = usize::from(source).div_ceil(8);
        if octets.len() != need {
            return Err(EcsFault::Octets {
                octets: octets.len(),
                need,
            });
        }
        let odd = source % 8;
        if odd != 0 && octets[need - 1] & (0xFF >> odd) != 0 {
            return Err(EcsFault::HostBits(source));
        }
        Ok(Ecs {
            family,
            source,
            octets,
        })
    }

    /// The client's network; `None` with source prefix length 0, which asks not to use it (RFC 7871
    /// section 7.1.2).
    pub fn network(&self) -> Option<Prefix> {
        if self.source == 0 {
            return None;
        }
        let addr: IpAddr = if self.family == 1 {
            let mut all = [0; 4];
            all[..self.octets.len()].copy_from_slice(self.octets);
            Ipv4Addr::from(all).into()
        } else {
            let mut all = [0; 16];
            all[..self.octets.len()].copy_from_slice(self.octets);
            Ipv6Addr::from(all).into()
        };
        Some(Prefix::containing(addr, self.source))
    }

    /// Octets of the option in an answer.
    pub fn len(&self) -> usize {
        FIXED + self.octets.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Echoes the option with a scope (requirement E1: the rest bit by bit).
    ///
    /// # Errors
    /// [`Full`].
    pub fn write(&self, w: &mut MessageWriter<'_>, scope: ScopeLen) -> Result<(), Full> {
        let mut head = [0; FIXED];
        head[0..2].copy_from_slice(&CODE.to_be_bytes());
        // At most 4 + 16 octets.
        head[2..4].copy_from_slice(&(4 + self.octets.len() as u16).to_be_bytes());
        head[4..6].copy_from_slice(&self.family.to_be_bytes());
        head[6] = self.source;
        head[7] = scope.0;
        w.put(&head)?;
        w.put(self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e8_rfc7871_6_each_rule_is_checked() {
        for (data, fault) in [
            (&[0u8, 1, 0][..], EcsFault::Short),
            (&[0, 3, 8, 0, 1], EcsFault::Family(3)),
            (&[0, 0, 8, 0, 1], EcsFault::Family(0)),
            (&[0, 3, 0, 0], EcsFault::Family(3)),
            (
                &[0, 1, 33, 0, 1, 2, 3, 4, 5],
                EcsFault::Source {
                    source: 33,
                    most: 32,
                },
            ),
            (
                &[0, 2, 129, 0],
                EcsFault::Source {
                    source: 129,
                    most: 128,
                },
            ),
            (&[0, 1, 24, 24, 1, 2, 3], EcsFault::Scope(24)),
            (
                &[0, 1, 24, 0, 1, 2],
                EcsFault::Octets { octets: 2, need: 3 },
            ),
            (
                &[0, 1, 24, 0, 1, 2, 3, 0],
                EcsFault::Octets { octets: 4, need: 3 },
            ),
            (&[0, 1, 0, 0, 1], EcsFault::Octets { octets: 1, need: 0 }),
            (&[0, 1, 20, 0, 1, 2, 0x18], EcsFault::HostBits(20)),
        ] {
            assert_eq!(Ecs::read(data), Err(fault), "{data:?}");
        }
    }

    #[test]
    fn e4_source_zero_means_do_not_use() {
        for family in 0..3 {
            assert_eq!(Ecs::read(&[0, family, 0, 0]).unwrap().network(), None);
        }
    }

    #[test]
    fn rfc7871_6_networks() {
        let net = |data: &[u8]| Ecs::read(data).unwrap().network().unwrap().to_string();
        assert_eq!(net(&[0, 1, 24, 0, 192, 0, 2]), "192.0.2.0/24");
        assert_eq!(net(&[0, 1, 20, 0, 1, 2, 0x10]), "1.2.16.0/20");
        assert_eq!(net(&[0, 1, 32, 0, 1, 2, 3, 4]), "1.2.3.4/32");
        assert_eq!(
            net(&[0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 1]),
            "2001:db8:1::/48"
        );
    }
}
