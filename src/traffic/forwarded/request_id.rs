//! The id of a request: the same in the logs of all that it passes.

use crate::message::{Fields, Known};

/// Octets of an id that is kept, at most.
const LONGEST: usize = 128;

/// Makes sure that a request has an `X-Request-Id`, and returns it. What a trusted proxy sent is kept
/// when it can be an id; everything else is replaced by `random`, as 32 hexadecimal digits.
pub fn request_id(fields: &mut Fields, trusted: bool, random: u128) -> &[u8] {
    let keep = trusted && {
        let mut all = fields.all(Known::XRequestId);
        let only = all.next().filter(|_| all.next().is_none());
        only.is_some_and(is_request_id)
    };
    if !keep {
        fields.set(Known::XRequestId, &hex(random));
    }
    fields.get(Known::XRequestId).unwrap_or_default()
}

/// Whether `text` can be an id: so that it can stand in a log and in a URL.
pub fn is_request_id(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:+/=@~".contains(b);
    (1..=LONGEST).contains(&text.len()) && text.iter().all(allowed)
}

/// 32 hexadecimal digits.
fn hex(n: u128) -> [u8; 32] {
    let mut text = [0; 32];
    for (i, digit) in text.iter_mut().enumerate() {
        let nibble = (n >> (124 - 4 * i)) as usize & 15;
        *digit = b"0123456789abcdef"[nibble];
    }
    text
}
