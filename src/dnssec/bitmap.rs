//! The Type Bit Maps field of NSEC and NSEC3 (RFC 4034 section 4.1.2).

/// Appends the bitmap of these types to `out`; sorts the list and drops duplicates.
pub fn write(types: &mut Vec<u16>, out: &mut Vec<u8>) {
    types.sort_unstable();
    types.dedup();
    let mut rest = &types[..];
    while let Some(first) = rest.first() {
        // "( Window Block # | Bitmap Length | Bitmap )+", blocks without types left out.
        let window = first >> 8;
        let here = rest.partition_point(|t| t >> 8 == window);
        let (these, later) = rest.split_at(here);
        let mut bits = [0u8; 32];
        let mut len = 0;
        for t in these {
            let low = usize::from(t & 0xFF);
            bits[low / 8] |= 0x80 >> (low % 8);
            len = low / 8 + 1;
        }
        out.extend([window as u8, len as u8]); // 256 windows of at most 32 octets
        out.extend(&bits[..len]);
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4034_4_3_example() {
        // alfa.example.com. NSEC host.example.com. ( A MX RRSIG NSEC TYPE1234 )
        let mut out = Vec::new();
        write(&mut vec![1234, 47, 1, 46, 15, 1], &mut out);
        let mut expected = vec![0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 27];
        expected.extend([0; 26]);
        expected.push(0x20);
        assert_eq!(out, expected);
    }

    #[test]
    fn no_types_no_octets() {
        let mut out = Vec::new();
        write(&mut Vec::new(), &mut out);
        assert!(out.is_empty());
    }
}
