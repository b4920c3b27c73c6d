//! Checking the TSIG of a request, and of the answer to one of ours (RFC 8945 sections 5.2, 5.4).

use crate::dns::message::HEADER;

use super::sign::{Mac, Variables};
use super::{Error, Tsig, TsigKey};

/// The outcome of [`verify`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checked {
    /// Signed with the key at this place of the list.
    Good(usize),
    /// Not good; with the key, where its MAC was.
    Bad(Error, Option<usize>),
    /// A MAC longer than the algorithm makes, or shorter than any may be cut: FORMERR, without TSIG
    /// (RFC 8945 section 5.2.2.1).
    Malformed,
}

/// Checks a request that ends with `tsig` at the Unix time `now`, in the order of RFC 8945 section
/// 5.2: key, MAC, time, length of the MAC.
pub fn verify(message: &[u8], tsig: &Tsig<'_>, keys: &[TsigKey], now: u64) -> Checked {
    let named = keys.iter().position(|k| {
        tsig.key.as_bytes() == k.name.as_bytes()
            && tsig.algorithm.eq_ignore_ascii_case(k.algorithm.wire())
    });
    let Some(index) = named else {
        return Checked::Bad(Error::BadKey, None);
    };
    let key = &keys[index];
    let whole = key.algorithm.mac_len();
    if tsig.mac.len() > whole || tsig.mac.len() < (whole / 2).max(10) {
        return Checked::Malformed;
    }
    if !is_mac_of(message, tsig, key, None) {
        return Checked::Bad(Error::BadSig, Some(index));
    }
    if now.abs_diff(tsig.time) > u64::from(tsig.fudge) {
        return Checked::Bad(Error::BadTime, Some(index));
    }
    // Our policy: nothing is gained by a cut MAC.
    if tsig.mac.len() < whole {
        return Checked::Bad(Error::BadTrunc, Some(index));
    }
    Checked::Good(index)
}

/// Checks the answer to a request that was signed with `key` and had the MAC `request`.
///
/// # Errors
/// What is wrong, in words.
pub fn verify_answer(
    message: &[u8],
    tsig: &Tsig<'_>,
    key: &TsigKey,
    request: &Mac,
    now: u64,
) -> Result<(), &'static str> {
    if tsig.key.as_bytes() != key.name.as_bytes()
        || !tsig.algorithm.eq_ignore_ascii_case(key.algorithm.wire())
    {
        return Err("the answer is signed with another key");
    }
    if tsig.mac.is_empty() {
        return Err(match tsig.error {
            16 => "the other side says BADSIG: its secret differs",
            17 => "the other side says BADKEY: it has no key of this name and algorithm",
            _ => "the answer's TSIG has no MAC",
        });
    }
    if tsig.mac.len() != key.algorithm.mac_len() || !is_mac_of(message, tsig, key, Some(request)) {
        return Err("the answer's TSIG is not that of the message");
    }
    if tsig.error == Error::BadTime.code() {
        return Err("the other side says BADTIME: the clocks differ by more than 300 s");
    }
    if now.abs_diff(tsig.time) > u64::from(tsig.fudge) {
        return Err("the answer's TSIG is too old or of the future");
    }
    Ok(())
}

/// Whether the record's MAC, as long as it is, is the beginning of the right one. Takes the same time
/// wherever they differ.
fn is_mac_of(message: &[u8], tsig: &Tsig<'_>, key: &TsigKey, request: Option<&Mac>) -> bool {
    if message.len() < HEADER {
        return false;
    }
    let mut hmac = key.hmac();
    if let Some(request) = request {
        request.feed(&mut hmac);
    }
    hmac.update(&tsig.header(message));
    hmac.update(tsig.body(message));
    Variables {
        key: tsig.key.as_bytes(),
        algorithm: tsig.algorithm,
        time: tsig.time,
        fudge: tsig.fudge,
        error: tsig.error,
        other: tsig.other,
    }
    .feed(&mut hmac);
    let right = hmac.sign();
    let Some(right) = right.as_ref().get(..tsig.mac.len()) else {
        return false;
    };
    let differing = right.iter().zip(tsig.mac).fold(0, |d, (a, b)| d | (a ^ b));
    // The compiler must not leave the loop early.
    std::hint::black_box(differing) == 0
}
