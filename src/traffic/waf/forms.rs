//! The forms of a text in which an attack may be written.

use std::borrow::Cow;

use crate::traffic::route::condition::decode;

/// Decodings that are followed: attackers encode twice, nobody else three times.
const DEPTH: usize = 2;

/// Calls `look` with the text as it is, and with what it decodes to (`%XX`, `+`), decoded again.
pub fn forms(text: &[u8], mut look: impl FnMut(&[u8])) {
    look(text);
    let mut last = Cow::Borrowed(text);
    for _ in 0..DEPTH {
        let next = match decode(&last) {
            Cow::Owned(next) if next != *last => next,
            _ => return,
        };
        look(&next);
        last = Cow::Owned(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_once() {
        let all = |text: &str| {
            let mut all = Vec::new();
            forms(text.as_bytes(), |f| {
                all.push(String::from_utf8_lossy(f).into_owned());
            });
            all
        };
        assert_eq!(all("plain"), ["plain"]);
        assert_eq!(all("a+b%20c"), ["a+b%20c", "a b c"]);
        assert_eq!(all("%2527"), ["%2527", "%27", "'"]);
        assert_eq!(all("%252527"), ["%252527", "%2527", "%27"]);
        assert_eq!(all("100%"), ["100%"]);
    }
}
