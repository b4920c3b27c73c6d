//! What tells that a request came before: digests of its key and of what it asked.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

/// A request that bore a key of its own, as it is remembered. Neither the key nor what was asked can be read
/// from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Mark {
    /// Digest of whose key it is, and of the key.
    pub key: [u8; 16],
    /// Digest of what was asked.
    pub body: [u8; 8],
}

/// Both digests, each as hexadecimal digits.
impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, body) = (HEXLOWER.encode(&self.key), HEXLOWER.encode(&self.body));
        write!(f, "{key}.{body}")
    }
}

/// The text is no mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a mark is 32 and 16 hexadecimal digits with a dot between")]
pub struct NoMark;

impl FromStr for Mark {
    type Err = NoMark;

    fn from_str(text: &str) -> Result<Mark, NoMark> {
        let (key, body) = text.split_once('.').ok_or(NoMark)?;
        let octets = |text: &str| HEXLOWER.decode(text.as_bytes()).ok();
        let key = octets(key).and_then(|o| o.try_into().ok()).ok_or(NoMark)?;
        let body = octets(body).and_then(|o| o.try_into().ok()).ok_or(NoMark)?;
        Ok(Mark { key, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mark_reads_back(key: [u8; 16], body: [u8; 8]) {
            let mark = Mark { key, body };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }

        #[test]
        fn any_text_is_a_mark_in_its_one_spelling_or_none(text in "[0-9a-fA-F.]{0,60}") {
            if let Ok(mark) = text.parse::<Mark>() {
                prop_assert_eq!(mark.to_string(), text);
            }
        }
    }
}
