//! What the configuration says of limits.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Limit, Networks, Secrets};

/// What the configuration says of limits. The default limits nothing.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// Who may ask, and whose rates are not limited.
    pub networks: Networks,
    /// A sender that may not ask gets no answer at all, instead of REFUSED.
    pub drop_denied: bool,
    /// Which clients are counted as one.
    pub prefixes: Prefixes,
    /// Queries of one prefix, over all transports.
    pub queries: Option<Limit>,
    /// Answers over UDP to one prefix of one kind.
    pub responses: Option<Limit>,
    /// One of so many limited answers is sent all the same, but small; 0: none.
    pub slip: u8,
    /// Octets of the table of rates at most.
    pub table_bytes: usize,
    /// Cookies.
    pub cookies: CookieRules,
}

/// What the configuration says of cookies.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CookieRules {
    /// A client that uses cookies is answered over UDP only with a good server cookie.
    pub enforce: bool,
    /// The fleet's secrets; `None`: each process has its own, renewed after `rotate`.
    pub secrets: Option<Arc<Secrets>>,
    /// How long a process makes cookies with a secret of its own.
    pub rotate: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            networks: Networks::default(),
            drop_denied: false,
            prefixes: Prefixes::new(32, 64),
            queries: None,
            responses: None,
            slip: 0,
            table_bytes: 0,
            cookies: CookieRules::default(),
        }
    }
}

/// How long the prefixes are whose clients are counted as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefixes {
    mask4: u32,
    mask6: u64,
}

impl Default for Prefixes {
    /// One IPv4 address, and an IPv6 /64, which is what one site or one machine has.
    fn default() -> Prefixes {
        Prefixes::new(32, 64)
    }
}

impl Prefixes {
    /// Clients that share `len4` (1 to 32) or `len6` (1 to 64) bits are one.
    pub fn new(len4: u8, len6: u8) -> Prefixes {
        Prefixes {
            mask4: u32::MAX << (32 - u32::from(len4.clamp(1, 32))),
            mask6: u64::MAX << (64 - u32::from(len6.clamp(1, 64))),
        }
    }

    /// The prefix of `addr`, as a number. The families may share numbers; the caller tells them
    /// apart.
    #[inline]
    pub fn of(&self, addr: IpAddr) -> u64 {
        match addr {
            IpAddr::V4(a) => u64::from(u32::from(a) & self.mask4),
            IpAddr::V6(a) => (u128::from(a) >> 64) as u64 & self.mask6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_prefix_are_one() {
        let prefixes = Prefixes::new(24, 56);
        let same =
            |a: &str, b: &str| prefixes.of(a.parse().unwrap()) == prefixes.of(b.parse().unwrap());
        assert!(same("192.0.2.1", "192.0.2.255") && !same("192.0.2.1", "192.0.3.1"));
        assert!(same("2001:db8:0:1ff::1", "2001:db8:0:100::2"));
        assert!(!same("2001:db8:0:1ff::1", "2001:db8:0:200::1"));
        let whole = Prefixes::new(32, 64);
        assert_ne!(
            whole.of("192.0.2.1".parse().unwrap()),
            whole.of("192.0.2.2".parse().unwrap())
        );
    }
}
