//! Octets of rows: small ones as they are, larger ones compressed.

use std::io::Read as _;

/// From this length on compression pays.
const WORTH: usize = 256;

/// Longest text that is unpacked, in octets: a damaged row must not fill the memory.
const LONGEST: u64 = 64 << 20;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Packs octets.
pub(super) fn pack(octets: &[u8]) -> Vec<u8> {
    if octets.len() >= WORTH
        && let Ok(smaller) = zstd::bulk::compress(octets, 1)
        && smaller.len() < octets.len()
    {
        return [&[ZSTD], &*smaller].concat();
    }
    [&[PLAIN], octets].concat()
}

/// Packs a text.
pub(super) fn pack_text(text: &str) -> Vec<u8> {
    pack(text.as_bytes())
}

/// Unpacks; `None`: it was not packed here.
pub(super) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    match packed.split_first()? {
        (&PLAIN, rest) => Some(rest.to_vec()),
        (&ZSTD, rest) => {
            let mut octets = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(rest).ok()?;
            let read = decoder.take(LONGEST + 1).read_to_end(&mut octets).ok()?;
            (read as u64 <= LONGEST).then_some(octets)
        }
        _ => None,
    }
}

/// Unpacks a text.
pub(super) fn unpack_text(packed: &[u8]) -> Option<String> {
    String::from_utf8(unpack(packed)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_nothing_else() {
        for length in [0, 1, WORTH - 1, WORTH, 100_000] {
            let octets = vec![7; length];
            let packed = pack(&octets);
            assert_eq!(unpack(&packed), Some(octets));
            assert!(packed.len() <= length.min(WORTH) + 1);
        }
        for bad in [&[][..], &[2, 3], &[ZSTD], &[ZSTD, 1, 2, 3, 4]] {
            assert_eq!(unpack(bad), None, "{bad:?}");
        }
        assert_eq!(unpack_text(&[PLAIN, 0xff]), None);
    }
}
