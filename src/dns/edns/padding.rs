//! Padding (RFC 7830): answers of a few sizes only, so that their length tells an eavesdropper
//! little.

use crate::dns::message::{Full, MessageWriter};

/// The option's code.
pub const CODE: u16 = 12;

/// Octets of the option's own head.
pub const HEAD: usize = 4;

/// RFC 8467 section 4.1: "Servers … pad the corresponding response to a multiple of 468 octets".
const BLOCK: usize = 468;

/// Pads the message in the making to the next multiple of 468 octets, or as far as it may
/// grow. Must be the last that is written: the length of the whole counts.
///
/// # Errors
/// [`Full`] when not even an empty option fits.
pub fn write(w: &mut MessageWriter<'_>) -> Result<(), Full> {
    let room = w.room().checked_sub(HEAD).ok_or(Full)?;
    let least = w.written() + HEAD;
    let pad = (least.next_multiple_of(BLOCK) - least).min(room);
    let mut head = [0; HEAD];
    head[0..2].copy_from_slice(&CODE.to_be_bytes());
    // Less than a block.
    head[2..4].copy_from_slice(&(pad as u16).to_be_bytes());
    w.put(&head)?;
    // RFC 7830 section 3: "The PADDING octets SHOULD be set to 0x00."
    w.put(&[0; BLOCK][..pad])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::message::Header;

    fn padded(before: usize, limit: usize) -> Result<usize, Full> {
        let mut buf = [0xEE; 2_000];
        let mut w = MessageWriter::new(&mut buf, limit);
        w.put(&vec![1; before - 12])?;
        write(&mut w)?;
        Ok(w.finish(Header { id: 0, flags: 0 }))
    }

    #[test]
    fn rfc8467_4_1_multiples_of_468_octets() {
        for (before, after) in [(12, 468), (464, 468), (465, 936), (468, 936), (932, 936)] {
            assert_eq!(padded(before, 2_000), Ok(after), "{before}");
        }
        assert_eq!(padded(100, 300), Ok(300), "as far as it may grow");
        assert_eq!(padded(100, 104), Ok(104), "an empty option");
        assert_eq!(padded(100, 103), Err(Full));
    }
}
