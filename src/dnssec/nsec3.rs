//! NSEC3 white lies (RFC 5155, RFC 7129 appendix B): each record covers a single hash, made up for
//! the question, so that nothing of the zone is told. SHA-1, no salt, no extra iterations (RFC 9276
//! section 3.1).

use hickory_proto::dnssec::DigestType;
use hickory_proto::dnssec::crypto::Digest;

use super::labels::StackName;

/// Octets of a hash.
const HASH: usize = 20;

/// RDATA of the NSEC3PARAM record: SHA-1, no flags, no extra iterations, no salt (RFC 5155
/// section 4.2).
pub const PARAM: [u8; 5] = [1, 0, 0, 0, 0];

/// The hash of an owner name (RFC 5155 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerHash([u8; HASH]);

impl OwnerHash {
    /// Of a lower-cased wire name; `None` when the cryptography refuses, which it does not.
    pub fn of(name: &[u8]) -> Option<OwnerHash> {
        let digest = Digest::new(name, DigestType::SHA1).ok()?;
        Some(OwnerHash(digest.as_ref().try_into().ok()?))
    }

    /// The next hash; after the last one comes the first (RFC 5155 section 3.1.7).
    pub fn next(mut self) -> OwnerHash {
        for octet in self.0.iter_mut().rev() {
            *octet = octet.wrapping_add(1);
            if *octet != 0 {
                break;
            }
        }
        self
    }

    /// The hash before.
    pub fn before(mut self) -> OwnerHash {
        for octet in self.0.iter_mut().rev() {
            *octet = octet.wrapping_sub(1);
            if *octet != 0xFF {
                break;
            }
        }
        self
    }

    /// The owner of the NSEC3 record of this hash: base32hex in front of the zone's name (RFC 5155
    /// section 3); `None` where the zone's own name leaves no room for it.
    pub fn owner(&self, apex: &[u8]) -> Option<StackName> {
        const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
        let mut label = [0; 32];
        for (five, eight) in self.0.chunks_exact(5).zip(label.chunks_exact_mut(8)) {
            let bits = five.iter().fold(0u64, |b, o| b << 8 | u64::from(*o));
            for (i, digit) in eight.iter_mut().enumerate() {
                *digit = DIGITS[(bits >> (35 - 5 * i)) as usize & 31];
            }
        }
        StackName::join(&label, apex)
    }

    /// Appends the RDATA of the NSEC3 record from here to `next`, up to its bitmap (RFC 5155
    /// section 3.2). Opt-out is never set: every delegation gets its own record.
    pub fn write_rdata(next: OwnerHash, out: &mut Vec<u8>) {
        out.extend([1, 0, 0, 0, 0, HASH as u8]);
        out.extend(next.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32hex_and_neighbours() {
        let hash = OwnerHash([0xFF; HASH]);
        assert_eq!(hash.next(), OwnerHash([0; HASH]));
        assert_eq!(OwnerHash([0; HASH]).before(), hash);
        let one = OwnerHash([0; HASH]).next();
        assert_eq!(one.before(), OwnerHash([0; HASH]));
        assert_eq!(
            one.owner(b"\0").unwrap().as_bytes(),
            b"\x2000000000000000000000000000000001\0"
        );
    }

    #[test]
    fn hash_of_a_name_is_that_of_the_library() {
        use hickory_proto::dnssec::Nsec3HashAlgorithm;
        use hickory_proto::rr::Name;
        let name = Name::from_ascii("a.example.").unwrap();
        let theirs = Nsec3HashAlgorithm::SHA1.hash(&[], &name, 0).unwrap();
        let ours = OwnerHash::of(b"\x01a\x07example\0").unwrap();
        assert_eq!(ours.0, theirs.as_ref());
    }
}
