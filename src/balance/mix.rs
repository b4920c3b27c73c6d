//! Mixing bits: one fixed hash that is the same on every node, in every process and release.

/// Spreads the bits of `x` over the whole word. Bijective: the finalizer of SplitMix64 (Steele, Lea
/// and Flood 2014, constants of Stafford's variant 13).
#[inline]
pub const fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The `n`-th of a sequence of independent-looking words grown from `seed`; the 0th is `seed` itself.
#[inline]
pub const fn nth(seed: u64, n: u64) -> u64 {
    if n == 0 {
        seed
    } else {
        mix(seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// Hashes bytes. Not for adversaries: whoever picks a name here is the operator.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut h = mix(bytes.len() as u64 ^ 0x5472_6164_6577_696e);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        h = mix(h ^ u64::from_le_bytes(word)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
    mix(h)
}

/// A number from 0 to `below` - 1 out of uniform bits (Lemire's multiplication without its
/// rejection: the error is below `below` / 2^64).
#[inline]
pub const fn scale(bits: u64, below: u64) -> u64 {
    ((bits as u128 * below as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_pinned_so_that_a_release_moves_no_client() {
        assert_eq!(mix(0), 0);
        assert_eq!(mix(1), 0x5692_161d_100b_05e5);
        assert_eq!(hash_bytes(b"eu-1"), hash_bytes(b"eu-1"));
        assert_ne!(hash_bytes(b"eu-1"), hash_bytes(b"eu-1\0"));
        assert_ne!(hash_bytes(b""), hash_bytes(b"\0"));
    }

    #[test]
    fn scale_stays_below() {
        assert_eq!(scale(0, 10), 0);
        assert_eq!(scale(u64::MAX, 10), 9);
        assert_eq!(scale(u64::MAX / 2, 10), 4);
        assert_eq!(nth(7, 0), 7);
        assert_ne!(nth(7, 1), nth(7, 2));
    }
}
