//! Extended errors (RFC 8914): in words what a response code cannot say.

use crate::dns::message::{Full, MessageWriter};

/// The option's code.
pub const CODE: u16 = 15;

/// Octets of the option before its text, with the option's own head.
const FIXED: usize = 6;

/// Longest text sent: an explanation, not a load on the path.
const TEXT: usize = 120;

/// An extended error: a code of the registry and words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ede<'t> {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT, UTF-8.
    pub text: &'t str,
}

impl Ede<'_> {
    /// Other Error: the words say it.
    pub const OTHER: u16 = 0;
    /// Prohibited: the client may not ask here.
    pub const PROHIBITED: u16 = 18;
    /// Not Authoritative: the zone is not served here.
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// Not Supported: this operation or type of query.
    pub const NOT_SUPPORTED: u16 = 21;
    /// Invalid Query Type: no query may have this type (RFC 9824 section 9).
    pub const INVALID_QUERY_TYPE: u16 = 30;

    /// Writes the option if it fits, else without text if that fits, else nothing: an explanation
    /// must never cost a record.
    ///
    /// # Errors
    /// Never; the type lets it stand beside the other options.
    pub fn write(&self, w: &mut MessageWriter<'_>) -> Result<(), Full> {
        let mut end = self.text.len().min(TEXT);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let text = match w.room().checked_sub(FIXED) {
            None => return Ok(()),
            Some(room) if room < end => "",
            Some(_) => &self.text[..end],
        };
        let mut head = [0; FIXED];
        head[0..2].copy_from_slice(&CODE.to_be_bytes());
        // At most 2 + 120 octets.
        head[2..4].copy_from_slice(&(2 + text.len() as u16).to_be_bytes());
        head[4..6].copy_from_slice(&self.code.to_be_bytes());
        w.put(&head)?;
        w.put(text.as_bytes())
    }
}
