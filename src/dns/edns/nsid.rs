//! Name server identifier (RFC 5001): which node answered, and at which generation of its view.

use std::io::Write;

use crate::dns::message::{Full, MessageWriter};
use crate::units::Generation;

/// The option's code.
pub const CODE: u16 = 3;

/// Longest identifier. Header, longest question and an OPT record with this still fit 512 octets.
const MOST: usize = 128;

/// Longest `#` and generation.
const GENERATION: usize = 21;

/// `node#generation` in the making.
#[derive(Clone, Copy, Debug)]
pub struct Nsid {
    bytes: [u8; MOST],
    len: usize,
}

impl Nsid {
    /// The identifier of `node` at `generation`; a very long node name is cut.
    pub fn new(node: &str, generation: Generation) -> Nsid {
        let mut bytes = [0; MOST];
        let node = &node.as_bytes()[..node.len().min(MOST - GENERATION)];
        bytes[..node.len()].copy_from_slice(node);
        let mut rest = &mut bytes[node.len()..];
        let room = rest.len();
        // At least 21 octets are left: enough for `#` and any 64-bit number.
        let written = write!(rest, "#{generation}").map_or(0, |()| room - rest.len());
        Nsid {
            bytes,
            len: node.len() + written,
        }
    }

    /// The identifier.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Octets of the option.
    pub fn option_len(&self) -> usize {
        4 + self.len
    }

    /// Writes the option.
    ///
    /// # Errors
    /// [`Full`].
    pub fn write(&self, w: &mut MessageWriter<'_>) -> Result<(), Full> {
        w.put(&CODE.to_be_bytes())?;
        w.put(&(self.len as u16).to_be_bytes())?;
        w.put(self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_rfc5001_node_and_generation() {
        let id = |node: &str, g| {
            String::from_utf8(Nsid::new(node, Generation(g)).as_bytes().to_vec()).unwrap()
        };
        assert_eq!(id("ams1", 7), "ams1#7");
        assert!(id(&"x".repeat(300), u64::MAX).ends_with("x#18446744073709551615"));
    }
}
