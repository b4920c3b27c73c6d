//! The hash of a client for `sticky`, and for whom the same hash comes out.

use std::net::IpAddr;

use crate::balance::mix::mix;
use crate::geo::table::{EMBEDDED, embedded_v4};
use crate::net::Key;

/// The hash of the client's network and the length of the widest prefix around the address that
/// has no other hash, in bits of the address's own family.
///
/// An IPv6 form that carries an IPv4 address hashes as that IPv4 address: it is the same client. So
/// the scope of another IPv6 address must not reach into those blocks, however few bits are hashed.
pub(super) fn hash(addr: IpAddr, prefix4: u8, prefix6: u8) -> (u64, u8) {
    match addr {
        IpAddr::V4(a) => (hash4(a.into(), prefix4), prefix4),
        IpAddr::V6(a) => {
            let a = u128::from(a);
            let mut scope = prefix6;
            for (block, len, offset) in EMBEDDED {
                let common = a.common(block.into());
                if common >= len {
                    return (hash4(embedded_v4(a, offset), prefix4), offset + prefix4);
                }
                scope = scope.max(common + 1);
            }
            let kept = a.first_of(prefix6);
            let high = mix((kept >> 64) as u64 ^ 0x7636);
            (mix(high ^ kept as u64), scope)
        }
    }
}

fn hash4(addr: u32, prefix4: u8) -> u64 {
    mix(u64::from(addr.first_of(prefix4)) ^ (0x7634 << 32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    #[test]
    fn e4_a_client_hashes_alike_in_every_form() {
        let (h, scope) = hash(ip("192.0.2.77"), 24, 56);
        assert_eq!(scope, 24);
        assert_eq!(hash(ip("::ffff:192.0.2.1"), 24, 56), (h, 120));
        assert_eq!(hash(ip("64:ff9b::192.0.2.1"), 24, 56), (h, 120));
        assert_eq!(hash(ip("2002:c000:0201::1"), 24, 56), (h, 40));
        assert_eq!(hash(ip("2001:0:c000:0201::1"), 24, 56), (h, 56));
        assert_eq!(hash(ip("2001:db8::1"), 24, 56).1, 56);
        assert_eq!(hash(ip("2001:db8::1"), 24, 16).1, 21);
    }

    proptest! {
        #[test]
        fn e4_scope_covers_only_equal_hashes(
            near in 0usize..5, low: u128, other: u128, prefix4 in 8u8..=32, prefix6 in 16u8..=128,
        ) {
            let base = [0, 0xffff << 32, 0x0064_ff9b << 96, 0x2002 << 112, 0x2001 << 112][near];
            let a = base | (low >> (low % 128));
            let (h, scope) = hash(IpAddr::V6(a.into()), prefix4, prefix6);
            let b = a.first_of(scope) | (other & !u128::MAX.first_of(scope));
            prop_assert_eq!(hash(IpAddr::V6(b.into()), prefix4, prefix6).0, h);
            // A scope around an address outside the blocks reaches into none of them.
            for (block, len, _) in EMBEDDED {
                let block = u128::from(block);
                prop_assert!(a.common(block) >= len || block.first_of(scope) != a.first_of(scope));
            }
        }
    }
}
