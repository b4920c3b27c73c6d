//! The few DER shapes that private keys need (RFC 5208, RFC 8017 appendix A.1.2, RFC 5915, RFC 8410).

/// A tag, the length and the contents.
fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = contents.len();
    if len < 0x80 {
        out.push(len as u8);
    } else {
        let octets = len.to_be_bytes();
        let used = &octets[octets.iter().take_while(|o| **o == 0).count()..];
        out.push(0x80 | used.len() as u8);
        out.extend_from_slice(used);
    }
    out.extend_from_slice(contents);
    out
}

/// An INTEGER that is not negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    let mut contents = bytes[zeros..].to_vec();
    if contents.first().is_none_or(|b| b & 0x80 != 0) {
        contents.insert(0, 0);
    }
    tlv(0x02, &contents)
}

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;

/// rsaEncryption with its NULL.
pub(super) const RSA: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// id-ecPublicKey and the curve prime256v1.
pub(super) const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07,
];
/// id-Ed25519.
pub(super) const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// PrivateKeyInfo: version 0, the algorithm, the key.
fn pkcs8(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let parts = [integer(&[]), tlv(SEQUENCE, algorithm), tlv(OCTETS, key)];
    tlv(SEQUENCE, &parts.concat())
}

/// An RSA key: n, e, d, p, q, d mod (p-1), d mod (q-1), 1/q mod p.
pub(super) fn rsa(numbers: &[Vec<u8>; 8]) -> Vec<u8> {
    let mut parts = vec![integer(&[])];
    parts.extend(numbers.iter().map(|n| integer(n)));
    rsa_of_pkcs1(&tlv(SEQUENCE, &parts.concat()))
}

/// An RSA key that is an RSAPrivateKey already.
pub(super) fn rsa_of_pkcs1(key: &[u8]) -> Vec<u8> {
    pkcs8(RSA, key)
}

/// A P-256 key: the private number, 32 octets, and the public point, 64 octets.
pub(super) fn p256(private: &[u8], public: &[u8]) -> Vec<u8> {
    let point = [&[0x00, 0x04], public].concat();
    let parts = [
        integer(&[1]),
        tlv(OCTETS, private),
        tlv(0xa1, &tlv(0x03, &point)),
    ];
    pkcs8(P256, &tlv(SEQUENCE, &parts.concat()))
}

/// The first element: its tag and contents, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let value = octets.iter().try_fold(0usize, |sum, o| {
                Some(sum.checked_mul(256)? + usize::from(*o))
            })?;
            (value, rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((tag, contents, rest))
}

/// The private number and the public point (64 octets) of a P-256 key in PKCS #8.
pub(super) fn p256_parts(pkcs8: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, info, _) = element(pkcs8)?;
    let (_, _version, info) = element(info)?;
    let (_, _algorithm, info) = element(info)?;
    let (_, key, _) = element(info)?;
    let (_, key, _) = element(key)?;
    let (_, _version, key) = element(key)?;
    let (_, private, mut rest) = element(key)?;
    while let Some((tag, contents, behind)) = element(rest) {
        if tag == 0xa1 {
            let (_, point, _) = element(contents)?;
            return Some((private, point.strip_prefix(&[0x00, 0x04])?));
        }
        rest = behind;
    }
    None
}

/// A P-256 key whose private number has 32 octets. RFC 5915 section 3 wants that, but GnuTLS, and so
/// Knot, leaves out zeros in front: one key in 256 is shorter.
pub(super) fn p256_in_full(pkcs8: &[u8]) -> Option<Vec<u8>> {
    let (private, point) = p256_parts(pkcs8)?;
    let zeros = private.iter().take_while(|o| **o == 0).count();
    let number = &private[zeros..];
    let mut full = vec![0; 32usize.checked_sub(number.len())?];
    full.extend_from_slice(number);
    Some(p256(&full, point))
}

/// An Ed25519 key: 32 octets.
pub(super) fn ed25519(private: &[u8]) -> Vec<u8> {
    pkcs8(ED25519, &tlv(OCTETS, private))
}

/// Whether a PKCS #8 key is of the algorithm.
pub(super) fn is_of(pkcs8: &[u8], algorithm: &[u8]) -> bool {
    // SEQUENCE, length, version and the SEQUENCE of the algorithm take 12 octets at most.
    let head = &pkcs8[..pkcs8.len().min(12 + algorithm.len())];
    head.windows(algorithm.len()).any(|w| w == algorithm)
}
